"""Memory of row caches, counted before one is opened."""

from tests.mutations import Mutation

ROWS = "tests/measured/test_row_memory.py::"

MUTATIONS = (
    Mutation(
        "row-caches-are-not-counted-together", "engramctl/bench/run.py",
        "        self._parts.refuse_rows(tier for tier in tiers if tier not in self._missing)\n",
        "",
        (ROWS + "test_row_caches_that_do_not_fit_together_are_refused_before_one_is_opened",),
    ),
    Mutation(
        "one-row-cache-may-take-what-is-not-there", "engramctl/measured/opened.py",
        "            refuse_alone(self._options, tier, self._table.rows, self._host_free)\n", "",
        (ROWS + "test_a_row_cache_that_does_not_fit_alone_is_skipped_with_the_arithmetic",),
    ),
    Mutation(
        "what-a-run-holds-is-counted-again", "engramctl/measured/opened.py",
        "self._table.rows, self.device, self._free)",
        "self._table.rows, self.device, free_bytes(self.device, None))",
        (ROWS + "test_what_a_run_holds_already_is_not_counted_again",),
    ),
    Mutation(
        "models-forget-the-row-caches", "engramctl/measured/model.py",
        "row_caches=sum(one for one in caches if one <= free)", "row_caches=0",
        (ROWS + "test_models_count_the_row_caches_beside_them",),
    ),
    Mutation(
        "a-cache-larger-than-the-table-is-counted", "engramctl/measured/row_memory.py",
        "cache_pages(cache, record, total) * PAGE", "cache",
        (ROWS + "test_a_row_cache_takes_no_more_than_all_rows_make_it",),
    ),
    Mutation(
        "tables-in-memory-are-not-counted-with-row-caches", "engramctl/measured/row_memory.py",
        "* table.record.record_bytes if whole else 0", "* 0 if whole else 0",
        (ROWS + "test_whole_tables_in_memory_count_too",),
    ),
    Mutation(
        "a-run-that-is-refused-leaves-its-threads", "engramctl/bench/run.py",
        "        self._token_ids = TokenIds(chosen, scheme, options)\n",
        "        self._parts.enter(fixed_threads(options.threads, options.store_threads))\n"
        "        self._token_ids = TokenIds(chosen, scheme, options)\n",
        ("tests/bench/test_bad_input.py::test_a_run_that_is_refused_leaves_the_threads_as_they_were",),
    ),
)  # fmt: skip
