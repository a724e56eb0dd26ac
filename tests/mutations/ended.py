"""What fails late, or is interrupted, leaves no file open, no log locked and no memory in use."""

from tests.mutations import Mutation

ENDS = "tests/storage/tiers/test_failed_ends.py"
OWNERS = "tests/storage/readers/test_owners.py"
POOR = "tests/storage/tiers/test_fork_without_memory.py"
THREADS = "tests/runtime/test_threads.py"

LOST = "tests/storage/direct/test_lost_by_nobody.py"

MUTATIONS = (
    Mutation(
        "files-of-an-unplanned-step-stay-open",
        "storage/direct/page_reads.py",
        "        except BaseException:\n            self.chosen.close()\n            raise",
        "        except OSError:\n            raise",
        (ENDS + "::test_a_step_that_cannot_be_planned_leaves_no_file_open",),
    ),
    Mutation(
        "an-interrupted-sweep-loses-pages",
        "storage/direct/ahead.py",
        "            is_read = True\n",
        "            is_read = False\n",
        (LOST + "::test_an_interrupted_sweep_keeps_what_it_looked_at",),
    ),
    Mutation(
        "an-event-that-fails-loses-its-room",
        "storage/pinned/rooms.py",
        "            finally:  # neither",
        "            except OSError:  # neither",
        (LOST + "::test_an_event_that_cannot_be_asked_keeps_its_room",),
    ),
    Mutation(
        "a-ring-nobody-ends-stays-open",
        "storage/readers/ring.py",
        '        if hasattr(self, "_fd"):\n',
        '        if hasattr(self, "fd"):\n',
        (LOST + "::test_a_ring_that_nobody_ends_ends_with_its_last_holder",),
    ),
    Mutation(
        "failed-open-keeps-its-files",
        "storage/tiers/ssd.py",
        "            self.release()\n            raise",
        "            raise",
        (ENDS + "::test_an_open_that_fails_late_lets_go_of_all",),
    ),
    Mutation(
        "failed-open-leaves-its-warning-out",
        "storage/tiers/ssd.py",
        "        except BaseException:  # nobody",
        "        except StorageError:  # nobody",
        (ENDS + "::test_a_warning_that_is_an_error_lets_go_of_all",),
    ),
    Mutation(
        "kernels-compiled-after-the-files-are-open",
        "storage/tiers/store.py",
        "        compile_counts(copied=self._most_copied is None)\n"
        "        with torch.inference_mode(False):  # its tensors are written to in any mode\n"
        "            self.load(budget_bytes)\n",
        "        with torch.inference_mode(False):\n"
        "            self.load(budget_bytes)\n"
        "        compile_counts(copied=self._most_copied is None)\n",
        (ENDS + "::test_kernels_that_cannot_be_compiled_let_go_of_all",),
    ),
    Mutation(
        "interrupted-close-keeps-the-log",
        "storage/tiers/ssd.py",
        "        finally:\n            if self.served is not None:",
        "        except StorageError:\n            raise\n"
        "        else:\n            if self.served is not None:",
        (ENDS + "::test_a_close_that_is_interrupted_closes_the_files_and_the_log",),
    ),
    Mutation(
        "interrupted-close-keeps-the-files",
        "storage/readers/choose.py",
        "        finally:\n            self.files.close()",
        "        except StorageError:\n            raise\n"
        "        else:\n            self.files.close()",
        (ENDS + "::test_a_close_that_is_interrupted_closes_the_files_and_the_log",),
    ),
    Mutation(
        "interrupted-close-keeps-mapped-files",
        "storage/io/mapped_rows.py",
        "        finally:\n            self.layers.clear()",
        "        except StorageError:\n            raise\n"
        "        else:\n            self.layers.clear()",
        (ENDS + "::test_mapped_files_are_closed_when_the_wait_for_a_thread_is_interrupted",),
    ),
    Mutation(
        "rows-without-memory-keep-their-files",
        "storage/direct/direct_rows.py",
        "            self.close()\n            raise",
        "            raise",
        (ENDS + "::test_rows_without_memory_for_them_leave_no_file_open",),
    ),
    Mutation(
        "first-error-ends-the-renewing",
        "engramctl/runtime/threads.py",
        "            first = first or error",
        "            raise error",
        (THREADS + "::test_what_cannot_be_renewed_keeps_nothing_else_from_it",),
    ),
    Mutation(
        "errors-of-renewing-go-unsaid",
        "engramctl/runtime/threads.py",
        "    if first is not None:",
        "    if False:",
        (THREADS + "::test_what_cannot_be_renewed_keeps_nothing_else_from_it",),
    ),
    Mutation(
        "whole-things-renewed-before-their-parts",
        "engramctl/runtime/threads.py",
        "in list(_renewed.values()):",
        "in list(_renewed.values())[::-1]:",
        (THREADS + "::test_whole_things_are_renewed_after_their_parts",),
    ),
    Mutation(
        "child-without-memory-has-its-parents",
        "storage/direct/direct_rows.py",
        "        except (StorageError, MemoryError) as error:",
        "        except ZeroDivisionError as error:",
        (POOR + "::test_every_call_says_that_the_child_has_no_memory",),
    ),
    Mutation(
        "child-without-memory-is-not-told",
        "storage/tiers/ssd.py",
        "        return over or super().over_in_child()",
        "        return super().over_in_child()",
        (POOR + "::test_every_call_says_that_the_child_has_no_memory",),
    ),
    Mutation(
        "child-without-memory-keeps-a-cache",
        "storage/direct/direct_rows.py",
        "            self.cache = None\n",
        "",
        (POOR + "::test_rows_that_another_tier_asks_for_are_refused_too",),
    ),
    Mutation(
        "child-without-memory-looks-into-a-cache",
        "storage/tiers/ssd.py",
        "            self.near.clear()  # its",
        "            pass  # its",
        (POOR + "::test_rows_that_another_tier_asks_for_are_refused_too",),
    ),
    Mutation(
        "queued-reads-let-go-of-their-memory",
        "storage/readers/pread_engine.py",
        "submit(_read, files, batch, k, threads)",
        "submit(_read, files, Batch.of(batch.ranges_R5), k, threads)",
        (OWNERS + "::test_a_batch_that_nobody_waits_for_holds_its_memory_until_it_is_over",),
    ),
    Mutation(
        "interrupted-load-unmaps-what-is-read-into",
        "storage/memory/loaded.py",
        "_BATCH_CHUNKS], self.memory)",
        "_BATCH_CHUNKS])",
        (OWNERS + "::test_a_load_that_is_interrupted_twice_keeps_memory_that_is_read_into",),
    ),
    Mutation(
        "interrupted-trial-unmaps-what-is-read-into",
        "storage/readers/batch.py",
        "sizes], axis=1), memory)",
        "sizes], axis=1))",
        (OWNERS + "::test_a_trial_of_the_medium_that_is_interrupted_keeps_its_memory",),
    ),
)
