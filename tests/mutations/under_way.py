"""Reads under way when somebody is interrupted, closes the store, or has no descriptors left."""

from tests.mutations import Mutation

LEFT = "tests/storage/direct/test_left_under_way.py"
PIECES = "storage/direct/sorted_pieces.py"

MUTATIONS = (
    Mutation(
        "next-read-waits-for-nothing", PIECES,
        "            self._drain()\n            try:\n",
        "            self._under_way.clear()\n            try:\n",
        (LEFT + "::test_a_second_interrupt_leaves_no_read_to_the_next_ones_memory",),
    ),
    Mutation(
        "interrupted-wait-counts-as-over", PIECES,
        "                if not pending.over():  # bytes may still come\n",
        "                if False:\n",
        (LEFT + "::test_memory_is_not_worked_in_while_waiting_for_its_bytes_fails",),
    ),
    Mutation(
        "broken-batch-is-told-for-ever", PIECES,
        "                if not pending.over():  # bytes may still come\n",
        "                if True:\n",
        (LEFT + "::test_a_batch_that_broke_is_told_once_and_the_other_is_waited_for",),
    ),
)  # fmt: skip
