"""Collisions and load against a plain count, chance against enumeration."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engramctl.hashing import Scheme, make_scheme
from engramctl.hashing.diagnose import load as diagnostics
from engramctl.hashing.diagnose.chance import CountHistogram
from engramctl.hashing.diagnose.load import Batch, OrderLoad, diagnose
from engramctl.hashing.diagnose.resonance import identical_heads, scheme_warnings
from engramctl.hashing.walk.heads import HeadRule

SCHEMES = {
    "mapped": make_scheme(
        "deepseek-v41", token_map=np.arange(12) // 3, slots=3, heads_per_order=2, layers=(1,)
    ),
    "engram": make_scheme("engram", vocab_size=12, slots=5, heads_per_order=3, layers=(4,)),
    "qwen": make_scheme("qwen-ple", vocab_size=12, slots=4, heads_per_order=2, eos_id=3),
    "longcat": make_scheme("longcat", vocab_size=12, slots=7, heads_per_order=2, eos_id=2),
}
Ngrams = dict[tuple[int, ...], int]


def plain(scheme: Scheme, layer: int, order: int, ngrams: Ngrams) -> OrderLoad:
    """Every number again, with dicts of windows and slots."""
    columns = [c for c, h in enumerate(scheme.layer_hash(layer).heads) if h.order == order]
    heads = [scheme.layer_hash(layer).heads[c] for c in columns]
    times: Counter[int] = Counter()
    slots: dict[int, tuple[int, ...]] = {}
    for ids, count in ngrams.items():
        row_ids = scheme.row_ids([list(ids[-1:])], layer, [list(ids[:-1])])[0, 0]
        key = scheme.ngram_keys([list(ids[-1:])], [list(ids[:-1])])[
            0, 0, scheme.orders.index(order)
        ]
        window = int(key[0]) | int(key[1]) << 64
        times[window] += count
        slots[window] = tuple(
            int(row_ids[c]) - h.offset for c, h in zip(columns, heads, strict=True)
        )
    accesses = sum(times.values())
    chance = CountHistogram(dict(Counter(times.values())))
    loads = []
    for index, head in enumerate(heads):
        members: dict[int, list[int]] = defaultdict(list)
        for window, where in slots.items():
            members[where[index]].append(times[window])
        hidden = sum(sum(counts) - max(counts) for counts in members.values())
        loads.append(
            diagnostics.HeadLoad(
                head=columns[index],
                num_slots=head.modulus,
                load_factor=len(times) / head.modulus,
                reached_slots=len(members),
                unreached_slots=head.modulus - len(members),
                expected_reached_slots=chance.expected_reached(head.modulus),
                colliding_ngrams=sum(len(m) for m in members.values() if len(m) > 1),
                expected_colliding_ngrams=chance.expected_colliding(head.modulus),
                overshadowed_percent=100 * hidden / max(1, accesses),
                expected_overshadowed_percent=100 * chance.expected_overshadowed(head.modulus),
            )
        )
    together = Counter(slots.values())
    product = int(np.prod([head.modulus for head in heads]))
    return OrderLoad(
        layer=layer,
        order=order,
        distinct=len(times),
        accesses=accesses,
        joint_collisions=sum(number for number in together.values() if number > 1),
        expected_joint_collisions=chance.expected_colliding(product),
        heads=tuple(loads),
    )


def batches(ngrams: Ngrams, order: int, size: int) -> Iterator[Batch]:
    items = list(ngrams.items())
    for at in range(0, len(items), size):
        part = items[at : at + size]
        ids: NDArray[Any] = np.array([one[0] for one in part], np.uint32).reshape(-1, order)
        yield ids, np.array([one[1] for one in part], np.uint64)


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES.keys())
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_every_number_is_the_plain_count(scheme: Scheme, data: st.DataObject) -> None:
    order = data.draw(st.sampled_from(scheme.orders))
    window = st.tuples(*(st.integers(0, 11) for _ in range(order)))
    ngrams = data.draw(st.dictionaries(window, st.integers(1, 9), max_size=40))
    size = data.draw(st.integers(1, 50))
    [layer] = scheme.layers
    with pytest.MonkeyPatch.context() as patch:  # more passes change nothing
        patch.setattr(diagnostics, "PART_NGRAMS", data.draw(st.sampled_from([3, 1 << 21])))
        patch.setattr(diagnostics, "MEMORY_BYTES", data.draw(st.sampled_from([1, 100, 1 << 29])))
        found = diagnose(scheme, layer, order, lambda: batches(ngrams, order, size))
    assert found == plain(scheme, layer, order, ngrams)


def test_an_order_the_scheme_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="no order 7"):
        diagnose(SCHEMES["longcat"], 0, 7, lambda: iter(()))


@given(counts=st.lists(st.integers(1, 4), min_size=1, max_size=5), num_slots=st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_chance_is_the_mean_over_every_way_to_throw(counts: list[int], num_slots: int) -> None:
    ways = list(itertools.product(range(num_slots), repeat=len(counts)))
    reached = colliding = hidden = 0
    for way in ways:
        sizes = Counter(way)
        reached += len(sizes)
        colliding += sum(number for number in sizes.values() if number > 1)
        for slot in sizes:
            here = [count for count, at in zip(counts, way, strict=True) if at == slot]
            hidden += sum(here) - max(here)
    histogram = CountHistogram()
    histogram.add(np.array(counts, np.uint64))
    assert histogram.expected_reached(num_slots) == pytest.approx(reached / len(ways))
    assert histogram.expected_colliding(num_slots) == pytest.approx(colliding / len(ways))
    share = hidden / len(ways) / sum(counts)
    assert histogram.expected_overshadowed(num_slots) == pytest.approx(share, abs=1e-12)


def test_a_whole_multiple_of_the_vocabulary_collides_far_above_chance() -> None:
    """LongCat's ratio 78 against 100.567, on bigrams of Zipf ranks."""
    random = np.random.default_rng(3)
    ranks = np.minimum(random.zipf(1.2, (60_000, 2)), 4096) - 1
    ids = np.unique(ranks, axis=0).astype(np.uint32)
    times = np.ones(len(ids), np.uint64)
    shares = {}
    for name, slots in (("whole", 78 * 4096 + 1), ("broken", int(78.567 * 4096) + 1)):
        scheme = make_scheme("longcat", vocab_size=4096, slots=slots, eos_id=4095)
        found = diagnose(scheme, 0, 2, lambda: [(ids, times)])
        head = found.heads[0]
        shares[name] = head.colliding_ngrams / head.expected_colliding_ngrams
        assert found.joint_collisions == 0
    assert shares["whole"] > 2 > shares["broken"]


def test_warnings_name_the_polynomials_that_resonate() -> None:
    lite = scheme_warnings(make_scheme("longcat-flash-lite"))
    assert len(lite) == 1
    assert lite[0].startswith(
        "layer 0, heads 0-11: the modulus is almost 78 times the base 131,072"
    )
    scope = scheme_warnings(make_scheme("longcat-special-scope"))
    assert any("almost 144/5 times" in text for text in scope)
    over = scheme_warnings(make_scheme("over-encoding"))
    assert over[0].startswith("layer 0, head 0: gcd(modulus, base 50,280) = 40")
    assert over[1].startswith("layer 0, heads 1, 3: gcd(modulus, base 50,280) = 2")
    for name in ("engram", "deepseek-v41", "qwen-ple", "blt"):
        assert scheme_warnings(make_scheme(name)) == []


def test_heads_that_are_one_are_found() -> None:
    """No scheme can be made with them; another engine's tables of equal size are what this sees."""
    scheme = make_scheme("longcat", vocab_size=50, slots=101, heads_per_order=2, eos_id=2)
    assert identical_heads(scheme, 0) == []
    assert HeadRule("arith", step=2) == scheme.rule

    class Twins:
        vocab_size, orders, layers, seed = scheme.vocab_size, scheme.orders, scheme.layers, 0

        def layer_hash(self, layer: int) -> Any:
            return scheme.layer_hash(layer)

        def row_ids(self, *words: Any) -> Any:
            rows = scheme.row_ids(*words)
            offsets = [head.offset for head in scheme.layer_hash(0).heads]
            rows[..., 1] = rows[..., 0] - offsets[0] + offsets[1]
            return rows

    assert identical_heads(Twins(), 0) == [(0, 1)]  # type: ignore[arg-type]
    assert "heads 0 and 1 always give the same slot" in scheme_warnings(Twins())[0]  # type: ignore[arg-type]
