"""Rows in flight: cuts, bounds, pages, closing, forking."""

from tests.mutations import Mutation

ROW_MAP = "tests/storage/io/test_row_map.py"
PAGES = "tests/storage/io/test_pages.py"
LIFE = "tests/storage/tiers/test_lifecycle.py"

MUTATIONS = (
    Mutation(
        "pieces-cut-at-the-values-only", "storage/reading/region.py",
        "stop = min(region.row_stop for region in current)",
        "stop = current[0].row_stop",
        (ROW_MAP,),
    ),
    Mutation(
        "piece-keeps-the-offset-of-its-region", "storage/reading/region.py",
        "offset=self.position(row_start)",
        "offset=self.offset",
        (ROW_MAP,),
    ),
    Mutation(
        "short-view-accepted", "storage/io/row_map.py",
        "or len(bytes_here) < region.num_bytes:",
        "or len(bytes_here) < 0:",
        (ROW_MAP,),
    ),
    Mutation(
        "kernel-believes-row-ids", "storage/io/row_map.py",
        "if rows[i] < 0 or rows[i] >= packed[NUM_ROWS]:",
        "if rows[i] < 0 and rows[i] >= packed[NUM_ROWS]:",
        (ROW_MAP + "::test_kernels_refuse_a_row_outside_the_map_and_write_nothing",),
    ),
    Mutation(
        "kernel-believes-the-output", "storage/io/gather.py",
        "or out_bytes != rows * _out_row_bytes(packed, value_bytes):",
        "or out_bytes < 0:",
        (ROW_MAP + "::test_the_kernel_refuses_an_output_that_does_not_fit",),
    ),
    Mutation(
        "kernel-believes-addresses", "storage/io/gather.py",
        "if size and (at < low or at > high - size):",
        "if size and at < low:",
        ("tests/storage/io/test_gather.py",),
    ),
    Mutation(
        "doubtful-scales-not-looked-at", "storage/io/row_map.py",
        "doubted = isinstance(source, CheckpointTables)",
        "doubted = False",
        ("tests/storage/io/test_gather.py",),
    ),
    Mutation(
        "piece-after-the-right-one", "storage/io/row_map.py",
        "if row >= packed[_FACTS + middle]:",
        "if row >= packed[_FACTS + middle] - 1:",
        ("tests/storage/io/test_gather.py",),
    ),
    Mutation(
        "second-page-of-a-row-never-asked-for", "storage/io/pages.py",
        "for page in range(first >> _SHIFT, ((first + sizes[part] - 1) >> _SHIFT) + 1):\n"
        "                if not seen[page - base]:\n                    seen",
        "for page in range(first >> _SHIFT, (first >> _SHIFT) + 1):\n"
        "                if not seen[page - base]:\n                    seen",
        (PAGES + "::test_every_page_of_a_row_is_found_and_no_other",),
    ),
    Mutation(
        "failed-start-keeps-its-ticket", "storage/tiers/store.py",
        "                self.usage.end_ticket(place)\n                raise",
        "                raise",
        (LIFE + "::test_a_start_that_fails_gives_its_place_back",),
    ),
    Mutation(
        "close-does-not-wait", "storage/requests/usage.py",
        "self.changed.wait_for(lambda: all(one == me for one in self._calls.copy().values()))",
        "pass",
        (LIFE + "::test_close_waits_for_a_running_gather_which_returns_its_rows",),
    ),
    Mutation(
        "close-does-not-wake-who-waits-for-a-ticket", "storage/requests/usage.py",
        "while len(self.tickets) >= MAX_OPEN_TICKETS and not self.over:",
        "while len(self.tickets) >= MAX_OPEN_TICKETS:",
        (LIFE + "::test_a_prefetch_that_waits_for_a_place_hears_of_close",),
    ),
    Mutation(
        "close-waits-for-its-own-thread", "storage/requests/usage.py",
        "all(one == me for one in self._calls.copy().values())",
        "not self._calls",
        (LIFE + "::test_an_interrupt_in_a_gather_does_not_keep_close_from_ending",),
    ),
    Mutation(
        "locks-not-renewed-after-fork", "storage/tiers/store.py",
        "        self.usage.renew(self.over_in_child())",
        "        pass",
        (LIFE + "::test_a_child_forked_while_another_thread_gathers_does_not_hang",),
    ),
    Mutation(
        "threads-not-renewed-after-fork", "engramctl/runtime/threads.py",
        "os.register_at_fork(after_in_child=_renew_all)",
        "",
        (LIFE + "::test_a_forked_child_gathers_with_a_store_of_its_parent",),
    ),
    Mutation(
        "ticket-of-the-parent-accepted", "storage/requests/ticket.py",
        "if self._generation != store.usage.generation:",
        "if False:",
        (LIFE + "::test_a_ticket_of_the_parent_is_an_error_in_the_child",),
    ),
    Mutation(
        "read-only-output-written", "hashing/walk/batch.py",
        "if not out.flags.writeable:",
        "if False:",
        ("tests/hashing/kernels/test_out.py::test_a_read_only_out_stays_as_it_was",),
    ),
    Mutation(
        "fork-while-compiling",
        "engramctl/runtime/kernel_cache.py",
        "    before=global_compiler_lock.acquire,",
        "    before=lambda: None,",
        (LIFE + "::test_a_fork_waits_for_a_compilation_of_another_thread",),
    ),
    Mutation(
        "interrupt-of-a-kernel-is-a-bug",
        "engramctl/cli.py",
        "code = _bug(error, asked) if signal_code is None else _stopped(signal_code, asked)",
        "code = _bug(error, asked)",
        ("tests/test_cli.py::test_a_signal_in_a_kernel_that_returns_arrays_is_no_bug",),
    ),
    Mutation(
        "eviction-never-guessed", "storage/io/mapped_rows.py",
        "            self.layers[layer].seen[:] = 0",
        "            pass",
        (PAGES + "::test_a_slow_gather_of_known_pages_that_faulted_means_that_they_were_evicted",),
    ),
    Mutation(
        "failed-advice-not-told", "storage/readers/willneed_engine.py",
        "got_R[i] = ranges_R5[i, NEEDED] if error == 0 else -error",
        "got_R[i] = ranges_R5[i, NEEDED]",
        (PAGES + "::test_an_advice_that_the_kernel_refuses_is_told",),
    ),
    Mutation(
        "pages-not-read-not-told", "storage/io/mapped_rows.py",
        "        self.chosen.files.check(batch)\n",
        "",
        (PAGES + "::test_a_gather_whose_pages_could_not_be_read_is_an_error",),
    ),
    Mutation(
        "residency-of-a-closed-store", "storage/tiers/ssd.py",
        "        with self.usage.call():\n            if isinstance(self.read, MappedRows):\n"
        "                return",
        "        if True:\n            if isinstance(self.read, MappedRows):\n"
        "                return",
        (LIFE + "::test_every_call_on_a_closed_store_is_an_error",),
    ),
    Mutation(
        "kernels-compiled-in-the-first-step", "storage/tiers/ssd.py",
        "        self._compile()\n",
        "",
        (LIFE + "::test_kernels_are_compiled_when_a_store_is_opened",),
    ),
)  # fmt: skip
