"""Which files of a corpus can be used, by what their footers say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engramctl.corpus.parquet import check_column, choose_column, read_footer
from engramctl.errors import CorpusError
from engramctl.sources.file import SourceFile


@dataclass(frozen=True)
class UsableFile:
    """A file whose footer and column are as they must be."""

    file: SourceFile
    meta: Any
    column: str
    kind: str


def usable_files(
    files: Sequence[SourceFile],
    column: str | None,
    with_text: bool,
    skip: bool,
    skipped: list[tuple[SourceFile, str]],
) -> list[UsableFile]:
    """Check footers and columns; add to `skipped`, or raise. The first good file decides."""
    usable: list[UsableFile] = []
    for file in files:
        try:
            meta = read_footer(file)
            schema = meta.schema.to_arrow_schema()
            name = column or choose_column(file, schema, with_text=with_text)
            column = name
            one = UsableFile(file, meta, name, check_column(file, schema, name))
            if usable and one.kind != usable[0].kind:
                raise CorpusError(
                    f"column '{name}' holds token ids in one file and text in another",
                    facts={"first": usable[0].file, "other": file},
                )
            usable.append(one)
        except CorpusError as error:
            if not skip:
                raise
            skipped.append((file, reason_of(error)))
    refuse_none(usable, skipped)
    return usable


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
