"""Mining, counts and who reads them; the ids that kernels take."""

from tests.mutations import Mutation

CHECKPOINTS = "tests/mining/test_run_state.py"
SYNCED = (f"{CHECKPOINTS}::test_all_that_a_checkpoint_tells_of_is_on_the_disk_before_it_is_told",)
NOTICED = (f"{CHECKPOINTS}::test_a_changed_byte_of_finished_work_is_noticed",)

MUTATIONS = (
    Mutation(
        "spill-records-not-synced", "engramctl/counting/spill.py",
        "        os.fsync(self._file)\n", "", SYNCED,
    ),
    Mutation(
        "spill-index-not-synced", "engramctl/counting/spill.py",
        "        os.fsync(self._index)\n", "", SYNCED,
    ),
    Mutation(
        "spill-names-not-synced", "engramctl/counting/spill.py",
        "        sync(self._path.parent)\n", "", SYNCED,
    ),
    Mutation(
        "starts-not-synced", "engramctl/access/ngrams.py", "        sync(self.path)\n", "", SYNCED
    ),
    Mutation(
        "spill-records-not-compared", "engramctl/counting/spill.py",
        "if digest.intdigest() != chunk.digest:", "if False:", NOTICED,
    ),
    Mutation(
        "spill-index-not-compared", "engramctl/counting/spill.py",
        'if self._index_digest.hexdigest() != state["index_xxh3_128"]:', "if False:", NOTICED,
    ),
    Mutation(
        "starts-not-compared", "engramctl/access/ngrams.py",
        'if (self.size, self._digest.hexdigest()) != (state["bytes"], state["xxh3_128"]):',
        'if self.size != state["bytes"]:', NOTICED,
    ),
    Mutation(
        "state-of-mining-not-compared", "engramctl/mining/run_state.py",
        "if _digest(run) != state.get(_DIGEST):", "if False:",
        (f"{CHECKPOINTS}::test_a_changed_byte_of_the_state_is_noticed",),
    ),
    Mutation(
        "rows-of-a-scheme-not-pruned", "engramctl/mining/output.py",
        "rows = rows.pruned(self._options.min_count)", "rows = rows.pruned(self.min_count)",
        ("tests/commands/test_mine.py::test_a_scheme_changes_no_file_of_ngrams",),
    ),
    Mutation(
        "unigrams-never-leave-memory", "engramctl/counting/unigrams.py",
        "if len(ids) > MOST_HELD:", "if False:",
        ("tests/counting/test_parts.py::"
         "test_order_1_holds_few_rows_in_memory_however_many_ids_there_are",),
    ),
    Mutation(
        "ids-of-32-bits-widened-as-31", "hashing/kernels/head_columns.py",
        "largest > 2**_WIDENED_BITS or ", "",
        ("tests/hashing/kernels/test_large_ids.py::test_every_kernel_gives_what_python_integers_give",),
    ),
    Mutation(
        "ids-of-64-bits-wrapped", "hashing/walk/batch.py",
        'if ids.dtype.kind == "u" and ids.size and int(ids.max()) >= 2**63:', "if False:",
        ("tests/hashing/kernels/test_large_ids.py::test_an_id_of_64_bits_is_no_masked_token",),
    ),
    Mutation(
        "canonical-counts-mapped-twice", "engramctl/schemes/dictionaries.py",
        "token_map = None if mapped else canonical.token_map", "token_map = canonical.token_map",
        ("tests/schemes/test_dictionaries.py::"
         "test_counts_of_canonical_ids_give_the_dictionary_of_counts_of_token_ids",),
    ),
    Mutation(
        "load-of-the-ngrams-kept", "engramctl/describe/scheme_on_counts.py",
        "CountHistogram({1: pruned.distinct})", "CountHistogram({1: pruned.kept})",
        ("tests/counts/test_pruned.py::"
         "test_the_load_of_pruned_counts_is_that_of_all_ngrams_and_the_rest_is_bounded",),
    ),
    Mutation(
        "layout-forgets-its-scheme", "engramctl/tables/layout.py",
        'words += ["--scheme", str(self.scheme)]', "pass",
        ("tests/commands/test_recorded_words.py::test_the_words_of_a_layout_make_it_again",),
    ),
    Mutation(
        "a-file-teaches-a-document-too-much", "engramctl/reuse/dictionary.py",
        "keys, halves = keys[:room], halves[:room]",
        "keys, halves = (keys, halves) if room else (keys[:0], halves[:0])",
        ("tests/reuse/test_dictionary.py::test_one_file_teaches_no_more_than_its_tokens",),
    ),
    Mutation(
        "row-dim-looked-at-after-the-work", "engramctl/reuse/options.py",
        "        RecordSpec(scheme.dtype, scheme.row_dim)\n", "",
        ("tests/reuse/test_curves.py::"
         "test_wrong_options_for_curves_exit_with_2_and_write_nothing",),
    ),
    Mutation(
        "a-read-only-out-is-written", "hashing/walk/batch.py",
        "    if not out.flags.writeable:\n", "    if False:\n",
        ("tests/hashing/kernels/test_out.py::test_a_read_only_out_stays_as_it_was",),
    ),
    Mutation(
        "row-ids-cut-to-the-dtype-of-out", "hashing/walk/batch.py",
        " and np.iinfo(dtype).max >= num_rows - 1", "",
        ("tests/hashing/kernels/test_out.py::test_an_out_must_hold_every_row_id_of_the_table",),
    ),
    Mutation(
        "a-linked-spill-folder-is-followed", "engramctl/mining/spill_folder.py",
        "if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():", "if False:",
        (f"{CHECKPOINTS}::test_a_stranger_where_the_records_would_go_keeps_all_files",),
    ),
)  # fmt: skip
