"""An independent engine counts the same."""

from pathlib import Path

import duckdb
import pytest

from engramctl.corpus.corpus import Corpus
from engramctl.corpus.sample import SampleCorpus
from engramctl.mining.local import mine
from engramctl.mining.options import MineOptions

ORDERS = (1, 2, 3, 4, 5)


@pytest.mark.parametrize("min_count", [1, 2])
def test_counts_of_real_text_equal_duckdbs(
    sample: SampleCorpus, min_count: int, tmp_path: Path
) -> None:
    target = tmp_path / "counts"
    mine(Corpus.open([sample.parquet]), target, MineOptions(ORDERS, min_count=min_count))
    with duckdb.connect() as database:
        for order in ORDERS:
            names = [f"t{place}" for place in range(order)]
            windows = ", ".join(
                f"unnest(input_ids[{place + 1} : len(input_ids) - {order - 1 - place}]) AS {name}"
                for place, name in enumerate(names)
            )
            database.sql(
                f"CREATE OR REPLACE TABLE theirs AS SELECT {', '.join(names)}, count(*) AS times "
                f"FROM (SELECT {windows} FROM '{sample.parquet}' WHERE len(input_ids) >= {order}) "
                f"GROUP BY {', '.join(names)} HAVING times >= {min_count}"
            )
            same = " AND ".join(
                f"theirs.{name} = ours.token_ids[{place}]" for place, name in enumerate(names, 1)
            )
            ours = f"'{target}/order{order}.parquet'"
            rows = database.sql(
                f"SELECT (SELECT count(*) FROM theirs), (SELECT count(*) FROM {ours}), "
                f"(SELECT count(*) FROM theirs JOIN {ours} AS ours ON {same} "
                "AND theirs.times = ours.count)"
            ).fetchall()
            theirs, kept, equal = rows[0]
            assert theirs == kept == equal > 1000
