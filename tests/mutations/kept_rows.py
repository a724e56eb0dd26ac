"""What a store keeps of rows, and what is refused before it is kept."""

from tests.mutations import Mutation

KEPT = "tests/storage/tiers/test_kept_rows.py"
COLD = "tests/bench/test_cold.py"
MEMORY = "tests/storage/tiers/test_cache_memory.py"
WARM = "tests/counts/test_warm.py"
IDS = "tests/storage/requests/test_checked_ids.py"
RESIDENCY = "tests/machine/test_residency.py"

MUTATIONS = (
    Mutation(
        "a-closed-store-keeps-its-cache", "storage/direct/direct_rows.py",
        "            self.cache.close()\n",
        "            pass\n",
        (KEPT + "::test_close_gives_the_memory_back_and_what_was_counted_stays",),
    ),
    Mutation(
        "a-closed-store-keeps-memory-on-the-way", "storage/direct/direct_rows.py",
        "            self.cache.close()\n        self._forget()\n",
        "            self.cache.close()\n",
        (KEPT + "::test_close_gives_the_memory_back_and_what_was_counted_stays",),
    ),
    Mutation(
        "a-closed-cache-keeps-its-words", "storage/cache/row_cache.py",
        "        self._use(Slots.empty(1))\n",
        "",
        (KEPT + "::test_close_gives_the_memory_back_and_what_was_counted_stays",),
    ),
    Mutation(
        "a-closed-cache-has-its-bytes", "storage/cache/row_cache.py",
        "self._slab, self.num_bytes = None, 0",
        "self._slab = None",
        (KEPT + "::test_close_gives_the_memory_back_and_what_was_counted_stays",),
    ),
    Mutation(
        "a-child-of-a-closed-store-reserves", "storage/direct/direct_rows.py",
        "        self.over = self.over or \"the store is closed\"",
        "        self.over = self.over",
        (KEPT + "::test_a_child_of_a_closed_store_takes_no_memory",),
    ),
    Mutation(
        "a-child-counts-from-nothing", "storage/cache/row_cache.py",
        "0 if before is None else before.rows_missed",
        "0",
        (KEPT + "::test_a_child_counts_on_where_its_parent_was",),
    ),
    Mutation(
        "a-child-forgets-hits", "storage/cache/row_cache.py",
        "0 if before is None else before.hits",
        "0",
        (KEPT + "::test_a_child_counts_on_where_its_parent_was",),
    ),
    Mutation(
        "dropped-rows-are-not-checked", "storage/requests/keeps_rows.py",
        "self.drop_rows(None if rows is None else self._checked(rows))",
        "self.drop_rows(rows)",
        (KEPT + "::test_rows_that_are_none_are_refused",),
    ),
    Mutation(
        "warmed-rows-are-not-checked", "storage/requests/keeps_rows.py",
        "self.warm_rows(self._checked(rows))",
        "self.warm_rows(rows)",
        (KEPT + "::test_rows_that_are_none_are_refused",),
    ),
    Mutation(
        "rows-to-keep-are-the-callers-own", "storage/requests/checked_ids.py",
        "    rows = flat.astype(np.int64)\n",
        "    rows = flat.astype(np.int64, copy=False)\n",
        (IDS + "::test_rows_that_are_not_counted_are_checked_likewise",),
    ),
    Mutation(
        "no-rows-cannot-be-dropped", "storage/io/mapped_rows.py",
        "np.concatenate([np.empty(0, np.int64), *keys])",
        "np.concatenate(keys)",
        (KEPT + "::test_rows_are_named_as_in_a_gather",),
    ),
    Mutation(
        "any-device-is-the-cpu", "storage/tiers/door.py",
        "    if where.type == \"cpu\":\n",
        "    if where.type != \"cuda\":\n",
        (KEPT + "::test_rows_go_to_the_cpu_or_a_cuda_device",),
    ),
    Mutation(
        "the-witness-reads-mapped-pages", "engramctl/arms/subject.py",
        "past_cache=store.mode == \"direct\"",
        "past_cache=False",
        (COLD + "::test_the_witness_reads_as_its_tier_does",),
    ),
    Mutation(
        "the-witness-never-goes-past-the-cache", "engramctl/machine/residency.py",
        "opened_files((path,), direct=past_cache)",
        "opened_files((path,), direct=False)",
        (RESIDENCY + "::test_pages_that_somebody_has_mapped_do_not_hide_a_disk_behind_the_cache",),
    ),
    Mutation(
        "the-witness-keeps-its-files-open", "engramctl/machine/residency.py",
        "        stack.callback(files.close)\n",
        "",
        (RESIDENCY + "::test_without_a_way_past_the_cache_the_other_one_is_tried",),
    ),
    Mutation(
        "nothing-measured-is-a-result", "engramctl/bench/book.py",
        "        if reasons:\n",
        "        if not reasons:\n",
        (COLD + "::test_a_page_cache_that_keeps_its_pages_is_not_called_cold",),
    ),
    Mutation(
        "a-row-cache-above-the-memory-is-opened", "storage/tiers/ssd.py",
        "        refuse_cache_above(self.tier, available_bytes()",
        "        refuse_cache_above(self.tier, 1 << 60",
        (MEMORY + "::test_a_row_cache_that_would_not_fit_is_refused_before_it_fills",),
    ),
    Mutation(
        "a-row-cache-is-as-large-as-it-is-named", "storage/tiers/said_of_table.py",
        "    needed = cache_pages(cache_bytes, table.record.record_bytes, num_rows) * PAGE\n",
        "    needed = cache_bytes\n",
        (MEMORY + "::test_no_more_than_all_rows_need_must_fit",),
    ),
    Mutation(
        "counts-fill-what-there-is-not", "engramctl/counts/warm.py",
        "    if not store.cache_capacity:\n",
        "    if store.cache_capacity is None:\n",
        (WARM + "::test_a_tier_without_a_row_cache_is_not_filled",),
    ),
    Mutation(
        "counts-fill-half-a-cache", "engramctl/counts/warm.py",
        ".most_read(store.cache_capacity)",
        ".most_read(store.cache_capacity // 2)",
        (WARM + "::test_the_most_read_rows_are_kept",),
    ),
)  # fmt: skip
