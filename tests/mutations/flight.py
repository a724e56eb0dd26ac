"""Read engines, their choice, what they are held against, and rows read past the page cache."""

from tests.mutations import Mutation

ENGINES = "tests/storage/readers/test_engines.py"
CHOOSE = "tests/storage/readers/test_choose.py"
FILES = "tests/storage/readers/test_open_files.py"
PROBE = "tests/machine/test_probe.py"

PLAN = "tests/storage/io/test_page_plan.py"
DIRECT = "tests/storage/direct/test_direct_rows.py"

WORKERS = "tests/runtime/test_threads.py"
THREADS = "tests/storage/io/test_gather_threads.py"

MUTATIONS = (
    Mutation(
        "interrupted-gathers-go-on",
        "engramctl/runtime/threads.py",
        "            _until_over(running)\n",
        "",
        (f"{THREADS}::test_an_interrupted_gather_returns_when_no_thread_writes_any_more",),
    ),
    Mutation(
        "a-second-interrupt-hurries-a-gather",
        "engramctl/runtime/threads.py",
        "            told = error\n",
        "            told = error\n            break\n",
        (f"{THREADS}::test_an_interrupted_gather_returns_when_no_thread_writes_any_more",),
    ),
    Mutation(
        "pieces-of-an-interrupted-gather-begin",
        "engramctl/runtime/threads.py",
        "return None if left else work(",
        "return work(",
        (f"{THREADS}::test_pieces_that_had_not_begun_never_do",),
    ),
    Mutation(
        "pages-that-failed-count-as-touched",
        "storage/io/mapped_rows.py",
        "                self.layers[layer].unmark(ids)\n",
        "                pass\n",
        ("tests/storage/io/test_mapped_faults.py",),
    ),
    Mutation(
        "the-callers-piece-goes-unasked",
        "engramctl/runtime/threads.py",
        "                own.append(work(0))\n",
        "                own.append(self.submit(work, 0).result())\n",
        (f"{WORKERS}::test_results_come_piece_by_piece_and_the_first_is_made_here_when_asked",),
    ),
    Mutation(
        "interrupted-hashes-write-on",
        "hashing/kernels/cpu.py",
        "WORKERS.each(pieces, piece) ",
        "[one.result() for one in [WORKERS.submit(piece, k) for k in range(pieces)]] ",
        ("tests/hashing/kernels/test_interrupted.py",),
    ),
    Mutation(
        "interrupted-matches-write-on",
        "hashing/dictionary/longest_match.py",
        "WORKERS.each(pieces, piece) ",
        "[one.result() for one in [WORKERS.submit(piece, k) for k in range(pieces)]] ",
        ("tests/hashing/kernels/test_interrupted.py",),
    ),
    Mutation(
        "pages-joined-too-widely", "storage/io/page_plan.py",
        "page != pages_P[i - 1] + 1 or",
        "page > pages_P[i - 1] + 2 or",
        (PLAN,),
    ),
    Mutation(
        "range-goes-on-beyond-its-file", "storage/io/page_plan.py",
        "line[4] = min(line[2], sizes[line[0]] - line[1])",
        "line[4] = line[2]",
        (PLAN,),
    ),
    Mutation(
        "half-holds-more-than-it-can", "storage/io/page_plan.py",
        "if used > most and i > start:",
        "if used > most + 1 and i > start:",
        (PLAN,),
    ),
    Mutation(
        "plan-believes-row-ids", "storage/io/page_plan.py",
        "    if first_outside(rows, 0, rows.shape[0], packed) >= 0:",
        "    if False:",
        (PLAN + "::test_rows_outside_the_table_are_refused_before_any_plan",),
    ),
    Mutation(
        "failed-read-hands-over-rows", "storage/direct/page_reads.py",
        "        self.chosen.files.check(batch)\n",
        "",
        (DIRECT,),
    ),
    Mutation(
        "dropped-ticket-keeps-its-memory", "storage/direct/fetch.py",
        "        self.release()",
        "        pass",
        (DIRECT,),
    ),
    Mutation(
        "widened-to-another-row", "storage/io/gather.py",
        "if not _widen(weight, scale, targets[i], facts, value_bytes, out_address):",
        "if not _widen(weight, scale, i, facts, value_bytes, out_address):",
        ("tests/storage/widening/test_widen_row.py",),
    ),
    Mutation(
        "short-reads-count-as-whole", "storage/readers/ring_walk.py",
        "over = came == 0 or got_R[i] >= ranges_R5[i, NEEDED]",
        "over = came >= 0",
        ("tests/storage/readers/test_short_reads.py",),
    ),
    Mutation(
        "ring-forgets-errors", "storage/readers/ring_walk.py",
        "            got_R[i] = came\n            over = True",
        "            over = True",
        (ENGINES + "::test_what_the_system_refuses_is_named_with_its_offset",),
    ),
    Mutation(
        "closing-leaves-reads-under-way", "storage/readers/uring_engine.py",
        "            one.wait()",
        "            pass",
        (ENGINES + "::test_a_batch_nobody_waits_for_is_over_when_the_engine_is_closed",),
    ),
    Mutation(
        "child-uses-its-parents-rings", "storage/readers/uring_engine.py",
        "        renew_in_children(self)\n",
        "",
        (ENGINES + "::test_a_forked_child_reads_with_rings_and_threads_of_its_own",),
    ),
    Mutation(
        "engine-is-believed", "storage/readers/choose.py",
        "if not np.array_equal(came, plain[:needed]):",
        "if False:",
        (CHOOSE + "::test_an_engine_that_reads_other_bytes_is_passed_over",),
    ),
    Mutation(
        "fallback-is-silent", "storage/readers/choose.py",
        'missing = [] if refused is None else [f"O_DIRECT: {refused}"]',
        "missing = []",
        (CHOOSE,),
    ),
    Mutation(
        "replaced-file-goes-unnoticed", "storage/readers/open_files.py",
        "if (there.st_dev, there.st_ino) != then[2:]:",
        "if False:",
        (FILES,),
    ),
    Mutation(
        "files-looked-at-once-for-ever", "storage/readers/open_files.py",
        "if not now and clock - self._looked_ns < LOOK_AGAIN_NS:",
        "if not now:",
        (FILES + "::test_files_are_looked_at_once_a_second",),
    ),
    Mutation(
        "holes-are-probed", "engramctl/machine/disk_probe.py",
        "return facts.st_size >= _LEAST_BYTES and facts.st_blocks * 512 >= facts.st_size * 0.95",
        "return facts.st_size >= _LEAST_BYTES",
        (PROBE + "::test_holes_and_small_files_say_nothing_of_a_disk",),
    ),
    Mutation(
        "probe-leaves-its-file", "engramctl/machine/disk_probe.py",
        "new.unlink(missing_ok=True)",
        "pass",
        (PROBE,),
    ),
    Mutation(
        "cold-gathers-held-against-nothing", "engramctl/bench/cases.py",
        "case.ceiling_rows_per_s = ceilings.of_disk(case.asked_bytes / PAGE / case.rows)",
        "case.ceiling_rows_per_s = ceilings.of_disk(1.0)",
        ("tests/bench/test_cold.py",),
    ),
    Mutation(
        "slow-disk-goes-unsaid", "storage/tiers/ssd.py",
        "        if slow is not None:",
        "        if False:",
        ("tests/storage/readers/test_medium.py",),
    ),
    Mutation(
        "another-files-pages-believed", "engramctl/machine/residency.py",
        "or os.access(path, os.W_OK):",
        "or True:",
        ("tests/machine/test_residency.py",),
    ),
    Mutation(
        "doubt-is-not-written-down", "engramctl/arms/subject.py",
        '            self.state = "unproved"',
        "            pass",
        ("tests/bench/test_cold.py::test_a_state_that_nobody_can_know_is_unproved",),
    ),
    Mutation(
        "whole-files-made-warm", "storage/io/mapping.py",
        "(files[one.path][1], one.offset, one.offset + one.num_bytes)",
        "(files[one.path][1], 0, len(files[one.path][1].data))",
        ("tests/storage/io/test_pages.py::test_populate_reads_the_pages_of_rows_alone",),
    ),
    Mutation(
        "dropped-pages-count-as-touched", "storage/io/mapping.py",
        "        self.seen[touched != 0] = 0\n",
        "",
        ("tests/storage/io/test_pages.py::test_only_the_pages_of_some_rows_are_dropped",),
    ),
    Mutation(
        "missing-pages-taken-for-known", "storage/io/pages.py",
        "                if not seen[page - base]:\n                    return True\n",
        "                if not seen[page - base]:\n                    return False\n",
        ("tests/storage/io/test_pages.py",),
    ),
    Mutation(
        "long-gathers-checked-in-their-first-part", "storage/requests/checked_ids.py",
        "count_distinct(flat, np.empty(",
        "count_distinct(flat[:most_copied], np.empty(",
        ("tests/storage/requests/test_checked_ids.py",),
    ),
)  # fmt: skip
