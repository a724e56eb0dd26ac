"""The whole decoder against a second one, written straight from the papers in plain loops.

It shares nothing with the first but the weights: attention by explicit scores, RoPE by complex
numbers, Sinkhorn by repeated division, one token's coefficients at a time by the paper's letters.
"""

from typing import cast, get_args

import pytest
import torch
from torch import Tensor

from engramctl.fusion.at_input import InputMemory
from engramctl.layers.attention import Attention
from engramctl.layers.config import MemoryConfig, Readout, ResidualConfig, ResidualMode
from engramctl.layers.ffn import SwiGlu
from engramctl.layers.fusions import AT_INPUT, INPUT, Fusion, Place
from engramctl.model.decoder import Decoder, Layer
from engramctl.model.presets import preset
from engramctl.residual.hc import HcCoefficients
from engramctl.residual.mhc import MhcCoefficients
from engramctl.residual.readout import ReadOut
from engramctl.residual.site import Branches
from engramctl.residual.sites import Site
from tests.residual.plain_sinkhorn import plain_release, plain_sinkhorn

T = 13


def norm(x: Tensor, eps: float) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + eps).sqrt()


def mixes(site: Site, X: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return pre (T, R), post (T, R), H_res (T, target, source)."""
    T, R, _ = X.shape
    if not isinstance(site, Branches):
        return torch.ones(T, 1).double(), torch.ones(T, 1).double(), torch.ones(T, 1, 1).double()
    mapping = site.mapping
    if isinstance(mapping, HcCoefficients):
        mixed = torch.tanh(norm(X, mapping.eps) @ mapping.weight) * mapping.scale + mapping.static
        return mixed[..., 1], mixed[..., 0], mixed[..., 2:].mT
    assert isinstance(mapping, MhcCoefficients)
    config = mapping.config
    raw = norm(X.reshape(T, -1), config.rms_eps) @ mapping.phi
    pre, post, res = raw[:, :R], raw[:, R : 2 * R], raw[:, 2 * R :].reshape(T, R, R)
    alpha, bias = mapping.alpha, mapping.bias
    pre = torch.sigmoid(alpha[0] * pre + bias[:R])
    post = 2 * torch.sigmoid(alpha[1] * post + bias[R : 2 * R])
    res = alpha[2] * res + bias[2 * R :].reshape(R, R)
    if config.form == "paper":
        return pre, post, plain_sinkhorn(res, config.iterations)
    return pre + config.hc_eps, post, plain_release(res, config.iterations, config.hc_eps).mT


def turn(x: Tensor, theta: float) -> Tensor:
    """Turn (T, heads, A) by position: the two halves are real and imaginary part."""
    T, _, A = x.shape
    frequency = theta ** (-torch.arange(A // 2).double() / (A // 2))
    angle = torch.arange(T).double()[:, None, None] * frequency
    turned = torch.complex(x[..., : A // 2], x[..., A // 2 :]) * torch.polar(
        torch.ones_like(angle), angle
    )
    return torch.cat([turned.real, turned.imag], -1)


def attention(layer: Layer, u: Tensor, theta: float) -> Tensor:
    part = layer.attention
    assert isinstance(part, Attention)
    Q, G, A = part.num_queries, part.num_kv, part.head_dim
    qkv = (u @ part.qkv.T).reshape(len(u), Q + 2 * G, A)
    q, k, v = turn(qkv[:, :Q], theta), turn(qkv[:, Q : Q + G], theta), qkv[:, Q + G :]
    out = torch.zeros(len(u), Q, A).double()
    for t in range(len(u)):
        for head in range(Q):
            group = head * G // Q
            scores = k[: t + 1, group] @ q[t, head] / A**0.5
            out[t, head] = torch.softmax(scores, 0) @ v[: t + 1, group]
    return out.reshape(len(u), Q * A) @ part.out.T


def feed_forward(layer: Layer, u: Tensor) -> Tensor:
    assert isinstance(layer.ffn, SwiGlu)
    gate, up = (u @ layer.ffn.gate_up.T).chunk(2, -1)
    return (gate * torch.sigmoid(gate) * up) @ layer.ffn.down.T


def remember(layer: Layer, X: Tensor, rows: Tensor) -> Tensor:
    part = layer.memory
    assert part is not None
    (T, R, D), config = X.shape, part.memory
    out = rows.reshape(T, -1) @ part.wkv.T + (0 if part.bias is None else part.bias)
    key, value = out[:, : R * D].reshape(T, R, D), out[:, R * D :]
    centre = 1 if config.fusion == "qwen-ple" else 0
    query = norm(X, config.norm_eps) * (centre + part.q_weight)
    dot = (query * (norm(key, config.norm_eps) * (centre + part.k_weight))).sum(-1) / D**0.5
    if config.fusion != "engram":
        dot = dot.sign() * dot.abs().clamp(min=1e-6).sqrt()
    u = torch.sigmoid(dot)[..., None] * value[:, None]
    if config.fusion == "deepseek-v41":
        return X + u
    normed = norm(u, config.conv_norm_eps) * (centre + part.conv_norm)
    conv = torch.zeros_like(u)
    for t in range(T):
        for tap in range(4):
            past = t - (3 - tap) * config.max_order
            if past >= 0:
                conv[t] += part.conv_kernel[..., tap] * normed[past]
    return X + u + conv * torch.sigmoid(conv)


def at_input(part: InputMemory, words: Tensor, rows: Tensor) -> Tensor:
    """Return the embeddings, one token and one head at a time."""
    (T, D), (_, H, E), config = words.shape, rows.shape, part.memory
    made = torch.zeros(T, D).double()
    for t in range(T):
        word = words[t]
        if config.fusion == "over-encoding-concat":
            matrix = part.projection
            assert matrix is not None
            made[t] = matrix[:, :D] @ word
            for h in range(H):
                made[t] += matrix[:, D + h * E : D + (h + 1) * E] @ rows[t, h]
            continue
        total = torch.zeros(D).double()
        for h in range(H):
            if part.projection is None:
                total += rows[t, h]
            elif config.fusion in ("blt", "dictionary"):
                total += part.projection @ rows[t, h]
            else:
                total += part.projection[:, h * E : (h + 1) * E] @ rows[t, h]
        if config.fusion == "dictionary":
            made[t] = total
        elif config.fusion == "blt":
            made[t] = word + total
        elif config.normaliser == "word_full":
            made[t] = word + total / (1 + H)
        else:
            made[t] = (word + total) / (1 + H if config.normaliser == "mean" else (1 + H) ** 0.5)
    return made


def logits(model: Decoder, token_ids_T: Tensor, tables: dict[int, Tensor]) -> Tensor:
    config = model.config
    R = config.num_branches
    words = model.embedding[token_ids_T]
    if model.input_memory is not None:
        words = at_input(model.input_memory, words, tables[0])
    X = words[:, None].repeat(1, R, 1)
    carry = torch.zeros(len(token_ids_T), R).double()
    carry[:, 0] = 1
    read_by = dict(config.memory.layers) if config.memory else {}
    for index, part in enumerate(model.layers):
        layer = cast(Layer, part)
        if index in read_by:
            X = remember(layer, X, tables[read_by[index]])
        for site, scale in (
            (layer.attention_site, layer.attention_norm.weight),
            (layer.ffn_site, layer.ffn_norm.weight),
        ):
            pre, post, mix = mixes(site, X)
            weights = carry if config.residual.mode == "single_pass" else pre
            u = norm((weights[..., None] * X).sum(1), config.rms_eps) * scale
            first = site is layer.attention_site
            y = attention(layer, u, config.rope_theta) if first else feed_forward(layer, u)
            X = torch.einsum("toi,tid->tod", mix, X) + post[..., None] * y[:, None]
            carry = pre
    out = (read_out_weights(model.readout, X, carry)[..., None] * X).sum(1)
    return (norm(out, config.rms_eps) * model.norm.weight)[-1] @ model.head.T


def read_out_weights(readout: ReadOut, X: Tensor, carry: Tensor) -> Tensor:
    config = readout.config
    if config.readout == "last_pre":
        return carry
    if config.readout == "mean":
        return torch.full_like(X[..., 0], 1 / X.shape[1])
    raw = norm(X.reshape(len(X), -1), config.rms_eps) @ readout.fn
    return torch.sigmoid(raw * readout.scale + readout.base) + config.hc_eps


ARMS: list[tuple[ResidualMode, str, Readout, Fusion]] = [
    *((mode, "release", "mean", "deepseek-v41") for mode in get_args(ResidualMode)),
    *(("mhc", "paper", readout, "engram") for readout in get_args(Readout)),
    ("single_pass", "release", "last_pre", "engram-demo"),
    ("single_pass", "release", "last_pre", "qwen-ple"),
    *(("mhc", "release", "mean", fusion) for fusion in AT_INPUT),
]


@pytest.mark.parametrize(("mode", "form", "readout", "fusion"), ARMS)
def test_the_decoder_equals_the_loops(
    mode: ResidualMode, form: str, readout: Readout, fusion: Fusion
) -> None:
    residual = ResidualConfig(
        mode=mode,
        form="paper" if form == "paper" else "release",
        readout=readout,
        init="random",
        branches=3,
    )
    places: tuple[tuple[Place, int], ...] = (
        ((INPUT, 0),) if fusion in AT_INPUT else ((1, 1), (2, 14))
    )
    heads = 1 if fusion == "dictionary" else 4
    memory = MemoryConfig(places, heads, 8, 2, fusion, conv_zero_init=False)
    model = Decoder(preset("tiny", residual=residual, memory=memory), dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    token_ids_T = torch.randint(0, 512, (T,), generator=generator)
    tables = {
        layer: torch.randn(T, heads, 8, generator=generator, dtype=torch.float64)
        for _, layer in places
    }
    for weight in model.parameters():
        weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.05)
    found = model.prefill(
        token_ids_T[None], model.new_state(1, T), lambda layer: tables[layer][None]
    )
    expected = logits(model, token_ids_T, tables)
    torch.testing.assert_close(found[0], expected, rtol=1e-9, atol=1e-11)
