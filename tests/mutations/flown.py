"""Rows in flight: memory that is bounded, pages that have room, files that changed."""

from tests.mutations import Mutation

DIRECT = "tests/storage/direct/test_direct_rows.py"
MEMORY = "tests/storage/direct/test_direct_memory.py"

AT_ONCE = "tests/storage/io/test_gather_at_once.py"
PATTERNS = "tests/storage/widening/test_widen_row.py::test_every_pattern_of_bits_is_widened"

MUTATIONS = (
    Mutation(
        "quick-widening-of-too-small-a-scale", "storage/widening/decoders.py",
        "SHORT_SCALES = (10, 246)",
        "SHORT_SCALES = (9, 246)",
        (PATTERNS,),
    ),
    Mutation(
        "quick-widening-of-too-large-a-scale", "storage/widening/decoders.py",
        "SHORT_SCALES = (10, 246)",
        "SHORT_SCALES = (10, 247)",
        (PATTERNS,),
    ),
    Mutation(
        "at-once-faults-page-by-page", "storage/io/gather_at_once.py",
        "if distinct < 0 or (seen.shape[0] and any_unseen(rows, packed, bases_SC2, seen)):",
        "if distinct < 0:",
        (AT_ONCE + "::test_rows_of_untouched_pages_are_asked_for_first",),
    ),
    Mutation(
        "at-once-counts-every-row", "storage/io/gather_at_once.py",
        "np.int64(distinct if bad < 0 else -1)",
        "np.int64(rows.shape[0] if bad < 0 else -1)",
        (AT_ONCE,),
    ),
    Mutation(
        "at-once-hands-over-what-broke", "storage/tiers/ssd.py",
        "            _discard_broken(self.read, layer, out)",
        "            pass",
        ("tests/storage/io/test_bus_errors.py",),
    ),
    Mutation(
        "dealt-heads-left-out-of-the-count", "storage/io/page_plan.py",
        "if last[part] >> (FILE_BITS - _SHIFT) == first >> FILE_BITS:",
        "if last[part] >= 0:",
        (MEMORY + "::test_heads_dealt_to_files_find_room",),
    ),
    Mutation(
        "child-unmaps-what-is-not-its-parents", "storage/memory/slab.py",
        "        _inherited.append(self._map)",
        "        pass",
        (DIRECT + "::test_a_forked_child_reads_into_memory_of_its_own",),
    ),
    Mutation(
        "ids-beside-the-budget", "storage/tiers/store.py",
        "checked = {layer: self.checked(layer, ids, most)",
        "checked = {layer: self.checked(layer, ids)",
        (MEMORY + "::test_ids_of_a_long_prefetch_take_no_memory_and_may_not_change",),
    ),
    Mutation(
        "changed-ids-are-read", "storage/tiers/ssd.py",
        "                request.check_same()",
        "                pass",
        (MEMORY + "::test_ids_of_a_long_prefetch_take_no_memory_and_may_not_change",),
    ),
    Mutation(
        "late-is-taken-for-evicted", "storage/io/mapped_rows.py",
        "return self._faults is None or self._faults != then",
        "return True",
        ("tests/storage/io/test_pages.py",),
    ),
    Mutation(
        "uncounted-faults-are-none", "storage/io/mapped_rows.py",
        "return self._faults is None or self._faults != then",
        "return self._faults != then",
        ("tests/storage/io/test_pages.py",),
    ),
    Mutation(
        "plans-beside-the-slab", "storage/direct/page_reads.py",
        "return PagePlan.of(rows, self._planned, self._planned_files, room)",
        "return PagePlan.of(rows, self._planned, self._planned_files, room.copy())",
        (MEMORY + "::test_no_array_stands_beside_the_slab",),
    ),
    Mutation(
        "engines-memory-not-counted", "storage/memory/budget.py",
        "(int(self.reading_bytes * _OF_BUDGET) - engine_bytes) // PAGE",
        "int(self.reading_bytes * _OF_BUDGET) // PAGE",
        (MEMORY + "::test_slab_and_engine_are_less_than_the_budget",),
    ),
    Mutation(
        "change-forgotten-once-told", "storage/readers/open_files.py",
        "        if self._found_changed is not None:",
        "        if False:",
        ("tests/storage/readers/test_open_files.py",),
    ),
)  # fmt: skip
