"""A table's n-gram dictionary as a store takes rows from it."""

from engramctl.errors import FormatError
from engramctl.storage.cache.ngram_records import NgramRecords, RecordFile, RecordShape
from engramctl.storage.dictionary.read import DictionaryFiles, check_files
from engramctl.storage.format.dictionary_entry import RECORDS_FILE, Dictionary
from engramctl.storage.format.row_file import ALIGNMENT_BYTES
from engramctl.storage.reading.source import Source
from engramctl.storage.reading.table import TableFiles


def served_records(source: Source) -> NgramRecords | None:
    """Open the dictionary of a table; None: it has none, or its files were deleted, as they may be.

    The index is in memory from now on; records are read when they are needed.

    Raises:
        FormatError: the dictionary of another table, or files that are not what the manifest says.
        StorageError: they cannot be read.
    """
    if not isinstance(source, TableFiles) or source.manifest.dictionary is None:
        return None
    if not check_files(source.path, source.manifest):
        return None
    with DictionaryFiles.open(source.path, source.manifest) as opened:
        dictionary = opened.dictionary
        shape = record_shape(dictionary, source.record.record_bytes)
        file = RecordFile(
            source.path / RECORDS_FILE, opened.index.find, entries=dictionary.entries,
            entry_bytes=dictionary.record_bytes, first_offset=ALIGNMENT_BYTES,
            index_bytes=opened.index.num_bytes,
        )  # fmt: skip
    return NgramRecords(shape, [file])


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
