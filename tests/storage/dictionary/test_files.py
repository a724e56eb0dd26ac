"""The dictionary's files: what is damaged, or of another table, is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engramctl.errors import CheckFailed, FormatError
from engramctl.storage.dictionary.read import DictionaryFiles
from engramctl.storage.dictionary.write import write_dictionary
from engramctl.storage.files.published import read_manifest
from engramctl.storage.format.dictionary_entry import INDEX_FILE, RECORDS_FILE, Dictionary
from engramctl.storage.format.dictionary_index import NgramIndex
from engramctl.storage.format.manifest import Manifest
from engramctl.storage.format.manifest_check import parse_manifest
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.storage.verifying.integrity import verify
from tests.storage.tables import contents, make_plan, write

ENTRIES = 200


def rows_of(layer: int, start: int, stop: int) -> np.ndarray:
    return (np.arange(start, stop)[:, None] * 3 + np.arange(2) + layer) % 97


def make(folder: Path, form: str = "paged", dtype: str = "f8_e4m3", **run: Any) -> TableFiles:
    plan = make_plan(form=form, dtype=dtype, rows={1: 97, 4: 97}, shard_rows=40)
    planned = Dictionary.planned(
        ENTRIES, orders=(2, 3), layers=(1, 4), heads_per_order=2,
        row_record_bytes=plan.layout.record_bytes, key_bits=60, extent_bytes=4096,
    )  # fmt: skip
    keys = np.stack([np.arange(ENTRIES), np.zeros(ENTRIES)], 1).astype(np.uint64)
    index, _ = NgramIndex.build(np.arange(ENTRIES) // 100, keys, num_orders=2, key_bits=60)
    plan = replace(plan, dictionary=planned)

    def finish(work: Path, manifest: Manifest) -> Manifest:
        written = write_dictionary(work, manifest, planned, index, rows_of, **run)
        return replace(manifest, dictionary=written)

    write(plan, folder, finish=finish)
    assert plan.sizes == {name: len(data) for name, data in contents(folder).items()}
    return open_table(folder)


@pytest.mark.parametrize("form", ["planar", "packed", "paged"])
@pytest.mark.parametrize("dtype", ["f8_e4m3", "bf16", "int4"])
def test_records_are_the_rows_layer_by_layer(form: str, dtype: str, tmp_path: Path) -> None:
    table = make(tmp_path / "t", form, dtype)
    with DictionaryFiles.open(table.path, table.manifest) as file:
        found = file.read(np.arange(ENTRIES)).reshape(ENTRIES, 2, 2, -1)
    for number, layer in enumerate(table.layers):
        rows = rows_of(layer, 0, ENTRIES).reshape(-1)
        direct = np.concatenate(table.read_rows(layer, rows), axis=1)
        assert np.array_equal(found[:, number].reshape(len(rows), -1), direct)


def test_bytes_do_not_depend_on_windows_or_workers(tmp_path: Path) -> None:
    make(tmp_path / "a", workers=1)
    make(tmp_path / "b", workers=3, window_bytes=1000)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", [RECORDS_FILE, INDEX_FILE])
@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda path: flip(path, 4096 + 700), "damaged at offset"),
        (lambda path: flip(path, 20), "another header"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "1 bytes short"),
        (Path.unlink, "missing"),
    ],
)
def test_verify_names_the_damaged_file(
    name: str, damage: Callable[[Path], None], expected: str, tmp_path: Path
) -> None:
    table = make(tmp_path / "t")
    assert verify(table.path).num_files == len(list(table.path.iterdir())) - 1
    damage(table.path / name)
    with pytest.raises(CheckFailed, match=f"{name} is .*{expected}|{name} has {expected}") as error:
        verify(table.path)
    assert error.value.hint


def test_a_dictionary_may_be_deleted(tmp_path: Path) -> None:
    table = make(tmp_path / "t")
    for name in (RECORDS_FILE, INDEX_FILE):
        (table.path / name).unlink()
    report = verify(table.path)
    assert report.num_files == len(list(table.path.iterdir())) - 1
    with pytest.raises(FormatError, match="was deleted"):
        DictionaryFiles.open(table.path, table.manifest)


def test_another_tables_dictionary_is_refused(tmp_path: Path) -> None:
    table = make(tmp_path / "t")
    dictionary = table.manifest.dictionary
    assert dictionary is not None
    other = replace(dictionary, table_xxh3_128="0" * 32)
    with pytest.raises(FormatError, match="another table"):
        DictionaryFiles.open(table.path, replace(table.manifest, dictionary=other))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("entries", 0),
        ("entries", 201),
        ("bucket_bits", 60),
        ("orders", [3, 2]),
        ("layers", [1, 5]),
        ("record_bytes", 1),
        ("heads_per_order", True),
        ("key_bits", 129),
        ("files", []),
        ("table_xxh3_128", "x"),
        ("counts_xxh3_128", 5),
        ("extra", 1),
    ],
)
def test_a_wrong_manifest_is_refused(key: str, value: object, tmp_path: Path) -> None:
    document = read_manifest(make(tmp_path / "t").path)
    document["dictionary"][key] = value
    with pytest.raises(FormatError, match="dictionary"):
        parse_manifest(document, tmp_path)


def test_a_wrong_file_entry_is_refused(tmp_path: Path) -> None:
    folder = make(tmp_path / "t").path
    for key, value in [("file", "../x"), ("data_offset", 0), ("extent_bytes", 1), ("xxh3_128", [])]:
        document = read_manifest(folder)
        document["dictionary"]["files"][1][key] = value
        with pytest.raises(FormatError, match=r"dictionary\.files\[1\]"):
            parse_manifest(document, tmp_path)
