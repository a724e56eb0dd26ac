"""From how many rows on a copy beats reads over the bus: measured when a store is opened.

A kernel that reads host memory by itself begins at once and moves whole sectors for every row; the
CPU gathers first, and then one copy goes at the bus's full rate. Which is faster depends on both
processors, the bus and the row, so nothing is assumed.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

SIZES = (48, 192, 768, 3_072, 12_288, 49_152)
REPEATS = 5
LIMIT_S = 0.25  # of the whole measurement: sizes that are not reached count as the last one


@dataclass(frozen=True)
class Times:
    """Both ways for one size.

    Attributes:
        rows: of the request.
        uva_ns: median time of the kernel that reads host memory.
        staged_ns: median time of gather, copy and kernel.
    """

    rows: int
    uva_ns: int
    staged_ns: int


@dataclass(frozen=True)
class Crossover:
    """Which requests are copied.

    Attributes:
        rows: requests of so many rows or more are; 0: all, None: none.
        times: what was measured, by rows; none where there was no choice.
        why: a sentence for people.
    """

    rows: int | None
    times: tuple[Times, ...]
    why: str

    def staged(self, num_rows: int) -> bool:
        """Tell whether a request of so many rows is copied."""
        return self.rows is not None and num_rows >= self.rows


def without_choice(why: str) -> Crossover:
    """Return that every request is copied, because a kernel cannot read host memory."""
    return Crossover(0, (), f"rows are gathered by the CPU and copied: {why}")


def measured(
    uva: Callable[[int], object],
    staged: Callable[[int], object],
    sizes: Sequence[int] = SIZES,
    *,
    clock_ns: Callable[[], int] = time.perf_counter_ns,
    limit_s: float = LIMIT_S,
) -> Crossover:
    """Time both ways, in turn, and choose.

    Args:
        uva: gathers so many random rows by the kernel, and returns when they are there.
        staged: the other way, the same.
        sizes: rows, ascending; the table may have fewer: rows repeat then.
        clock_ns: the time.
        limit_s: after so long no other size is begun; first calls, which compile, not counted.
    """
    for way in (uva, staged):
        way(sizes[0])
    spent_ns = 0
    times: list[Times] = []
    for rows in sizes:
        if times and spent_ns > limit_s * 1e9:
            break
        samples: tuple[list[int], list[int]] = ([], [])
        for number in range(REPEATS + 1):
            for way, took in zip((uva, staged), samples, strict=True):
                start = clock_ns()
                way(rows)
                took_ns = clock_ns() - start
                if number:  # the first call of a size may allocate, or compile another form
                    took.append(took_ns)
                    spent_ns += took_ns
        times.append(Times(rows, int(median(samples[0])), int(median(samples[1]))))
    return chosen(tuple(times))


def chosen(times: tuple[Times, ...]) -> Crossover:
    """Choose from measured times: the least size from which on the copy was always faster.

    Example:
        >>> chosen((Times(48, 10, 90), Times(768, 80, 100), Times(12288, 900, 500))).rows
        12288
        >>> chosen((Times(48, 10, 90),)).rows is None, chosen((Times(48, 90, 10),)).rows
        (True, 0)
    """
    rows: int | None = None
    for one in reversed(times):
        if one.staged_ns >= one.uva_ns:
            break
        rows = one.rows
    told = "; ".join(
        f"{one.rows:,} rows {one.uva_ns / 1000:,.0f} us by the kernel, "
        f"{one.staged_ns / 1000:,.0f} us copied"
        for one in times
    )
    if rows is None:
        return Crossover(None, times, f"the kernel reads host memory for any request: {told}")
    if rows == times[0].rows:
        return Crossover(0, times, f"rows are gathered by the CPU and copied: {told}")
    why = f"the kernel reads host memory for fewer than {rows:,} rows, more are copied: {told}"
    return Crossover(rows, times, why)
