"""Columns as different programs write them."""

from tests.mutations import Mutation

_FORMS = "tests/corpus/test_forms.py::test_"

MUTATIONS = (
    Mutation(
        "nulls-decide-what-a-corpus-holds",
        "engramctl/corpus/usable_files.py",
        "if decides is None and one.kind is not None:",
        "if decides is None:",
        (_FORMS + "text_in_any_form_gives_the_ids_of_plain_text",),
    ),
    Mutation(
        "fixed-lists-of-nothing-are-read",
        "engramctl/corpus/parquet.py",
        "pa.types.is_fixed_size_list(kind) and kind.list_size == 0",
        "False",
        (_FORMS + "ids_in_any_form_are_read_first_and_last_among_plain_files",),
    ),
)
