"""Corpora elsewhere: an S3 server on loopback, and fsspec through its memory file system."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from engramctl.corpus.corpus import Corpus
from engramctl.errors import ConfigError, CorpusError
from engramctl.mining.local import mine
from engramctl.sources.find import Found, find_files
from tests.sources.files import (
    CODECS,
    DOCUMENTS,
    HIDDEN,
    OURS,
    local_corpus,
    order_files,
    parquet,
    refused,
)


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


def urls_of(*names: str) -> list[str]:
    return [file.url for file in find_files(names).files]


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
    monkeypatch.setattr("engramctl.corpus.parquet.RETRY_SECONDS", 0.0)
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


def below(found: Found) -> list[str]:
    return [file.url.removeprefix("memory://b/") for file in found.files]


def test_the_rule_is_the_same_for_remote_systems(memory: Any) -> None:
    seen = ["PART.PARQUET", "_lang=en/a.parquet", "br1/a.parquet", "br[1]/a.parquet",
            "d/manifest.json/a.parquet"]  # fmt: skip
    for name in (*HIDDEN, *seen, "_SUCCESS", "c/order1.parquet", "c.partial/order1.parquet"):
        memory.pipe(f"/b/{name}", b"")
    memory.pipe("/b/c/manifest.json", OURS.encode())
    found = find_files(["memory://b"])
    assert below(found) == seen
    assert found.left_out == (
        "left out Parquet files: 2 in a folder that engramctl wrote, "
        "10 with a name or in a folder that begins with . or _"
    )
    assert below(find_files(["memory://b/**/*.parquet"])) == seen
    assert below(find_files(["memory://b/_part-0.parquet"])) == ["_part-0.parquet"]
    assert below(find_files(["memory://b/.git/_x/*.parquet"])) == [".git/_x/part-0.parquet"]
    assert below(find_files(["memory://b/br[1]/a.parquet"])) == ["br[1]/a.parquet"]
    assert below(find_files(["memory://b/br[1]/*.parquet"])) == ["br[1]/a.parquet"]
    assert below(find_files(["memory://b/br[12]/*.parquet"])) == ["br1/a.parquet"]
    assert below(find_files(["memory://b/c/order1.parquet"])) == ["c/order1.parquet"]
    for name in ("st*r.parquet", "star.parquet"):
        memory.pipe(f"/b/{name}", b"")
    assert below(find_files(["memory://b/st*r.parquet"])) == ["st*r.parquet"]
    assert below(find_files(["memory://b/sta*.parquet"])) == ["star.parquet"]
    assert "engramctl wrote" in refused("memory://b/*/order1.parquet")
    assert "no file matches" in refused("memory://b/none.parquet")


def test_a_remote_folder_that_cannot_be_listed_is_named_or_left_out_and_listed(
    memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.parquet", "shut/b.parquet"):
        memory.pipe(f"/b/{name}", b"")
    ls = type(memory).ls

    def refuse(self: Any, path: str, **options: Any) -> Any:
        if path.endswith("shut"):
            raise PermissionError("AccessDenied")
        return ls(self, path, **options)

    monkeypatch.setattr(type(memory), "ls", refuse)
    for name in ("memory://b", "memory://b/**/*.parquet"):
        assert "AccessDenied" in refused(name)
        found = find_files([name], skip_bad_files=True)
        assert below(found) == ["a.parquet"]
        assert [file.url for file, _ in found.bad] == ["memory://b/shut"]
