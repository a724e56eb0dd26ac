"""The fused residual: what a single test guards."""

from tests.mutations import Mutation

_FUSED = "tests/residual/test_fused.py"

MUTATIONS = (
    Mutation(
        "fused-cut-instead-of-rounded",
        "engramctl/residual/bf16_values.py",
        "_HALF_BELOW, _QUIET_NAN = 0x7FFF, 0x7FC0",
        "_HALF_BELOW, _QUIET_NAN = 0xFFFF, 0x7FC0",
        (f"{_FUSED}::test_any_shape_is_that_of_the_plain_site",
         f"{_FUSED}::test_one_cast_rounds_to_the_nearest"),
    ),
    Mutation(
        "fused-not-a-number-becomes-one",
        "engramctl/residual/bf16_values.py",
        "builder.select(is_nan, ir.Constant(_I16, _QUIET_NAN), cut)",
        "builder.select(is_nan, ir.Constant(_I16, 0), cut)",
        (f"{_FUSED}::test_what_is_not_a_number_stays_so_in_bfloat16",),
    ),
    Mutation(
        "interrupted-operators-write-on",
        "engramctl/residual/cpu_calls.py",
        "    _workers.each(pieces, work, first_here=True)\n",
        "    others = [_workers.submit(work, one) for one in range(1, pieces)]\n"
        "    work(0)\n"
        "    [one.result() for one in others]\n",
        ("tests/residual/test_interrupted.py",),
    ),
    Mutation(
        "next-input-misses-the-memory",
        "engramctl/model/decoder.py",
        " and self.layers[index + 1].memory is None",
        "",
        ("tests/model/test_reference.py",),
    ),
    Mutation(
        "launches-dominate-unsaid",
        "engramctl/results/launch_bound.py",
        "max(0.0, time_ns - floor_ns) / step_ns",
        "max(0.0, floor_ns - time_ns) / step_ns",
        ("tests/results/test_launch_bound.py::test_it_is_the_time_above_the_floor_that_counts",),
    ),
)  # fmt: skip
