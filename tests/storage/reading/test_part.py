"""Some rows of a table as a table: the same bytes under other numbers, whatever reads them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engramctl.storage import open_store
from engramctl.storage.format.dealt_heads import dealt_heads
from engramctl.storage.reading.part import PartOfTable
from engramctl.storage.reading.source import read_values
from tests.helpers.small_table import small_table


def ranges_of(num_rows: int) -> list[tuple[int, int]]:
    """Three ranges that begin and end within pages, out of order, the first and last row left."""
    return [(num_rows - 40, num_rows - 3), (1, 8), (17, 100)]


@pytest.mark.parametrize("layout", [None, "host", "ssd"])
@pytest.mark.parametrize(("tier", "budget"), [("host", None), ("ssd", None), ("ssd", 1 << 20)])
def test_a_part_gives_the_rows_of_the_whole(
    tmp_path: Path, layout: str | None, tier: str, budget: int | None
) -> None:
    whole = small_table(tmp_path / "table", tier=layout, shard_rows=64)
    ranges = {layer: ranges_of(whole.num_rows(layer)) for layer in whole.layers}
    part = PartOfTable.of(whole, ranges)
    with open_store(part.source, tier, budget, torch.float32, scheme=whole.scheme) as store:
        for layer in whole.layers:
            held = np.concatenate([np.arange(*one) for one in ranges[layer]])
            wanted = torch.from_numpy(read_values(whole, layer, held))
            found = store.gather(layer, part.numbers(layer, held).reshape(-1, 1))
            assert torch.equal(found[:, 0], wanted)


def test_a_part_knows_which_rows_it_holds(tmp_path: Path) -> None:
    whole = small_table(tmp_path / "table", tier="ssd")
    ranges = {layer: ranges_of(whole.num_rows(layer)) for layer in whole.layers}
    part = PartOfTable.of(whole, ranges)
    for layer in whole.layers:
        every = np.arange(whole.num_rows(layer))
        wanted = np.concatenate([np.arange(*one) for one in ranges[layer]])
        assert np.flatnonzero(part.holds(layer, every)).tolist() == sorted(wanted.tolist())
        assert len(set(part.numbers(layer, wanted).tolist())) == len(wanted)
        pages = len(ranges[layer]) + 3  # a page that is cut comes with all its rows
        assert part.source.num_rows(layer) <= len(wanted) + 127 * pages


def test_a_part_without_a_row_of_a_layer_is_refused(tmp_path: Path) -> None:
    whole = small_table(tmp_path / "table")
    with pytest.raises(ValueError, match="without a row of layer 1"):
        PartOfTable.of(whole, {1: []})


def test_every_head_is_dealt_once() -> None:
    dealt = [dealt_heads(7, shard, 3) for shard in range(3)]
    assert dealt == [(0, 3, 6), (1, 4), (2, 5)]
