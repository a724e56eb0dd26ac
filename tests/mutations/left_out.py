"""What --list and --dry-run tell of tiers that a run leaves out."""

from tests.mutations import Mutation

LEFT = "tests/sweep/test_left_out.py::"
FILE = "engramctl/sweep/left_out.py"

MUTATIONS = (
    Mutation(
        "a-plan-promises-warm-rows-past-the-page-cache", FILE,
        "return None if budget is None else NONE_IS_WARM", "return None",
        (LEFT + "test_a_budget_that_keeps_no_row_has_no_warm_case",),
    ),
    Mutation(
        "a-plan-knows-no-row-cache-too-small", FILE,
        "    return _too_small(loop, table, host, gpu)\n", "    return None\n",
        (LEFT + "test_a_row_cache_too_small_for_a_sample_is_told_where_the_table_is_known",),
    ),
    Mutation(
        "a-plan-takes-one-token-for-a-sample", FILE,
        "table.rows_a_token * _tokens(loop)", "table.rows_a_token",
        (LEFT + "test_a_row_cache_too_small_for_a_sample_is_told_where_the_table_is_known",),
    ),
    Mutation(
        "a-plan-is-never-sure", FILE,
        "    if capacity < least:\n", "    if False:\n",
        (LEFT + "test_what_holds_not_even_the_rows_of_a_token_is_left_out_for_sure",),
    ),
    Mutation(
        "a-plan-forgets-what-a-gpu-keeps", FILE,
        "capacity = min(gpu // record, total) +", "capacity =",
        (LEFT + "test_what_holds_not_even_the_rows_of_a_token_is_left_out_for_sure",),
    ),
    Mutation(
        "a-plan-leaves-out-baselines", "engramctl/sweep/listing.py",
        'baselines = {resident for loop in loops if loop.case == "step"}', "baselines = set[str]()",
        (LEFT + "test_a_tier_that_is_in_no_loop_is_told_unless_it_is_a_baseline",),
    ),
    Mutation(
        "a-list-shows-no-tier-that-is-in-no-loop", "engramctl/sweep/listing.py",
        '"\\n".join((_LOOPS, *document["warnings"]))', "_LOOPS",
        (LEFT + "test_a_tier_that_is_in_no_loop_is_told_unless_it_is_a_baseline",),
    ),
    Mutation(
        "a-plan-takes-any-budget-for-traffic", FILE,
        "return None if loop.options.fill or table.has_records else NOTHING_KEPT", "return None",
        (LEFT + "test_traffic_wants_rows_that_are_kept",),
    ),
)  # fmt: skip
