"""A run that is killed goes on and gives the same bytes."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engramctl.corpus.corpus import Corpus
from engramctl.errors import ConfigError, CorpusError
from engramctl.mining import local
from engramctl.mining.local import mine
from engramctl.mining.options import MineOptions
from tests.helpers.corpora import file_bytes, write_ids, zipf_documents
from tests.mining.kills import killed_at_checkpoint

ORDERS = (1, 2, 4, 5)
OPTIONS = MineOptions(ORDERS, min_count=2, chunk_tokens=500, resident_bytes=20_000, threads=2)
# Every batch is a checkpoint, and batches are small.
RUN = """
import sys
from pathlib import Path
import engramctl.corpus.corpus
from engramctl.corpus.corpus import Corpus
from engramctl.mining import local
from engramctl.mining.options import MineOptions
engramctl.corpus.corpus.BATCH_TOKENS = 1 << 9
local.CHECKPOINT_SECONDS = 0.0
tmp_dir = Path(sys.argv[3]) if len(sys.argv) > 3 else None
options = MineOptions(
    (1, 2, 4, 5), min_count=2, chunk_tokens=500, resident_bytes=20_000, threads=2, tmp_dir=tmp_dir
)
print("begun", flush=True)
local.mine(Corpus.open([sys.argv[1]]), Path(sys.argv[2]), options, resume=True)
"""


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder of three files."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    documents = zipf_documents(9, 30_000, 129_280)
    for number, name in enumerate("abc"):
        write_ids(folder / f"{name}.parquet", documents[number::3], row_group_size=20)
    return folder


@pytest.mark.parametrize("number", [1, 2, 5, 12])
def test_a_run_goes_on_behind_any_checkpoint_with_the_same_bytes(
    number: int, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Corpus.open([corpus])
    mine(source, tmp_path / "whole", OPTIONS)
    with killed_at_checkpoint(number, monkeypatch):
        mine(source, tmp_path / "counts", OPTIONS)
    state = json.loads((tmp_path / "counts.partial" / "state.json").read_text())
    assert state["run"]["position"]["tokens"] >= 500 * number
    read = 0

    def progress(title: str, total: int | None, unit: str) -> Any:
        @contextmanager
        def show() -> Iterator[Any]:
            def advance(amount: int) -> None:
                nonlocal read
                read += amount if title == "reading" else 0

            yield advance

        return show()

    mine(source, tmp_path / "counts", OPTIONS, resume=True, progress=progress)
    assert file_bytes(tmp_path / "counts") == file_bytes(tmp_path / "whole")
    assert read == 30_000
    assert not (tmp_path / "counts.partial").exists()


@pytest.mark.slow
@pytest.mark.parametrize("elsewhere", [False, True], ids=["beside", "tmp-dir"])
def test_killed_at_random_moments_and_resumed_gives_the_same_bytes(
    elsewhere: bool, corpus: Path, tmp_path: Path
) -> None:
    mine(Corpus.open([corpus]), tmp_path / "whole", OPTIONS)
    words = [corpus, tmp_path / "counts", *([tmp_path / "spill"] if elsewhere else [])]
    command = [sys.executable, "-c", RUN, *map(str, words)]
    start = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    assert file_bytes(tmp_path / "counts") == file_bytes(tmp_path / "whole")
    usual = time.monotonic() - start
    chance = random.Random(0)
    kills = 0
    while True:
        if (tmp_path / "counts").exists():
            assert file_bytes(tmp_path / "counts") == file_bytes(tmp_path / "whole")
            if kills >= 10:
                break
            shutil.rmtree(tmp_path / "counts")
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert run.stdout is not None
        assert run.stdout.readline() == b"begun\n"
        try:
            run.wait(timeout=None if kills >= 10 else chance.uniform(0, 0.6 * usual))
        except subprocess.TimeoutExpired:
            os.kill(run.pid, signal.SIGKILL)
            kills += 1
        errors = run.communicate()[1]
        assert run.returncode in (0, -signal.SIGKILL), errors.decode()
    if elsewhere:
        assert list((tmp_path / "spill").iterdir()) == []


def test_resume_with_other_options_or_files_is_refused_by_name_and_keeps_the_work(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "counts"
    with killed_at_checkpoint(3, monkeypatch):
        mine(Corpus.open([corpus]), target, OPTIONS)
    before = file_bytes(tmp_path / "counts.partial")
    with pytest.raises(ConfigError) as caught:
        mine(Corpus.open([corpus]), target, MineOptions(ORDERS, min_count=3), resume=True)
    assert caught.value.facts == {"min_count": "2, now 3"}
    write_ids(corpus / "b.parquet", zipf_documents(10, 10_000, 129_280))
    with pytest.raises(ConfigError, match=r"b\.parquet is not the file"):
        mine(Corpus.open([corpus]), target, OPTIONS, resume=True)
    (corpus / "c.parquet").unlink()
    (corpus / "b.parquet").unlink()
    with pytest.raises(ConfigError, match="other options") as caught:
        mine(Corpus.open([corpus]), target, OPTIONS, resume=True)
    assert caught.value.facts == {"corpus": "3 files, now 1"}
    assert file_bytes(tmp_path / "counts.partial") == before


def test_what_a_run_left_that_had_no_checkpoint_never_reaches_a_result(
    corpus: Path, tmp_path: Path
) -> None:
    target, partial = tmp_path / "counts", tmp_path / "counts.partial"
    partial.mkdir()
    (partial / "state.json").write_text('{"schema": "engramctl.state/1", "command": "mine"}')
    for name in ("order3.parquet", "records.spill", "index.spill"):
        (partial / name).write_bytes(b"left")
    mine(Corpus.open([corpus]), target, OPTIONS, resume=True)
    mine(Corpus.open([corpus]), tmp_path / "whole", OPTIONS)
    assert file_bytes(target) == file_bytes(tmp_path / "whole")


def test_an_error_behind_a_checkpoint_leaves_no_temporary_files(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "CHECKPOINT_SECONDS", 0.0)
    source = Corpus.open([corpus], vocab_size=129_279)  # the largest id is in the second file
    options = MineOptions(ORDERS, tmp_dir=tmp_path / "spill", resident_bytes=0)
    with pytest.raises(CorpusError):
        mine(source, tmp_path / "counts", options)
    assert list((tmp_path / "spill").iterdir()) == []
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["corpus", "spill"]


def test_a_run_goes_on_over_names_that_are_not_utf8_with_its_own_folder_among_them(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        os.rename(corpus / f"{name}.parquet", os.fsencode(corpus) + b"/\xff%c.parquet" % ord(name))
    mine(Corpus.open([corpus]), corpus / "whole", OPTIONS)
    with killed_at_checkpoint(5, monkeypatch):
        mine(Corpus.open([corpus]), corpus / "counts", OPTIONS)
    summary = mine(Corpus.open([corpus]), corpus / "counts", OPTIONS, resume=True)
    assert summary["corpus"] == [f"{corpus}/\\xff{name}.parquet" for name in "abc"]
    assert file_bytes(corpus / "counts") == file_bytes(corpus / "whole")
    again = mine(Corpus.open([corpus]), corpus / "counts", OPTIONS, force=True)
    assert again == summary
    assert file_bytes(corpus / "counts") == file_bytes(corpus / "whole")
