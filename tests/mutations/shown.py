"""What people see: tables on narrow terminals, notes beside bars."""

from tests.mutations import Mutation

_NARROW = "tests/terminal/test_columns.py::test_a_wide_table_is_continued_below_and_no_cell_is_cut"
_EVERY = "tests/terminal/test_columns.py::test_every_column_is_shown_and_every_table_fits"

MUTATIONS = (
    Mutation(
        "speed-cut-at-the-edge",
        "engramctl/terminal/bar.py",
        "                _fit(facts)\n",
        "                pass\n",
        ("tests/test_progress.py::test_a_bar_too_long_for_its_terminal_cuts_no_number",),
    ),
    Mutation(
        "command-broken-in-a-terminal",
        "engramctl/terminal/words.py",
        ' or "engramctl " in line:\n',
        ":\n",
        ("tests/terminal/test_words.py::test_a_command_is_left_whole_for_pasting",),
    ),
    Mutation(
        "rival-in-the-config-stays",
        "engramctl/arguments/words.py",
        "        _settle_rivals(ctx)\n",
        "",
        ("tests/arguments/test_words.py::test_a_given_option_beats_its_rival_in_the_config",),
    ),
    Mutation(
        "wide-tables-cut",
        "engramctl/terminal/columns.py",
        "        if total_width(widths) > width and len(tables[-1]) > len(names):\n",
        "        if False:\n",
        (_NARROW, _EVERY),
    ),
    Mutation(
        "continued-table-without-names",
        "engramctl/terminal/columns.py",
        "            tables.append(list(names))\n",
        "            tables.append([])\n",
        (_NARROW, _EVERY),
    ),
    Mutation(
        "unit-parted-from-its-number",
        "engramctl/terminal/words.py",
        'rf"{_NUMBER} {_UNIT}(?!\\S)|\\S+"',
        'r"\\S+"',
        ("tests/terminal/test_words.py::test_a_number_is_in_one_line_with_its_unit",),
    ),
    Mutation(
        "column-without-a-value",
        "engramctl/terminal/columns.py",
        "[column for column in columns if not column.empty] or columns[:1]",
        "columns",
        ("tests/terminal/test_drawing.py::test_a_column_without_a_value_is_not_shown",),
    ),
    Mutation(
        "last-column-in-the-line-above",
        "engramctl/terminal/columns.py",
        "    return (common, rest) if len(rest) > 1 else ([], shown)\n",
        "    return (common, rest) if rest else ([], shown)\n",
        ("tests/terminal/test_drawing.py::test_two_columns_stay_whatever_is_common",),
    ),
    Mutation(
        "one-column-alone-in-the-last-part",
        "engramctl/terminal/columns.py",
        "range(width // len(widest), width)",
        "range(width, width)",
        ("tests/terminal/test_columns.py::test_parts_are_about_as_wide_as_each_other",),
    ),
    Mutation(
        "measures-that-name-rows",
        "engramctl/terminal/columns.py",
        "takewhile(lambda one: one.names, columns[1:-1])",
        "columns[1:-1]",
        ("tests/terminal/test_columns.py::test_a_measure_is_no_name_of_a_row",),
    ),
    Mutation(
        "columns-of-later-rows-left-out",
        "engramctl/output.py",
        "name for row in self.rows for name in row",
        "name for row in self.rows[:1] for name in row",
        ("tests/test_output.py::test_md_and_csv_hold_what_a_terminal_leaves_out",),
    ),
    Mutation(
        "note-on-the-line-of-a-bar",
        "engramctl/output.py",
        "                self._clear()\n",
        "                pass\n",
        ("tests/test_progress.py::test_a_note_beside_an_open_bar_has_a_line_of_its_own",),
    ),
    Mutation(
        "bar-without-work",
        "engramctl/output.py",
        "delay=0 if total else 0.001",
        "delay=0",
        ("tests/test_progress.py::test_work_that_may_be_none_has_no_bar_when_there_is_none",),
    ),
)
