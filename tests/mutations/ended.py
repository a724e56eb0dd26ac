"""What fails late, or is interrupted, leaves no file open, no log locked and no memory in use."""

from tests.mutations import Mutation

ENDS = "tests/storage/tiers/test_failed_ends.py"

MUTATIONS = (
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
        "            self.load(budget_bytes)\n        renew_in_children(self)\n",
        "            self.load(budget_bytes)\n        compile_take_rows()\n",
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
)
