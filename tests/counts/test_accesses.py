"""The most read rows of a counts folder, read in parts, against sorting all of them."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engramctl.counts import accesses
from engramctl.counts.accesses import Accesses, access_name
from engramctl.errors import ConfigError, CorpusError, EngramError, FormatError
from engramctl.hashing import lookup_from_dict
from tests.helpers.mined_counts import mined, run, small_scheme

Lines = Sequence[tuple[int, int]]  # a row and its count


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of counts with a scheme of layers 1 and 4."""
    folder = tmp_path_factory.mktemp("accesses")
    scheme = small_scheme("deepseek-v41", 40, mapped=False, eos_id=0, slots=50)
    file, _ = mined(folder, scheme, [[1, 2, 3, 4, 5, 1, 2, 3], [4, 5, 1, 2]])
    out = folder / "access"
    run("mine", folder / "corpus.parquet", "--scheme", file, "--orders", "2,3,4", "-o", out)
    return out


def num_rows(counts: Path) -> dict[int, int]:
    scheme = lookup_from_dict(json.loads((counts / "manifest.json").read_text())["scheme"])
    return {layer: scheme.num_rows(layer) for layer in scheme.layers}


def write(file: Path, lines: Lines, **changed: Any) -> None:
    columns = {
        "row_id": pa.array([row for row, _ in lines], changed.get("row_type", pa.uint32())),
        "count": pa.array([count for _, count in lines], changed.get("count_type", pa.uint64())),
    }
    table = pa.table(columns).rename_columns(changed.get("names", ["row_id", "count"]))
    pq.write_table(table, file, row_group_size=3)


def reference(of_layers: Mapping[int, Lines], most: int) -> dict[int, list[int]]:
    """All lines sorted by count, then as they come."""
    lines = [(layer, *line) for layer, some in of_layers.items() for line in some]
    best = sorted(lines, key=lambda line: -line[2])[:most]
    return {layer: [row for one, row, _ in best if one == layer] for layer in of_layers}


def test_rows_of_a_real_folder_come_with_the_most_read_first(counted: Path) -> None:
    rows = Accesses(counted, num_rows(counted)).most_read(12)
    assert sum(map(len, rows.values())) == 12
    for layer, ids in rows.items():
        table = pq.read_table(counted / access_name(layer)).to_pydict()
        count_of = dict(zip(table["row_id"], table["count"], strict=True))
        found = [count_of[row] for row in ids.tolist()]
        assert found == sorted(found, reverse=True)
        left = set(count_of) - set(ids.tolist())
        assert all(count_of[row] <= found[-1] for row in left)


LINES = st.dictionaries(st.integers(0, 299), st.integers(1, 6), max_size=60).map(
    lambda found: sorted(found.items())
)


@given(LINES, LINES, st.integers(1, 130), st.integers(1, 8))
def test_in_parts_they_are_those_of_sorting_all(
    tmp_path_factory: pytest.TempPathFactory,
    counted: Path,
    first: Lines,
    second: Lines,
    most: int,
    part: int,
) -> None:
    folder = tmp_path_factory.mktemp("lines")
    shutil.copy(counted / "manifest.json", folder)
    layers = num_rows(counted)
    of_layers = dict(zip(layers, (first, second), strict=True))
    for layer, lines in of_layers.items():
        write(folder / access_name(layer), lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accesses, "_BATCH_ROWS", part)
        found = Accesses(folder, layers).most_read(most)
    assert {layer: ids.tolist() for layer, ids in found.items()} == reference(of_layers, most)
    assert {ids.dtype for ids in found.values()} == {np.dtype(np.int64)}


def test_a_folder_of_other_rows_is_refused(counted: Path, tmp_path: Path) -> None:
    shape = num_rows(counted)
    with pytest.raises(ConfigError, match="counts the rows of another table") as error:
        Accesses(counted, {**shape, 1: 7})
    assert error.value.facts["expected"] == f"layer 1: 7 rows, layer 4: {shape[4]:,} rows"
    with pytest.raises(ConfigError, match="does not say which rows") as error:
        Accesses(counted.parent / "counts", shape)
    assert "mine CORPUS --scheme TABLE" in str(error.value.hint)
    folder = tmp_path / "less"
    shutil.copytree(counted, folder)
    (folder / access_name(4)).unlink()
    with pytest.raises(FormatError, match=r"lacks access\.layer04\.parquet"):
        Accesses(folder, shape)
    with pytest.raises(EngramError):
        Accesses(tmp_path / "nowhere", shape)


@pytest.mark.parametrize(
    ("lines", "changed", "found"),
    [
        ([(3, 1), (2, 1)], {}, "some that do not"),
        ([(0, 1), (1, 1), (2, 1), (2, 1)], {}, "some that do not"),  # across a row group
        ([(1, 1), (4_000_000, 1)], {}, "row id 4,000,000"),
        ([(1, 1)], {"row_type": pa.int64()}, "row_id int64, count uint64"),
        ([(1, 1)], {"names": ["row_id", "times"]}, "row_id uint32, times uint64"),
        ([(1, 1)], {"names": ["row_id", "row_id"]}, "row_id uint32, row_id uint64"),
        ([(1, None)], {}, "lines without"),
        ([(None, 1)], {}, "lines without"),
    ],
)
def test_a_file_that_counts_no_rows_is_refused(
    counted: Path, tmp_path: Path, lines: Lines, changed: dict[str, Any], found: str
) -> None:
    folder = tmp_path / "access"
    shutil.copytree(counted, folder)
    write(folder / access_name(4), lines, **changed)
    with pytest.raises(CorpusError, match=r"access\.layer04") as error:
        Accesses(folder, num_rows(counted)).most_read(1000)
    assert found in str(error.value.facts["found"])


def test_a_cut_file_is_refused(counted: Path, tmp_path: Path) -> None:
    folder = tmp_path / "access"
    shutil.copytree(counted, folder)
    file = folder / access_name(1)
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(CorpusError, match=r"access\.layer01"):
        Accesses(folder, num_rows(counted)).most_read(10)
