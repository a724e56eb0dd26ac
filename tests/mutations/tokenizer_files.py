"""What a tokenizer file says is what is read."""

from tests.mutations import Mutation

_WRONG = "tests/vocabulary/test_wrong_files.py::test_"

MUTATIONS = (
    Mutation(
        "added-tokens-numbered-anew-are-taken",
        "engramctl/vocabulary/wrong_file.py",
        "if given != stated:",
        "if given is None:",
        (_WRONG + "added_tokens_that_the_library_would_number_anew_are_refused",),
    ),
    Mutation(
        "older-names-count-as-newer-ones",
        "engramctl/vocabulary/wrong_file.py",
        "elif value and name not in _OLDER:",
        "elif value:",
        (_WRONG + "settings_under_their_older_names_are_read",),
    ),
    Mutation(
        "cut-ids-are-found-by-one-less",
        "engramctl/vocabulary/narrow_ids.py",
        "largest >= LIMIT:",
        "largest >= LIMIT - 1:",
        ("tests/vocabulary/test_narrow_ids.py::test_ids_that_stop_at_16_bits_are_told",),
    ),
)
