"""Results held against each other: a gate that neither cries wolf nor sleeps."""

from tests.mutations import Mutation

_GATE = "tests/comparison/test_gate.py::"
_COMPARED = "tests/comparison/test_compared.py::"

MUTATIONS = (
    Mutation(
        "copies-say-nothing-of-drift",
        "engramctl/comparison/ratios.py",
        "    return max(math.hypot(*parts), copies, runs.loops, of_machine)\n",
        "    return max(math.hypot(*parts), runs.loops, of_machine)\n",
        (f"{_GATE}test_runs_of_one_build_pass_in_nineteen_of_twenty_tries",),
    ),
    Mutation(
        "rates-say-nothing-of-drift",
        "engramctl/comparison/ratios.py",
        "    return max(math.hypot(*parts), copies, runs.loops, of_machine)\n",
        "    return max(math.hypot(*parts), copies, runs.loops)\n",
        (f"{_GATE}test_the_rates_of_the_machine_itself_say_that_it_was_another_hour",),
    ),
    Mutation(
        "blocks-of-one-sample",
        "engramctl/comparison/spread.py",
        "round(count ** (1 / 3))",
        "1",
        (f"{_COMPARED}test_samples_that_follow_each_other_count_for_fewer",),
    ),
    Mutation(
        "tail-beyond-its-samples",
        "engramctl/comparison/spread.py",
        "            return math.inf\n",
        "            by = 1 - self.share\n",
        (f"{_COMPARED}test_a_tail_of_few_samples_has_no_interval_and_a_limit_on_it_is_refused",),
    ),
    Mutation(
        "histories-of-traffic-held-against-each-other",
        "engramctl/comparison/matched.py",
        "    return _other_history(ours[0].case, theirs[0].case)\n",
        "    return None\n",
        (f"{_COMPARED}test_samples_after_another_history_are_not_compared",),
    ),
    Mutation(
        "pairs-drawn-apart",
        "engramctl/comparison/ratios.py",
        "_OLD_SEED if runs.paired else _NEW_SEED",
        "_NEW_SEED",
        (f"{_COMPARED}test_paired_rounds_cancel_what_slows_both",),
    ),
    Mutation(
        "gate-that-sees-no-failed-case",
        "engramctl/comparison/limits.py",
        'if one["failed"]]',
        "if False]",
        ("tests/commands/test_compare.py::test_a_case_that_went_wrong_in_new_fails_a_gate",),
    ),
)
