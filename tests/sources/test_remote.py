"""Corpora elsewhere: an S3 server on loopback, and fsspec through its memory file system."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engramctl.corpus import Corpus
from engramctl.errors import ConfigError, CorpusError
from engramctl.mining.local import mine
from engramctl.sources import find_files
from tests.conftest import RunCli
from tests.rights import closed

DOCUMENTS = [[1, 2, 3, 1, 2], [], [7, 7, 7], [2, 3]]
KINDS = [pa.list_(pa.int32()), pa.large_list(pa.int64()), pa.list_(pa.uint16())]
CODECS = ["snappy", "zstd", "gzip", "brotli", "lz4", "none"]


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """A bucket on a real S3 server of this process; its url."""
    from moto.server import ThreadedMotoServer
    from pyarrow import fs

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        system, _ = fs.FileSystem.from_uri("s3://corpus?allow_bucket_creation=true")
        system.create_dir("corpus")
        yield "s3://corpus"
    server.stop()


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def parquet(documents: Any, kind: Any = KINDS[0], **options: Any) -> bytes:
    sink = io.BytesIO()
    extra = pa.array(range(len(documents)))
    pq.write_table(pa.table({"other": extra, "input_ids": pa.array(documents, kind)}), sink,
                   **options)  # fmt: skip
    return sink.getvalue()


def put(url: str, data: bytes) -> None:
    from pyarrow import fs

    system, path = fs.FileSystem.from_uri(url)
    with system.open_output_stream(path) as stream:
        stream.write(data)


def put_at(prefix: str, name: str, data: bytes) -> None:
    """Put an object whose name is no part of a url."""
    from pyarrow import fs

    system, path = fs.FileSystem.from_uri(prefix)
    with system.open_output_stream(f"{path}/{name}") as stream:
        stream.write(data)


def local_corpus(folder: Path) -> list[tuple[str, bytes]]:
    """Files of mixed schema and compression; written to `folder`, returned with their names."""
    files = []
    for number, codec in enumerate(CODECS):
        data = parquet(DOCUMENTS[number % 3 :], KINDS[number % 3], compression=codec)
        name = f"part/{number}.parquet" if number % 2 else f"{number}.parquet"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        files.append((name, data))
    return files


def urls_of(*names: str) -> list[str]:
    return [file.url for file in find_files(names).files]


def order_files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("order*.parquet")}


def test_mining_from_s3_gives_the_bytes_of_mining_from_disk(s3: str, tmp_path: Path) -> None:
    for name, data in local_corpus(tmp_path / "corpus"):
        put(f"{s3}/mine/{name}", data)
    here = mine(Corpus.open([tmp_path / "corpus"]), tmp_path / "local")
    there = mine(Corpus.open([f"{s3}/mine"]), tmp_path / "remote")
    assert order_files(tmp_path / "local") == order_files(tmp_path / "remote")
    assert len(order_files(tmp_path / "local")) == 4
    assert here["tokens"] == there["tokens"] > 0
    assert there["corpus"][0] == "s3://corpus/mine/0.parquet"
    assert len(there["corpus"]) == len(CODECS)


def test_prefixes_patterns_and_objects_of_a_bucket_are_found_in_order(s3: str) -> None:
    for name in ("b.parquet", "a.parquet", "deep/c.parquet", "notes.txt"):
        put(f"{s3}/find/{name}", parquet(DOCUMENTS))
    urls = [f"{s3}/find/{name}" for name in ("a.parquet", "b.parquet", "deep/c.parquet")]
    assert urls_of(f"{s3}/find/") == urls
    assert urls_of(f"{s3}/find/*.parquet") == urls[:2]
    assert urls_of(f"{s3}/find/**/*.parquet") == urls
    assert urls_of(urls[1], f"{s3}/find") == [urls[1], urls[0], urls[2]]
    with pytest.raises(CorpusError, match="no file matches"):
        find_files([f"{s3}/find/none*.parquet"])


def test_signs_of_a_pattern_in_the_name_of_an_object_are_exact(s3: str) -> None:
    for name in ("br[1]/a.parquet", "br1/a.parquet", "st*r.parquet", "star.parquet",
                 "q?.parquet", "qu.parquet", "k=v/_x.parquet", "k=v/a?b.parquet",
                 "_temporary/0/a.parquet", "c/order1.parquet"):  # fmt: skip
        put_at(f"{s3}/exact", name, parquet(DOCUMENTS))
    put_at(f"{s3}/exact", "c/manifest.json", b'{"schema": "engramctl.counts/1"}')
    for name in ("br[1]/a.parquet", "st*r.parquet", "q?.parquet", "k=v/_x.parquet"):
        assert urls_of(f"{s3}/exact/{name}") == [f"{s3}/exact/{name}"]
    assert urls_of(f"{s3}/exact/br[1]/*") == [f"{s3}/exact/br[1]/a.parquet"]
    assert urls_of(f"{s3}/exact/br[12]/*.parquet") == [f"{s3}/exact/br1/a.parquet"]
    assert urls_of(f"{s3}/exact/k=v/a?b.parquet") == [f"{s3}/exact/k=v/a?b.parquet"]
    assert urls_of(f"{s3}/exact/s?ar.parquet") == [f"{s3}/exact/star.parquet"]
    assert urls_of(f"{s3}/exact/star.parquet?region=us-east-1") == [f"{s3}/exact/star.parquet"]
    names = ["br1/a", "br[1]/a", "k=v/a?b", "q?", "qu", "st*r", "star"]
    assert urls_of(f"{s3}/exact") == [f"{s3}/exact/{name}.parquet" for name in names]


def test_a_bucket_that_does_not_exist_is_a_clear_error(s3: str) -> None:
    with pytest.raises(CorpusError, match="missing-bucket"):
        find_files(["s3://missing-bucket/corpus"])


def test_fsspec_systems_are_read_like_folders(memory: Any, tmp_path: Path) -> None:
    for name, data in local_corpus(tmp_path / "corpus"):
        memory.pipe(f"/bucket/{name}", data)
    mine(Corpus.open([tmp_path / "corpus"]), tmp_path / "local")
    mine(Corpus.open(["memory://bucket"]), tmp_path / "remote")
    assert order_files(tmp_path / "local") == order_files(tmp_path / "remote")
    assert urls_of("memory://bucket/*.parquet") == [
        "memory://bucket/0.parquet", "memory://bucket/2.parquet", "memory://bucket/4.parquet",
    ]  # fmt: skip


def test_a_missing_library_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(name: str) -> None:
        raise ImportError("no module named gcsfs")

    monkeypatch.setattr("fsspec.core.url_to_fs", refuse)
    with pytest.raises(ConfigError) as error:
        find_files(["gs://bucket/corpus"])
    assert error.value.hint == "run: pip install gcsfs"


@pytest.mark.parametrize("failures", [1, 3, 4])
def test_a_remote_read_that_fails_is_tried_again_and_then_named(
    failures: int, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = [np.arange(9).tolist()] * 40
    memory.pipe("/flaky/a.parquet", parquet(documents, row_group_size=10))
    corpus = Corpus.open(["memory://flaky"])
    monkeypatch.setattr("engramctl.parquet.RETRY_SECONDS", 0.0)
    monkeypatch.setattr("engramctl.corpus.corpus.BATCH_TOKENS", 27)
    left = 0
    real = fsspec.implementations.memory.MemoryFile.read

    def read(self: Any, size: int = -1) -> bytes:
        nonlocal left
        if left:
            left -= 1
            raise OSError("connection reset")
        return bytes(real(self, size))

    monkeypatch.setattr(fsspec.implementations.memory.MemoryFile, "read", read)
    batches = corpus.batches()
    tokens = len(next(batches).ids)
    left = failures  # from here on, in the middle of the file
    if failures <= 3:
        assert tokens + sum(len(batch.ids) for batch in batches) == 360
        assert left == 0
    else:
        with pytest.raises(CorpusError, match=r"cannot read a\.parquet") as error:
            list(batches)
        assert "connection reset" in str(error.value.facts["found"])


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
