"""The one sink: results to stdout, everything for people to stderr.

Commands hand over one document and the tables that show it. `--json` prints the document and
nothing else; otherwise the tables are printed. Notes and progress never touch stdout, and a stderr
that cannot be written to never ends the work. No control character of a file reaches the terminal.
"""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from engramctl.errors import printable, unknown
from engramctl.terminal.columns import Column
from engramctl.terminal.drawing import HEAD, TITLE, drawn
from engramctl.terminal.streams import tell

Format = str
FORMATS = ("table", "json", "csv", "md")
COMPILING = "compiling kernels: first run only, kept for the next one"
COMPILING_IN_VAIN = (
    "compiling kernels, in every run: no folder to keep them in is ours alone; "
    "name one with NUMBA_CACHE_DIR"
)
PIPE_WIDTH = 160  # of tables that no terminal shows
_STYLES = {TITLE: "italic", HEAD: "bold"}
_NUMBERS = (bool, int, float, type(None))
_announcer: object | None = None


@dataclass(frozen=True)
class Table:
    """Rows to show under a title; their keys are the columns, as they are met.

    `caption` says below the table what its columns mean, where that is not plain. In a terminal a
    column without a value is left out, and one that is the same in every row stands in a line above
    the others; md and csv hold every column.
    """

    title: str
    rows: Sequence[Mapping[str, object]]
    caption: str = ""

    @property
    def names(self) -> list[str]:
        """The columns of all rows."""
        return list(dict.fromkeys(name for row in self.rows for name in row))

    def printable(self) -> "Table":
        """Return the table with every name and text as a terminal may show it."""
        rows = [
            {
                printable(name): value if isinstance(value, _NUMBERS) else printable(str(value))
                for name, value in row.items()
            }
            for row in self.rows
        ]
        lines = [printable(line) for line in self.caption.split("\n")]
        return Table(printable(self.title), rows, "\n".join(lines))


def cell(value: object) -> str:
    """Show one value: thousands separators, at most four significant decimals, '-' for unknown."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def markdown(tables: Sequence[Table]) -> str:
    """Return tables as Markdown, captions below; those without rows are left out."""
    text = []
    for table in tables:
        if table.rows:
            names = table.names
            lines = [names, *([cell(row.get(name)) for name in names] for row in table.rows)]
            rows = ["| " + " | ".join(map(_in_markdown, line)) + " |" for line in lines]
            rows.insert(1, "|" + "---|" * len(names))
            text += [f"**{_in_markdown(table.title)}**", "", *rows, ""]
            text += [_in_markdown(table.caption), ""] if table.caption else []
    return "\n".join(text)


def _in_markdown(text: str) -> str:
    """Escape what would end a cell or begin an HTML tag."""
    return text.replace("<", "&lt;").replace("|", "\\|")


def _column(name: str, rows: Sequence[Mapping[str, object]]) -> Column:
    values = [row.get(name) for row in rows]
    number = all(value is None or isinstance(value, int | float) for value in values)
    return Column(name.replace("_", " "), tuple(map(cell, values)), number)


class Output:
    """Where a command's words go. One per command run."""

    def __init__(
        self, *, format: Format = "table", quiet: bool = False, silent: bool = False
    ) -> None:
        """`quiet` drops notes and progress, never the result; `silent` the result too.

        Raises:
            ConfigError: the format is none of FORMATS.
        """
        if format not in FORMATS:
            raise unknown("format", format, FORMATS)
        self.format = format
        self.quiet = quiet
        self.silent = silent
        self._clear: Callable[[], object] | None = None  # of the bar that is open

    def result(self, document: Mapping[str, object], tables: Sequence[Table] = ()) -> None:
        """Print the result once, in the format asked for."""
        tables = [table.printable() for table in tables]
        if self.silent:
            return
        if self.format == "json":
            print(json.dumps(document, indent=1, default=str).replace("\x7f", "\\u007f"))
        elif self.format == "csv":
            self._csv(tables)
        elif self.format == "md":
            self._markdown(tables)
        else:
            self._screen(tables)

    def note(self, text: str) -> None:
        """Tell a person something, on stderr."""
        if not self.quiet:
            if self._clear is not None:
                self._clear()
            tell(printable(text))

    def notes(self, texts: Iterable[str]) -> None:
        """Tell a person several things, a line each."""
        for text in texts:
            self.note(text)

    @contextmanager
    def progress(self, title: str, total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
        """Show progress on a terminal's stderr; yields a function that adds to the count."""
        from engramctl.terminal.bar import progress_bar

        off = self.quiet or not sys.stderr.isatty()
        with progress_bar(
            printable(title),
            total,
            unit,
            disable=off,
            delay=0 if total else 0.001,  # of work that may be none: shown once there is some
            file=sys.stderr,
        ) as bar:

            def advance(amount: int) -> None:
                bar.update(amount)

            self._clear = bar.clear
            try:
                yield advance
            finally:
                self._clear = None

    def announce_compilation(self) -> None:
        """Say once a process, when numba really compiles, that the first run takes longer."""
        from numba.core import event

        from engramctl.runtime.kernel_cache import kernel_folder

        global _announcer
        if _announcer is not None:
            return
        out = self

        class Announcer(event.Listener):  # type: ignore[misc]
            told = False

            def on_start(self, event: object) -> None:
                if not self.told:
                    self.told = True
                    out.note(COMPILING if kernel_folder() else COMPILING_IN_VAIN)

            def on_end(self, event: object) -> None:
                pass

        _announcer = Announcer()
        event.register("numba:compile", _announcer)

    def _screen(self, tables: Sequence[Table]) -> None:
        from rich.console import Console

        width = None if sys.stdout.isatty() else PIPE_WIDTH
        console = Console(file=sys.stdout, width=width, markup=False, emoji=False, highlight=False)
        for table in tables:
            if not table.rows:
                continue
            columns = [_column(name, table.rows) for name in table.names]
            for kind, line in drawn(table.title, columns, table.caption, console.width):
                console.print(line, style=_STYLES.get(kind), soft_wrap=True)
            console.print()

    def _csv(self, tables: Sequence[Table]) -> None:
        import csv

        for table in tables:
            if table.rows:
                writer = csv.DictWriter(sys.stdout, table.names, lineterminator="\n")
                writer.writeheader()
                writer.writerows([dict(row) for row in table.rows])

    def _markdown(self, tables: Sequence[Table]) -> None:
        if text := markdown(tables):
            print(text)
