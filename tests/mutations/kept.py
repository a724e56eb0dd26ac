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
        "engramctl/bench/token_ids.py",
        "readers += [having] if having else []",
        "pass",
        (f"{_RESUMED}::test_it_reads_the_windows_that_a_whole_run_reads",),
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
