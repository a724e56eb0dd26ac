"""From how many rows on records are copied: chosen from times, measured within its limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engramctl.storage.pinned.crossover import (
    LIMIT_S,
    REPEATS,
    SIZES,
    Crossover,
    Times,
    chosen,
    measured,
    without_choice,
)


class Device:
    """Two ways of made-up duration, and a clock that goes on by them."""

    def __init__(self, uva_ns: list[int], staged_ns: list[int]) -> None:
        self.now = 0
        self.took = {
            "uva": dict(zip(SIZES, uva_ns, strict=True)),
            "staged": dict(zip(SIZES, staged_ns, strict=True)),
        }
        self.calls: list[tuple[str, int]] = []

    def clock(self) -> int:
        return self.now

    def measured(self) -> Crossover:
        def way(name: str, rows: int) -> None:
            self.calls.append((name, rows))
            self.now += self.took[name][rows]

        return measured(
            lambda rows: way("uva", rows), lambda rows: way("staged", rows), clock_ns=self.clock
        )


LINE = [rows * 10 for rows in SIZES]  # ns


@pytest.mark.parametrize(
    ("uva_ns", "staged_ns", "rows"),
    [
        (LINE, [20_000 + rows * 4 for rows in SIZES], 12_288),  # crossing
        (LINE, [t + 1 for t in LINE], None),  # never
        ([t + 1 for t in LINE], LINE, 0),  # always
        (LINE, LINE, None),  # no difference
        # noise: one size at which the copy wins by chance, one at which it loses by chance
        (LINE, [999, 1, 99_999, 20_000, 30_000, 40_000], 3_072),
        (LINE, [1, 1, 1, 1, 1, 600_000], None),
    ],
)
def test_the_copy_is_taken_from_where_on_it_was_always_faster(
    uva_ns: list[int], staged_ns: list[int], rows: int | None
) -> None:
    found = Device(uva_ns, staged_ns).measured()
    assert found.rows == rows
    assert [one.rows for one in found.times] == list(SIZES)
    assert [one.uva_ns for one in found.times] == uva_ns
    assert [one.staged_ns for one in found.times] == staged_ns
    for size in (1, 47, *SIZES, 10**7):
        assert found.staged(size) == (rows is not None and size >= rows)


times = st.lists(st.tuples(st.integers(1, 100), st.integers(1, 100)), min_size=1, max_size=8)


@given(times)
def test_every_size_from_the_crossover_on_was_faster_and_the_one_before_was_not(
    pairs: list[tuple[int, int]],
) -> None:
    table = tuple(Times(10 * (k + 1), a, b) for k, (a, b) in enumerate(pairs))
    found = chosen(table)
    copied = [one for one in table if found.staged(one.rows)]
    assert all(one.staged_ns < one.uva_ns for one in copied)
    if len(copied) < len(table):
        last = table[len(table) - len(copied) - 1]
        assert last.staged_ns >= last.uva_ns


def test_each_size_is_warmed_up_and_both_ways_take_turns() -> None:
    device = Device(LINE, LINE)
    device.measured()
    assert device.calls[:2] == [("uva", SIZES[0]), ("staged", SIZES[0])]
    assert device.calls[2:] == [
        (way, rows) for rows in SIZES for _ in range(REPEATS + 1) for way in ("uva", "staged")
    ]


def test_a_slow_machine_is_not_measured_for_longer_than_the_limit() -> None:
    """One size is, whatever it takes; none is begun after the limit."""
    slow = [int(LIMIT_S * 1e9)] * len(SIZES)
    assert [one.rows for one in Device(slow, slow).measured().times] == [SIZES[0]]
    half = [int(LIMIT_S * 1e9 / (2 * REPEATS) / 1.9)] * len(SIZES)
    assert [one.rows for one in Device(half, half).measured().times] == list(SIZES[:2])


def test_first_calls_that_compile_do_not_count() -> None:
    """Of many rows a kernel has another form, which is compiled in the middle."""
    device = Device(LINE, [2 * t for t in LINE])
    compiled: set[tuple[str, bool]] = set()

    def way(name: str, rows: int) -> None:
        form = name, rows >= SIZES[3]
        device.now += 0 if form in compiled else 10**10
        compiled.add(form)
        device.now += device.took[name][rows]

    found = measured(lambda n: way("uva", n), lambda n: way("staged", n), clock_ns=device.clock)
    assert len(found.times) == len(SIZES)
    assert found.rows is None


def test_what_was_found_is_told_in_words() -> None:
    found = chosen((Times(48, 9_000, 40_000), Times(3_072, 90_000, 70_000)))
    assert "fewer than 3,072 rows" in found.why
    assert "48 rows 9 us by the kernel, 40 us copied" in found.why
    assert "for any request" in chosen((Times(48, 1, 2),)).why
    assert "gathered by the CPU and copied" in chosen((Times(48, 2, 1),)).why
    alone = without_choice("torch reads no host memory")
    assert alone.staged(1)
    assert alone.times == ()
    assert alone.why.endswith("torch reads no host memory")
