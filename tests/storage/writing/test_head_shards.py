"""Shards that hold whole heads: the same rows, whatever the form, the page and the number."""

from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engramctl.errors import ConfigError
from engramctl.storage import open_store
from engramctl.storage.format.geometry import Layout
from engramctl.storage.format.manifest import Provenance
from engramctl.storage.reading.source import RecordReader
from engramctl.storage.reading.table import open_table
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.verifying.integrity import verify
from engramctl.storage.writing.file_plan import FilePlan
from engramctl.storage.writing.lay_out import lay_out
from engramctl.storage.writing.plan import TablePlan
from engramctl.storage.writing.writer import write_table
from engramctl.tables.layout import filler
from tests.storage.tables import POISON, make_plan, write


def deal(
    source: Path,
    out: Path,
    sizes: list[int],
    shards: int,
    form: str,
    page: int | None,
    turn: list[int] | None = None,
) -> TablePlan:
    """Deal heads of some sizes to files; `turn`: where each lies in the table, None: in order."""
    table = open_table(source)
    edges = np.cumsum([0, *sizes]).tolist()
    ranges = list(pairwise(edges))
    plan = TablePlan(
        kind="shards",
        tier="ssd",
        created_by="engramctl test",
        scheme={"name": "opaque"},
        provenance=Provenance(command=("engramctl", "layout")),
        layout=Layout.of(form, table.record, page),
        num_rows={1: edges[-1]},
        shard_rows=1,
        extent_bytes=4096,
        alignment_bytes=8192,
        head_rows={1: tuple(ranges[place] for place in turn or range(len(sizes)))},
        head_shards=shards,
    )
    with RecordReader(table) as reader:
        fill = filler(partial(lay_out, reader.read), plan)

        def poisoned(file: FilePlan, row: int, num_rows: int, data: NDArray[np.uint8]) -> None:
            data[:] = POISON
            fill(file, row, num_rows, data)

        write_table(plan, out, poisoned, chunk_bytes=600, workers=2)
    return plan


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=7),
    shards=st.integers(1, 8),
    form=st.sampled_from(["planar", "packed", "paged"]),
    page=st.sampled_from([None, 512, 1536]),
    random=st.randoms(use_true_random=False),
)
def test_rows_dealt_by_heads_are_the_rows(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    shards: int,
    form: str,
    page: int | None,
    random: Random,
) -> None:
    folder = tmp_path_factory.mktemp("heads")
    total = sum(sizes)
    write(make_plan(rows={1: total}, row_dim=64), folder / "source")
    page = page if form == "paged" else None
    turn = random.sample(range(len(sizes)), len(sizes))
    plan = deal(folder / "source", folder / "out", sizes, shards, form, page, turn)
    ids = np.arange(total)
    expected = open_table(folder / "source").read_rows(1, ids)
    table = open_table(folder / "out")
    for found, wanted in zip(table.read_rows(1, ids), expected, strict=True):
        assert np.array_equal(found, wanted)
    assert all(file.data_offset == 8192 for file in plan.files)
    assert verify(folder / "out").num_files == min(shards, len(sizes)) * len(plan.layout.parts)


@pytest.mark.parametrize("tier", ["host", "ssd"])
@pytest.mark.parametrize("form", ["planar", "packed", "paged"])
def test_tiers_read_dealt_heads(tmp_path: Path, tier: str, form: str) -> None:
    sizes = [700, 1, 333, 90]
    write(make_plan(rows={1: sum(sizes)}, row_dim=256), tmp_path / "source")
    page = 1024 if form == "paged" else None
    deal(tmp_path / "source", tmp_path / "out", sizes, 2, form, page, [2, 0, 3, 1])
    ids = np.random.default_rng(0).integers(0, sum(sizes), (50, 4))
    with open_store(tmp_path / "source", tier="host") as store:
        expected = store.gather(1, ids)
    with open_store(tmp_path / "out", tier=tier) as store:
        out = torch.full((50, 4, 256), float("nan"), dtype=torch.bfloat16)
        assert torch.equal(store.gather(1, ids, out), expected)


@pytest.mark.parametrize("ranges", [((0, 5), (4, 9)), ((0, 4), (5, 9)), ((3, 9),), ((0, 8),)])
def test_heads_that_do_not_share_out_the_rows_are_refused(
    ranges: tuple[tuple[int, int], ...],
) -> None:
    with pytest.raises(ConfigError, match="do not share out its rows"):
        TablePlan(
            kind="shards",
            tier="host",
            created_by="engramctl test",
            scheme={},
            provenance=Provenance(command=()),
            layout=Layout.of("packed", RecordSpec("f32", 4)),
            num_rows={1: 9},
            shard_rows=9,
            head_rows={1: ranges},
            head_shards=2,
        )


@pytest.mark.parametrize("page", [100, 511, 256, 1 << 31])
def test_a_page_that_cannot_be_is_refused(page: int) -> None:
    with pytest.raises(ConfigError, match="page"):
        Layout.of("paged", RecordSpec("f8_e4m3", 256), page)


@pytest.mark.parametrize("alignment", [512, 5000, 1 << 30])
def test_an_alignment_that_cannot_be_is_refused(alignment: int) -> None:
    with pytest.raises(ConfigError, match="align"):
        TablePlan(
            kind="tables",
            tier=None,
            created_by="engramctl test",
            scheme={},
            provenance=Provenance(command=()),
            layout=Layout.of("planar", RecordSpec("f32", 4)),
            num_rows={1: 5},
            shard_rows=5,
            alignment_bytes=alignment,
        )


@pytest.mark.parametrize("shard_rows", [1, 4096])
def test_a_manifest_that_would_not_be_read_is_refused_before_a_file_is_planned(
    shard_rows: int,
) -> None:
    with pytest.raises(ConfigError, match="would not be read") as caught:
        TablePlan(
            kind="tables",
            tier=None,
            created_by="engramctl test",
            scheme={},
            provenance=Provenance(command=()),
            layout=Layout.of("planar", RecordSpec("int8", 4)),
            num_rows={1: 1 << 40},
            shard_rows=shard_rows,
        )
    assert "--shard-bytes" in (caught.value.hint or "")


def test_values_of_a_manifest_are_no_more_than_were_planned(tmp_path: Path) -> None:
    plan = make_plan(rows={1: 3000, 4: 77}, row_dim=64, shard_rows=100, form="planar")
    write(plan, tmp_path / "table")
    text = (tmp_path / "table" / "manifest.json").read_text()
    found = sum(text.count(mark) for mark in ",[{")
    planned = sum(plan.manifest_values(layer) for layer in plan.num_rows)
    assert planned / 2 < found < planned + 100
