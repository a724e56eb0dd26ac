"""Sweeps: axes, IDs, what is left out and what is let go; and the token ids that are read."""

from tests.mutations import Mutation

_SWEEP = "tests/bench/test_sweep.py"
_AXES = "tests/sweep/test_axes.py"
_TRACE = "tests/traffic/test_trace.py"

MUTATIONS = (
    Mutation(
        "gathers-again-for-every-model",
        "engramctl/sweep/loops.py",
        "if loop.name not in seen:",
        "if True:",
        (f"{_AXES}::test_what_an_axis_does_not_change_is_measured_once",),
    ),
    Mutation(
        "a-run-of-no-case-is-well",
        "engramctl/sweep/loops.py",
        "    if not loops:\n",
        "    if False:\n",
        ("tests/sweep/test_plan.py::"
         "test_a_state_that_no_tier_has_is_refused_and_not_an_empty_run",),
    ),
    Mutation(
        "beginnings-cut-anywhere",
        "engramctl/sweep/loops.py",
        '    return {".".join(parts[:count]) for count in range(1, len(parts) + 1)}\n',
        "    return {whole[:count] for count in range(1, len(whole) + 1)}\n",
        ("tests/sweep/test_plan.py::test_a_beginning_ends_at_a_dot",),
    ),
    Mutation(
        "models-of-all-points-kept",
        "engramctl/measured/opened.py",
        "            self._models = self._drawn_for = None\n",
        "            pass\n",
        (f"{_SWEEP}::test_one_pair_of_models_is_in_memory_at_a_time",),
    ),
    Mutation(
        "first-model-for-every-point",
        "engramctl/measured/opened.py",
        "if self._models is None or self._drawn_for != wanted:",
        "if self._models is None:",
        (f"{_SWEEP}::test_one_pair_of_models_is_in_memory_at_a_time",),
    ),
    Mutation(
        "arms-of-fewer-tiers-taken-over",
        "engramctl/bench/book.py",
        "return set(loop.tiers) <= {",
        "return loop.name in self._of_earlier or set(loop.tiers) <= {",
        ("tests/bench/test_resumed.py::test_a_tier_more_measures_its_loops_anew",),
    ),
    Mutation(
        "decode-jumps-through-the-text",
        "engramctl/traffic/trace.py",
        "        if tokens > 1:\n",
        "        if True:\n",
        (f"{_TRACE}::test_a_decode_step_reads_the_token_after_the_one_before",),
    ),
    Mutation(
        "text-of-any-tokenizer",
        "engramctl/traffic/chosen.py",
        "if found is None or wanted.differs(found) is not None:",
        "if found is None:",
        ("tests/traffic/test_chosen.py::test_a_tokenizer_of_another_vocabulary_makes_no_ids",),
    ),
    Mutation(
        "cases-of-the-earlier-run-lost",
        "engramctl/bench/book.py",
        "        return [*found, *(case for cases in others for case in cases)]\n",
        "        return found\n",
        ("tests/bench/test_resumed.py::"
         "test_a_run_of_other_cases_adds_them_to_those_the_file_has",),
    ),
)  # fmt: skip
