"""A dictionary that a run of bench fills, and its file looked at: what flatters, what is damage."""

from tests.mutations import Mutation

BENCH = "tests/bench/test_fill.py"
SWEEP = "tests/sweep/test_fill.py"
FILLED = "tests/storage/dictionary/test_filled.py"
VERIFY = "tests/storage/verifying/test_ngram_log.py"

MUTATIONS = (
    Mutation(
        "a-dictionary-of-an-earlier-run-is-not-told-of", "engramctl/measured/filled.py",
        "    if not entries:\n", "    if True:\n",
        (BENCH + "::test_a_dictionary_of_an_earlier_run_is_told_of",),
    ),
    Mutation(
        "tokens-before-are-too-many-to-be-recorded", "engramctl/bench/token_ids.py",
        "PIECE = 64 ", "PIECE = 2048 ",
        (BENCH + "::test_tokens_before_the_samples_are_recorded_though_they_are_many",),
    ),
    Mutation(
        "a-torn-entry-of-a-full-segment-is-an-unfinished-end", "storage/verifying/ngram_log.py",
        "    if log.is_sealed(segment, sequence):\n        return good\n", "",
        (VERIFY + "::test_the_last_entry_of_a_full_segment_is_no_unfinished_end",),
    ),
    Mutation(
        "a-run-fills-a-dictionary-under-a-row-cache-of-a-gpu", "engramctl/sweep/fill.py",
        '    if read_tiers(tiers[0]).uses("gpu"):\n', "    if False:\n",
        (SWEEP + "::test_what_would_say_nothing_or_flatter_is_refused_with_what_to_write",),
    ),
    Mutation(
        "a-store-fills-a-dictionary-under-a-row-cache-of-a-gpu", "storage/tiers/door.py",
        'if fill is not None and tiers.cache_bytes("gpu"):', "if False:",
        (FILLED + "::test_a_log_is_bound_to_its_table_and_to_one_process",),
    ),
    Mutation(
        "a-dictionary-that-is-in-use-skips-cases", "engramctl/bench/run.py",
        "        self._parts.open_filled()\n", "",
        (BENCH + "::test_what_cannot_be_filled_is_refused_before_anything_is_measured",),
    ),
)  # fmt: skip
