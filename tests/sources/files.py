"""Files to find, and what is found of them."""

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engramctl.errors import CorpusError
from engramctl.sources.find import find_files

DOCUMENTS = [[1, 2, 3, 1, 2], [], [7, 7, 7], [2, 3]]
KINDS = [pa.list_(pa.int32()), pa.large_list(pa.int64()), pa.list_(pa.uint16())]
CODECS = ["snappy", "zstd", "gzip", "brotli", "lz4", "none"]
HIDDEN = (
    "_temporary/0/part-0.parquet",
    ".ipynb_checkpoints/part-0-checkpoint.parquet",
    ".part-0.parquet",
    "_part-0.parquet",
    "._part-0.parquet",
    ".part.PARQUET",
    "_delta_log/00000000000000000010.checkpoint.parquet",
    "deep/.hidden/more/part-0.parquet",
    "key=value/_committed/part-0.parquet",
    ".git/_x/part-0.parquet",
)
OURS = '{\n "schema": "engramctl.counts/1"'


def make(root: Path, *names: str, content: str = "") -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def read(root: Path, *names: str | Path, **options: Any) -> list[str]:
    """Find files; return their paths below `root`."""
    found = find_files(names or [root], **options)
    return [str(Path(file.path).relative_to(root)) for file in found.files]


def refused(*names: str | Path) -> str:
    with pytest.raises(CorpusError) as caught:
        find_files(names)
    assert caught.value.hint
    return caught.value.render()


def parquet(documents: Any, kind: Any = KINDS[0], **options: Any) -> bytes:
    sink = io.BytesIO()
    extra = pa.array(range(len(documents)))
    pq.write_table(pa.table({"other": extra, "input_ids": pa.array(documents, kind)}), sink,
                   **options)  # fmt: skip
    return sink.getvalue()


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


def order_files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob("order*.parquet")}
