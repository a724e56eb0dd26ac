"""Stores in other processes and in compiled code."""

from tests.mutations import Mutation

_HANDS = "tests/storage/tiers/test_other_hands.py::test_"

MUTATIONS = (
    Mutation(
        "compiled-code-looks-into-a-store",
        "storage/tiers/store.py",
        "    @untraced\n    def gather(",
        "    def gather(",
        (_HANDS + "compiled_code_calls_a_store_and_gets_its_rows",),
    ),
    Mutation(
        "a-pickled-store-goes-by-the-name-it-was-given",
        "storage/tiers/door.py",
        "os.path.abspath(path)",
        "str(path)",
        (_HANDS + "a_pickled_store_is_opened_by_a_new_process_in_another_folder",),
    ),
)
