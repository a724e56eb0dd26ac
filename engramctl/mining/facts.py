"""What a counts directory says about itself, and what an unfinished run remembers of its corpus."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import xxhash

import engramctl
from engramctl.corpus.corpus import Corpus
from engramctl.errors import ConfigError
from engramctl.mining.options import MineOptions
from engramctl.mining.reading import Position
from engramctl.mining.writer import OrderTotals
from engramctl.sources.file import SourceFile
from engramctl.vocabulary.tokenizer_file import vocabulary_digest

MANIFEST_SCHEMA = "engramctl.counts/1"
_READ_BYTES = 1 << 22


def file_digest(file: SourceFile) -> str:
    """Return the xxh3-128 of a file as 32 hexadecimal digits, read in pieces."""
    digest = xxhash.xxh3_128()
    with file.open() as stream:
        while piece := stream.read(_READ_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def file_facts(file: SourceFile) -> dict[str, Any]:
    """Return size in bytes and xxh3-128, as manifests have them."""
    return {"bytes": file.num_bytes, "xxh3_128": file_digest(file)}


def identity(corpus: Corpus, options: MineOptions, scheme: Mapping[str, Any]) -> dict[str, Any]:
    """Return what must be the same for a run to be continued: what decides the bytes.

    `scheme` is `engramctl.access.recorder.Recorder.identity`.
    """
    tokenizer = corpus.tokenizer_path if corpus.tokenizer else None
    return {
        "orders": sorted(options.orders),
        "min_count": options.min_count,
        "top_k": options.top_k,
        **scheme,
        "column": corpus.column,
        "tokenizer_xxh3_128": file_digest(SourceFile.local(tokenizer)) if tokenizer else None,
        "vocabulary_xxh3_128": vocabulary_digest(corpus.tokenizer) if corpus.tokenizer else None,
        "corpus": [{"file": str(file), **file_facts(file)} for file in corpus.files],
    }


def check_identity(partial: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse to continue a run over other files or with other options.

    Raises:
        ConfigError: names the first file or the options that differ.
    """
    if before == now:
        return
    hint = "give what the first run was given with --resume, or add --force to start over"
    for old, new in zip(before["corpus"], now["corpus"], strict=False):
        if old != new:
            raise ConfigError(
                f"{new['file']} is not the file that {partial.name} was begun with",
                facts={"expected": _shown(old), "found": _shown(new)},
                hint=hint,
            )
    names = [name for name in now if before.get(name) != now[name]]
    count = {"corpus": f"{len(before['corpus'])} files, now {len(now['corpus'])}"}
    raise ConfigError(
        f"{partial.name} was begun with other options",
        facts={name: count.get(name, f"{before.get(name)}, now {now[name]}") for name in names},
        hint=hint,
    )


def _shown(entry: dict[str, Any]) -> str:
    return f"{entry['file']}, {entry['bytes']:,} bytes, xxh3 {entry['xxh3_128'][:8]}"


def tokenised(corpus: Corpus) -> dict[str, str] | None:
    """Return which tokenizer made ids of text, and why text was read; None: ids were."""
    if corpus.why_text is None:
        return None
    return {"tokenizer": str(corpus.tokenizer_path), "why": corpus.why_text}


def summary(
    corpus: Corpus, read: Position, options: MineOptions, totals: Sequence[OrderTotals]
) -> dict[str, Any]:
    """Return the document of `summary.json`."""
    return {
        "schema": "engramctl.counts-summary/1",
        "tokens": read.tokens,
        "documents": read.documents,
        "max_token_id": read.max_id,
        "vocab_bits": max(1, read.max_id.bit_length()),
        "min_count": options.min_count,
        "top_k": options.top_k,
        "column": corpus.column,
        "tokenised": tokenised(corpus),
        "corpus": [str(file) for file in corpus.files],
        "skipped_files": [{"file": str(file), "reason": reason} for file, reason in corpus.skipped],
        "orders": [order.summary() for order in totals],
    }


def manifest(about: dict[str, Any], found: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the manifest.

    Args:
        about: `identity` of the run.
        found: `summary` of the run.
        folder: where its files lie.
    """
    orders = []
    for order in found["orders"]:
        name = f"order{order['order']}.parquet"
        facts = {key: order[key] for key in ("order", "distinct", "kept")}
        orders.append({**facts, "file": name, **file_facts(SourceFile.local(folder / name))})
    others = {file.name for file in folder.glob("*.parquet")} - {one["file"] for one in orders}
    return {
        "schema": MANIFEST_SCHEMA,
        "created_by": f"engramctl {engramctl.__version__}",
        "corpus": about["corpus"],
        "skipped_files": found["skipped_files"],
        "column": about["column"],
        "tokenizer_xxh3_128": about["tokenizer_xxh3_128"],
        "vocabulary_xxh3_128": about["vocabulary_xxh3_128"],
        "token_map_xxh3_128": about["token_map_xxh3_128"],
        "tokens": found["tokens"],
        "documents": found["documents"],
        "min_count": found["min_count"],
        "top_k": found["top_k"],
        "orders": orders,
        "statistics": [
            {"file": name, **file_facts(SourceFile.local(folder / name))} for name in sorted(others)
        ],
    }
