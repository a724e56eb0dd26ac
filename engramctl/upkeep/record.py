"""`made_from.json` beside a folder's manifest: what the folder was made from, and what is in it.

It is of one machine, so it stands apart from the manifest, whose bytes are the same everywhere.
A folder without it is whole; it only cannot be proved to be up to date.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import engramctl
from engramctl.errors import EngramError
from engramctl.storage.files.atomic import os_errors, write_json
from engramctl.storage.files.checksum import file_digest
from engramctl.storage.files.held_folder import HeldFolder
from engramctl.storage.files.published import RECORD
from engramctl.storage.files.strict_json import load_strict, read_limited
from engramctl.storage.writing.ownership import Maker
from engramctl.upkeep.input_files import InputFile

SCHEMA = "engramctl.made-from/1"


@dataclass(frozen=True)
class MadeFrom:
    """What decides the bytes of an output.

    Attributes:
        options: the options that do, by their parameters' names, as JSON.
        inputs: the files that are read, in their order.
        made_by: the program and its version.
    """

    options: Mapping[str, Any]
    inputs: tuple[InputFile, ...]
    made_by: str = f"engramctl {engramctl.__version__}"


@dataclass(frozen=True)
class Record:
    """A record that was read: what the folder was made from, and its files then.

    Attributes:
        made_from: what it was made from.
        document_xxh3_128: digest of the document that comes last, which has those of the others.
        files: length in bytes of every file but the record, by name.
    """

    made_from: MadeFrom
    document_xxh3_128: str
    files: Mapping[str, int]


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options as they are read again: paths as text, tuples as lists."""
    text = json.dumps(options, default=lambda value: os.fsencode(value).decode(errors="replace"))
    found: dict[str, Any] = json.loads(text)
    return found


def write_record(folder: Path, maker: Maker, made_from: MadeFrom) -> None:
    """Write the record of a finished folder.

    Raises:
        StorageError: it cannot be written.
    """
    with os_errors("write", folder / RECORD):
        write_json(
            folder / RECORD,
            {
                "schema": SCHEMA,
                "made_by": made_from.made_by,
                "command": maker.command,
                "options": made_from.options,
                "inputs": [one.to_dict() for one in made_from.inputs],
                "document_xxh3_128": file_digest(folder / maker.document),
                "files": file_sizes(folder),
            },
        )


def read_record(folder: Path) -> Record | None:
    """Return the record of a folder; None when there is none, or it is damaged."""
    try:
        found = load_strict(read_limited(folder / RECORD))
        if found["schema"] != SCHEMA:
            return None
        made_from = MadeFrom(
            dict(found["options"]),
            tuple(InputFile(**one) for one in found["inputs"]),
            str(found["made_by"]),
        )
        return Record(made_from, str(found["document_xxh3_128"]), dict(found["files"]))
    except (EngramError, ValueError, LookupError, TypeError, AttributeError):
        return None


def file_sizes(folder: Path) -> dict[str, int]:
    """Return the length of every file in a folder and its folders, but of the record.

    Raises:
        OSError: it cannot be listed.
    """
    with HeldFolder(folder.resolve()) as held:
        names = [name for name in held.names() if not name.endswith(("/", "@"))]
    return {name: os.stat(folder / name).st_size for name in names if name != RECORD}
