import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engramctl.errors import EngramError, FormatError
from engramctl.storage.reading.table import open_table
from engramctl.storage.writing.seeded_values import RowFiller, RowInit
from tests.storage.tables import make_plan, write


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    for form in ("planar", "packed", "paged"):
        write(make_plan(form=form, rows={1: 997, 14: 5}, shard_rows=620), folder / form)
    return folder


@pytest.fixture
def table(tables: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tables / "planar", tmp_path / "table"))


@pytest.mark.parametrize("form", ["planar", "packed", "paged"])
def test_a_table_says_what_it_is_and_gives_its_rows(tables: Path, form: str) -> None:
    table = open_table(tables / form)
    assert table.layers == (1, 14)
    assert (table.num_rows(1), table.num_rows(14)) == (997, 5)
    assert table.record.record_bytes == 33
    assert table.layout.form == form
    ids = np.array([0, 996, 619, 620, 620, 123, 124], np.int32)
    weights, scales = table.read_rows(1, ids)
    layout = make_plan(form="packed").layout
    rows = np.empty((997, 33), np.uint8)
    RowFiller(RowInit(), table.record, 1).fill(layout, "records", 0, 997, rows.reshape(-1))
    assert np.array_equal(weights, rows[ids, :32])
    assert np.array_equal(scales, rows[ids, 32:])


@pytest.mark.parametrize("form", ["planar", "packed", "paged"])
def test_addresses_of_the_shards_lead_to_the_rows(tables: Path, form: str) -> None:
    table = open_table(tables / form)
    weights, scales = table.read_rows(1, np.arange(997))
    found = np.zeros((997, 33), np.uint8)
    for region in table.regions(1):
        data = region.path.read_bytes()
        assert len(data) == region.offset + region.num_bytes
        columns = slice(region.column, region.column + region.width)
        for row in range(region.row_start, region.row_stop):
            at = region.position(row)
            found[row, columns] = np.frombuffer(data[at : at + region.width], np.uint8)
    assert np.array_equal(found, np.concatenate([weights, scales], axis=1))


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([0, 997], "row id 997 at position 1"),
        ([-1], "row id -1 at position 0"),
        ([0.5], "integers"),
        ([[1]], "one dimension"),
    ],
)
def test_a_bad_row_id_is_refused_before_any_read(tables: Path, ids: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_table(tables / "planar").read_rows(1, ids)


def test_no_rows_and_unknown_layers(tables: Path) -> None:
    table = open_table(tables / "planar")
    weights, scales = table.read_rows(1, [])
    assert (weights.shape, scales.shape) == ((0, 32), (0, 1))
    for call in (table.num_rows, table.regions, lambda n: table.read_rows(n, [0])):
        with pytest.raises(ValueError, match="layer 2 has no table"):
            call(2)


def edit(table: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = table / "manifest.json"
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))


def first(document: dict[str, Any]) -> dict[str, Any]:
    shard: dict[str, Any] = document["layers"][0]["shards"][0]
    return shard


EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "schema": lambda d: d.update(schema="engramctl.table/2"),
    "no schema": lambda d: d.pop("schema"),
    "unknown key": lambda d: d.update(note="hello"),
    "unknown inner key": lambda d: first(d).update(checksum=1),
    "missing key": lambda d: d["layout"].pop("record_bytes"),
    "missing heads": lambda d: first(d).pop("heads"),
    "kind": lambda d: d.update(kind="checkpoint"),
    "tier of tables": lambda d: d.update(tier="ssd"),
    "tier": lambda d: d.update(kind="shards", tier="tape"),
    "form": lambda d: d["layout"].update(form="diagonal"),
    "dtype": lambda d: d["layout"].update(dtype="int4"),
    "row_dim": lambda d: d["layout"].update(row_dim=33),
    "row_dim as bool": lambda d: d["layout"].update(row_dim=True),
    "record_bytes": lambda d: d["layout"].update(record_bytes=34),
    "page_bytes": lambda d: d["layout"].update(page_bytes=4096),
    "num_rows": lambda d: d["layers"][0].update(num_rows=998),
    "num_rows negative": lambda d: d["layers"][0].update(num_rows=-1),
    "num_rows huge": lambda d: d["layers"][0].update(num_rows=10**30),
    "num_rows float": lambda d: d["layers"][0].update(num_rows=997.0),
    "layer twice": lambda d: d["layers"].append(d["layers"][0]),
    "no layers": lambda d: d.update(layers=[]),
    "layers not a list": lambda d: d.update(layers={}),
    "layer null": lambda d: d.update(layers=[None]),
    "shard dropped": lambda d: d["layers"][0]["shards"].pop(),
    "shards swapped": lambda d: d["layers"][0]["shards"].reverse(),
    "rows gap": lambda d: first(d).update(rows=[1, 620]),
    "rows empty": lambda d: first(d).update(rows=[0, 0]),
    "rows short": lambda d: first(d).update(rows=[0]),
    "data_bytes": lambda d: first(d).update(data_bytes=first(d)["data_bytes"] - 32),
    "data_offset": lambda d: first(d).update(data_offset=4608),
    "extent_bytes": lambda d: first(d).update(extent_bytes=0),
    "heads": lambda d: first(d).update(heads=[0]),
    "digest count": lambda d: first(d)["xxh3_128"].append("0" * 32),
    "digest text": lambda d: first(d)["xxh3_128"].__setitem__(0, "Z" * 32),
    "parent path": lambda d: first(d).update(file="../layer01.weight.000.safetensors"),
    "absolute path": lambda d: first(d).update(file="/etc/passwd"),
    "nested path": lambda d: first(d).update(file="a/layer01.weight.000.safetensors"),
    "newline in name": lambda d: first(d).update(file="layer01.weight.000.safetensors\n"),
    "other number": lambda d: first(d).update(file="layer01.weight.0000.safetensors"),
    "other layer": lambda d: first(d).update(file="layer14.weight.000.safetensors"),
    "records": lambda d: first(d).update(file="layer01.records.000.safetensors"),
    "file null": lambda d: first(d).update(file=None),
    "command": lambda d: d["provenance"].update(command="rm"),
    "seed": lambda d: d["provenance"].update(seed=-1),
    "source": lambda d: d["provenance"].update(source={"path": "x"}),
    "counts": lambda d: d["provenance"].update(counts_xxh3_128="x"),
    "scheme": lambda d: d.update(scheme=[]),
    "dictionary": lambda d: d.update(dictionary={}),
    "created_by": lambda d: d.update(created_by=1),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_manifest_is_refused_with_expected_and_found(table: Path, name: str) -> None:
    edit(table, EDITS[name])
    with pytest.raises(FormatError) as caught:
        open_table(table)
    assert str(table / "manifest.json") in caught.value.render()
    assert {"file", "expected", "found"} <= caught.value.facts.keys()


def test_the_unedited_manifest_opens(table: Path) -> None:
    edit(table, lambda d: None)
    open_table(table)


def test_control_characters_of_a_hostile_manifest_are_escaped(table: Path) -> None:
    edit(table, lambda d: d.update({"\x1b[2J": 1}))
    with pytest.raises(FormatError) as caught:
        open_table(table)
    assert "\x1b" not in caught.value.render()


def shard_of(table: Path) -> Path:
    return table / "layer01.weight.000.safetensors"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def change_header(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"F8_E4M3", b"F8_E5M2"))


def link_away(path: Path) -> None:
    other = path.parents[1] / "elsewhere"
    path.rename(other)
    path.symlink_to(other)


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "100 bytes short"),
        (lengthen, "1 bytes too long"),
        (change_header, "another header"),
        (Path.unlink, "is missing"),
        (link_away, "link that leaves the folder"),
        (make_folder, "is not a file"),
    ],
)
def test_a_damaged_file_is_named_with_the_command_that_makes_it_again(
    table: Path, damage: Callable[[Path], object], message: str
) -> None:
    damage(shard_of(table))
    with pytest.raises(FormatError, match=message) as caught:
        open_table(table)
    assert caught.value.facts["file"] == shard_of(table)
    assert f"engramctl build -o {table} --force" in (caught.value.hint or "")


def test_a_file_cut_while_it_is_open_is_an_error_not_a_signal(table: Path) -> None:
    opened = open_table(table)
    shard_of(table).write_bytes(b"")
    with pytest.raises(EngramError, match="ended while it was read") as caught:
        opened.read_rows(1, [3])
    assert caught.value.facts["file"] == shard_of(table)
