"""The measurement: its order, its ground, its bound, and the file it goes to."""

from tests.mutations import Mutation

_RESOLUTION = "tests/results/test_resolution.py"
_RUN = "tests/bench/test_run.py"
_FAIR = "tests/bench/test_fairness.py"
_FILE = "tests/bench/test_result_file.py"

MUTATIONS = (
    Mutation(
        "cold-samples-not-dropped",
        "engramctl/arms/subject.py",
        "            self.store.drop(_flat_all(row_ids))\n",
        "            pass\n",
        ("tests/bench/test_cold.py::"
         "test_cold_cases_are_measured_and_every_sample_comes_from_the_disk",),
    ),
    Mutation(
        "resolution-without-pairs",
        "engramctl/results/resolution.py",
        "np.median(pairs[:, drawn], axis=2)",
        "np.median(np.stack([pairs[0][drawn], pairs[1][np.roll(drawn, 1, axis=0)]]), axis=2)",
        (f"{_RESOLUTION}::test_drift_of_the_machine_is_in_both_copies_and_cancels",),
    ),
    Mutation(
        "resolution-without-confidence",
        "engramctl/results/resolution.py",
        "CONFIDENCE_PERCENT = 95",
        "CONFIDENCE_PERCENT = 50",
        (f"{_RESOLUTION}::test_nineteen_of_twenty_differences_of_two_copies_lie_below_it",),
    ),
    Mutation(
        "resolution-of-the-steadiest-arm",
        "engramctl/bench/loop_arms.py",
        "return max(arms, key=lambda",
        "return min(arms, key=lambda",
        (f"{_FAIR}::test_every_loop_has_its_own_resolution_from_two_copies_of_its_slowest_arm",),
    ),
    Mutation(
        "copy-reads-the-same-rows",
        "engramctl/bench/loop_arms.py",
        "read += [windows(number)] * len(group)",
        "read += [windows(0)] * len(group)",
        (f"{_FAIR}::test_the_second_copy_reads_other_rows",),
    ),
    Mutation(
        "faster-is-below-resolution",
        "engramctl/shown/rows.py",
        "abs(more_percent) < resolution",
        "more_percent < resolution",
        (f"{_RESOLUTION}::test_an_overhead_is_shown_when_nothing_bounds_it",),
    ),
    Mutation(
        "p99-is-the-maximum",
        "engramctl/results/document.py",
        "LEAST_FOR_P99 = 100 ",
        "LEAST_FOR_P99 = 5 ",
        (
            "tests/bench/test_parts.py::test_a_p99_has_a_sample_beyond_it",
            f"{_RUN}::test_figures_can_be_computed_again_from_the_samples",
        ),
    ),
    Mutation(
        "one-order-of-arms",
        "engramctl/arms/rounds.py",
        "turns[index % len(turns)]",
        "turns[0]",
        ("tests/arms/test_rounds.py::"
         "test_a_round_samples_each_arm_once_on_its_own_window_and_warm_up_is_not_kept",),
    ),
    Mutation(
        "no-even-ground",
        "engramctl/arms/arm.py",
        "        self._ground.level()\n",
        "",
        ("tests/arms/test_rounds.py::"
         "test_the_ground_is_levelled_after_getting_ready_and_before_the_clock_starts",),
    ),
    Mutation(
        "no-untimed-work-without-memory",
        "engramctl/arms/step.py",
        "self._checked = beside if subject is None else subject",
        "self._checked = subject",
        (f"{_FAIR}::test_the_model_without_memory_does_the_untimed_work_of_one_with_it",),
    ),
    Mutation(
        "no-rest-from-spinning-threads",
        "engramctl/arms/ground.py",
        "    while others_run() and",
        "    while False and",
        ("tests/arms/test_ground.py::test_a_rest_lasts_until_no_other_thread_runs",),
    ),
    Mutation(
        "out-is-looked-at-after-measuring",
        "engramctl/commands/bench.py",
        "target = None if out is None or follows else result_file(out, force=force, resume=resume)",
        "target = out",
        (f"{_FILE}::test_an_earlier_result_is_kept_unless_told",),
    ),
    Mutation(
        "force-replaces-what-is-no-result",
        "storage/files/output_file.py",
        "if not (target.is_file() and is_ours(target)):",
        "if not force and not (target.is_file() and is_ours(target)):",
        (f"{_FILE}::"
         "test_a_place_that_cannot_be_a_results_is_refused_before_anything_is_measured",),
    ),
    Mutation(
        "a-device-is-replaced",
        "storage/files/output_file.py",
        "    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)",
        "    return False",
        ("tests/rows/test_files.py::test_a_device_stays_one",
         f"{_FILE}::test_devices_and_pipes_are_written_to_as_they_are"),
    ),
    Mutation(
        "fresh-name-is-a-strangers",
        "storage/files/atomic.py",
        'f".{target.name}.{secrets.token_hex(4)}.new"',
        'f"{target.name}.partial"',
        ("tests/rows/test_files.py::test_a_strangers_file_beside_the_output_is_left_alone",),
    ),
    Mutation(
        "interrupted-keeps-nothing",
        "engramctl/bench/run.py",
        "            if keep is not None and book.any_measured:\n                keep",
        "            if keep is None and book.any_measured:\n                keep",
        ("tests/bench/test_interrupted.py::"
         "test_a_signal_keeps_what_was_measured_and_says_what_was_not",),
    ),
    Mutation(
        "first-schema-not-read",
        "engramctl/results/document.py",
        "!= FIRST_SCHEMA:",
        "!= SCHEMA:",
        ("tests/results/test_first_schema.py::test_inspect_says_what_either_is",),
    ),
    Mutation(
        "trace-without-tokens-is-a-bug",
        "engramctl/traffic/trace.py",
        "    if not len(stream):",
        "    if False:",
        ("tests/traffic/test_trace.py::test_a_trace_without_a_token_is_refused",),
    ),
    Mutation(
        "a-lead-begins-when-the-rows-are-asked-for", "engramctl/arms/step.py",
        "            self._early = self._asked()\n        if self._tail:",
        "            self._early = self._asked()\n        began = time.perf_counter_ns()\n"
        "        if self._tail:",
        ("tests/bench/test_measurement.py::test_the_lead_has_the_asking_in_it",),
    ),
)  # fmt: skip
