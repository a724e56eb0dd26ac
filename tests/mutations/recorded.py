"""Rows taken from n-gram records: which, from where, and when they are not believed."""

from tests.mutations import Mutation

SERVED = "tests/storage/dictionary/test_served.py"
DOUBTED = "tests/storage/dictionary/test_not_believed.py"

MUTATIONS = (
    Mutation(
        "records-of-the-first-layer-serve-all", "storage/cache/ngram_records.py",
        "return self.layers.index(layer) * self.heads_per_order * self.row_bytes",
        "return 0 * self.layers.index(layer) * self.heads_per_order * self.row_bytes",
        (SERVED + "::test_a_known_ngram_is_one_read_for_its_rows_of_all_layers",),
    ),
    Mutation(
        "records-are-believed-unseen", "storage/cache/ngram_records.py",
        "if not self.trusted:\n                chosen[:] = True",
        "if False:\n                chosen[:] = True",
        (DOUBTED + "::test_a_poisoned_dictionary_is_found_before_a_row_of_it_is_served",),
    ),
    Mutation(
        "records-under-way-are-believed", "storage/direct/recorded.py",
        "        if self.lost:\n",
        "        if self.wrong:\n",
        (DOUBTED + "::test_records_under_way_when_their_file_is_found_wrong_are_not_served",),
    ),
    Mutation(
        "no-record-is-compared-later", "storage/cache/ngram_records.py",
        "% COMPARED_ONE_IN == 0",
        "% COMPARED_ONE_IN == -1",
        (DOUBTED + "::test_records_that_were_poisoned_later_are_found_by_the_sample",),
    ),
    Mutation(
        "keys-are-the-callers-own", "storage/direct/recorded.py",
        "self.keys_G2 = keys_G2.copy()",
        "self.keys_G2 = keys_G2",
        ("tests/storage/dictionary/test_filled_rows.py",),
    ),
    Mutation(
        "a-log-keeps-rows-of-poisoned-records", "storage/cache/ngram_records.py",
        "if file.from_traffic and bad.trusted:",
        "if file.from_traffic and not bad.trusted:",
        ("tests/storage/dictionary/test_filled_rows.py",),
    ),
    Mutation(
        "poisoned-rows-stay-in-the-cache", "storage/direct/hand_over.py",
        "self._cache.clear()  # it may have rows of records that were never compared",
        "pass",
        (DOUBTED + "::test_rows_of_poisoned_records_leave_the_row_cache",),
    ),
    Mutation(
        "a-changed-dictionary-goes-on", "storage/direct/page_reads.py",
        "if self.records[number].proof is None:",
        "if self.records[number].proof is not None:",
        (DOUBTED + "::test_files_that_go_under_a_live_store_cost_hits_not_rows",),
    ),
    Mutation(
        "one-missed-row-takes-a-record", "storage/cache/ngram_records.py",
        "LEAST_MISSED = 2 ",
        "LEAST_MISSED = 3 ",
        (SERVED + "::test_two_missed_rows_are_worth_a_record_and_one_is_not",),
    ),
    Mutation(
        "a-part-that-failed-is-left-out", "storage/direct/staged.py",
        "            except BaseException:\n                self._give_up()\n",
        "            except BaseException:\n",
        (SERVED + "::test_a_part_that_failed_once_costs_its_layer_alone",),
    ),
    Mutation(
        "parts-are-copied-to-the-beginning", "storage/direct/staged.py",
        "if self._reader.copied(rows, fetch, parts, first * self._heads):",
        "if self._reader.copied(rows, fetch, parts, 0 * self._heads):",
        (SERVED + "::test_a_long_request_is_read_in_parts_and_still_by_records",),
    ),
    Mutation(
        "ids-of-parts-may-change", "storage/direct/staged.py",
        "            self.check()\n            try:",
        "            try:",
        (SERVED + "::test_ids_of_a_long_request_may_not_change",),
    ),
)  # fmt: skip
