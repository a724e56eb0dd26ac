"""Results shown again: no doubtful figure, the same table, and when and how it was made."""

from tests.mutations import Mutation

MUTATIONS = (
    Mutation(
        "csv-has-figures-below-resolution",
        "engramctl/shown/rows.py",
        '            row[f"against_{name}_percent"] = None\n',
        "            pass\n",
        ("tests/shown/test_rows.py::"
         "test_of_a_difference_below_resolution_csv_has_the_flag_alone",),
    ),
    Mutation(
        "columns-unexplained-where-used",
        "engramctl/shown/step_tables.py",
        "        if any(row.get(name) is not None for row in rows)\n",
        "        if all(row.get(name) is not None for row in rows)\n",
        ("tests/shown/test_tables.py::"
         "test_a_column_whose_name_does_not_say_it_has_a_line_below",),
    ),
    Mutation(
        "baseline-of-another-loop",
        "engramctl/demo/view.py",
        'baseline = _without_memory(result, step["loop"])',
        'baseline = _without_memory(result, "warm")',
        ("tests/demo/test_view.py::test_the_time_without_memory_is_of_the_same_loop",),
    ),
    Mutation(
        "words-of-the-outer-command",
        "engramctl/terminal/command_line.py",
        "    before = _typed.set(tuple(words))\n",
        "    before = _typed.set(_typed.get() or tuple(words))\n",
        ("tests/terminal/test_command_line.py::test_a_command_inside_a_command_has_its_own",),
    ),
)  # fmt: skip
