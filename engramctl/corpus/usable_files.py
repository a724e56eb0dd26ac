"""Which files of a corpus can be used, by what their footers say."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from engramctl.corpus.parquet import check_column, choose_column, id_bits, read_footer
from engramctl.errors import CorpusError
from engramctl.sources.file import SourceFile


@dataclass(frozen=True)
class UsableFile:
    """A file whose footer and column are as they must be.

    Attributes:
        file: the file.
        meta: its footer, as pyarrow gives it.
        column: the column that is read.
        kind: "ids" or "text"; None: the column holds nothing that would tell.
    """

    file: SourceFile
    meta: Any
    column: str
    kind: str | None

    @property
    def id_bits(self) -> int | None:
        """Bits of the type that ids are stored in; None where there are none."""
        return id_bits(self.meta.schema.to_arrow_schema(), self.column)


def usable_files(
    files: Sequence[SourceFile],
    column: str | None,
    with_text: bool,
    skip: bool,
    skipped: list[tuple[SourceFile, str]],
) -> list[UsableFile]:
    """Check footers and columns; add to `skipped`, or raise. The first good file decides.

    A file without rows holds no document, whatever its columns are, where another one has some. A
    column of nulls alone holds empty documents, of ids or of text as the other files.
    """
    usable: list[UsableFile] = []
    rowless: list[UsableFile] = []
    decides: UsableFile | None = None
    for file in files:
        try:
            meta = read_footer(file)
            if not meta.num_rows:
                rowless.append(UsableFile(file, meta, "", None))
                usable.append(rowless[-1])
                continue
            one = _checked(file, meta, column, with_text)
            column = one.column
            if decides is not None and one.kind not in (None, decides.kind):
                raise CorpusError(
                    f"column '{column}' holds token ids in one file and text in another",
                    facts={"first": decides.file, "other": file},
                )
            if decides is None and one.kind is not None:
                decides = one
            usable.append(one)
        except CorpusError as error:
            if not skip:
                raise
            skipped.append((file, reason_of(error)))
    refuse_none(usable, skipped)
    if len(rowless) == len(usable):
        one = _checked(rowless[0].file, rowless[0].meta, column, with_text)
        column = one.column
        decides = one if one.kind else None
    kind = decides.kind if decides else "ids"
    return [replace(one, column=column or "", kind=kind) for one in usable]


def _checked(file: SourceFile, meta: Any, column: str | None, with_text: bool) -> UsableFile:
    schema = meta.schema.to_arrow_schema()
    name = column or choose_column(file, schema, with_text=with_text)
    return UsableFile(file, meta, name, check_column(file, schema, name))


def reason_of(error: CorpusError) -> str:
    """Return an error in one line."""
    found = error.facts.get("found")
    return error.message if found is None else f"{error.message}: {found}"


def refuse_none(files: Sequence[object], skipped: Sequence[tuple[SourceFile, str]]) -> None:
    """Raise where no file is left."""
    if not files:
        file, reason = skipped[0]
        raise CorpusError(
            "no file of the corpus can be used",
            facts={"files": len(skipped), "first": file, "reason": reason},
            hint="name other files",
        )
