"""The row cache: who is served from it, of what bytes, and within which bound."""

from tests.mutations import Mutation

CACHE = "tests/storage/cache/test_row_cache.py"
HITS = "tests/storage/cache/test_all_hits.py"

MUTATIONS = (
    Mutation(
        "cache-mixes-layers", "storage/cache/slots.py",
        "        total += source.num_rows(layer)\n",
        "        total += 0 * source.num_rows(layer)\n",
        (CACHE + "::test_layers_do_not_share_rows",),
    ),
    Mutation(
        "cache-forgets-what-ghosts-take", "storage/cache/slots.py",
        "    return WORD * (chains + num_ghosts(capacity) * ghost_words + capacity * slot_words)",
        "    return WORD * (chains + 4 + capacity * slot_words)",
        (CACHE, "tests/storage/cache/test_s3fifo.py"),
    ),
    Mutation(
        "cache-copies-the-slot-before", "storage/cache/lookups.py",
        "            at = words_at + record_at(slot_place, state)\n            if copied:",
        "            at = words_at + record_at(place_of(max(0, entry - 1), state), state)\n"
        "            if copied:",
        (CACHE + "::test_hits_and_bytes_are_those_of_plain_s3fifo",),
    ),
    Mutation(
        "evicted-rows-are-taken-for-granted", "storage/direct/hand_over.py",
        "            for start, stop in left:\n",
        "            for start, stop in left[:0]:\n",
        (CACHE + "::test_rows_evicted_before_they_are_waited_for_are_read",),
    ),
    Mutation(
        "hits-end-where-their-thread-ends", "storage/cache/all_hits.py",
        "            if written < end:\n                return written, stop",
        "            if written < end:\n                return written, end",
        (HITS + "::test_rows_are_written_up_to_about_the_first_that_is_not_here",),
    ),
    Mutation(
        "rows-served-where-they-lie-are-no-hits", "storage/cache/gathering.py",
        "            touch(place, words)\n",
        "",
        (HITS + "::test_a_long_request_counts_its_hits_as_plain_s3fifo_does",),
    ),
    Mutation(
        "a-chain-is-followed-once", "storage/cache/finding.py",
        "                left |= bit\n",
        "                left |= np.uint64(0)\n",
        ("tests/storage/cache/test_finding.py",),
    ),
    Mutation(
        "dropped-rows-are-found-again", "storage/cache/s3fifo.py",
        "            _unchain(entry, words, state)\n        if 0 <= entry",
        "            pass\n        if 0 <= entry",
        ("tests/storage/cache/test_s3fifo.py",),
    ),
    Mutation(
        "dropped-rows-leave-as-if-they-had-names", "storage/cache/s3fifo.py",
        "        if hits == _FORGOTTEN:\n            _let_go(slot",
        "        if hits == 254:\n            _let_go(slot",
        ("tests/storage/cache/test_s3fifo.py::test_dropped_rows_do_not_stand_in_one_chain",),
    ),
    Mutation(
        "cache-survives-a-fork", "storage/direct/direct_rows.py",
        "self.cache = RowCache(self._source, self._cache_bytes, self.cache)",
        "self.cache = self.cache or RowCache(self._source, self._cache_bytes)",
        (CACHE + "::test_a_child_begins_with_a_cache_of_its_own",),
    ),
    Mutation(
        "warmed-rows-leave-first", "storage/direct/warming.py",
        "    cache.keep_all()\n",
        "",
        (CACHE + "::test_warmed_rows_stay_while_others_come_once",),
    ),
)  # fmt: skip
