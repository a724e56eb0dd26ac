"""Schemes that have a name are found: all listed, each described, a mistyped one asked about."""

import csv
import io
import json
from pathlib import Path

import pytest

from engramctl.describe.schemes import named_schemes
from engramctl.hashing import PRESETS, make_scheme
from engramctl.storage.record.record import RecordSpec
from tests.conftest import RunCli


def test_every_name_is_listed_with_the_sizes_of_its_scheme() -> None:
    listed = {one["name"]: one for one in named_schemes()["schemes"]}
    assert list(listed) == list(PRESETS)
    for name, one in listed.items():
        scheme = make_scheme(name)
        rows = sum(scheme.num_rows(layer) for layer in scheme.layers)
        assert one["num_rows"] == rows
        assert (tuple(one["orders"]), tuple(one["layers"])) == (scheme.orders, scheme.layers)
        assert one["heads_per_order"] * len(scheme.orders) == scheme.num_heads
        record = RecordSpec(scheme.dtype, scheme.row_dim).record_bytes
        assert one["table_bytes"] == rows * record


def test_the_list_is_a_table_json_csv_and_markdown(run_cli: RunCli) -> None:
    table, markdown = (run_cli("inspect", "--schemes", *more).stdout for more in ((), ("-f", "md")))
    for name in PRESETS:
        assert name in table
        assert f"| {name} " in markdown
    assert "189 GiB" in table
    document = run_cli("inspect", "--schemes", "--json").json
    assert [one["name"] for one in document["schemes"]] == list(PRESETS)
    rows = list(csv.DictReader(io.StringIO(run_cli("inspect", "--schemes", "-f", "csv").stdout)))
    assert [int(one["table_bytes"]) for one in rows] == [
        one["table_bytes"] for one in document["schemes"]
    ]


@pytest.mark.parametrize("name", PRESETS)
def test_a_name_is_described_as_its_scheme_file_is(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    document = run_cli("inspect", name, "--json").json
    assert (document["scheme"], document["kind"]) == (name, "scheme")
    Path("s.json").write_text(json.dumps(make_scheme(name).to_dict()))
    saved = run_cli("inspect", "s.json", "--json").json
    assert saved.pop("path") == "s.json"
    assert saved == document


def test_what_is_there_is_described_though_a_scheme_has_its_name(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("blt").mkdir()
    assert "manifest.json" in run_cli("inspect", "blt").stderr


def test_a_mistyped_name_or_none_is_answered_with_what_there_is(run_cli: RunCli) -> None:
    wrong = run_cli("inspect", "longcat-flsh-lite")
    assert wrong.exit_code == 1
    assert "did you mean 'longcat-flash-lite'" in wrong.stderr
    nothing = run_cli("inspect")
    assert nothing.exit_code == 2
    assert "--schemes" in nothing.stderr


@pytest.mark.parametrize("command", ["build", "rows", "mine"])
def test_the_help_of_a_scheme_says_where_names_are_listed(run_cli: RunCli, command: str) -> None:
    assert "engramctl inspect --schemes" in " ".join(run_cli(command, "--help").stdout.split())
