"""Cache curves and fits: chance, policies of old files, the tails that are tried."""

from tests.mutations import Mutation

_VIEW = "tests/reuse/test_view.py"

MUTATIONS = (
    Mutation(
        "chance-counts-mined-ngrams",
        "engramctl/reuse/chunk_counts.py",
        "            out[index] = values[slot, 0] == 0 and values[slot, 1] == 0\n",
        "            out[index] = True\n",
        (
            "tests/reuse/test_curves.py::"
            "test_chance_is_hits_of_fixed_rows_by_ngrams_that_were_never_mined",
        ),
    ),
    Mutation(
        "chance-of-half-the-mined-text",
        "engramctl/reuse/study.py",
        "            if self._options.max_tokens_per_file is None:\n",
        "            if True:\n",
        (
            "tests/reuse/test_curves.py::"
            "test_chance_is_not_said_where_not_all_mined_ngrams_are_known",
        ),
    ),
    Mutation(
        "oracle-of-old-files-unknown",
        "engramctl/reuse/view.py",
        'EARLIER_NAMES = {"oracle": "best_fixed"}',
        "EARLIER_NAMES: dict[str, str] = {}",
        (f"{_VIEW}::test_a_file_that_calls_the_best_fixed_set_oracle_is_shown_as_a_new_one",),
    ),
    Mutation(
        "first-gap-decides-a-tail",
        "engramctl/access/power_tail.py",
        "(max(1, (len(values) - start) // _STRIDES), 1)",
        "(max(1, (len(values) - start) // _STRIDES),)",
        ("tests/access/test_power_tail.py::test_the_distance_of_a_long_tail_is_its_largest_gap",),
    ),
)
