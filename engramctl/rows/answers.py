"""The four answers of `rows`: row ids printed or written, one position explained, ids compared."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from engramctl.errors import ConfigError
from engramctl.hashing import Lookup
from engramctl.output import Output, Table
from engramctl.rows.diff import compare
from engramctl.rows.explanation import explained
from engramctl.rows.files import LineSink, as_document, read_lines, write_file, write_line
from engramctl.rows.sequences import TokenSequence, layer_rows
from engramctl.rows.verdict import verdict
from engramctl.storage.files.atomic import os_errors


@dataclass(frozen=True)
class Answer:
    """What every answer needs.

    Attributes:
        sink: where it is shown.
        scheme: what maps token ids to rows.
        layers: those shown.
    """

    sink: Output
    scheme: Lookup
    layers: tuple[int, ...]

    def print(self, sequences: Iterator[TokenSequence], lines: LineSink) -> None:
        """Give lines as they come, or with --json one document at the end."""
        every = layer_rows(sequences, self.scheme, self.layers)
        if self.sink.format == "json":
            documents = [as_document(one) for one in every]
            self.sink.result({"kernel": self.scheme.kernel(), "sequences": documents})
            return
        for one in every:
            write_line(one, lines)

    def write(self, sequences: Iterator[TokenSequence], out: Path, *, force: bool) -> None:
        """Write a file that appears when it is whole."""
        written = write_file(
            layer_rows(sequences, self.scheme, self.layers),
            out,
            {layer: self.scheme.num_heads for layer in self.layers},
            force=force,
        )
        document = {
            "path": str(out),
            "scheme": self.scheme.name,
            "layers": list(self.layers),
            "kernel": self.scheme.kernel(),
            **written,
        }
        shown = {**document, "layers": ", ".join(map(str, self.layers))}
        self.sink.result(document, [Table("row ids", [shown])])

    def explain(self, sequences: Iterator[TokenSequence], position: int) -> None:
        """Show how one position of the first sequence goes."""
        first = next(sequences, None)
        length = 0 if first is None else len(first.token_ids)
        if first is None or not 0 <= position < length:
            raise ConfigError(
                f"the first sequence has no position {position}",
                facts={"positions": f"0 to {length - 1}" if length else "none"},
            )
        past = [] if first.history is None else first.history.tolist()
        ids = first.token_ids.tolist()
        documents, tables = explained(self.scheme, ids, position, self.layers, past)
        self.sink.result({"position": position, "layers": documents}, tables)

    def compare(self, sequences: Iterator[TokenSequence], path: Path, words: Sequence[str]) -> None:
        """Compare with the row ids of a file; ids that differ end the command.

        `words` are INPUT and the options that give our ids, for the hint.
        """
        with os_errors("read", path):
            file = path.open("rb")
        with file:
            theirs = read_lines(file, str(path))
            found = compare(self.scheme, self.layers, sequences, theirs, str(path))
        document = found.document()
        counts = {name: document[name] for name in ("sequences", "compared_ids", "differing_ids")}
        title = "every row id is equal" if found.first is None else "row ids differ"
        self.sink.result(document, [Table(title, [counts])])
        if found.first is not None:
            raise verdict(found, found.first, path, self.scheme, words)
