"""Mixtures under bench: who served a row, which store has seen what, what is refused."""

from tests.mutations import Mutation

BENCH = "tests/bench/test_mixtures.py"
SWEEP = "tests/sweep/test_mixtures.py"
TIERS = "tests/storage/tiers/test_mixture.py"
DISTINCT = "tests/storage/requests/test_distinct_ids.py"

MUTATIONS = (
    Mutation(
        "a-mixture-over-ssd-has-no-cold-rows", "storage/tiers/tier_list.py",
        '    return whole_tier(name) == "ssd"', '    return name == "ssd"',
        (SWEEP + "::test_a_mixture_over_ssd_has_the_states_of_rows_on_disk",),
    ),
    Mutation(
        "two-spellings-are-two-tiers", "engramctl/sweep/options.py",
        "dict.fromkeys(read_tiers(one).name for one in self.tiers)",
        "dict.fromkeys(one for one in self.tiers if read_tiers(one))",
        (SWEEP + "::test_spellings_of_one_mixture_are_one_tier",),
    ),
    Mutation(
        "a-tier-without-its-state-takes-all-others-along", "engramctl/bench/loop_arms.py",
        "            skipped[tier] = str(error)\n            del subjects[tier]\n",
        "            skipped |= dict.fromkeys(subjects, \"\")\n            subjects.clear()\n",
        (BENCH + "::test_a_mixture_too_small_for_a_sample_is_left_out_and_the_others_run",),
    ),
    Mutation(
        "a-loop-that-begins-again-reads-on", "engramctl/bench/run.py",
        "subjects, skipped, lists.__getitem__, loop,",
        "subjects, skipped, lambda number: self._token_ids.lists(loop)[number], loop,",
        (BENCH + "::test_a_loop_that_begins_again_reads_the_windows_it_has",),
    ),
    Mutation(
        "a-tier-without-the-state-is-left-out-silently", "engramctl/bench/run.py",
        "for told in tiers_left_out(options, measured):", "for told in ():",
        (BENCH + "::test_a_tier_without_the_state_is_told_of_unless_it_is_a_baseline",),
    ),
    Mutation(
        "a-row-cache-beside-a-mixture", "engramctl/sweep/mixtures.py",
        "        if cache is not None:\n", "        if False:\n",
        (SWEEP + "::test_what_is_no_mixture_or_contradicts_it_is_refused_with_what_to_write",),
    ),
    Mutation(
        "one-store-has-seen-what-comes-before", "engramctl/bench/token_ids.py",
        "{tier: list(first) for tier in options.tiers if on_disk(tier)}",
        "dict.fromkeys(filter(on_disk, options.tiers), first)",
        (BENCH + "::test_after_traffic_every_store_has_seen_the_same_tokens",),
    ),
    Mutation(
        "a-copy-s-windows-are-owed-to-its-own-store-alone", "engramctl/bench/token_ids.py",
        "readers.append({case.tier for case in cases if case.samples_ns})",
        "readers.append({case.tier for case in cases if case.copy_samples_ns})",
        (BENCH + "::test_a_run_that_goes_on_gives_each_store_what_its_own_arms_had_read",),
    ),
    Mutation(
        "a-mixture-begins-empty-for-all-its-counts", "engramctl/measured/opened.py",
        "if on_disk(tier) and self._accesses is not None:",
        'if tier == "ssd" and self._accesses is not None:',
        (BENCH + "::test_counts_warm_the_cache_of_a_mixture",),
    ),
    Mutation(
        "rows-of-a-gpu-are-told-twice", "engramctl/bench/step_figures.py",
        '    useful -= found["gpu"] or 0.0\n', "",
        (BENCH + "::test_rows_of_a_gpu_are_its_bytes_and_the_rest_the_slower_tiers",),
    ),
    Mutation(
        "a-dry-run-forgets-the-gpu-s-part", "engramctl/sweep/listing.py",
        'on_gpu = tiers.cache_bytes("gpu")', "on_gpu = 0",
        (SWEEP + "::test_a_dry_run_adds_up_the_memory_of_a_mixture",),
    ),
    Mutation(
        "a-step-that-asks-in-the-layer-is-not-told", "engramctl/shown/step_tables.py",
        "    if len(issues) == 1:\n", "    if False:\n",
        (BENCH + "::test_a_step_of_a_mixture_says_when_it_asks_and_a_gather_never_does",),
    ),
    Mutation(
        "pages-that-go-as-one-piece-stay", "engramctl/arms/subject.py",
        "            percent = self._resident_without_all(row_ids)\n", "            pass\n",
        (
            "tests/bench/test_cold.py::"
            "test_pages_that_go_only_with_all_others_are_cold_all_the_same",
        ),
    ),
    Mutation(
        "older-ranks-have-no-issue-point", "engramctl/results/document.py",
        '    if case["name"] == "ranks":', "    if False:",
        ("tests/results/test_first_schema.py::test_older_steps_on_ranks_asked_at_their_start",),
    ),
    Mutation(
        "a-mixture-is-laid-out-as-an-unknown-tier", "engramctl/tables/layout.py",
        "    if is_mixture(tier):\n", "    if False:\n",
        ("tests/commands/test_layout.py::test_a_wrong_layout_is_one_clear_error",),
    ),
    Mutation(
        "bash-is-offered-what-stands-before-the-colon", "engramctl/completion/shells.py",
        'beginning.rfind(":") + 1 if parted else 0', "0",
        ("tests/completion/test_shells.py::test_bash_reads_words",),
    ),
    Mutation(
        "a-long-request-is-counted-part-by-part", "storage/requests/checked_ids.py",
        "distinct = count_distinct(flat, np.empty(size, np.int64), num_rows)",
        "distinct = sum(count_distinct(flat[k : k + most_copied], np.empty(size, np.int64), "
        "num_rows) for k in range(0, len(flat), most_copied))",
        (TIERS + "::test_what_was_never_in_the_cache_is_no_hit_of_it",),
    ),
    Mutation(
        "ids-of-every-pass-are-all", "storage/requests/distinct_ids.py",
        "_HALF != np.uint64(number):", "_HALF == parts:",
        (DISTINCT,),
    ),
    Mutation(
        "a-range-of-bits-begins-too-early", "storage/requests/distinct_ids.py",
        "if 0 <= at < bits:", "if 0 <= at <= bits - 2:",
        (DISTINCT,),
    ),
    Mutation(
        "a-full-table-of-hashes-is-a-count", "storage/requests/distinct_ids.py",
        "        if distinct >= 0:\n", "        if distinct:\n",
        (DISTINCT,),
    ),
    Mutation(
        "a-cache-larger-than-the-table-is-reserved", "storage/cache/row_cache.py",
        "    if capacity < min(num_rows, MOST_SLOTS):\n", "    if capacity <= num_rows:\n",
        ("tests/storage/cache/test_row_cache.py::test_no_more_is_reserved_than_all_rows_need",),
    ),
    Mutation(
        "memory-that-is-not-given-ends-the-bench", "storage/memory/reserved.py",
        "except (OSError, OverflowError, ValueError) as error:", "except KeyError as error:",
        (BENCH + "::test_a_budget_that_the_system_does_not_give_ends_its_tier_alone",),
    ),
    Mutation(
        "a-mixture-keeps-rows-that-nobody-named", "storage/tiers/door.py",
        "    if tiers.caches and not named:\n", "    if False:\n",
        (TIERS + "::test_a_mixture_keeps_what_its_name_says_and_no_more",),
    ),
)  # fmt: skip
