"""The Ray engine gives the files of the local one, byte for byte, also when workers are killed."""

import os
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engramctl.corpus.corpus import Corpus
from engramctl.errors import ConfigError, CorpusError
from engramctl.mining import ray_engine
from engramctl.mining.local import mine
from engramctl.mining.options import MineOptions
from engramctl.mining.ray_engine import mine_on_ray
from tests.conftest import RunCli
from tests.helpers.corpora import write_ids, zipf_documents

ray = pytest.importorskip("ray", reason="needs ray, the extra of that name")


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A cluster of two workers on this machine, with a token of its own; its address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(16))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        context = ray.init(
            num_cpus=2, include_dashboard=False, object_store_memory=200 << 20, log_to_driver=False
        )
        yield context.address_info["address"]
        ray.shutdown()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ray")
    documents = zipf_documents(5, 60_000, 129_280)
    for number, name in enumerate("abc"):
        write_ids(folder / f"{name}.parquet", documents[number::3], row_group_size=40)
    return folder


def order_files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("order*.parquet")}


@pytest.mark.parametrize(
    "options",
    [
        MineOptions(),
        MineOptions((1, 3, 5), min_count=2, partition_bits=5),
        MineOptions((2, 4), top_k=50),
    ],
    ids=["default", "pruned", "top-k"],
)
def test_the_files_are_those_of_the_local_engine(
    options: MineOptions, cluster: str, corpus: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(ray_engine, "TASK_TOKENS", 5000)  # many map tasks
    here = mine(Corpus.open([corpus]), tmp_path / "local", options)
    there = mine_on_ray(Corpus.open([corpus]), tmp_path / "ray", options)
    assert order_files(tmp_path / "ray") == order_files(tmp_path / "local")
    assert there == here
    manifests = [(tmp_path / name / "manifest.json").read_bytes() for name in ("local", "ray")]
    assert manifests[0] == manifests[1]
    assert len(list(ray_engine.file_groups(Corpus.open([corpus])))) > 10


def test_a_killed_worker_changes_nothing(
    cluster: str, corpus: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(ray_engine, "TASK_TOKENS", 2000)
    mine(Corpus.open([corpus]), tmp_path / "local")
    killed: list[str] = []
    stop = threading.Event()

    def kill() -> None:
        while not stop.is_set() and len(killed) < 2:
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    name = (process / "cmdline").read_bytes().split(b"\0")[0].decode()
                    if name.startswith("ray::engramctl"):
                        os.kill(int(process.name), signal.SIGKILL)
                        killed.append(name)
                        time.sleep(0.3)
                except (OSError, ValueError):
                    continue

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        mine_on_ray(Corpus.open([corpus]), tmp_path / "ray")
    finally:
        stop.set()
        thread.join()
    assert killed
    assert order_files(tmp_path / "ray") == order_files(tmp_path / "local")


def test_an_error_in_a_worker_is_the_same_clear_error(cluster: str, tmp_path: Path) -> None:
    good = write_ids(tmp_path / "a.parquet", [[1, 2]])
    bad = write_ids(tmp_path / "b.parquet", [[3, 4]])
    opened = Corpus.open([good, bad])
    bad.write_bytes(b"gone")
    with pytest.raises(CorpusError, match=r"cannot read b\.parquet"):
        mine_on_ray(opened, tmp_path / "counts")
    assert not (tmp_path / "counts").exists()
    assert not (tmp_path / "counts.partial").exists()


def test_the_command_line_chooses_the_engine(
    run_cli: RunCli, cluster: str, corpus: Path, tmp_path: Path
) -> None:
    found = run_cli("mine", corpus, "-o", tmp_path / "ray", "--engine", "ray", "--json")
    assert found.exit_code == 0, found.stderr
    assert run_cli("mine", corpus, "-o", tmp_path / "local").exit_code == 0
    assert order_files(tmp_path / "ray") == order_files(tmp_path / "local")
    refused = run_cli("mine", corpus, "-o", tmp_path / "x", "--engine", "ray", "--resume")
    assert refused.exit_code == 2
    assert run_cli("mine", corpus, "-o", tmp_path / "x", "--engine", "spark").exit_code == 2
    assert run_cli("mine", corpus, "-o", tmp_path / "x", "--ray-address", "a").exit_code == 2


def test_a_missing_ray_is_named_with_the_command_that_installs_it(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(ConfigError) as error:
        mine_on_ray(Corpus.open([corpus]), tmp_path / "counts")
    assert error.value.hint == "run: pip install 'engramctl[ray]'"
