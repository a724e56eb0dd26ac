"""Rows to read, and what is known of them: a table of ours, or a model's checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engramctl.checkpoints.opening import (
    check_heads,
    check_rows,
    is_checkpoint,
    open_checkpoint,
    places_digest,
)
from engramctl.errors import ConfigError
from engramctl.hashing import Lookup, lookup_from_dict
from engramctl.hashing.walk.token_map import Canonical
from engramctl.schemes.options import read_scheme, with_tokenizer
from engramctl.storage.files.checksum import file_digest
from engramctl.storage.files.published import MANIFEST
from engramctl.storage.format.manifest import Provenance
from engramctl.storage.reading.source import Source
from engramctl.storage.reading.table import open_table
from engramctl.vocabulary.fingerprints import check_same, check_tokenizer, of_scheme
from engramctl.vocabulary.tokenizer_file import TOKENIZER


@dataclass(frozen=True)
class Opened:
    """A source with its scheme.

    Attributes:
        rows: where the records are.
        scheme: the content of scheme.json.
        provenance: where the rows come from; the source's own.
        digest: xxh3-128 of what describes the source: its manifest, or a checkpoint's headers.
        family: of a checkpoint, else None.
        notes: what a checkpoint lacks, or is read instead of what was named.
        has_constants: whether the scheme's constants go with the rows: not with those of a
            checkpoint that ships none.
    """

    rows: Source
    scheme: Mapping[str, Any]
    provenance: Provenance
    digest: str
    family: str | None = None
    notes: tuple[str, ...] = ()
    has_constants: bool = True

    @property
    def takes_canonical(self) -> bool:
        """Whether the scheme has no token map and takes canonical ids."""
        canonical = self.scheme.get("canonical")
        return isinstance(canonical, dict) and canonical.get("kind") == "canonical"

    @property
    def path(self) -> Path:
        """The folder or file."""
        return self.rows.path


def open_rows(path: Path, scheme: Path | None = None, tokenizer: Path | None = None) -> Opened:
    """Open a table or shards folder of ours, or a model's checkpoint in place.

    Args:
        path: the folder or file.
        scheme: scheme.json of a checkpoint whose own files do not say it.
        tokenizer: tokenizer.json of a scheme that has no token map; of one that has it must be its
            own. None: of a checkpoint the one in its folder.

    Raises:
        FormatError: neither, unfinished, or damaged as far as sizes and headers tell.
        ConfigError: a checkpoint whose scheme is not known, a scheme given for a table of ours, or
            another tokenizer.
        StorageError: it cannot be read.
    """
    if is_checkpoint(path):
        return _open_checkpoint(path, scheme, tokenizer)
    table = open_table(path)
    if scheme is not None:
        raise ConfigError(f"{path} has its scheme in its manifest", hint="leave out --scheme")
    manifest = table.manifest
    document = manifest.scheme
    if tokenizer is not None:
        made = lookup_from_dict(dict(document))
        document = with_tokenizer(made, tokenizer, f"table {path}").to_dict()
    return Opened(table, document, manifest.provenance, file_digest(path / MANIFEST))


def _open_checkpoint(path: Path, file: Path | None, tokenizer: Path | None) -> Opened:
    named = None if file is None else read_scheme(file)
    checkpoint = open_checkpoint(path, tokenizer if file is None else None, named)
    scheme = checkpoint.scheme
    if named is not None and file is not None:
        scheme = _with_tokenizer_beside(named, file, path, tokenizer)
        scheme = replace(scheme, dtype=checkpoint.rows.record.dtype)
        check_rows(path, scheme, checkpoint.rows)
        check_heads(scheme, checkpoint)
    if scheme is None:
        raise ConfigError(
            f"{path} does not say by which scheme its rows are read",
            facts={
                "family": checkpoint.family,
                **({"found": checkpoint.no_scheme} if checkpoint.no_scheme else {}),
            },
            hint="name one with --scheme FILE; engramctl rows ... --save-scheme FILE writes it",
        )
    origin = Provenance(command=("engramctl", "layout", str(path)))
    digest = places_digest(checkpoint.rows)
    return Opened(
        checkpoint.rows,
        scheme.to_dict(),
        origin,
        digest,
        checkpoint.family,
        checkpoint.notes,
        checkpoint.has_constants,
    )


def _with_tokenizer_beside(
    scheme: Lookup, file: Path, model: Path, tokenizer: Path | None
) -> Lookup:
    """Return a scheme.json's scheme with the tokenizer named, or that of the model's folder."""
    beside = _beside(model)
    if tokenizer is None and scheme.canonical.kind in ("map", "canonical") and beside.is_file():
        tokenizer = beside
    return scheme if tokenizer is None else with_tokenizer(scheme, tokenizer, f"scheme {file}")


def _beside(model: Path) -> Path:
    return (model if model.is_dir() else model.parent) / TOKENIZER


def check_source(canonical: Canonical, what: str, source: Path) -> None:
    """Refuse rows or embeddings of another tokenizer than a scheme's.

    Args:
        canonical: the scheme's first step.
        what: whose it is, for messages.
        source: a folder of ours, or a model's folder or file, whose tokenizer.json tells.

    Raises:
        ConfigError: another one.
    """
    wanted = of_scheme(canonical, what)
    beside = _beside(source)
    if (source / MANIFEST).exists():
        theirs = lookup_from_dict(dict(open_table(source).manifest.scheme)).canonical
        hint = "name the tokenizer.json that the source was built with: --tokenizer"
        check_same(wanted, of_scheme(theirs, f"the source {source}"), hint)
        if theirs.kind == "map" and canonical.kind == "identity":
            raise ConfigError(
                f"the source {source} has a token map, and {what} has none", hint=hint
            )
    elif canonical.kind == "map" and beside.is_file():
        check_tokenizer(beside, wanted)
