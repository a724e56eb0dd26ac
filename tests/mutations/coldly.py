"""Steps past the page cache: planned by one kernel, waited for layer by layer."""

from tests.mutations import Mutation

STEP = "tests/storage/direct/test_step_plan.py"

MUTATIONS = (
    Mutation(
        "a-layer-waits-for-too-little", "storage/direct/step_plan.py",
        "        request_L3[k, _RANGES] = needed\n",
        "        request_L3[k, _RANGES] = needed - 1\n",
        (STEP,),
    ),
    Mutation(
        "a-layer-waits-for-all", "storage/direct/step_plan.py",
        "while needed < count and ranges_R5[needed, ADDRESS] <= last:",
        "while needed < count:",
        (STEP + "::test_the_first_layer_does_not_wait_for_the_second",),
    ),
)  # fmt: skip
