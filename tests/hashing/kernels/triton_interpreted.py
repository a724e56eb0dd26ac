"""Run by test_triton in a process of its own: every preset through Triton's interpreter.

Prints one line a case: its name, and "same" or what differs.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.hashing import DEAD, START, Scheme
from engramctl.hashing.kernels import reference
from engramctl.hashing.kernels.triton_walk import TritonWalk
from engramctl.hashing.walk.window import OUTSIDE
from tests.hashing.presets import EOS, LARGE, LARGE_VOCAB, SCHEMES, VOCAB, knows_masks


def main() -> None:
    rng = np.random.default_rng(3)
    for name, scheme in SCHEMES.items():
        rare = [0, EOS, 3, VOCAB - 1, *([DEAD] if knows_masks(scheme) else [])]
        for case, (batch, length, dtype) in enumerate([(1, 1, np.int64), (3, 37, np.int32)]):
            ids_BT = rng.integers(0, VOCAB, (batch, length))
            ids_BT = np.where(
                rng.random(ids_BT.shape) < 0.3, rng.choice(rare, ids_BT.shape), ids_BT
            )
            past_BC = rng.integers(0, VOCAB, (batch, scheme.max_order - 1))
            past_BC[:, : case + 1] = START
            for layer in scheme.layers:
                print(f"{name}, case {case}, layer {layer}:",
                      compare(scheme, layer, ids_BT.astype(dtype), past_BC))  # fmt: skip
        print(f"{name}, bad ids:", refuse(scheme))
        print(f"{name}, bad ids later:", mark(scheme, rng))
    for name, scheme in LARGE.items():
        ids_BT = rng.integers(0, LARGE_VOCAB, (2, 37))
        ids_BT[:, ::5] = LARGE_VOCAB - 1
        past_BC = rng.integers(0, LARGE_VOCAB, (2, scheme.max_order - 1))
        print(f"large {name}:", compare(scheme, scheme.layers[0], ids_BT, past_BC))


def compare(scheme: Scheme, layer: int, ids_BT: NDArray[Any], past_BC: NDArray[np.int64]) -> str:
    plan = scheme.plans[layer]
    whole_BS = np.concatenate([past_BC, ids_BT], axis=1)
    expected = reference.row_ids(whole_BS, plan)
    kind = torch.int32 if plan.dtype == np.int32 else torch.int64
    out = torch.full(expected.shape, -7, dtype=kind)
    walk = TritonWalk(plan, torch.device("cpu"))
    bad = walk(torch.from_numpy(ids_BT), torch.from_numpy(past_BC), out)
    if bad != reference.first_bad_id(whole_BS, plan):
        return f"first bad id at {bad}"
    return "same" if np.array_equal(out.numpy(), expected) else f"other rows: {out.numpy()}"


def refuse(scheme: Scheme) -> str:
    """The first id that cannot be is found, in the history and in the tokens."""
    plan = scheme.plans[scheme.layers[0]]
    past_BC = np.zeros((2, scheme.max_order - 1), np.int64)
    for place in ((1, scheme.max_order), (0, 0)):
        whole_BS = np.concatenate([past_BC, np.zeros((2, 5), np.int64)], axis=1)
        whole_BS[1, -1] = whole_BS[place] = scheme.vocab_size
        past, ids = np.split(whole_BS, [scheme.max_order - 1], axis=1)
        out = torch.empty((2, 5, scheme.num_heads), dtype=torch.int64)
        bad = TritonWalk(plan, torch.device("cpu"))(
            torch.from_numpy(ids.copy()), torch.from_numpy(past.copy()), out
        )
        if bad != reference.first_bad_id(whole_BS, plan):
            return f"first bad id at {bad}"
    return "same"


def mark(scheme: Scheme, rng: np.random.Generator) -> str:
    """Windows with an id that cannot be have rows of -1; blocks of positions end in between."""
    plan = scheme.plans[scheme.layers[0]]
    whole_BS = rng.integers(0, VOCAB, (3, scheme.max_order - 1 + 97))
    outside = [scheme.vocab_size, 2**40, OUTSIDE, -5, -(2**40), DEAD]
    where = rng.random(whole_BS.shape) < 0.1
    whole_BS[where] = rng.choice(outside, int(where.sum()))
    past, ids = (x.copy() for x in np.split(whole_BS, [scheme.max_order - 1], axis=1))
    out = torch.full((3, 97, scheme.num_heads), -7, dtype=torch.int64)
    walk = TritonWalk(plan, torch.device("cpu"))
    if walk(torch.from_numpy(ids), torch.from_numpy(past), out, later=True) != -1:
        return "a bad id is told now"
    expected = reference.marked_row_ids(whole_BS, plan)
    if not (expected == -1).any() or (expected == -1).all():
        return "a test of nothing"
    return "same" if np.array_equal(out.numpy(), expected) else f"other rows: {out.numpy()}"


if __name__ == "__main__":
    main()
