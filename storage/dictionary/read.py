"""An open n-gram dictionary: find keys, read records."""

import os
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import FormatError
from engramctl.storage.files.atomic import os_errors
from engramctl.storage.files.file_check import check_file
from engramctl.storage.format.dictionary_entry import INDEX_FILE, RECORDS_FILE, Dictionary
from engramctl.storage.format.dictionary_index import NgramIndex
from engramctl.storage.format.manifest import Manifest
from engramctl.storage.format.row_file import ALIGNMENT_BYTES
from engramctl.storage.reading.region import RegionFiles

_AGAIN = "lay out again with --dictionary"
_STALE = f"delete both dictionary files, or {_AGAIN}"


def check_files(folder: Path, manifest: Manifest) -> bool:
    """Check binding, sizes and headers; False when both files were deleted, as they may be.

    Raises:
        FormatError: the dictionary of another table, or files that are not what the manifest says.
        StorageError: they cannot be read.
    """
    dictionary = _of(manifest)
    if not any(os.path.lexists(folder / one.file) for one in dictionary.files):
        return False
    if dictionary.table_xxh3_128 != manifest.table_xxh3_128:
        raise FormatError(
            f"the n-gram dictionary of {folder} belongs to another table",
            facts={"expected": manifest.table_xxh3_128, "found": dictionary.table_xxh3_128},
            hint=_STALE,
        )
    for facts in dictionary.files:
        header = dictionary.header(facts.file)
        check_file(folder, facts.file, facts.file_bytes, header, _STALE, "dictionary file")
    return True


def _of(manifest: Manifest) -> Dictionary:
    if manifest.dictionary is None:
        raise FormatError("the table has no n-gram dictionary", hint=_AGAIN)
    return manifest.dictionary


class DictionaryFiles:
    """An open n-gram dictionary; safe from several threads. A context manager."""

    def __init__(self, folder: Path, dictionary: Dictionary, index: NgramIndex) -> None:
        """Use `open`, which checks."""
        self.folder, self.dictionary, self.index = folder, dictionary, index
        self._files = RegionFiles()

    @classmethod
    def open(cls, folder: Path, manifest: Manifest) -> Self:
        """Open and check sizes, headers, index and that the table is the one it was made from.

        Args:
            folder: of the table.
            manifest: of the table.

        Raises:
            FormatError: no dictionary, another table's, or files that are not what the manifest
                says.
            StorageError: they cannot be read.
        """
        if not check_files(folder, manifest):
            raise FormatError(f"the n-gram dictionary of {folder} was deleted", hint=_AGAIN)
        dictionary = _of(manifest)
        path = folder / INDEX_FILE
        with os_errors("read", path), path.open("rb") as file:
            file.seek(ALIGNMENT_BYTES)
            remainders = np.fromfile(file, "<u8", dictionary.entries)
            offsets = np.fromfile(file, "<u4", (1 << dictionary.bucket_bits) + 1)
        index = NgramIndex(len(dictionary.orders), dictionary.key_bits, remainders, offsets)
        return cls(folder, dictionary, index)

    def close(self) -> None:
        """Close the file; twice is once."""
        self._files.close()

    def __enter__(self) -> Self:
        """Return itself; leaving closes the file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def find(self, order_index: int, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the record of each key or -1; see `NgramIndex.find`."""
        return self.index.find(order_index, keys)

    def read(self, records: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Read records, each with one `pread`: the plain way.

        Args:
            records: numbers from `find`, (n,), none of them -1.

        Returns:
            uint8 (n, record_bytes).

        Raises:
            ValueError: no such record.
            StorageError: a read failed or ended early.
        """
        size, path = self.dictionary.record_bytes, self.folder / RECORDS_FILE
        out = np.empty((len(records), size), np.uint8)
        for record, data in zip(records.tolist(), out, strict=True):
            if not 0 <= record < self.dictionary.entries:
                raise ValueError(f"record {record} is not in [0, {self.dictionary.entries:,})")
            self._files.pread(path, ALIGNMENT_BYTES + record * size, data)
        return out
