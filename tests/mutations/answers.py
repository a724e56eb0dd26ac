"""Answers to questions: how many slots, which size, what was done."""

from tests.mutations import Mutation

_SIZES = "tests/describe/test_sizes_on_counts.py"
_MADE = "tests/tables/test_made_rows.py"

MUTATIONS = (
    Mutation(
        "size-without-headers-and-manifest",
        "engramctl/tables/slots_for_size.py",
        "    if whole <= size_bytes:\n",
        "    if True:\n",
        ("tests/tables/test_slots_for_size.py::test_one_slot_more_would_be_above_the_size",),
    ),
    Mutation(
        "composed-rows-of-the-last-chunk-alone",
        "engramctl/tables/made_rows.py",
        "            self._composed[layer] = self._composed.get(layer, 0) + rows\n",
        "            self._composed[layer] = rows\n",
        (f"{_MADE}::test_what_chunks_of_a_layer_say_is_added_up",),
    ),
    Mutation(
        "one-size-of-several",
        "engramctl/commands/inspect.py",
        "        for number in dict.fromkeys(numbers) or (None,)\n",
        "        for number in list(dict.fromkeys(numbers))[-1:] or (None,)\n",
        (f"{_SIZES}::test_the_command_takes_sizes_repeated_or_with_commas",),
    ),
    Mutation(
        "a-bar-past-its-total",
        "engramctl/terminal/bar.py",
        "self.total if total is not None and self.n <= total else None",
        "self.total",
        ("tests/test_progress.py::test_a_bar_counts_in_whole_numbers_or_sizes",),
    ),
)
