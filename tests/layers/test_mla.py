"""Multi-head latent attention against sums written out, head by head and token by token."""

import pytest
import torch
from torch import Tensor

from engramctl.layers.attention import chunk_mask
from engramctl.layers.init import Draw
from engramctl.layers.mla import LatentAttention
from engramctl.model.state import State, new_state
from tests.model.backbones import tiny

CONFIG = tiny("mla-dense")
T, CPU = 9, torch.device("cpu")


def turned(x: Tensor, position: int) -> Tensor:
    half = len(x) // 2
    angle = position * CONFIG.rope_theta ** (-torch.arange(half).double() / half)
    pairs = torch.complex(x[:half], x[half:]) * torch.polar(torch.ones_like(angle), angle)
    return torch.cat([pairs.real, pairs.imag])


def plain(part: LatentAttention, x_TD: Tensor) -> Tensor:
    """Return (T, D): keys and values of every head, of every token, one at a time."""
    Q, A, L = part.num_queries, part.head_dim, part.rank
    latents, shared = [], []
    for t, x in enumerate(x_TD):
        down = part.down @ x
        latent = down[:L] / (down[:L].square().mean() + CONFIG.rms_eps).sqrt()
        latents.append(latent * part.latent_norm.weight)
        shared.append(turned(down[L:], t))
    out = torch.zeros(len(x_TD), Q, A).double()
    for t, x in enumerate(x_TD):
        queries = (part.q @ x).view(Q, -1)
        for head in range(Q):
            query = torch.cat([queries[head, :A], turned(queries[head, A:], t)])
            keys, values = [], []
            for s in range(t + 1):
                both = part.up.view(Q, 2 * A, L)[head] @ latents[s]
                keys.append(torch.cat([both[:A], shared[s]]))
                values.append(both[A:])
            scores = torch.stack(keys) @ query / len(query) ** 0.5
            out[t, head] = scores.softmax(0) @ torch.stack(values)
    return out.flatten(1) @ part.out.T


def attention() -> LatentAttention:
    part = LatentAttention(CONFIG, Draw(0, torch.float64))
    generator = torch.Generator().manual_seed(1)
    part.latent_norm.weight.add_(torch.randn(part.rank, generator=generator), alpha=0.2)
    return part


def run(part: LatentAttention, x_BTD: Tensor, state: State) -> Tensor:
    start, end = state.position, state.position + x_BTD.shape[1]
    mask = chunk_mask(x_BTD.shape[1], start, CPU)
    state.position = end
    cos, sin = state.cos[start:end], state.sin[start:end]
    out: Tensor = part(x_BTD, state.kv[0], start, cos, sin, mask)
    return out


@pytest.mark.parametrize("sizes", [(T,), (1,) * T, (4, 1, 4)])
def test_whole_chunked_and_absorbed_are_the_sums_written_out(sizes: tuple[int, ...]) -> None:
    part = attention()
    x_BTD = torch.randn(2, T, 64, generator=torch.Generator().manual_seed(2)).double()
    state = new_state(CONFIG, 2, T, torch.float64, CPU)
    found = torch.cat([run(part, chunk, state) for chunk in torch.split(x_BTD, list(sizes), 1)], 1)
    for sequence in range(2):
        torch.testing.assert_close(found[sequence], plain(part, x_BTD[sequence]))


def test_one_token_reads_the_cache_as_it_lies() -> None:
    """Nothing as large as the keys of all heads is made: only what has one entry a token."""
    part = attention()
    state = new_state(CONFIG, 1, 4096, torch.float64, CPU)
    state.position = 4095
    largest = 0

    class Sizes(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            if isinstance(out, Tensor) and out.untyped_storage() is not None:
                cached = out.untyped_storage().data_ptr() == state.kv.untyped_storage().data_ptr()
                largest = max(largest, 0 if cached else out.numel())
            return out

    with Sizes():
        run(part, torch.ones(1, 1, 64).double(), state)
    assert largest < 4096 * part.head_dim
