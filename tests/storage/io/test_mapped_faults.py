"""Pages that could not be read are asked for again: to touch them would be a signal, no error."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engramctl.errors import StorageError
from engramctl.storage import open_store
from engramctl.storage.readers.batch import Batch
from engramctl.storage.reading.table import open_table
from engramctl.storage.tiers.ssd import SsdStore
from tests.storage.tables import make_plan, write


class Failed:
    def wait(self, first: int | None = None) -> None:
        """All of it failed at once."""


def fails(batch: Batch) -> Failed:
    batch.got_R[:] = -5
    return Failed()


@pytest.mark.parametrize("size", [20, 3000])
def test_a_page_that_cannot_be_read_is_told_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    write(make_plan(form="paged", row_dim=256, rows={1: 3000}), tmp_path / "t")
    table, ids = open_table(tmp_path / "t"), np.random.default_rng(0).permutation(3000)[:size]
    with open_store(table, "ssd", None, torch.float32, engine="pread") as store:
        assert isinstance(store, SsdStore)
        with monkeypatch.context() as broken:
            broken.setattr(store.read.chosen.engine, "start", fails)
            for _ in range(2):
                with pytest.raises(StorageError, match="Input/output error"):
                    store.prefetch({1: ids}).wait(1)
                with pytest.raises(StorageError, match="Input/output error"):
                    store.gather(1, ids)
        assert torch.equal(store.gather(1, ids), torch.from_numpy(table.read_values(1, ids)))
