"""GGUF as it is published, and what a path is called."""

from tests.mutations import Mutation

PARTS = "tests/gguf/test_parts.py::"
ROWS = "tests/gguf/test_rows.py::"
SCHEME = "tests/gguf/test_scheme.py::"
KINDS = "tests/storage/kinds/test_recognise.py::"

MUTATIONS = (
    Mutation(
        "gguf-parts-that-changed-places",
        "engramctl/gguf/parts.py",
        "    if stated not in (0, count) or which != number:",
        "    if stated not in (0, count):",
        (PARTS + "test_parts_that_changed_places_are_refused",),
    ),
    Mutation(
        "gguf-alignment-of-one-type",
        "engramctl/gguf/header.py",
        "        if kind in _INTEGERS and kept:",
        "        if kind == 4 and kept:",
        (ROWS + "test_data_is_aligned_to_an_integer_of_any_type",),
    ),
    Mutation(
        "gguf-widened-rows-from-the-first",
        "storage/reading/source.py",
        "self._read_bytes(layer, row_start + at, packed)",
        "self._read_bytes(layer, row_start, packed)",
        (ROWS + "test_many_rows_are_widened_in_one_read",),
    ),
    Mutation(
        "gguf-offsets-are-believed",
        "engramctl/gguf/scheme.py",
        "    if offsets is not None:",
        "    if offsets is None:",
        (SCHEME + "test_a_constant_that_differs_gives_no_scheme_and_says_so",),
    ),
    Mutation(
        "gguf-pad-is-the-familys",
        "engramctl/gguf/scheme.py",
        'pad = _fact(model, r"engram[._]pad(?:_token)?(?:_id)?")',
        "pad = 2",
        (SCHEME + "test_engram_tensors_give_the_models_row_ids",),
    ),
    Mutation(
        "beginnings-cannot-be-read",
        "storage/kinds/files.py",
        "os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK",
        "os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK",
        (KINDS + "test_a_file_is_told_by_its_first_bytes",),
    ),
    Mutation(
        "any-snapshot-will-do",
        "storage/kinds/folders.py",
        "name = revision if revision in known else",
        "name = revision if revision not in known else",
        (KINDS + "test_the_snapshot_that_main_names_is_offered",),
    ),
    Mutation(
        "counts-are-read-as-tables",
        "storage/reading/table.py",
        '    if kind is not None and kind.name != "tables":',
        '    if kind is not None and kind.name == "tables":',
        (KINDS + "test_counts_are_no_tables",),
    ),
)
