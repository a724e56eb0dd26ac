"""Memory pinned for a GPU, and the two ways rows leave it."""

from tests.mutations import Mutation

MEMORY = "tests/storage/pinned/test_pinned.py"
STAGING = "tests/storage/pinned/test_staging.py"
CROSSOVER = "tests/storage/pinned/test_crossover.py"
NUMA = "tests/storage/memory/test_numa.py"
TIER = "tests/storage/tiers/test_pinned_host.py"
ENDS = "tests/storage/tiers/test_pinned_ends.py"

MUTATIONS = (
    Mutation(
        "registration-fails-and-keeps-its-pieces",
        "storage/pinned/pinned.py",
        "        except BaseException:\n            self.close()\n            raise",
        "        except BaseException:\n            self._end.detach()\n            raise",
        (f"{MEMORY}::test_a_registration_that_fails_half_way_leaves_nothing",),
    ),
    Mutation(
        "pieces-registered-at-once",
        "storage/pinned/pinned.py",
        "size = min(REGISTERED_BYTES, address + num_bytes - start)",
        "size = address + num_bytes - start",
        (f"{MEMORY}::test_exactly_the_pages_are_registered_in_bounded_pieces",),
    ),
    Mutation(
        "child-unregisters-memory-of-its-parent",
        "storage/pinned/pinned.py",
        "        if self._end.detach() is not None and self._memory is not None:",
        "        if self._memory is not None:",
        (f"{MEMORY}::test_a_forked_child_neither_has_the_memory_nor_unregisters_it",),
    ),
    Mutation(
        "memory-that-cuda-holds-is-unmapped",
        "storage/pinned/pinned.py",
        "        kept.append(memory)  # the device may still read it",
        "        pass",
        (f"{MEMORY}::test_what_cuda_does_not_let_go_stays_mapped_and_counted",),
    ),
    Mutation(
        "node-asked-for-after-the-first-touch",
        "storage/pinned/pinned.py",
        "        if self.numa_node is not None:\n            refused",
        "        self._memory.array[:] = 0\n"
        "        if self.numa_node is not None:\n            refused",
        (f"{MEMORY}::test_the_node_of_the_pages_is_asked_for_before_they_are_there_and_told",),
    ),
    Mutation(
        "staging-overwritten-while-read",
        "storage/pinned/staging.py",
        "                    self.read[number].synchronize()",
        "                    pass",
        (f"{STAGING}::test_a_buffer_is_filled_again_only_when_the_device_has_read_it",),
    ),
    Mutation(
        "crossover-at-the-first-size-that-won",
        "storage/pinned/crossover.py",
        "        if one.staged_ns >= one.uva_ns:\n            break",
        "        if one.staged_ns >= one.uva_ns:\n            continue",
        (f"{CROSSOVER}::test_the_copy_is_taken_from_where_on_it_was_always_faster",),
    ),
    Mutation(
        "crossover-measured-for-ever",
        "storage/pinned/crossover.py",
        "        if times and spent_ns > limit_s * 1e9:",
        "        if not rows:",
        (f"{CROSSOVER}::test_a_slow_machine_is_not_measured_for_longer_than_the_limit",),
    ),
    Mutation(
        "crossover-counts-compiling",
        "storage/pinned/crossover.py",
        "                if number:",
        "                spent_ns += 0 if number else took_ns\n                if number:",
        (f"{CROSSOVER}::test_first_calls_that_compile_do_not_count",),
    ),
    Mutation(
        "numa-bytes-of-another-mapping",
        "storage/memory/numa.py",
        "            if int(start, 16) == address:",
        "            if int(start, 16) <= address:",
        (f"{NUMA}::test_bytes_on_a_node_are_counted_by_the_pages_of_one_mapping",),
    ),
    Mutation(
        "pinned-table-unpinned-while-read",
        "storage/tiers/pinned_host.py",
        "            super().release()\n        finally:\n            self._let_go()",
        "            self._let_go()\n        finally:\n            super().release()",
        (f"{ENDS}::test_close_waits_for_the_device_before_it_unpins",),
    ),
    Mutation(
        "failed-opening-stays-pinned",
        "storage/tiers/pinned_host.py",
        "        except BaseException:\n            self._let_go()",
        "        except ZeroDivisionError:\n            self._let_go()",
        (f"{ENDS}::test_an_error_while_a_store_is_opened_unpins_all",),
    ),
    Mutation(
        "large-requests-not-copied",
        "storage/tiers/pinned_host.py",
        "if not isinstance(ids, np.ndarray) or not self.crossover.staged(len(ids)):",
        "if True:",
        (f"{TIER}::test_the_way_is_taken_by_the_number_of_rows",),
    ),
    Mutation(
        "host-memory-read-by-a-device-that-cannot",
        "storage/tiers/pinned_host.py",
        'if self.device.type == "cuda" and not driver.reads_registered(self.device.index or 0):',
        "if False:",
        (f"{ENDS}::test_where_no_kernel_reads_host_memory_all_is_copied_and_told",),
    ),
)
