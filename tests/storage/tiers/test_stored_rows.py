"""Rows asked for as they are stored: the same records from every tier, layout and way."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import ConfigError
from engramctl.storage import Store, open_store
from engramctl.storage.reading.table import TableFiles
from engramctl.storage.record.codecs import decode
from tests.helpers.small_table import small_table

WAYS = {
    "host": {"tier": "host"},
    "mapped": {"tier": "ssd"},
    "direct": {"tier": "ssd", "budget_bytes": 1 << 20, "cache_bytes": 0},
    "cached": {"tier": "ssd", "budget_bytes": 1 << 20, "cache_bytes": 1 << 16},
}
DTYPES = {"f8_e4m3": 96, "bf16": 33, "int8_f16": 33, "q4_0": 64}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str | None], TableFiles]:
    root = tmp_path_factory.mktemp("tables")
    return {
        (dtype, tier): small_table(
            root / f"{dtype}-{tier}", dtype=dtype, row_dim=row_dim, tier=tier, shard_rows=256
        )
        for dtype, row_dim in DTYPES.items()
        for tier in (None, "host", "ssd")
    }


def records(table: TableFiles, layer: int, ids: np.ndarray) -> np.ndarray:
    """What the plain reader finds in the files."""
    return np.concatenate(table.read_rows(layer, ids), axis=1)


def opened(table: TableFiles, way: str) -> Store:
    return open_store(table.path, dtype=torch.uint8, **WAYS[way])  # type: ignore[arg-type]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("layout", [None, "host", "ssd"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_stored_rows_are_the_bytes_of_the_files(
    tables: dict[tuple[str, str | None], TableFiles], dtype: str, layout: str | None, way: str
) -> None:
    table = tables[dtype, layout]
    layer = table.layers[0]
    random = np.random.default_rng(1)
    with opened(table, way) as store:
        for count in (0, 1, 48, 700, 9000):
            ids = random.integers(0, table.num_rows(layer), count)
            expected = torch.from_numpy(records(table, layer, ids))
            for _ in range(2):  # the second time out of the cache
                out = torch.full((count, table.record.record_bytes), 0xA5, dtype=torch.uint8)
                assert store.gather(layer, ids, out) is out
                assert torch.equal(out, expected)
                assert torch.equal(store.prefetch({layer: ids}).wait(layer), expected)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_dequantised_they_are_the_rows_of_a_store_of_values(
    tables: dict[tuple[str, str | None], TableFiles], data: st.DataObject
) -> None:
    table = tables[data.draw(st.sampled_from(sorted(DTYPES))), "ssd"]
    layer = table.layers[-1]
    last = table.num_rows(layer) - 1
    edges = st.sampled_from([0, last])
    ids = np.array(data.draw(st.lists(edges | st.integers(0, last), min_size=1, max_size=60)))
    way = data.draw(st.sampled_from(sorted(WAYS)))
    with opened(table, way) as store:
        stored = store.gather(layer, ids).numpy()
        assert store.row_dim == table.record.row_dim
    values = decode(table.record, stored, table.table_scale(layer) or 1.0)
    assert np.array_equal(values, table.read_values(layer, ids))


def test_no_other_integers_are_rows(tables: dict[tuple[str, str | None], TableFiles]) -> None:
    with pytest.raises(ConfigError, match=r"torch\.int8"):
        open_store(tables["bf16", "ssd"].path, "host", dtype=torch.int8)
