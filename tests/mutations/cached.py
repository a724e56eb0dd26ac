"""The row cache: who is served from it, of what bytes, and within which bound."""

from tests.mutations import Mutation

CACHE = "tests/storage/cache/test_row_cache.py"

MUTATIONS = (
    Mutation(
        "cache-mixes-layers", "storage/cache/row_cache.py",
        "            total += source.num_rows(layer)\n",
        "            total += 0 * source.num_rows(layer)\n",
        (CACHE + "::test_layers_do_not_share_rows",),
    ),
    Mutation(
        "cache-forgets-what-its-tags-take", "storage/cache/row_cache.py",
        "slots_bytes(rows, width) + 8 + _TAG_BYTES * rows",
        "slots_bytes(rows, width) - 4 * rows",
        (CACHE,),
    ),
    Mutation(
        "cache-copies-the-slot-before", "storage/cache/lookups.py",
        "            at = records_at + entry * record_bytes\n            if copied:",
        "            at = records_at + max(0, entry - 1) * record_bytes\n            if copied:",
        (CACHE + "::test_hits_and_bytes_are_those_of_plain_s3fifo",),
    ),
    Mutation(
        "evicted-rows-are-taken-for-granted", "storage/direct/hand_over.py",
        "if self._cache is None or self._cache.gather(row_map, row_ids, out) < 0:",
        "if self._cache is not None and self._cache.gather(row_map, row_ids, out) > 1e9:",
        (CACHE + "::test_rows_evicted_before_they_are_waited_for_are_read",),
    ),
    Mutation(
        "dropped-rows-are-found-again", "storage/cache/s3fifo.py",
        "            _unchain(entry, keys, words, state)\n        if 0 <= entry",
        "            pass\n        if 0 <= entry",
        ("tests/storage/cache/test_s3fifo.py",),
    ),
    Mutation(
        "dropped-rows-leave-as-if-they-had-names", "storage/cache/s3fifo.py",
        "        if hits[slot] == _FORGOTTEN:\n            _let_go(slot",
        "        if hits[slot] == 254:\n            _let_go(slot",
        ("tests/storage/cache/test_s3fifo.py::test_dropped_rows_do_not_stand_in_one_chain",),
    ),
    Mutation(
        "cache-survives-a-fork", "storage/direct/direct_rows.py",
        "self.cache = RowCache(self._source, self._cache_bytes) if self._cache_bytes else None",
        "self.cache = getattr(self, \"cache\", None) or RowCache(self._source, self._cache_bytes)",
        (CACHE + "::test_a_child_begins_with_a_cache_of_its_own",),
    ),
    Mutation(
        "warmed-rows-leave-first", "storage/direct/warming.py",
        "    cache.keep_all()\n",
        "",
        (CACHE + "::test_warmed_rows_stay_while_others_come_once",),
    ),
)  # fmt: skip
