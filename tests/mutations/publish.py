"""Writing folders: syncs and their order, what --resume believes, whose a folder is."""

from tests.mutations import Mutation

CRASHES = "tests/storage/writing/test_crashes.py"
CRASH = f"{CRASHES}::test_a_crash_leaves_old_or_new_and_the_work_goes_on"
FAULT = f"{CRASHES}::test_a_call_that_fails_is_one_error_and_the_work_goes_on"
RESUME = "tests/storage/writing/test_resume.py::test_resume_does_not_believe_a_damaged_partial"
OWNED = "tests/storage/writing/test_ownership.py::"
STRANGER = f"{OWNED}test_a_partial_folder_of_a_stranger_is_refused_and_left_as_it_is"
SYNC_TREE = """            try:
                sync_tree(self.path)
            except OSError:
                self.doubt()
                raise
"""
MOVE = "            place = move(self.path, self.target, replace=old is not None)\n"
MANIFEST = "            write_json(self.path / self._maker.document, manifest)\n"
OLD = """            if old is not None:
                self._replaces = self._maker.digest(old)
                self._write_state(self._saved)
"""
SYNC_DATA = """        try:
            for descriptor in descriptors.values():
                os.fdatasync(descriptor)
"""

MUTATIONS = (
    Mutation(
        "progress-without-files-removed",
        "storage/writing/partial_folder.py",
        "nothing = not self._saved and self.folder.names() == [STATE]",
        "nothing = self.folder.names() == [STATE]",
        (
            "tests/storage/writing/test_partial_folder.py::test_what_is_saved_is_kept_though_its_files_are_elsewhere",
        ),
    ),
    Mutation(
        "old-folder-in-use-forgotten",
        "storage/writing/partial_folder.py",
        "            return False\n",
        "            return True\n",
        (f"{OWNED}test_an_old_folder_that_is_still_in_use_is_removed_by_a_later_run",),
    ),
    Mutation(
        "publish-without-sync-tree",
        "storage/writing/partial_folder.py",
        SYNC_TREE,
        "",
        (f"{CRASH}[export]",),
    ),
    Mutation(
        "publish-renames-before-sync",
        "storage/writing/partial_folder.py",
        SYNC_TREE + MOVE,
        MOVE + SYNC_TREE,
        (f"{CRASH}[export]",),
    ),
    Mutation(
        "publish-syncs-before-manifest",
        "storage/writing/partial_folder.py",
        MANIFEST + OLD + SYNC_TREE,
        OLD + SYNC_TREE + MANIFEST,
        (f"{CRASH}[build]",),
    ),
    Mutation(
        "publish-without-parent-sync",
        "storage/writing/partial_folder.py",
        "            self._published = True\n            sync(self.target.parent)\n",
        "            self._published = True\n",
        (f"{CRASH}[build]",),
    ),
    Mutation(
        "new-parents-not-synced",
        "storage/files/atomic.py",
        "        sync(path.parent)\n\n\ndef old_path",
        "\n\ndef old_path",
        (f"{CRASH}[build]",),
    ),
    Mutation(
        "json-not-synced",
        "storage/files/atomic.py",
        "        yield descriptor\n        os.fsync(descriptor)\n",
        "        yield descriptor\n",
        (f"{CRASH}[build-begun-anew]",),
    ),
    Mutation(
        "state-not-synced",
        "storage/writing/partial_folder.py",
        "        self.folder.sync()\n        self._saved = state\n",
        "        self._saved = state\n",
        ("tests/storage/writing/test_partial_folder.py::test_a_saved_state_survives_any_crash",),
    ),
    Mutation(
        "old-folder-removed-not-synced",
        "storage/writing/partial_folder.py",
        "            os.rmdir(place)\n            sync(place.parent)\n",
        "            os.rmdir(place)\n",
        (f"{CRASH}[build-replacing]",),
    ),
    Mutation(
        "state-removed-before-rename",
        "storage/writing/partial_folder.py",
        MOVE,
        "            self.folder.discard(STATE)\n" + MOVE,
        (f"{OWNED}test_a_failed_rename_keeps_the_state",),
    ),
    Mutation(
        "state-saved-before-data-sync",
        "storage/writing/written_extents.py",
        SYNC_DATA,
        "        self._save(extents)\n" + SYNC_DATA,
        (f"{CRASH}[build]",),
    ),
    Mutation(
        "failed-sync-forgotten",
        "storage/writing/written_extents.py",
        "            self._failed = True\n",
        "",
        (
            "tests/storage/writing/test_written_extents.py::"
            "test_what_comes_while_a_sync_fails_is_believed_by_no_later_one",
        ),
    ),
    Mutation(
        "failed-last-sync-not-doubted",
        "storage/writing/partial_folder.py",
        "            except OSError:\n                self.doubt()\n",
        "            except OSError:\n",
        (f"{OWNED}test_a_failed_last_sync_keeps_the_state_and_says_that_it_is_suspect",),
    ),
    Mutation(
        "suspect-extents-believed",
        "storage/writing/written_extents.py",
        "for index in finished if every else finished[-1:]:",
        "for index in finished[-1:]:",
        (
            "tests/storage/writing/test_resume.py::test_after_a_failed_sync_every_extent_is_looked_at_again",
        ),
    ),
    Mutation(
        "resume-compares-no-hash",
        "storage/writing/written_extents.py",
        "if extent is None or found != extent[0]:",
        "if extent is None:",
        (f"{RESUME}[flip]",),
    ),
    Mutation(
        "resume-compares-no-header",
        "storage/writing/written_extents.py",
        "if handle.read(file.data_offset) != file.header:",
        "if False:",
        (f"{RESUME}[header]",),
    ),
    Mutation(
        "resume-does-not-cut",
        "storage/writing/written_extents.py",
        "                os.ftruncate(descriptor, end and file.data_offset + end)\n",
        "",
        (f"{RESUME}[longer]",),
    ),
    Mutation(
        "any-partial-is-ours",
        "storage/writing/ownership.py",
        "if not _is_replaced(folder, maker, target):",
        "if False:",
        (STRANGER,),
    ),
    Mutation(
        "any-command-is-ours",
        "storage/writing/ownership.py",
        'elif state.get("command") != maker.command:',
        "elif False:",
        (STRANGER,),
    ),
    Mutation(
        "files-of-strangers-in-ours",
        "storage/writing/ownership.py",
        "    _refuse_foreign(folder, maker)\n    return state\n",
        "    return state\n",
        (STRANGER,),
    ),
    Mutation(
        "partial-links-followed",
        "storage/files/held_folder.py",
        "_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC",
        "_FLAGS = os.O_RDONLY | os.O_CLOEXEC",
        (f"{OWNED}test_a_link_is_never_followed_whatever_it_leads_to",),
    ),
    Mutation(
        "finished-folder-replaced-without-force",
        "storage/writing/partial_folder.py",
        "if not self._force and (digest is None or digest != self._replaces):",
        "if False:",
        (f"{OWNED}test_a_finished_folder_that_appears_while_a_run_works_is_not_replaced",),
    ),
    Mutation(
        "old-folder-not-locked",
        "storage/writing/partial_folder.py",
        "        old.lock()\n",
        "",
        (f"{OWNED}test_a_second_run_cannot_come_between_while_the_old_folder_is_removed",),
    ),
    Mutation(
        "another-folder-removed",
        "storage/writing/partial_folder.py",
        "        if old.is_at(place):\n",
        "        if True:\n",
        (f"{OWNED}test_a_folder_that_gets_the_name_of_the_old_one_is_not_removed",),
    ),
    Mutation(
        "files-missing-are-published",
        "storage/writing/partial_folder.py",
        "        if missing:\n",
        "        if False:\n",
        (f"{OWNED}test_what_is_published_is_what_is_named_no_file_more_or_less",),
    ),
    Mutation(
        "failed-json-leaves-a-half",
        "storage/files/atomic.py",
        "            fresh.unlink()\n",
        "            pass\n",
        (f"{OWNED}test_json_is_not_written_through_a_link_and_leaves_no_half",),
    ),
    Mutation(
        "failed-sync-not-told",
        "storage/writing/written_extents.py",
        "            self._work.doubt()\n            raise\n",
        "            self._work.doubt()\n",
        (f"{FAULT}[sync-build]",),
    ),
    Mutation(
        "export-stops-after-a-chunk",
        "engramctl/tables/export.py",
        "for start in range(*piece.rows, step):",
        "for start in range(*piece.rows, step)[:1]:",
        ("tests/tables/test_export.py::test_an_export_of_many_chunks_holds_every_row",),
    ),
)
