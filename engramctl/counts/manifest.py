"""What a counts folder says of itself."""

from pathlib import Path
from typing import Any

from engramctl.errors import FormatError
from engramctl.storage.files.checksum import file_digest
from engramctl.storage.files.published import MANIFEST, read_manifest
from engramctl.storage.kinds.recognise import recognise
from engramctl.vocabulary.fingerprints import Fingerprints, check_tokenizer, of_counts

COUNTS_SCHEMA = "engramctl.counts/1"


def read_counts_manifest(counts: Path) -> dict[str, Any]:
    """Return the manifest of a counts folder.

    Raises:
        FormatError: the folder is unfinished or holds no counts.
    """
    manifest = read_manifest(counts)
    if manifest.get("schema") != COUNTS_SCHEMA:
        kind = recognise(counts)
        raise FormatError(
            f"{counts} holds no counts" if kind is None else f"{counts} {kind.says}, not counts",
            facts={"expected": COUNTS_SCHEMA, "found": ascii(manifest.get("schema"))[:80]},
            hint="make them with: engramctl mine CORPUS -o counts",
        )
    return manifest


def counts_digest(counts: Path) -> str:
    """Return the digest of a counts folder's manifest; raises as `read_counts_manifest`."""
    read_counts_manifest(counts)
    return file_digest(counts / MANIFEST)


def counts_fingerprints(counts: Path) -> Fingerprints:
    """Return what a counts folder says of its tokenizer; raises as `read_counts_manifest`."""
    return of_counts(counts, read_counts_manifest(counts))


def check_counts_tokenizer(counts: Path, tokenizer: Path) -> None:
    """Refuse a tokenizer.json that a counts folder was not mined with.

    Raises:
        ConfigError: another one, or none at all.
        FormatError: not a counts folder.
    """
    check_tokenizer(tokenizer, counts_fingerprints(counts))
