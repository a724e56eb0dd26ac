"""Dictionaries as a store takes rows from them: the table's own, and one that traffic fills."""

from dataclasses import dataclass
from pathlib import Path

from engramctl.errors import ConfigError, FormatError
from engramctl.storage.cache.ngram_records import NgramRecords, RecordFile, RecordShape
from engramctl.storage.dictionary.read import DictionaryFiles, check_files
from engramctl.storage.format.dictionary_entry import RECORDS_FILE, Dictionary
from engramctl.storage.format.row_file import ALIGNMENT_BYTES
from engramctl.storage.reading.source import Source
from engramctl.storage.reading.table import TableFiles
from engramctl.storage.record_log.filling import Filling
from engramctl.storage.record_log.record_log import RecordLog
from engramctl.storage.record_log.seen_once import SeenOnce
from engramctl.storage.record_log.self_filled import SelfFilled

_LEAST_SEEN_BYTES, _MOST_SEEN_BYTES = 1 << 20, 64 << 20


@dataclass(frozen=True)
class Served:
    """What a store's n-gram keys are good for.

    Attributes:
        records: files of records, asked in turn.
        mined: the table's own dictionary, one of them, or None.
        filled: the one that traffic fills, another, or None.
        filling: what fills it.
    """

    records: NgramRecords
    mined: RecordFile | None
    filled: RecordFile | None
    filling: Filling | None

    def close(self) -> None:
        """Write what is left for the log, and close it."""
        if self.filling is not None:
            self.filling.log.close()


def served_records(source: Source, fill: SelfFilled | None = None) -> Served | None:
    """Open the dictionaries of a table; None: it has none, or they were deleted, as they may be.

    Indices are in memory from now on; records are read when they are needed.

    Args:
        source: whose rows.
        fill: a dictionary to be filled, too.

    Raises:
        ConfigError: a self-filling dictionary of rows without checksums, of another scheme than the
            table's dictionary, or with numbers that no index can have.
        FormatError: the dictionary of another table, or files that are not what the manifest says.
        StorageError: they cannot be read, or another process fills that file.
    """
    shape, mined = None, None
    if isinstance(source, TableFiles) and source.manifest.dictionary is not None:
        shape = record_shape(source.manifest.dictionary, source.record.record_bytes)
        mined = _mined(source)
    if fill is None:
        if shape is None or mined is None:
            return None
        return Served(NgramRecords(shape, [mined]), mined, None, None)
    wanted = RecordShape(
        fill.num_orders, source.layers, fill.heads_per_order, source.record.record_bytes
    )
    if shape not in (None, wanted):
        raise ConfigError(
            "the self-filling dictionary is of another scheme than the table's own",
            facts={"expected": str(shape), "found": str(wanted)},
        )
    if not isinstance(source, TableFiles):
        raise ConfigError(
            "a checkpoint has no checksums that a self-filling dictionary could be bound to",
            hint="lay the checkpoint out first: engramctl layout",
        )
    log = RecordLog.open(
        Path(fill.path), table_xxh3_128=source.manifest.table_xxh3_128,
        record_bytes=wanted.record_bytes, num_orders=fill.num_orders, key_bits=fill.key_bits,
        size_bytes=fill.size_bytes,
    )  # fmt: skip
    try:
        filling = Filling(log, _seen_once(log), fill.write_bytes_per_token)
        filled = _filled(log, filling)
    except BaseException:
        log.close()
        raise
    files = [filled] if mined is None else [mined, filled]
    return Served(NgramRecords(wanted, files), mined, filled, filling)


def _mined(source: TableFiles) -> RecordFile | None:
    if not check_files(source.path, source.manifest):
        return None
    with DictionaryFiles.open(source.path, source.manifest) as opened:
        return RecordFile(
            source.path / RECORDS_FILE, opened.index.find, entries=opened.dictionary.entries,
            entry_bytes=opened.dictionary.record_bytes, first_offset=ALIGNMENT_BYTES,
            index_bytes=opened.index.num_bytes,
        )  # fmt: skip


def _filled(log: RecordLog, filling: Filling) -> RecordFile:
    return RecordFile(
        log.path, log.find, entries=log.entries_per_segment * log.num_segments,
        entry_bytes=log.entry_bytes, first_offset=log.first_offset, head_bytes=log.head_bytes,
        unit_entries=log.entries_per_segment, unit_bytes=log.segment_bytes,
        index_bytes=log.index_bytes + filling.seen.num_bytes,
        proof=log.valid, forget=log.forget, given_up=log.give_up,
    )  # fmt: skip


def _seen_once(log: RecordLog) -> SeenOnce:
    """Return a filter of four n-grams seen once for each that can be recorded."""
    wanted = 4 * 2 * log.entries_per_segment * log.num_segments
    return SeenOnce(min(_MOST_SEEN_BYTES, max(_LEAST_SEEN_BYTES, wanted)))


def record_shape(dictionary: Dictionary, row_bytes: int) -> RecordShape:
    """Return how rows stand in a dictionary's records.

    Raises:
        FormatError: its records do not hold these rows.
    """
    shape = RecordShape(
        len(dictionary.orders), dictionary.layers, dictionary.heads_per_order, row_bytes
    )
    if shape.record_bytes != dictionary.record_bytes:
        raise FormatError(
            "the records of the n-gram dictionary do not hold its rows",
            facts={"expected": f"{shape.record_bytes:,} bytes",
                   "found": f"{dictionary.record_bytes:,} bytes"},
            hint="delete both dictionary files, or lay out again with --dictionary",
        )  # fmt: skip
    return shape
