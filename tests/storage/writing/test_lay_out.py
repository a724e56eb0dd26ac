from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engramctl.errors import StorageError
from engramctl.storage.reading.source import RecordReader
from engramctl.storage.reading.table import open_table
from engramctl.storage.writing.file_plan import FilePlan
from engramctl.storage.writing.lay_out import lay_out
from engramctl.storage.writing.writer import write_table
from engramctl.tables.layout import filler
from tests.storage.tables import POISON, contents, make_plan, write


def relay(source: Path, form: str, out: Path, *, shard_rows: int, chunk_bytes: int) -> None:
    table = open_table(source)
    rows = {layer: table.num_rows(layer) for layer in table.layers}
    plan = make_plan(
        form=form,
        dtype=table.record.dtype,
        row_dim=table.record.row_dim,
        rows=rows,
        shard_rows=shard_rows,
    )
    with RecordReader(table) as reader:

        def fill(file: FilePlan, row: int, num_rows: int, data: NDArray[np.uint8]) -> None:
            data[:] = POISON
            lay_out(reader.read, plan.layout, file.layer, file.part, row, num_rows, data)

        write_table(plan, out, fill, chunk_bytes=chunk_bytes, workers=3)


@settings(max_examples=30, deadline=None)
@given(
    before=st.sampled_from(["planar", "packed", "paged"]),
    after=st.sampled_from(["packed", "paged"]),
    record=st.sampled_from([("f8_e4m3", 32), ("f8_e4m3", 256), ("bf16", 3), ("f32", 600)]),
    rows=st.sampled_from([1, 14, 15, 16, 101, 997]),
    num_shards=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    chunk_bytes=st.integers(100, 50_000),
)
def test_rows_survive_any_change_of_layout_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory,
    before: str,
    after: str,
    record: tuple[str, int],
    rows: int,
    num_shards: tuple[int, int],
    chunk_bytes: int,
) -> None:
    folder = tmp_path_factory.mktemp("relay")
    dtype, row_dim = record
    cuts = [-(-rows // number) for number in num_shards]
    options = {"dtype": dtype, "row_dim": row_dim, "rows": {1: rows, 2: 3}}
    write(make_plan(form=before, shard_rows=cuts[0], **options), folder / "source")  # type: ignore[arg-type]
    write(make_plan(form=after, shard_rows=cuts[1], **options), folder / "direct")  # type: ignore[arg-type]
    relay(folder / "source", after, folder / "out", shard_rows=cuts[1], chunk_bytes=chunk_bytes)
    assert contents(folder / "out") == contents(folder / "direct")
    ids = np.arange(rows)
    for ours, theirs in zip(
        open_table(folder / "source").read_rows(1, ids),
        open_table(folder / "out").read_rows(1, ids),
        strict=True,
    ):
        assert np.array_equal(ours, theirs)


def test_a_page_holds_whole_records_of_any_size() -> None:
    layout = make_plan(form="paged", row_dim=256).layout
    assert (layout.page_bytes, layout.rows_per_page) == (4096, 15)
    for dtype, row_dim, page, per_page in [
        ("f32", 1024, 4096, 1), ("f32", 1025, 8192, 1), ("bf16", 4097, 12288, 1),
        ("bf16", 1000, 4096, 2), ("f8_e4m3", 4096, 8192, 1),
    ]:  # fmt: skip
        layout = make_plan(form="paged", dtype=dtype, row_dim=row_dim).layout
        assert (layout.page_bytes, layout.rows_per_page) == (page, per_page)


def test_a_source_that_is_cut_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    write(make_plan(), tmp_path / "source")
    table = open_table(tmp_path / "source")
    plan = make_plan(form="paged")
    (tmp_path / "source" / "layer01.weight.000.safetensors").write_bytes(b"")
    with (
        RecordReader(table) as reader,
        pytest.raises(StorageError, match="ended while it was read"),
    ):
        write_table(plan, tmp_path / "out", filler(partial(lay_out, reader.read), plan))
    assert not (tmp_path / "out").exists()
