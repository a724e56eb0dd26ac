"""A row cache under bench: in which state samples find it, and what fills it."""

from tests.mutations import Mutation

BENCH = "tests/bench/test_row_cache.py"

MUTATIONS = (
    Mutation(
        "warm-reads-what-the-row-cache-lacks", "engramctl/arms/subject.py",
        'if self.cache == "warm" and self._rows_kept is not None:', "if False:",
        (BENCH + "::test_a_sample_finds_no_row_when_cold_and_every_row_when_warm",),
    ),
    Mutation(
        "only-the-beginning-of-a-wave-is-warm", "engramctl/arms/sequences.py",
        "self.subject.prepare(every)", "self.subject.prepare(self._ids_at(0, wave.common, batch))",
        (BENCH + "::test_a_whole_wave_is_warm_and_not_its_beginning_alone",),
    ),
    Mutation(
        "rows-of-padding-must-be-warm", "engramctl/arms/sequences.py",
        "np.arange(self.most) < self.lengths[:, None]",
        "np.arange(self.most) < self.most + 0 * self.lengths[:, None]",
        ("tests/bench/test_waves.py::test_a_wave_is_warm_without_the_rows_of_its_padding",),
    ),
    Mutation(
        "two-arms-read-the-same-tokens-of-traffic", "engramctl/bench/loop_arms.py",
        "self.by_windows(apart=apart)", "self.by_windows(apart=False)",
        (
            f"{BENCH}::"
            "test_no_two_arms_read_a_token_where_the_second_would_find_what_the_first_left",
        ),
    ),
    Mutation(
        "a-resumed-run-forgets-the-traffic-before", "engramctl/bench/token_ids.py",
        "self._before[tier] += windows", "pass",
        (BENCH + "::test_a_run_that_goes_on_looks_up_what_the_earlier_one_had",),
    ),
    Mutation(
        "equally-read-rows-come-in-any-order", "engramctl/counts/accesses.py",
        'np.argsort(~counts, kind="stable")', "np.argsort(counts)[::-1]",
        ("tests/counts/test_accesses.py::test_in_parts_they_are_those_of_sorting_all",),
    ),
)  # fmt: skip
