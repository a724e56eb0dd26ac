"""What a killed run left is on the disk, and is believed only when no byte of it has changed."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xxhash

from engramctl.corpus.corpus import Corpus
from engramctl.errors import EngramError, StorageError
from engramctl.hashing import make_scheme
from engramctl.mining import local
from engramctl.mining.local import mine
from engramctl.mining.options import MineOptions
from engramctl.storage.files.atomic import dump_json
from tests.helpers.corpora import write_ids, zipf_documents
from tests.mining.kills import killed_at_checkpoint

OPTIONS = MineOptions(chunk_tokens=500, resident_bytes=4_000, threads=2)
SCHEME = make_scheme("deepseek-v41", token_map=np.arange(500) // 2, slots=101, heads_per_order=2)
FILES = ("records.spill", "index.spill", "starts.raw")


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    path = write_ids(tmp_path / "corpus.parquet", zipf_documents(9, 6_000, 500), row_group_size=20)
    return Corpus.open([path], vocab_size=500)


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0.0, 0.5, 1.0], ids=["first", "middle", "last"])
def test_a_changed_byte_of_finished_work_is_noticed(
    name: str, place: float, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_at_checkpoint(2, monkeypatch):
        mine(corpus, tmp_path / "counts", OPTIONS, scheme=SCHEME)
    file = tmp_path / "counts.partial" / name
    run = json.loads((file.parent / "state.json").read_text())["run"]
    finished = {
        "records.spill": run["spill"]["bytes"],
        "index.spill": file.stat().st_size,
        "starts.raw": run["recorder"]["starts"]["bytes"],
    }[name]
    flip(file, int(place * (finished - 1)))
    with pytest.raises(StorageError, match=f"{name} is not what") as caught:
        mine(corpus, tmp_path / "counts", OPTIONS, scheme=SCHEME, resume=True)
    assert "--force" in (caught.value.hint or "")
    mine(corpus, tmp_path / "counts", OPTIONS, scheme=SCHEME, force=True)


def test_a_changed_byte_of_the_state_is_noticed(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_at_checkpoint(2, monkeypatch):
        mine(corpus, tmp_path / "counts", OPTIONS, scheme=SCHEME)
    partial = tmp_path / "counts.partial"
    text = (partial / "state.json").read_bytes()
    digit = text.index(b'"tokens": ') + len(b'"tokens": ')
    flip(partial / "state.json", digit)
    with pytest.raises(StorageError, match=r"state\.json is not what"):
        mine(corpus, tmp_path / "counts", OPTIONS, scheme=SCHEME, resume=True)
    for at in range(0, len(text), len(text) // 5):
        (partial / "state.json").write_bytes(text)
        flip(partial / "state.json", at)
        with pytest.raises(EngramError):
            mine(corpus, tmp_path / "counts", OPTIONS, scheme=SCHEME, resume=True)
    (partial / "state.json").write_bytes(text)
    mine(corpus, tmp_path / "counts", OPTIONS, scheme=SCHEME, resume=True)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ((), []),
        ((), {}),
        (("identity",), []),
        (("layout", "partition_bits"), 60),
        (("layout", "order"), "2"),
        (("layout",), {"order": 3}),
        (("spill", "chunks"), 1 << 40),
        (("spill", "chunks"), -1),
        (("spill", "bytes"), 1 << 50),
        (("spill", "bytes"), None),
        (("recorder", "starts", "bytes"), "9"),
        (("recorder",), 7),
        (("position", "file"), None),
        (("position", "tokens"), -1),
        (("position", "more"), 1),
    ],
)
def test_a_state_that_no_run_wrote_is_refused(
    corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: tuple[str, ...],
    value: object,
) -> None:
    """Its digest is right: whoever writes such a file can make one."""
    with killed_at_checkpoint(1, monkeypatch):
        mine(corpus, tmp_path / "counts", OPTIONS, scheme=SCHEME)
    file = tmp_path / "counts.partial" / "state.json"
    state = json.loads(file.read_bytes())
    if place:
        inner = state["run"]
        for name in place[:-1]:
            inner = inner[name]
        inner[place[-1]] = value
    else:
        state["run"] = value
    state["run_xxh3_128"] = xxhash.xxh3_128_hexdigest(dump_json(state["run"]))
    file.write_bytes(dump_json(state))
    with pytest.raises(EngramError):
        mine(corpus, tmp_path / "counts", OPTIONS, scheme=SCHEME, resume=True)


def test_all_that_a_checkpoint_tells_of_is_on_the_disk_before_it_is_told(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: dict[Path, int] = {}
    told = []
    fsync, replace = os.fsync, os.replace

    def recorded(descriptor: int) -> None:
        fsync(descriptor)
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        synced[path] = path.stat().st_size if path.is_file() else len(os.listdir(path))

    def compared(source: Path, target: Path) -> None:
        if target.name == "state.json" and "run" in json.loads(Path(source).read_bytes()):
            for name in FILES:
                file = target.parent / name
                assert synced.get(file, 0) == file.stat().st_size, f"{name} is not synced"
            assert synced.get(target.parent, 0) >= len(FILES), "the names are not synced"
            told.append(sum(synced[target.parent / name] for name in FILES))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", recorded)
    monkeypatch.setattr(os, "replace", compared)
    monkeypatch.setattr(local, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("engramctl.corpus.corpus.BATCH_TOKENS", 1 << 10)
    mine(corpus, tmp_path / "counts", OPTIONS, scheme=SCHEME)
    assert len(told) > 2
    assert told == sorted(set(told))


@pytest.mark.parametrize("break_it", [os.truncate, lambda path, size: path.unlink()])
def test_a_file_that_is_gone_or_cut_is_noticed(
    break_it: Callable[[Path, int], None],
    corpus: Corpus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in FILES:
        with killed_at_checkpoint(2, monkeypatch):
            mine(corpus, tmp_path / "counts", OPTIONS, scheme=SCHEME, force=True)
        break_it(tmp_path / "counts.partial" / name, 8)
        with pytest.raises(StorageError):
            mine(corpus, tmp_path / "counts", OPTIONS, scheme=SCHEME, resume=True)


def test_a_stranger_where_the_records_would_go_keeps_all_files(
    corpus: Corpus, tmp_path: Path
) -> None:
    options = replace(OPTIONS, tmp_dir=tmp_path / "tmp")
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.spill").write_text("years of work")
    with pytest.MonkeyPatch.context() as patch:  # how the folder is called
        patch.setattr("engramctl.mining.local.remove_spill_folder", lambda *_: None)
        mine(corpus, tmp_path / "counts", options)
    [place] = (tmp_path / "tmp").iterdir()
    place.rmdir()
    place.symlink_to(home)
    for resume in (False, True):
        with pytest.raises(StorageError, match="is not ours"):
            mine(corpus, tmp_path / "counts", options, force=True, resume=resume)
    assert (home / "thesis.spill").read_text() == "years of work"
    place.unlink()
    place.mkdir()
    (place / "notes.txt").write_text("not of a run")
    mine(corpus, tmp_path / "counts", options, force=True)
    assert [file.name for file in place.iterdir()] == ["notes.txt"]
