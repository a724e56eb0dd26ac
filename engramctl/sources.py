"""Names of corpora -> files: paths, folders and patterns, on this machine or on a remote system.

`s3://` is read by pyarrow's own client (it honours AWS_ENDPOINT_URL and the usual credentials);
every other scheme by what fsspec knows under that name: gs:// needs gcsfs, hf:// huggingface_hub.
"""

import glob
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from engramctl.errors import ConfigError, CorpusError

_NEEDS = {"gs": "gcsfs", "gcs": "gcsfs", "hf": "huggingface_hub"}
_HINT = "name Parquet files, folders with *.parquet files, or quoted glob patterns"


@dataclass(frozen=True)
class SourceFile:
    """A file that can be opened again and again.

    Attributes:
        url: the name as it is shown and recorded; a path for local files.
        path: the name as `filesystem` takes it.
        filesystem: a pyarrow file system; None for local files.
    """

    url: str
    path: str
    filesystem: Any = field(default=None, compare=False, repr=False)

    @classmethod
    def local(cls, path: Path) -> "SourceFile":
        """Name a file of this machine."""
        return cls(str(path), str(path))

    def __str__(self) -> str:
        """Return the url."""
        return self.url

    @property
    def name(self) -> str:
        """The last part of the name."""
        return self.path.rpartition("/")[2]

    @property
    def is_remote(self) -> bool:
        """Whether reading it may fail and succeed later."""
        return self.filesystem is not None

    @property
    def num_bytes(self) -> int:
        """Its size; asks the file system."""
        if self.filesystem is None:
            return os.stat(self.path).st_size
        return int(self.filesystem.get_file_info(self.path).size)

    def open(self) -> AbstractContextManager[IO[bytes]]:
        """Open it for reading from its start."""
        if self.filesystem is None:
            return open(self.path, "rb")
        return cast(AbstractContextManager[IO[bytes]], self.filesystem.open_input_stream(self.path))


def find_files(names: Iterable[str | Path]) -> list[SourceFile]:
    """Return the Parquet files that names mean: in the order of the names, each once.

    A folder or a bucket's prefix means every *.parquet below it, sorted; so does a pattern.

    Raises:
        CorpusError: a name that matches nothing, or a system that cannot be asked.
        ConfigError: a scheme whose library is missing.
    """
    found: dict[str, SourceFile] = {}
    for name in names:
        if "://" in str(name):
            for file in _remote(str(name)):
                found.setdefault(file.url, file)
        else:
            for path in _local(str(name)):
                found.setdefault(str(path.resolve()), SourceFile.local(path))
    return list(found.values())


def _local(name: str) -> list[Path]:
    path = Path(name)
    if path.is_dir():
        matches = sorted(file for file in path.rglob("*.parquet") if file.is_file())
    elif path.exists():
        matches = [path]
    else:
        hits = sorted(glob.glob(name, recursive=True))
        matches = [Path(hit) for hit in hits if Path(hit).is_file()]
    if not matches:
        raise CorpusError(
            f"no Parquet files in {name}" if path.is_dir() else f"no file matches {name}",
            hint=_HINT,
        )
    return matches


def _remote(name: str) -> list[SourceFile]:
    scheme = name.partition("://")[0]
    try:
        listing, filesystem, path = _connect(scheme, name)
        if glob.has_magic(path):
            hits = [hit for hit in listing.glob(path) if listing.isfile(hit)]
        elif listing.isdir(path):
            hits = [hit for hit in listing.find(path) if hit.endswith(".parquet")]
        else:
            hits = [path] if listing.isfile(path) else []
    except ImportError as error:
        library = _NEEDS.get(scheme, "a library for it")
        raise ConfigError(
            f"reading {scheme}:// needs {library}: {error}", hint=f"run: pip install {library}"
        ) from error
    except (OSError, ValueError) as error:
        raise CorpusError(
            f"cannot ask for {name}",
            facts={"found": " ".join(str(error).split())[:300]},
            hint="check the name, the network and the credentials",
        ) from error
    if not hits:
        raise CorpusError(f"no file matches {name}", hint=_HINT)
    return [SourceFile(f"{scheme}://{hit.lstrip('/')}", hit, filesystem) for hit in sorted(hits)]


def _connect(scheme: str, name: str) -> tuple[Any, Any, str]:
    """Return what lists, what reads (a pyarrow file system), and the path in both."""
    from pyarrow import fs

    if scheme == "s3":
        from fsspec.implementations.arrow import ArrowFSWrapper

        uri, _, query = name.partition("?")
        bucket, _, _ = uri.removeprefix("s3://").partition("/")
        filesystem, _ = fs.FileSystem.from_uri(f"s3://{bucket}" + (f"?{query}" if query else ""))
        return ArrowFSWrapper(filesystem), filesystem, uri.removeprefix("s3://").rstrip("/")
    from fsspec.core import url_to_fs

    listing, path = url_to_fs(name)
    return listing, fs.PyFileSystem(fs.FSSpecHandler(listing)), path
