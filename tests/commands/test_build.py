import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engramctl.hashing.released import presets
from engramctl.storage.reading.table import open_table
from engramctl.storage.record.codecs import decode
from tests.conftest import RunCli
from tests.helpers.small_table import SMALL_BUILD as SMALL


def files(folder: Path) -> dict[str, int]:
    return {one.name: one.stat().st_size for one in folder.iterdir()}


def row_files(folder: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in folder.glob("*.safetensors")}


def test_build_alone_makes_a_v41_shaped_table_of_about_256_mb(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run_cli("build", "--dry-run", "--json")
    assert result.exit_code == 0
    assert "assumed: scheme deepseek-v41, 20,000 slots a head, identity token map" in result.stderr
    document = result.json
    assert document["path"] == "tables"
    assert (document["scheme"], document["record_bytes"]) == ("deepseek-v41", 264)
    assert [layer["layer"] for layer in document["layers"]] == [1, 14]
    assert 250e6 < document["total_bytes"] < 262e6
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("tier", [None, "host", "ssd", "gpu"])
@pytest.mark.parametrize("dtype", ["f8_e4m3", "bf16", "f32"])
def test_a_dry_run_is_the_build_to_the_byte(
    run_cli: RunCli, tmp_path: Path, tier: str | None, dtype: str
) -> None:
    out = tmp_path / "tables"
    words = ["build", *SMALL, "--dtype", dtype, "-o", out, "--json"]
    words += ["--tier", tier] if tier else []
    predicted = run_cli(*words, "--dry-run").json
    assert not out.exists()
    real = run_cli(*words).json
    assert {f["file"]: f["bytes"] for f in predicted["files"]} == files(out)
    assert sum(files(out).values()) == predicted["total_bytes"] == real["total_bytes"]
    assert {**predicted, "dry_run": False} == real


def test_rows_of_a_built_table_are_the_schemes(run_cli: RunCli, tmp_path: Path) -> None:
    out = tmp_path / "tables"
    assert run_cli("build", *SMALL, "--orders", "2,3", "--layers", "7,3", "-o", out).exit_code == 0
    table = open_table(out)
    scheme = presets.make_scheme(
        "deepseek-v41", slots=50, heads_per_order=2, row_dim=32, orders=(2, 3), layers=(7, 3)
    )
    assert table.layers == (3, 7)
    assert {n: table.num_rows(n) for n in table.layers} == {n: scheme.num_rows(n) for n in (3, 7)}
    assert table.manifest.scheme == scheme.to_dict()
    weights, scales = table.read_rows(3, np.arange(table.num_rows(3)))
    values = decode(table.record, np.concatenate([weights, scales], axis=1))
    assert abs(values.std() - 0.02) < 0.002


def test_the_manifest_holds_the_command_that_makes_the_same_rows(
    run_cli: RunCli, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    run_cli("build", *SMALL, "--seed", 5, "--std", "0.5", "--dtype", "bf16", "-o", first)
    words = json.loads((first / "manifest.json").read_text())["provenance"]["command"]
    assert words[:2] == ["engramctl", "build"]
    assert run_cli(*words[1:], "-o", second).exit_code == 0
    assert row_files(first) == row_files(second)
    assert (first / "manifest.json").read_bytes() == (second / "manifest.json").read_bytes()


def test_a_scheme_file_gives_the_table_of_its_preset(run_cli: RunCli, tmp_path: Path) -> None:
    scheme = presets.make_scheme("engram", slots=40, heads_per_order=2, row_dim=8)
    (tmp_path / "scheme.json").write_text(json.dumps(scheme.to_dict()))
    result = run_cli("build", "--scheme", tmp_path / "scheme.json", "-o", tmp_path / "a")
    assert result.exit_code == 0, result.stderr
    preset = ("--scheme", "engram", "--slots", "40", "--heads", "2", "--row-dim", "8")
    assert run_cli("build", *preset, "-o", tmp_path / "b").exit_code == 0
    assert row_files(tmp_path / "a") == row_files(tmp_path / "b")
    result = run_cli(
        "build", "--scheme", tmp_path / "scheme.json", "--slots", 9, "-o", tmp_path / "c"
    )
    assert result.exit_code == 2
    assert "--slots" in result.stderr


def test_the_table_made_in_one_pass_is_the_one_that_is_laid_out(
    run_cli: RunCli, tmp_path: Path
) -> None:
    run_cli("build", *SMALL, "-o", tmp_path / "tables")
    for tier in ("host", "ssd"):
        run_cli("build", *SMALL, "--tier", tier, "-o", tmp_path / f"direct-{tier}")
        run_cli("layout", tmp_path / "tables", "--tier", tier, "-o", tmp_path / tier)
        assert row_files(tmp_path / tier) == row_files(tmp_path / f"direct-{tier}")


@pytest.mark.parametrize(
    "wrong",
    [
        ("--scheme", "v42"),
        ("--scheme", "missing.json"),
        ("--dtype", "f17"),
        ("--init", "uniform"),
        ("--tier", "tape"),
        ("--slots", "0"),
        ("--slots", "many"),
        ("--orders", "2,x"),
        ("--orders", "3,2"),
        ("--orders", ""),
        ("--layers", "1,1"),
        ("--layers", "-1"),
        ("--heads", "0"),
        ("--row-dim", "33"),
        ("--row-dim", "0"),
        ("--std", "0"),
        ("--std", "nan"),
        ("--seed", "-1"),
        ("--tokenizer", "missing.json"),
        ("--no-such-option",),
    ],
)
def test_a_wrong_option_exits_2_and_writes_nothing(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run_cli("build", *SMALL, *wrong)
    assert result.exit_code == 2, result.stderr
    assert result.stdout == ""
    assert "Error" in result.stderr
    assert "Traceback" not in result.stderr
    assert os.listdir(tmp_path) == []


def test_options_come_from_the_config_file_and_a_given_one_wins(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("engramctl.toml").write_text(
        '[build]\nslots = 60\nheads = 2\nrow-dim = 32\ndtype = "bf16"\n'
    )
    document = run_cli("build", "--dry-run", "--json", "--dtype", "f32").json
    assert (document["row_dim"], document["dtype"]) == (32, "f32")
    assert "20,000" not in run_cli("build", "--dry-run").stderr


def test_an_existing_table_needs_force(run_cli: RunCli, tmp_path: Path) -> None:
    out = tmp_path / "tables"
    assert run_cli("build", *SMALL, "-o", out).exit_code == 0
    before = row_files(out)
    result = run_cli("build", *SMALL, "--seed", 1, "-o", out)
    assert result.exit_code == 2
    assert "--force" in result.stderr
    assert row_files(out) == before
    assert run_cli("build", *SMALL, "--seed", 1, "-o", out, "--force").exit_code == 0
    assert row_files(out) != before


def make_counts(folder: Path, schema: str = "engramctl.counts/1") -> Path:
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"schema": schema}))
    return folder


def test_counts_are_checked_and_recorded(run_cli: RunCli, tmp_path: Path) -> None:
    import xxhash

    counts = make_counts(tmp_path / "counts")
    out = tmp_path / "tables"
    assert run_cli("build", *SMALL, "--counts", counts, "-o", out).exit_code == 0
    digest = xxhash.xxh3_128_hexdigest((counts / "manifest.json").read_bytes())
    assert open_table(out).manifest.provenance.counts_xxh3_128 == digest
    for wrong in (make_counts(tmp_path / "other", "engramctl.table/1"), tmp_path / "nowhere"):
        result = run_cli("build", *SMALL, "--counts", wrong, "-o", tmp_path / "x")
        assert result.exit_code == 1
        assert str(wrong) in result.stderr
    assert not (tmp_path / "x").exists()


def test_an_output_below_a_file_is_one_clear_error(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run_cli("build", *SMALL, "-o", tmp_path / "file" / "tables")
    assert result.exit_code == 1
    assert "Not a directory" in result.stderr
    assert "Hint:" in result.stderr


def test_a_table_larger_than_the_disk_is_refused_before_it_is_begun(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = list(os.statvfs(tmp_path))
    fields[4] = 10  # f_bavail
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(fields))
    result = run_cli("build", "--slots", 5000, "-o", tmp_path / "t")
    assert result.exit_code == 1
    assert "not enough space" in result.stderr
    assert os.listdir(tmp_path) == []


def start(out: Path, *more: str) -> Any:
    words = ["build", "--slots", "6000", "-o", str(out), *more]
    return [sys.executable, "-m", "engramctl", *words]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_build_that_is_ended_resumes_and_is_refused_until_then(
    run_cli: RunCli, tmp_path: Path, how: signal.Signals
) -> None:
    out = tmp_path / "tables"
    build = subprocess.Popen(start(out), stderr=subprocess.PIPE, text=True)
    first = tmp_path / "tables.partial" / "layer01.weight.000.safetensors"
    while build.poll() is None and not (first.exists() and first.stat().st_size > 1 << 20):
        pass
    build.send_signal(how)
    _, errors = build.communicate()
    if build.returncode == 0:
        pytest.skip("the build was faster than the signal")
    expected = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}
    assert build.returncode == expected[how], errors
    assert "Traceback" not in errors
    assert ("--resume to go on" in errors) == (how != signal.SIGKILL)
    assert os.listdir(tmp_path) == ["tables.partial"]
    for command in ("verify", "layout"):
        result = run_cli(command, out, *(["-o", tmp_path / "x"] if command == "layout" else []))
        assert result.exit_code == 1
        assert "unfinished build" in result.stderr
        assert "engramctl build ... --resume" in result.stderr
    shown = run_cli("inspect", out, "--json").json
    assert shown["kind"] == "unfinished build"
    assert re.fullmatch(r"engramctl build \.\.\. -o \S+/tables --resume", shown["continue_with"])
    result = run_cli("build", "--slots", 6000, "-o", out)
    assert result.exit_code == 2
    assert "--resume" in result.stderr
    result = run_cli("build", "--slots", 7000, "-o", out, "--resume")
    assert result.exit_code == 2
    assert "other options" in result.stderr
    assert run_cli("build", "--slots", 6000, "-o", out, "--resume", "-q").exit_code == 0
    assert run_cli("verify", out).exit_code == 0
