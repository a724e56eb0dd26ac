"""24 row ids a token: our walk against the same arithmetic in torch and numpy."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from engramctl.hashing import Scheme, make_scheme
from tests.benchmarks.harness import Row, interleave, row


def run(quick: bool) -> list[Row]:
    """Prefill with demo-sized and V4.1 primes; one decode step; building a preset."""
    tokens = 200_000 if quick else 2_000_000
    rounds = 5 if quick else 9
    rows: list[Row] = []
    for name, slots, targets in (
        ("primes below 2^21", 646_400, (8.0, 8.0)),
        ("V4.1 primes, about 2^24", 16_000_000, (5.0, 6.0)),
    ):
        scheme = make_scheme("deepseek-v41", vocab_size=99_092, slots=slots)
        rows += prefill(name, scheme, tokens, rounds, targets)
    rows.append(decode(make_scheme("deepseek-v41", vocab_size=99_092), 200 if quick else 1000))
    return rows


def prefill(
    name: str, scheme: Scheme, tokens: int, rounds: int, targets: tuple[float, float]
) -> list[Row]:
    """All 24 heads of one layer, into preallocated outputs, same ids out."""
    layer = scheme.layers[0]
    ids_T = np.random.default_rng(0).integers(0, scheme.vocab_size, tokens)
    ours_TH = np.empty((tokens, scheme.num_heads), np.int32)
    peer_HT = np.empty((scheme.num_heads, tokens), np.int64)
    shifted = shifted_ids(ids_T, scheme)
    arms: dict[str, Callable[[], object]] = {
        "ours": lambda: scheme.row_ids(ids_T, layer, out=ours_TH),
        "torch": torch_walk(scheme, layer, shifted, peer_HT),
        "numpy": numpy_walk(scheme, layer, shifted, peer_HT),
        "fill": lambda: ours_TH.fill(1),
    }
    expected = scheme.row_ids(ids_T, layer).T
    for peer in ("torch", "numpy"):
        peer_HT.fill(-1)
        arms[peer]()
        assert np.array_equal(peer_HT, expected), f"{peer} computes other ids"
    seconds = interleave(arms, rounds)
    arms["ours"]()
    assert np.array_equal(ours_TH.T, expected)
    fill = float(np.median(seconds["fill"]) / np.median(seconds["ours"]))
    bound = f"filling the output; {100 * fill:.0f} % of that rate reached"
    return [
        row(f"hash prefill, {name}", peer, seconds["ours"], seconds[arm], target=target,
            bound=bound, work=tokens, unit="tokens/s")
        for arm, peer, target in (
            ("torch", "torch remainder(out=), int64", targets[0]),
            ("numpy", "numpy mod(out=), int64", targets[1]),
        )
    ]  # fmt: skip


def shifted_ids(ids_T: NDArray[np.int64], scheme: Scheme) -> list[NDArray[np.int64]]:
    """The ids at distances 0..3, padded: what the peers get for free."""
    fill = scheme.boundary.fill
    return [
        np.concatenate([np.full(d, fill, np.int64), ids_T[: len(ids_T) - d]])
        for d in range(scheme.max_order)
    ]


def torch_walk(
    scheme: Scheme, layer: int, shifted: list[NDArray[np.int64]], out_HT: NDArray[np.int64]
) -> Callable[[], object]:
    """Torch operations, one remainder a head, preallocated."""
    derived = scheme.layer_hash(layer)
    ids = [torch.from_numpy(x) for x in shifted]
    out = torch.from_numpy(out_HT)

    def walk() -> None:
        mix = ids[0] * derived.multipliers[0]
        head = 0
        for distance in range(1, scheme.max_order):
            mix = mix ^ (ids[distance] * derived.multipliers[distance])
            for _ in range(scheme.heads_per_order):
                one = derived.heads[head]
                torch.remainder(mix, one.modulus, out=out[head]).add_(one.offset)
                head += 1

    return walk


def numpy_walk(
    scheme: Scheme, layer: int, shifted: list[NDArray[np.int64]], out_HT: NDArray[np.int64]
) -> Callable[[], object]:
    """Numpy operations, one mod a head, preallocated."""
    derived = scheme.layer_hash(layer)

    def walk() -> None:
        mix = shifted[0] * derived.multipliers[0]
        head = 0
        for distance in range(1, scheme.max_order):
            mix = mix ^ (shifted[distance] * derived.multipliers[distance])
            for _ in range(scheme.heads_per_order):
                one = derived.heads[head]
                np.mod(mix, one.modulus, out=out_HT[head])
                out_HT[head] += one.offset
                head += 1

    return walk


@njit(cache=True)
def _empty(ids: Any, history: Any, out: Any) -> Any:
    return 0


def decode(scheme: Scheme, rounds: int) -> Row:
    """One token, both layers, from Python, against the numpy reference."""
    from engramctl.hashing.kernels import reference

    history = np.array([[5, 6, 7]])
    ids = np.array([[8]])
    whole = np.concatenate([history, ids], axis=1)
    outs = {layer: np.empty((1, 1, scheme.num_heads), np.int32) for layer in scheme.layers}
    plans = [scheme._plans[layer] for layer in scheme.layers]

    def ours() -> None:
        for layer, out in outs.items():
            scheme.row_ids(ids, layer, history, out)

    def theirs() -> None:
        for plan in plans:
            reference.row_ids(whole, plan)

    def empty() -> None:
        for out in outs.values():
            _empty(ids, history, out)

    arms = {"ours": ours, "numpy": theirs, "empty": empty}
    for arm in arms.values():
        arm()
    seconds = interleave(arms, rounds)
    over = float(np.median(seconds["ours"]) / np.median(seconds["empty"]))
    return row(
        "hash one decode step, both layers", "numpy reference", seconds["ours"],
        seconds["numpy"], target=10.0, bound=f"{over:.1f} times two calls of an empty kernel",
    )  # fmt: skip
