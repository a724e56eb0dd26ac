"""The host tier's memory: in huge pages where there are some, and gone when the store is closed."""

import gc
from pathlib import Path

import numpy as np
import pytest

from engramctl.errors import StorageError
from engramctl.storage import open_store
from engramctl.storage.io.pages import PAGE
from engramctl.storage.reading.source import data_bytes
from engramctl.storage.tiers.host import HostStore
from tests.helpers.mapped import is_mapped
from tests.storage.tables import make_plan, write

IDS = np.arange(2000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("host") / "t"
    write(make_plan(form="packed", rows={1: 2000, 2: 2000}), folder)
    return folder


def test_a_closed_host_store_has_unmapped_its_table_when_close_returns(folder: Path) -> None:
    gc.collect()
    gc.disable()  # nothing waits for it
    try:
        store = open_store(folder, "host")
        assert isinstance(store, HostStore)
        store.gather(1, IDS)
        ticket = store.prefetch({1: IDS[:3]})
        addresses = [view.ctypes.data for rows in store.row_maps.values() for view in rows.views]
        assert all(map(is_mapped, addresses))
        store.close()
        assert not any(map(is_mapped, addresses))
        with pytest.raises(StorageError, match="closed"):
            ticket.wait(1)
    finally:
        gc.enable()


def test_the_host_tier_says_how_much_lies_in_huge_pages(folder: Path) -> None:
    with open_store(folder, "host") as store:
        assert isinstance(store, HostStore)
        found = store.huge_page_bytes
        assert found is None or 0 <= found <= data_bytes(store.table) + len(store.layers) * PAGE
