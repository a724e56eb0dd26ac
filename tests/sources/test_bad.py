"""What cannot be read or listed is named, or left out and listed; it never just vanishes."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engramctl.corpus.corpus import Corpus
from engramctl.errors import CorpusError
from engramctl.mining.local import mine
from engramctl.sources.find import find_files
from tests.conftest import RunCli
from tests.helpers.rights import closed
from tests.sources.files import (
    DOCUMENTS,
    local_corpus,
    make,
    order_files,
    parquet,
    read,
    refused,
)


def by_folder_pattern_and_name(root: Path, name: str) -> Iterator[str | Path]:
    yield root
    yield f"{root}/*.parquet"
    yield f"{root}/**/*.parquet"
    yield root / name


def test_a_link_to_nothing_is_named_or_left_out_and_listed(tmp_path: Path) -> None:
    make(tmp_path, "a.parquet")
    (tmp_path / "zeta.parquet").symlink_to("/nowhere/zeta.parquet")
    for name in by_folder_pattern_and_name(tmp_path, "zeta.parquet"):
        words = refused(tmp_path / "a.parquet", name)
        assert f"{tmp_path}/zeta.parquet leads to nothing" in words
        assert "a link to /nowhere/zeta.parquet" in words
        found = find_files([tmp_path / "a.parquet", name], skip_bad_files=True)
        assert [file.name for file in found.files] == ["a.parquet"]
        assert [str(file) for file, _ in found.bad] == [f"{tmp_path}/zeta.parquet"]


def test_a_link_to_nothing_may_have_been_a_folder(tmp_path: Path) -> None:
    make(tmp_path, "a.parquet", "b/part-0.parquet")
    (tmp_path / "y2024").symlink_to(tmp_path / "unmounted")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for name in (tmp_path, f"{tmp_path}/**/*.parquet", f"{tmp_path}/*/part-0.parquet"):
        found = find_files([name], skip_bad_files=True)
        assert sorted(file.name for file, _ in found.bad) == ["circle", "y2024"]
        assert "leads to nothing" in refused(name)
    assert read(tmp_path, f"{tmp_path}/*.parquet") == ["a.parquet"]


def test_hidden_links_to_nothing_are_nobodys_files(tmp_path: Path) -> None:
    make(tmp_path, "a.parquet")
    (tmp_path / ".#a.parquet").symlink_to("user@host.1234")
    assert read(tmp_path) == ["a.parquet"]


@pytest.mark.parametrize("mode", [0, 0o100, 0o200, 0o400])
def test_a_folder_one_may_not_list_or_enter_is_named_or_left_out_and_listed(
    mode: int, tmp_path: Path
) -> None:
    make(tmp_path, "a.parquet", "shut/b.parquet", "shut/c/d.parquet")
    with closed(tmp_path / "shut", mode):
        for name in (tmp_path, f"{tmp_path}/**/*.parquet", f"{tmp_path}/*"):
            assert f"{tmp_path}/shut" in refused(name)
            assert "Permission denied" in refused(name)
            found = find_files([name], skip_bad_files=True)
            assert [file.name for file in found.files if "shut" not in file.url] == ["a.parquet"]
            assert [file.url for file, _ in found.bad][-1].startswith(f"{tmp_path}/shut")
        if not mode & 0o100:
            for name in (tmp_path / "shut" / "b.parquet", f"{tmp_path}/shut/c/*.parquet"):
                assert "Permission denied" in refused(name)


def test_a_hidden_folder_one_may_not_list_is_no_error(tmp_path: Path) -> None:
    make(tmp_path, "a.parquet", ".Trash/b.parquet")
    with closed(tmp_path / ".Trash"):
        assert read(tmp_path) == ["a.parquet"]


def test_a_pipe_is_named_or_left_out_and_listed(tmp_path: Path) -> None:
    make(tmp_path, "a.parquet")
    os.mkfifo(tmp_path / "p.parquet")
    for name in by_folder_pattern_and_name(tmp_path, "p.parquet"):
        assert "p.parquet is not a file" in refused(name)
    os.mkfifo(tmp_path / "log")
    assert read(tmp_path, tmp_path, skip_bad_files=True) == ["a.parquet"]


def test_names_too_long_and_empty_names_are_clear_errors(tmp_path: Path) -> None:
    for name in ("n" * 300, tmp_path / ("n" * 300) / "a.parquet", f"/{'d/' * 3000}x"):
        assert "File name too long" in refused(name)
    assert "no file matches" in refused(f"{tmp_path}/{'[n]' * 100}")
    for name in ("", "file://"):
        assert "is empty" in refused(name)


BAD = {
    "not-parquet": b"nothing of the kind",
    "cut": parquet(DOCUMENTS)[:-20],
    "empty": b"",
    "other-column": None,
    "text": None,
    "negative": parquet([[1, 2], [-1]]),
    "null-id": parquet([[1, None]]),
    "last-group": None,
}


def bad_file(name: str, folder: Path) -> Path:
    path = folder / f"x-{name}.parquet"
    if name == "other-column":
        pq.write_table(pa.table({"ids": pa.array(DOCUMENTS)}), path)
    elif name == "text":
        pq.write_table(pa.table({"input_ids": pa.array(["a"])}), path)
    elif name == "last-group":
        path.write_bytes(broken_at_the_end())
    else:
        path.write_bytes(BAD[name] or b"")
    return path


def broken_at_the_end() -> bytes:
    """A file of four row groups, the last one's data overwritten."""
    rows = np.random.default_rng(0).integers(0, 99, (400, 20)).tolist()
    data = bytearray(parquet(rows, row_group_size=100, write_page_checksum=True))
    meta = pq.ParquetFile(io.BytesIO(data)).metadata
    chunk = meta.row_group(3).column(1)
    middle = chunk.data_page_offset + chunk.total_compressed_size // 2
    data[middle : middle + 8] = b"\xff" * 8
    return bytes(data)


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_left_out_whole_and_listed(name: str, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    local_corpus(corpus)
    expected = mine(Corpus.open([corpus]), tmp_path / "good")
    bad = bad_file(name, corpus)
    with pytest.raises(CorpusError):
        mine(Corpus.open([corpus]), tmp_path / "refused")
    assert not (tmp_path / "refused").exists()
    summary = mine(Corpus.open([corpus], skip_bad_files=True), tmp_path / "counts")
    assert order_files(tmp_path / "counts") == order_files(tmp_path / "good")
    assert [entry["file"] for entry in summary["skipped_files"]] == [str(bad)]
    assert summary["skipped_files"][0]["reason"]
    assert summary["tokens"] == expected["tokens"]
    assert expected["skipped_files"] == []


def test_links_to_nothing_and_closed_folders_are_left_out_and_listed(
    tmp_path: Path, run_cli: RunCli
) -> None:
    corpus = tmp_path / "corpus"
    local_corpus(corpus)
    (corpus / "shut").mkdir()
    (corpus / "z.parquet").symlink_to("nowhere")
    with closed(corpus / "shut"):
        refused = run_cli("mine", corpus, "-o", tmp_path / "counts")
        assert refused.exit_code == 1
        assert "--skip-bad-files" in refused.stderr
        result = run_cli("mine", corpus, "-o", tmp_path / "counts", "--skip-bad-files", "--json")
    assert result.exit_code == 0, result.stderr
    assert result.json["skipped_files"] == [
        {
            "file": f"{corpus}/z.parquet",
            "reason": f"{corpus}/z.parquet leads to nothing: a link to nowhere: No such file or "
            "directory",
        },
        {
            "file": f"{corpus}/shut",
            "reason": f"cannot list {corpus}/shut: Permission denied",
        },
    ]
    assert f"left out {corpus}/shut: cannot list" in result.stderr


def test_what_is_left_out_by_its_name_is_told_by_every_command_that_reads_a_corpus(
    tmp_path: Path, run_cli: RunCli
) -> None:
    local_corpus(tmp_path / "corpus")
    local_corpus(tmp_path / "corpus" / "_temporary")
    told = "left out Parquet files: 6 with a name or in a folder that begins with . or _\n"
    mined = run_cli("mine", tmp_path / "corpus", "-o", tmp_path / "corpus" / "counts", "--json")
    assert told in mined.stderr
    again = run_cli("mine", tmp_path / "corpus", "-o", tmp_path / "corpus/counts", "--force")
    assert "4 in a folder that engramctl wrote, 6 with a name" in again.stderr
    rows = run_cli("rows", tmp_path / "corpus", "--scheme", "qwen-ple")
    assert rows.exit_code == 0, rows.stderr
    assert "4 in a folder that engramctl wrote, 6 with a name" in rows.stderr
    assert rows.stdout.count("\n") == mined.json["documents"]


def test_a_corpus_of_nothing_but_bad_files_is_an_error(tmp_path: Path) -> None:
    bad_file("cut", tmp_path)
    with pytest.raises(CorpusError, match="no file of the corpus can be used"):
        Corpus.open([tmp_path], skip_bad_files=True)
