"""The dictionary's files: what is damaged, or of another table, is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engramctl.errors import CheckFailed, FormatError
from engramctl.storage.ngram_file import NgramFile, write_ngrams
from engramctl.storage.ngram_index import NgramIndex
from engramctl.storage.ngram_manifest import RECORDS_FILE, parse_dictionary, table_digest
from engramctl.storage.reader import open_table
from tests.storage.tables import make_plan, write


def make(folder: Path, **run: Any) -> tuple[dict[str, Any], str]:
    write(make_plan(form="packed", rows={1: 97, 4: 97}), folder / "table")
    table = open_table(folder / "table")
    digest = table_digest(table.manifest)
    index, _ = NgramIndex.build(
        np.arange(200) // 100, np.stack([np.arange(200), np.zeros(200)], 1).astype(np.uint64),
        num_orders=2, key_bits=60,
    )  # fmt: skip

    def rows_of(layer: int, start: int, stop: int) -> np.ndarray:
        return (np.arange(start, stop)[:, None] * 3 + np.arange(2) + layer) % 97

    entry = write_ngrams(
        folder, index, rows_of, table, orders=(2, 3), heads_per_order=2, table_xxh3_128=digest,
        extent_bytes=4096, **run,
    )  # fmt: skip
    return entry, digest


def test_bytes_do_not_depend_on_windows_or_workers(tmp_path: Path) -> None:
    found = []
    for number, run in enumerate([{"workers": 1}, {"workers": 3, "window_bytes": 1000}]):
        folder = tmp_path / str(number)
        folder.mkdir()
        entry, _ = make(folder, **run)
        found.append((entry, (folder / RECORDS_FILE).read_bytes()))
    assert found[0] == found[1]


def test_another_table_a_cut_file_and_a_changed_byte_are_refused(tmp_path: Path) -> None:
    entry, digest = make(tmp_path)
    parsed = parse_dictionary(entry, tmp_path)
    with pytest.raises(FormatError, match="another table"):
        NgramFile.open(tmp_path, parsed, "0" * 32)
    path = tmp_path / RECORDS_FILE
    data = bytearray(path.read_bytes())
    data[9000] ^= 1
    path.write_bytes(data)
    with NgramFile.open(tmp_path, parsed, digest) as file, pytest.raises(CheckFailed):
        file.verify()
    path.write_bytes(data[:-1])
    with pytest.raises(FormatError):
        NgramFile.open(tmp_path, parsed, digest)


@pytest.mark.parametrize("key", ["entries", "bucket_bits", "files", "table_xxh3_128"])
def test_a_wrong_manifest_is_refused(tmp_path: Path, key: str) -> None:
    entry, _ = make(tmp_path)
    with pytest.raises(FormatError):
        parse_dictionary({**entry, key: -1}, tmp_path)
