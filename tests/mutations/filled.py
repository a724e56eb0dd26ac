"""The dictionary that traffic fills: what goes into it, and what of it is believed."""

from tests.mutations import Mutation

FILLED = "tests/storage/dictionary/test_filled.py"

MUTATIONS = (
    Mutation(
        "new-records-lack-rows-of-the-cache", "storage/direct/fetch.py",
        "for one in (part.found, part.recorded)",
        "for one in (part.recorded, part.recorded)",
        (FILLED,),
    ),
    Mutation(
        "an-ngram-twice-in-a-batch-is-fetched-twice", "storage/record_log/filling.py",
        "            once = first_of_each(order_index, keys)\n",
        "            once = np.arange(len(keys))\n",
        (FILLED + "::test_an_ngram_is_recorded_when_it_is_fetched_a_second_time",),
    ),
    Mutation(
        "entries-are-not-proved", "storage/direct/recorded.py",
        "if file.proof(number, order, key, entry):",
        "if file.proof is not None:",
        (FILLED + "::test_damaged_entries_are_not_served",),
    ),
    Mutation(
        "refused-entries-stay", "storage/direct/recorded.py",
        "if file.forget is not None:",
        "if file.forget is None:",
        (FILLED + "::test_damaged_entries_are_recorded_again",),
    ),
    Mutation(
        "a-wrong-log-stays", "storage/cache/ngram_records.py",
        "if (first or wrong) and self._given_up is not None:",
        "if first and wrong and self._given_up is None:",
        (FILLED + "::test_a_poisoned_log_is_found_before_a_row_of_it_is_served",),
    ),
    Mutation(
        "a-child-fills-its-parents-log", "storage/direct/direct_rows.py",
        "        self._offers = None\n        try:\n",
        "        try:\n",
        (FILLED + "::test_a_child_waits_for_no_lock_of_its_parents_filling",),
    ),
    Mutation(
        "tokens-are-counted-by-ngram", "storage/direct/offered.py",
        "self._filling.tokens(num_ngrams // self._shape.num_orders)",
        "self._filling.tokens(num_ngrams)",
        (FILLED + "::test_no_more_is_written_than_was_allowed_at_any_moment",),
    ),
    Mutation(
        "tokens-wait-for-the-disk", "storage/record_log/filling.py",
        "        with self._counting:\n",
        "        with self.lock:\n",
        ("tests/storage/record_log/test_filling.py::test_tokens_are_counted_while_the_log_writes",),
    ),
)  # fmt: skip
