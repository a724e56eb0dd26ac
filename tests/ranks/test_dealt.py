"""A table's rows among ranks: all of them, once, as files of heads are dealt."""

from pathlib import Path

import numpy as np
import pytest

from engramctl.errors import ConfigError
from engramctl.hashing import DictionaryScheme, lookup_from_dict
from engramctl.ranks.dealt import Dealt
from engramctl.tables.layout import LayoutOptions, plan_layout
from engramctl.tables.opened_rows import open_rows
from tests.helpers.small_table import small_table


@pytest.mark.parametrize("shard", ["heads", "rows"])
def test_every_row_has_one_owner_who_holds_it(tmp_path: Path, shard: str) -> None:
    table = small_table(tmp_path / "table", tier="ssd")
    scheme = lookup_from_dict(dict(table.manifest.scheme))
    dealt = Dealt.of(table, scheme, 3, shard)
    parts = [dealt.part(table, rank) for rank in range(3)]
    for layer in table.layers:
        rows = np.arange(table.num_rows(layer))
        owners = dealt.owners(layer, rows)
        for rank, part in enumerate(parts):
            assert np.array_equal(part.holds(layer, rows), owners == rank)
            assert (owners == rank).any()


def test_heads_are_dealt_to_ranks_as_to_the_files_of_a_layout(tmp_path: Path) -> None:
    path = small_table(tmp_path / "table").path
    source = open_rows(path)
    scheme = lookup_from_dict(dict(source.scheme))
    plan = plan_layout(source, LayoutOptions(tier="ssd", head_shards=3))
    dealt = Dealt.of(source.rows, scheme, 3)
    assert dealt.shard == "heads"
    for layer in source.rows.layers:
        files = [file.segments for file in plan.files if file.layer == layer]
        assert [tuple(own) for own in dealt.ranges[layer]] == files


def test_where_heads_do_not_reach_rows_are_dealt_and_heads_by_name_are_refused(
    tmp_path: Path,
) -> None:
    table = small_table(tmp_path / "table")
    one_head = DictionaryScheme.of([(1, 2)], vocab_size=9)
    assert Dealt.of(table, one_head, 2).shard == "rows"
    with pytest.raises(ConfigError, match="1 heads cannot be dealt to 2 ranks"):
        Dealt.of(table, one_head, 2, "heads")
    with pytest.raises(ConfigError, match="rows cannot be dealt to 1000000 ranks"):
        Dealt.of(table, one_head, 1_000_000)
