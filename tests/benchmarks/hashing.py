"""24 row ids a token: our walk against the same arithmetic in torch and numpy."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray

from engramctl.hashing import Scheme, make_scheme
from engramctl.hashing.kernels import reference
from engramctl.hashing.kernels.cpu import CpuWalk
from engramctl.hashing.walk import primes
from tests.benchmarks.harness import Row, interleave, row, skipped


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
    rows += presets(20 if quick else 100)
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
    ours_TH.fill(-1)
    for peer in ("torch", "numpy"):
        peer_HT.fill(-1)
        arms[peer]()
        assert np.array_equal(peer_HT, expected), f"{peer} computes other ids"
    arms["ours"]()
    assert np.array_equal(ours_TH.T, expected)
    seconds = interleave(arms, rounds, rest_s=0.05)
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
def _empty(
    tokens: Any, history: Any, token_map: Any, num_ids: Any, negative: Any, fill: Any, stops: Any,
    blocks: Any, weights: Any, constants: Any, groups: Any, rows: Any, first: Any, last: Any,
    out: Any,
) -> Any:  # fmt: skip
    """Do nothing, with the walk's arguments: what a call of numba costs from Python."""
    return -1


def decode(scheme: Scheme, rounds: int) -> Row:
    """One token, both layers, from Python, against the numpy reference."""
    history = np.array([[5, 6, 7]])
    ids = np.array([[8]])
    whole = np.concatenate([history, ids], axis=1)
    outs = {layer: np.empty((1, 1, scheme.num_heads), np.int32) for layer in scheme.layers}
    plans = [scheme.plans[layer] for layer in scheme.layers]
    constants = CpuWalk(plans[0]).constants
    assert constants is not None

    def ours() -> None:
        for layer, out in outs.items():
            scheme.row_ids(ids, layer, history, out)

    def theirs() -> None:
        for plan in plans:
            reference.row_ids(whole, plan)

    def empty() -> None:
        for out in outs.values():
            _empty(ids, history, *constants, 0, 1, out)

    arms = {"ours": ours, "numpy": theirs, "empty": empty}
    for arm in arms.values():
        arm()
    seconds = interleave(arms, rounds)
    over = float(np.median(seconds["ours"]) / np.median(seconds["empty"]))
    return row(
        "hash one decode step, both layers", "numpy reference", seconds["ours"],
        seconds["numpy"], target=10.0,
        bound=f"{over:.1f} times two calls of an empty kernel with the same arguments (target 3)",
    )  # fmt: skip


def presets(rounds: int) -> list[Row]:
    """The 48 prime moduli of V4.1, alone and with the whole preset, against sympy."""
    try:
        from sympy import nextprime
    except ImportError:
        return [skipped("prime search", "sympy nextprime", "sympy is not installed", 20.0)]
    start, count = 16_000_000 - 1, 48

    def ours() -> list[int]:
        primes.primes_of.cache_clear()
        return list(itertools.islice(primes.primes_above(start, set()), count))

    def theirs() -> list[int]:
        found = [start]
        for _ in range(count):
            found.append(nextprime(found[-1]))
        return found[1:]

    def preset() -> Scheme:
        primes.primes_of.cache_clear()
        return make_scheme("deepseek-v41-flash")

    assert ours() == theirs()
    assert sorted(h.modulus for layer in preset().hashes for h in layer.heads) == theirs()
    seconds = interleave({"ours": ours, "sympy": theirs, "preset": preset}, rounds)
    return [
        row("prime search, 48 moduli", "sympy nextprime", seconds["ours"], seconds["sympy"],
            target=20.0, bound="numpy calls and a Python generator; two blocks are sieved"),
        row("preset deepseek-v41-flash, all constants", "sympy nextprime, moduli alone",
            seconds["preset"], seconds["sympy"], target=20.0,
            bound="Python objects: heads, multipliers, checks"),
    ]  # fmt: skip
