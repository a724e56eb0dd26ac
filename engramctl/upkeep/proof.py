"""Does a record prove that an output is what the same command would make now?"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engramctl.storage.files.atomic import os_errors
from engramctl.storage.files.checksum import file_digest
from engramctl.storage.files.published import RECORD
from engramctl.storage.writing.ownership import Maker
from engramctl.upkeep.input_files import InputFile
from engramctl.upkeep.record import MadeFrom, Record, file_sizes, read_record

_SHOWN = 60  # characters of a value


def difference(
    folder: Path, maker: Maker, now: MadeFrom, named: Callable[[str], str]
) -> str | None:
    """Return in one line what differs first, None when the folder is up to date.

    Args:
        folder: a finished folder.
        maker: the command that makes it.
        now: what it would be made from.
        named: how a person calls an option.
    """
    record = read_record(folder)
    if record is None:
        return f"it has no {RECORD}: nobody asked for one when it was made, or it is damaged"
    before = record.made_from
    if before.made_by != now.made_by:
        return f"it was made by {before.made_by}, this is {now.made_by}"
    return (
        _options(before.options, now.options, named)
        or _inputs(before.inputs, now.inputs)
        or _files(folder, maker, record)
    )


def _options(
    before: Mapping[str, Any], now: Mapping[str, Any], named: Callable[[str], str]
) -> str | None:
    for name in dict.fromkeys([*now, *before]):
        old, new = before.get(name), now.get(name)
        if old != new:
            return f"{named(name)} was {_value(old)}, now {_value(new)}"
    return None


def _inputs(before: Sequence[InputFile], now: Sequence[InputFile]) -> str | None:
    earlier, later = ({one.file: one for one in files} for files in (before, now))
    for file, new in later.items():
        if file not in earlier:
            return f"input {file} is new"
        if why := _change(earlier[file], new):
            return f"input {file} {why}"
    for file in earlier:
        if file not in later:
            return f"input {file} is gone"
    if [one.file for one in before] != [one.file for one in now]:
        return "the inputs come in another order"
    return None


def _change(old: InputFile, new: InputFile) -> str | None:
    if old.bytes != new.bytes:
        return f"had {old.bytes:,} bytes, now {new.bytes:,}"
    if old.xxh3_128 is not None and new.xxh3_128 is not None:
        return None if old.xxh3_128 == new.xxh3_128 else "has other contents"
    if old.inode != new.inode:
        return "was replaced: it has another inode"
    return None if old.mtime_ns == new.mtime_ns else "was written since: its time has changed"


def _files(folder: Path, maker: Maker, record: Record) -> str | None:
    with os_errors("read", folder):
        found = file_sizes(folder)
    for name, size in record.files.items():
        if name not in found:
            return f"{name} is missing in it"
        if found[name] != size:
            return f"its {name} had {size:,} bytes, now {found[name]:,}"
    if file_digest(folder / maker.document) != record.document_xxh3_128:
        return f"its {maker.document} has changed"
    return None


def _value(value: object) -> str:
    """Show an option's value in few characters."""
    if isinstance(value, list):
        value = ",".join(map(str, value))
    text = "not given" if value is None else str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + ".."
