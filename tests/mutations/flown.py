"""Rows in flight: memory that is bounded, pages that have room, files that changed."""

from tests.mutations import Mutation

DIRECT = "tests/storage/direct/test_direct_rows.py"
MEMORY = "tests/storage/direct/test_direct_memory.py"

MUTATIONS = (
    Mutation(
        "dealt-heads-left-out-of-the-count", "storage/io/page_plan.py",
        "if last[part] >> (FILE_BITS - _SHIFT) == first >> FILE_BITS:",
        "if last[part] >= 0:",
        (MEMORY + "::test_heads_dealt_to_files_find_room",),
    ),
    Mutation(
        "child-unmaps-what-is-not-its-parents", "storage/direct/slab.py",
        "        _inherited.append(self._map)",
        "        pass",
        (DIRECT + "::test_a_forked_child_reads_into_memory_of_its_own",),
    ),
    Mutation(
        "plans-beside-the-slab", "storage/direct/page_reads.py",
        "return PagePlan.of(rows, self.maps, self.files, room)",
        "return PagePlan.of(rows, self.maps, self.files, room.copy())",
        (MEMORY + "::test_no_array_stands_beside_the_slab",),
    ),
    Mutation(
        "engines-memory-not-counted", "storage/direct/direct_rows.py",
        "self._num_pages = (int(budget_bytes * _OF_BUDGET) - own) // PAGE",
        "self._num_pages = int(budget_bytes * _OF_BUDGET) // PAGE",
        (MEMORY + "::test_slab_and_engine_are_less_than_the_budget",),
    ),
    Mutation(
        "change-forgotten-once-told", "storage/readers/open_files.py",
        "        if self._found_changed is not None:",
        "        if False:",
        ("tests/storage/readers/test_open_files.py",),
    ),
)  # fmt: skip
