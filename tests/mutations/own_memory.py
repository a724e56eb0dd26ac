"""Memory of our own, what is read into it, and who gathers from it."""

from tests.mutations import Mutation

MEMORY = "tests/storage/memory/test_host_memory.py"
LOADED = "tests/storage/memory/test_loaded.py"
THREADS = "tests/storage/io/test_gather_threads.py"
LIFE = "tests/storage/tiers/test_lifecycle.py"

MUTATIONS = (
    Mutation(
        "table-shared-with-children",
        "storage/memory/reserved.py",
        "_PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS",
        "_PRIVATE = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS",
        (f"{MEMORY}::test_a_forked_child_reads_the_parents_bytes_and_writes_its_own",),
    ),
    Mutation(
        "huge-pages-not-asked-for",
        "storage/memory/host_memory.py",
        "        self._advise(_HUGEPAGE)",
        "        self._advise(_HUGEPAGE + 1)",
        (f"{MEMORY}::test_memory_lies_in_huge_pages_where_the_machine_has_them",),
    ),
    Mutation(
        "huge-pages-of-neighbours-counted",
        "storage/memory/host_memory.py",
        "inside = int(low, 16) < stop and start < int(high, 16)",
        "inside = int(low, 16) <= stop and start <= int(high, 16)",
        (f"{MEMORY}::test_only_mappings_that_overlap_the_addresses_are_counted",),
    ),
    Mutation(
        "last-batch-of-a-load-not-waited-for",
        "storage/memory/loaded.py",
        "        while under_way:",
        "        while len(under_way) > 1:",
        (f"{LOADED}::test_a_file_that_ends_early_is_an_error_with_its_place",),
    ),
    Mutation(
        "loaded-region-one-page-short",
        "storage/memory/loaded.py",
        "pages = whole_pages(ahead + region.num_bytes)",
        "pages = whole_pages(region.num_bytes)",
        (f"{LOADED}::test_every_region_comes_whole_from_any_place_of_its_file",),
    ),
    Mutation(
        "loaded-file-may-end-early",
        "storage/memory/loaded.py",
        "needed = min(size, ahead + region.num_bytes - done)",
        "needed = min(0, ahead + region.num_bytes - done)",
        (f"{LOADED}::test_a_file_that_ends_early_is_an_error_with_its_place",),
    ),
    Mutation(
        "closed-host-store-keeps-its-table",
        "storage/tiers/host.py",
        "        self.row_maps.clear()",
        "        pass",
        (
            "tests/storage/tiers/test_host_store.py::test_a_closed_host_store_has_unmapped_its_table_when_close_returns",
        ),
    ),
    Mutation(
        "gather-threads-beyond-processors",
        "storage/io/gather_threads.py",
        "return max(1, min(_count.of_model(), usable_processors()))",
        "return max(1, _count.of_model())",
        (f"{THREADS}::test_there_are_never_more_than_processors",),
    ),
    Mutation(
        "gather-threads-do-not-follow-torch",
        "storage/tiers/by_address.py",
        "follow_model_threads(torch.get_num_threads)",
        "follow_model_threads(lambda: 1)",
        (f"{THREADS}::test_stores_gather_with_as_many_threads_as_torch_has_when_a_gather_begins",),
    ),
    Mutation(
        "chosen-threads-not-set-back",
        "engramctl/arms/threads.py",
        "        set_gather_threads(chosen)",
        "        pass",
        ("tests/arms/test_threads.py::test_both_counts_are_fixed_and_set_back",),
    ),
)
