"""What a run keeps, how another goes on from it, and how a command line is answered."""

from tests.mutations import Mutation

_INTERRUPTED = "tests/bench/test_interrupted.py"
_RESUMED = "tests/bench/test_resumed.py"
_WORDS = "tests/arguments/test_words.py"

MUTATIONS = (
    Mutation(
        "finished-loops-not-written",
        "engramctl/bench/run.py",
        "if keep is not None and loop is not loops[-1] and book.any_measured:",
        "if False:",
        (f"{_INTERRUPTED}::test_a_killed_run_leaves_the_loops_it_had_finished",),
    ),
    Mutation(
        "resumed-reads-the-first-windows-again",
        "engramctl/bench/run.py",
        "        lists = self._token_ids.lists(loop)\n        if self.book.is_taken_over(loop):\n",
        "        taken = self.book.is_taken_over(loop)\n"
        "        lists = [] if taken else self._token_ids.lists(loop)\n"
        "        if taken:\n",
        (f"{_RESUMED}::test_it_reads_the_windows_that_a_whole_run_reads",),
    ),
    Mutation(
        "windows-hang-on-how-many-tiers-were-measured",
        "engramctl/bench/token_ids.py",
        "        readers = [set(tiers)] * max(tiers.values())",
        "        self.lists(loop)\n        readers = [set(tiers)] * max(tiers.values())",
        (
            "tests/bench/test_row_cache.py::test_a_run_that_goes_on_looks_up_what_the_earlier_one_had",
        ),
    ),
    Mutation(
        "a-loop-none-of-whose-tiers-was-measured-took-one-list",
        "engramctl/bench/run.py",
        "            self._token_ids.owe(loop, self.book.take_over(loop), lists)\n",
        "            taken = self.book.take_over(loop)\n"
        "            self._token_ids.owe(loop, taken, lists)\n"
        "            if not any(case.samples_ns for case in taken):\n"
        "                self._token_ids.lists(loop)\n",
        (
            "tests/bench/test_same_windows.py::"
            "test_a_resumed_run_reads_on_behind_a_loop_that_no_tier_could_be_measured_in",
        ),
    ),
    Mutation(
        "traffic-has-one-list-for-all-issue-points",
        "engramctl/bench/loop_arms.py",
        'timed = len(places(loop.options, loop, ("",))) if loop.cache == TRAFFIC else 1',
        "timed = 1",
        (
            "tests/bench/test_same_windows.py::"
            "test_a_loop_has_a_list_of_windows_for_each_group_of_arms",
        ),
    ),
    Mutation(
        "other-rows-taken-for-the-same",
        "engramctl/sweep/options.py",
        '"num_rows", "table_xxh3_128",',
        '"num_rows",',
        (f"{_RESUMED}::test_other_rows_of_the_same_shape_are_refused",),
    ),
    Mutation(
        "stream-gets-every-document",
        "engramctl/bench/watched_run.py",
        "if self._target is not None and not is_stream(self._target):",
        "if self._target is not None:",
        (f"{_INTERRUPTED}::test_a_stream_gets_the_finished_document_alone",),
    ),
    Mutation(
        "two-documents",
        "engramctl/cli.py",
        "if asked.json and not asked.answered:",
        "if asked.json:",
        (f"{_WORDS}::test_after_a_result_comes_no_second_document",),
    ),
    Mutation(
        "last-value-wins",
        "engramctl/arguments/words.py",
        "if len(values[name]) > 1:",
        "if False:",
        (f"{_WORDS}::test_an_option_of_one_value_given_twice_names_both",),
    ),
)
