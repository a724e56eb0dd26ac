"""A probe reads what it says it reads, leaves nothing behind, and says what follows."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from engramctl.errors import ConfigError, StorageError
from engramctl.machine import disk_probe, probe
from engramctl.machine.disk_probe import DEPTHS, best_rate, probe_disk
from engramctl.machine.limits import capture_limits
from engramctl.machine.memory_probe import random_lines_per_s
from engramctl.machine.view import probe_tables
from engramctl.storage.readers import choose
from tests.helpers.mined_counts import run

SMALL = 64 << 20


@pytest.fixture
def full_file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.bin"
    path.write_bytes(np.random.default_rng(0).bytes(SMALL))
    return path


def test_every_engine_is_measured_at_every_depth(full_file: Path) -> None:
    found = probe_disk(full_file.parent, seconds=0.005)
    assert (found["path"], found["written"]) == (str(full_file), False)
    assert [(one["engine"], one["depth"]) for one in found["random"]] == [
        (engine, depth) for engine in ("io_uring", "pread", "willneed") for depth in DEPTHS
    ]
    for one in found["random"]:
        measured = one["reads_per_s"] is not None
        assert measured != (one["engine"] == "pread" and one["depth"] == 256), one
        assert one["direct"] == (one["engine"] != "willneed")
        assert (one["p50_us"] is not None) == (one["depth"] == 1)
    assert all(step > 0 for step in found["step_us"].values())
    assert found["sequential_bytes_per_s"] > 0
    assert best_rate(found) == max(one["reads_per_s"] or 0 for one in found["random"])


def test_a_folder_without_files_gets_one_for_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_probe, "_NEW_BYTES", SMALL)
    found = probe_disk(tmp_path, seconds=0.002)
    assert (found["path"], found["written"], found["file_bytes"]) == (str(tmp_path), True, SMALL)
    assert list(tmp_path.iterdir()) == []


def test_a_probe_that_fails_removes_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StorageError("the disk is gone")

    monkeypatch.setattr(disk_probe, "_NEW_BYTES", SMALL)
    monkeypatch.setattr(disk_probe, "_sequential", fail)
    with pytest.raises(StorageError, match="gone"):
        probe_disk(tmp_path, seconds=0.002)
    assert list(tmp_path.iterdir()) == []


def test_holes_and_small_files_say_nothing_of_a_disk(tmp_path: Path) -> None:
    sparse = tmp_path / "sparse.bin"
    sparse.touch()
    os.truncate(sparse, 2 * SMALL)
    (tmp_path / "small.bin").write_bytes(b"x" * 4096)
    for path in (sparse, tmp_path / "small.bin"):
        with pytest.raises(ConfigError, match="says nothing of the disk"):
            probe_disk(path)
    with pytest.raises(ConfigError, match="there is no"):
        probe_disk(tmp_path / "missing")


def test_an_engine_that_is_missing_says_why(
    full_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object) -> None:
        raise StorageError("no", facts={"reason": "Operation not permitted"})

    monkeypatch.setitem(choose._MAKERS, "io_uring", forbidden)
    found = probe_disk(full_file, seconds=0.002)
    assert {one["reason"] for one in found["random"] if one["engine"] == "io_uring"} == {
        "Operation not permitted"
    }
    assert found["step_us"]["io_uring"] is None


@pytest.mark.parametrize(
    ("rate", "step_us", "words"),
    [
        (70_000.0, 700.0, "Good for serving tables from disk: a cold step of 48 rows takes 0.7 ms"),
        (4_000.0, 12_000.0, "rows are mostly in memory"),
        (300.0, 160_000.0, r"Too slow .* 6\.2 tokens/s at most\. Use --tier host"),
    ],
)
def test_the_sentence_says_what_the_disk_is_good_for(
    rate: float, step_us: float, words: str
) -> None:
    disk = {"random": [{"reads_per_s": rate}], "step_us": {"pread": step_us, "io_uring": None}}
    text = probe.sentence(disk, probe.step_time_ms(disk))
    assert re.search(words, text), text


def test_limits_of_containers_are_read(tmp_path: Path) -> None:
    here = capture_limits()
    assert here["io_uring"] == "works" or "not" in here["io_uring"]
    for name, text in {
        "proc/self/cgroup": "0::/box/inner\n",
        "proc/meminfo": "MemAvailable: 1000 kB\n",
        "proc/self/mountinfo": "1 0 0:9 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        "sys/fs/cgroup/box/cpu.max": "150000 100000\n",
        "sys/fs/cgroup/box/inner/cpu.max": "max 100000\n",
        "sys/fs/cgroup/box/memory.max": "5000000\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = capture_limits(tmp_path)
    assert (found["cpu_quota"], found["memory_limit_bytes"]) == (1.5, 5_000_000)


def test_memory_is_measured() -> None:
    assert random_lines_per_s(seconds=0.01, num_bytes=1 << 20) > 0


def test_the_command_prints_one_document_and_tables_that_fit(
    full_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = {
        "limits": {"cpu_quota": None, "memory_limit_bytes": None, "io_uring": "works"},
        "disk": probe_disk(full_file, seconds=0.002),
        "memory_lines_per_s": 2e7,
        "step_ms": 0.81234,
        "sentence": "Good.",
    }
    tables = probe_tables(document)
    assert [row["engine"] for row in tables[0].rows] == ["io_uring", "pread", "willneed"]
    assert "pread, depth 256: 64 threads at most" in tables[0].caption
    assert {"fact": "cold step of 48 rows", "value": "0.812 ms"} in tables[1].rows
    monkeypatch.setattr(probe, "probe", lambda path: document)
    assert run("env", "--probe", full_file)["probe"] == json.loads(json.dumps(document))
