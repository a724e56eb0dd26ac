"""What people see: tables on narrow terminals, notes beside bars."""

from tests.mutations import Mutation

_NARROW = "tests/terminal/test_columns.py::test_a_wide_table_is_continued_below_and_no_cell_is_cut"
_EVERY = "tests/terminal/test_columns.py::test_every_column_is_shown_and_every_table_fits"

MUTATIONS = (
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
        "engramctl/terminal/columns.py",
        "        return self.number or all(_MEASURED.fullmatch(cell) for cell in self.cells)\n",
        "        return self.number\n",
        (_NARROW,),
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
