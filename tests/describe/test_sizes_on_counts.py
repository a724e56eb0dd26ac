"""How many slots are enough: one line an order and size, and what each size costs."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from engramctl.describe.sizes_on_counts import answer, diagnose_sizes
from engramctl.describe.sizes_view import sizes_tables
from engramctl.hashing import Scheme
from engramctl.storage.record.record import RecordSpec
from tests.conftest import RunCli
from tests.helpers.corpora import write_ids, zipf_documents
from tests.helpers.mined_counts import mined, small_scheme

DOCUMENTS = zipf_documents(seed=3, tokens=2000, vocabulary=60)
SIZES = (40, 160)


def scheme_of(slots: int) -> Scheme:
    return small_scheme("deepseek-v41", 64, mapped=True, eos_id=6, slots=slots)


def diagnosed(folder: Path, *slots: int) -> dict[str, Any]:
    schemes = [scheme_of(size) for size in slots]
    _, counts = mined(folder, schemes[0], DOCUMENTS, canonical=False)
    return diagnose_sizes(schemes, counts)


def test_a_line_an_order_and_size_is_the_mean_of_its_heads(tmp_path: Path) -> None:
    found = diagnosed(tmp_path, *SIZES)
    assert [[one["slots"] for one in size["by_order"]] for size in found["sizes"]] == [
        [slots] * 3 for slots in SIZES
    ]
    for slots, size in zip(SIZES, found["sizes"], strict=True):
        for line in size["by_order"]:
            layers = [
                one
                for one in found["orders"]
                if (one["slots"], one["order"]) == (slots, line["order"])
            ]
            heads = [head for one in layers for head in one["heads"]]
            assert {head["num_slots"] for head in heads} >= {
                line["fewest_slots"],
                line["most_slots"],
            }
            assert slots <= line["fewest_slots"] < line["most_slots"]
            hidden = [head["overshadowed_percent"] for head in heads]
            assert line["overshadowed_percent"] == pytest.approx(sum(hidden) / len(hidden))
            shared = [100 * head["colliding_ngrams"] / line["distinct"] for head in heads]
            assert line["colliding_percent"] == pytest.approx(sum(shared) / len(shared))


def test_a_size_is_the_bytes_of_all_its_rows(tmp_path: Path) -> None:
    schemes = [scheme_of(size) for size in SIZES]
    found = diagnosed(tmp_path, *SIZES)
    for scheme, size in zip(schemes, found["sizes"], strict=True):
        record = RecordSpec(scheme.dtype, scheme.row_dim).record_bytes
        assert size["num_rows"] == sum(map(scheme.num_rows, scheme.layers))
        assert size["table_bytes"] == size["num_rows"] * record


def size_of(slots: int, hidden: float | None, orders: tuple[int, ...] = (2,)) -> dict[str, Any]:
    lines = [
        {"order": n, "slots": slots, "overshadowed_percent": hidden, "colliding_percent": 71.0}
        for n in orders
    ]
    return {
        "orders": orders, "table_bytes": slots << 20, "overshadowed_percent": hidden,
        "by_order": lines,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ([size_of(3, 12.5)], "3 slots a head take 3.00 MiB, and 12.5 % of accesses are"),
        ([size_of(3, 12.5), size_of(6, 4.0)], "; 6 take 6.00 MiB, and 4 % of accesses are"),
        ([size_of(3, None)], "at least 71 % of n-grams of order 2 collide"),
        ([size_of(3, 1.0), size_of(3, 2.0, (2, 3))], "3 in orders 2,3 take"),
    ],
)
def test_one_sentence_says_what_every_size_costs(
    sizes: list[Mapping[str, Any]], words: str
) -> None:
    found = answer([dict(size) for size in sizes])
    assert words in found
    assert found.endswith(".")


def test_md_and_csv_hold_what_a_screen_has_no_room_for(tmp_path: Path) -> None:
    found = diagnosed(tmp_path, *SIZES)
    few = [name for table in sizes_tables(found) for name in table.names]
    (whole,) = sizes_tables(found, whole=True)
    assert "table bytes" in whole.names
    assert "table bytes" not in few
    assert {"joint collisions", "colliding by chance %", "fewest slots"} <= set(whole.names)
    assert len(whole.rows) == 6
    assert found["answer"] in whole.caption


def test_a_head_has_a_line_only_when_each_is_asked_for(tmp_path: Path) -> None:
    found = diagnosed(tmp_path, 50)
    plain, each = sizes_tables(found), sizes_tables(found, each_head=True)
    assert [len(table.rows) for table in plain] == [3, 3, 0]
    heads = next(table for table in each if table.title.startswith("heads"))
    assert len(heads.rows) == sum(len(order["heads"]) for order in found["orders"])


def test_the_command_takes_sizes_repeated_or_with_commas(run_cli: RunCli, tmp_path: Path) -> None:
    corpus = write_ids(tmp_path / "corpus.parquet", zipf_documents(1, 2000, 90))
    assert run_cli("mine", corpus, "-o", tmp_path / "counts", "-q").exit_code == 0
    inspect = ("inspect", "deepseek-v41", "--counts", tmp_path / "counts", "-q")
    repeated = run_cli(*inspect, "--slots", "0.1k", "--slots", "400", "--json")
    assert repeated.exit_code == 0, repeated.stderr
    commas = run_cli(*inspect, "--slots", "100,400", "--json")
    assert commas.json == repeated.json
    assert [size["by_order"][0]["slots"] for size in commas.json["sizes"]] == [100, 400]
    sweep = run_cli(
        *inspect, "--slots", "100,400", "--orders", "2", "--orders", "2,3", "--format", "csv"
    )
    rows = list(csv.DictReader(io.StringIO(sweep.stdout)))
    assert [(row["orders"], row["slots"], row["order"]) for row in rows] == [
        ("2", "100", "2"), ("2", "400", "2"),
        ("2,3", "100", "2"), ("2,3", "100", "3"), ("2,3", "400", "2"), ("2,3", "400", "3"),
    ]  # fmt: skip
    assert run_cli(*inspect, "--slots", "100,000").exit_code == 2


def test_a_config_file_names_one_size_or_a_list(run_cli: RunCli, tmp_path: Path) -> None:
    corpus = write_ids(tmp_path / "corpus.parquet", zipf_documents(1, 2000, 90))
    assert run_cli("mine", corpus, "-o", tmp_path / "counts", "-q").exit_code == 0
    config = tmp_path / "some.toml"
    inspect = ("inspect", "deepseek-v41", "--counts", tmp_path / "counts", "--config", config)
    for words, sizes in (("100", [100]), ("[100, 400]", [100, 400]), ('"1k"', [1000])):
        config.write_text(f"[inspect]\nslots = {words}\n")
        found = run_cli(*inspect, "--json")
        assert found.exit_code == 0, found.stderr
        assert [size["by_order"][0]["slots"] for size in json.loads(found.stdout)["sizes"]] == sizes
    alone = run_cli("inspect", tmp_path / "counts", "--config", config)
    assert alone.exit_code == 0, alone.stderr  # a size of the file is for runs with --counts
