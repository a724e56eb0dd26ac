"""What the gated lookup promises beyond its golden vectors."""

import pytest
import torch
from torch import Tensor

from engramctl.fusion.gated_lookup import Memory, gate_value
from engramctl.layers.fusions import GATED, KINDS, Fusion
from tests.model.vectors import memory_module

B, T, H, E, R, D, N = 2, 11, 4, 3, 2, 8, 3
WITH_CONV = [fusion for fusion in GATED if KINDS[fusion].has_conv]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def module(fusion: Fusion, dtype: torch.dtype = torch.float32) -> Memory:
    return memory_module(
        fusion,
        width=D,
        branches=R,
        heads=(H, E),
        max_order=N,
        dtype=dtype,
        conv_zero_init=False,
    )


@pytest.mark.parametrize("fusion", GATED)
def test_a_gate_forced_to_0_leaves_the_branches_as_they_were(fusion: Fusion) -> None:
    X, rows = draw(B, T, R, D), draw(B, T, H, E, seed=1)
    closed = torch.zeros(B, T, dtype=torch.bool)
    assert torch.equal(module(fusion)(X, rows, mask_BT=closed), X)


@pytest.mark.parametrize("fusion", GATED)
def test_a_mask_closes_its_own_position_alone(fusion: Fusion) -> None:
    memory, X, rows = module(fusion), draw(B, T, R, D), draw(B, T, H, E, seed=1)
    key, _ = memory.project(rows)
    mask = draw(B, T, seed=2) > 0
    gate = memory.gate(X, key, mask)
    assert torch.equal(gate[mask], memory.gate(X, key)[mask])
    assert not gate[~mask].any()


def test_the_gates_differ_at_zero_as_published() -> None:
    dot = torch.tensor([0.0, -0.0])
    assert gate_value(dot, "engram").tolist() == [0.5, 0.5]
    assert gate_value(dot, "engram-demo").tolist() == [0.5, 0.5]
    assert gate_value(dot, "qwen-ple").tolist() == [0.5, 0.5]
    expected = torch.sigmoid(torch.tensor([0.001, -0.001]))
    torch.testing.assert_close(gate_value(dot, "deepseek-v41"), expected)


@pytest.mark.parametrize("fusion", WITH_CONV)
@pytest.mark.parametrize("sizes", [(1,) * T, (4, 7), (10, 1), (2, 3, 6)])
def test_chunks_with_a_history_equal_the_whole(fusion: Fusion, sizes: tuple[int, ...]) -> None:
    memory, X, rows = module(fusion), draw(B, T, R, D), draw(B, T, H, E, seed=1)
    history = torch.zeros(B, memory.memory.conv_history, R, D)
    chunks = [
        memory(x, r, history)
        for x, r in zip(X.split(sizes, 1), rows.split(sizes, 1), strict=True)  # type: ignore[no-untyped-call]
    ]
    torch.testing.assert_close(torch.cat(chunks, 1), memory(X, rows), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("fusion", WITH_CONV)
def test_the_convolution_reaches_back_by_multiples_of_the_longest_order(fusion: Fusion) -> None:
    memory, X, rows = module(fusion), draw(1, 14, R, D), draw(1, 14, H, E, seed=1)
    edited = rows.clone()
    edited[:, 1] += 1
    changed = (memory(X, rows) != memory(X, edited)).flatten(2).any(-1)[0]
    assert changed.nonzero().flatten().tolist() == [1, 1 + N, 1 + 2 * N, 1 + 3 * N]


def test_a_convolution_at_zero_adds_nothing() -> None:
    X, rows = draw(B, T, R, D), draw(B, T, H, E, seed=1)
    memory = module("engram")
    memory.conv_kernel.zero_()
    key, value = memory.project(rows)
    expected = X + memory.gate(X, key)[..., None] * value[:, :, None]
    torch.testing.assert_close(memory(X, rows), expected)


@pytest.mark.parametrize("fusion", GATED)
def test_bfloat16_is_cast_once_and_the_gate_stays_float32(fusion: Fusion) -> None:
    memory = module(fusion, torch.bfloat16)
    X, rows = draw(B, T, R, D).bfloat16(), draw(B, T, H, E, seed=1).bfloat16()
    key, _ = memory.project(rows)
    assert memory.gate(X, key).dtype == torch.float32
    assert memory(X, rows).dtype == torch.bfloat16
    exact = module(fusion, torch.float32)(X.float(), rows.float())
    torch.testing.assert_close(memory(X, rows).float(), exact, rtol=3e-2, atol=3e-2)
