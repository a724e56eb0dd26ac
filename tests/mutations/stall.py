"""Stall, what is hidden of it, issue points, threads: figures that look right when they are not."""

from tests.mutations import Mutation

_OVERLAP = "tests/results/test_overlap.py"
_MEASURED = "tests/bench/test_measurement.py"
_STEPS = "tests/bench/test_steps.py"
_FIT = "tests/results/test_step_fit.py"

MUTATIONS = (
    Mutation(
        "stall-without-its-baseline",
        "engramctl/results/overlap.py",
        "statistics.median(waits) - statistics.median(resident)",
        "statistics.median(waits)",
        (f"{_OVERLAP}::test_a_wait_is_exposed_by_what_is_over_that_of_rows_on_the_device",),
    ),
    Mutation(
        "hidden-share-of-the-longer",
        "engramctl/results/overlap.py",
        "shorter = max(1, min(c, f))",
        "shorter = max(1, max(c, f))",
        (f"{_OVERLAP}::test_the_hidden_share_is_of_the_shorter_of_compute_and_fetch",),
    ),
    Mutation(
        "rows-asked-before-are-asked-again",
        "engramctl/arms/step.py",
        "ids, ticket = self._asked() if self._early is None else self._early",
        "ids, ticket = self._asked()",
        (f"{_MEASURED}::test_the_issue_point_decides_what_is_waited_for",),
    ),
    Mutation(
        "threads-not-set-before-a-sample",
        "engramctl/arms/ground.py",
        "        self.threads.set()\n",
        "",
        ("tests/arms/test_threads.py::test_the_ground_sets_what_a_sample_changed",),
    ),
    Mutation(
        "threads-not-looked-at",
        "engramctl/arms/arm.py",
        "        self.threads.add(threads_now())\n",
        "        self.threads.add(self._ground.threads)\n",
        (f"{_MEASURED}::test_an_arm_with_other_threads_is_told_and_not_compared",),
    ),
    Mutation(
        "unfair-baseline-is-compared-with",
        "engramctl/bench/compared.py",
        "for arm in (arms.timed[place], *found.values()))",
        "for arm in (arms.timed[place],))",
        (f"{_MEASURED}::test_a_baseline_with_other_threads_flags_what_is_held_against_it",),
    ),
    Mutation(
        "ready-rows-are-fetched",
        "engramctl/bench/loop_arms.py",
        "(ReadyArm if tier == READY else StepArm)(",
        "StepArm(",
        (f"{_STEPS}::test_every_step_names_its_floor_bytes_and_threads",),
    ),
    Mutation(
        "rows-needed-a-layer-late",
        "engramctl/results/step_fit.py",
        'at[one["layer"]] / num_layers)',
        '(at[one["layer"]] + 1) / num_layers)',
        (f"{_FIT}::test_a_layer_needs_its_rows_when_the_layers_before_it_are_done",),
    ),
)
