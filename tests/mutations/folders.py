"""Folders of models: what the index decides, what may be absent, how ranks are joined."""

from tests.mutations import Mutation

FOLDER = "tests/model_folder/test_folder.py::"
RANKS = "tests/model_folder/test_rank_files.py::"
EXPORT = "tests/tables/test_export.py::"

MUTATIONS = (
    Mutation(
        "a-copy-counts-though-the-index-says-otherwise",
        "engramctl/model_folder/tensors.py",
        "            if named.get(name, file) != file:",
        "            if False:",
        (FOLDER + "test_the_index_decides_between_two_files",),
    ),
    Mutation(
        "any-missing-file-is-named-first",
        "engramctl/model_folder/tensors.py",
        "needed = sorted(name for name in found.absent if is_needed(name))",
        "needed = sorted(found.absent)",
        (FOLDER + "test_files_without_tables_may_be_absent_and_are_named",),
    ),
    Mutation(
        "astray-tensors-in-the-order-of-names",
        "engramctl/model_folder/tensors.py",
        "key=lambda one: (not is_needed(one), one)",
        "key=lambda one: one",
        (FOLDER + "test_a_tensor_that_is_not_in_its_file_is_named",),
    ),
    Mutation(
        "heads-in-turn-are-taken-for-rows",
        "engramctl/model_folder/joined.py",
        "for dealt in (near, [list(heads[rank::ranks]) for rank in range(ranks)]):",
        "for dealt in (near,):",
        (RANKS + "test_parts_are_put_where_the_scheme_has_them",),
    ),
    Mutation(
        "padding-that-could-lie-in-two-places-is-guessed",
        "engramctl/model_folder/joined.py",
        "    if len(ways) != 1:",
        "    if not ways:",
        (RANKS + "test_parts_that_fit_in_two_ways_are_refused",),
    ),
    Mutation(
        "an-export-has-128-shards-always",
        "engramctl/tables/export.py",
        'if parts is None and source.family == "qwen-ple":',
        "if False:",
        (EXPORT + "test_an_export_keeps_a_checkpoints_row_shards_and_constants",),
    ),
    Mutation(
        "constants-are-added",
        "engramctl/tables/export.py",
        ' or scheme.name != "qwen-ple" or not source.has_constants:',
        ' or scheme.name != "qwen-ple":',
        (EXPORT + "test_an_export_adds_no_constants_to_a_checkpoint_without",),
    ),
    Mutation(
        "two-names-of-scales-are-guessed",
        "engramctl/checkpoints/scaled_rows.py",
        "    if len(names) > 1:",
        "    if False:",
        ("tests/checkpoints/test_scaled_rows.py::test_scales_by_two_names_are_refused",),
    ),
    Mutation(
        "a-cast-table-with-scales-is-read",
        "engramctl/checkpoints/scaled_rows.py",
        "    first = values[0]\n    if scales:",
        "    first = values[0]\n    if False:",
        ("tests/checkpoints/test_scaled_rows.py::test_a_float_table_with_scales_is_refused",),
    ),
)
