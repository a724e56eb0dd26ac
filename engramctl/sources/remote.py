"""Folders of remote systems.

`s3://` is read by pyarrow's own client (it honours AWS_ENDPOINT_URL and the usual credentials);
every other scheme by what fsspec knows under that name: gs:// needs gcsfs, hf:// huggingface_hub.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from engramctl.errors import ConfigError, CorpusError
from engramctl.sources.file import SourceFile
from engramctl.sources.rule import MARK_BYTES, is_our_mark
from engramctl.sources.walk import Entry, Kind

_NEEDS = {"gs": "gcsfs", "gcs": "gcsfs", "hf": "huggingface_hub"}
_QUERY = re.compile(r"\?(\w+=[^&/]*)(&\w+=[^&/]*)*$")  # of s3://; any other ? is of a pattern


class RemoteTree:
    """Objects under their paths; a system without links."""

    def __init__(self, name: str) -> None:
        """Connect to the system of a name; `path` is the name there.

        Raises:
            ConfigError: the scheme's library is missing.
            CorpusError: the system cannot be asked.
        """
        self._name = name
        self._scheme = name.partition("://")[0]
        with self._asking():
            self._listing, self._filesystem, self.path = _connect(self._scheme, name)

    def entry(self, path: str) -> Entry | None:
        """Look a path up; None when there is nothing. Raises CorpusError."""
        with self._asking():
            try:
                info = self._listing.info(path)
            except FileNotFoundError:
                return None
            kind = _kind(info)
            if path.endswith("/") and self._listing.isdir(path):  # a listing of http
                kind = Kind.FOLDER
        return Entry(path, kind, self._url(path))

    def entries(self, folder: Entry) -> list[Entry]:
        """List a folder. Raises CorpusError."""
        with self._asking():
            listed = self._listing.ls(folder.path, detail=True)
        paths = {info["name"].rstrip("/"): _kind(info) for info in listed}
        paths.pop(folder.path.rstrip("/"), None)  # the object that marks a folder
        return [Entry(path, kind, self._url(path)) for path, kind in paths.items()]

    def file(self, path: str) -> SourceFile:
        """Return what opens a path."""
        return SourceFile(self._url(path), path, self._filesystem)

    def is_our_mark(self, mark: Entry) -> bool:
        """Whether a file is engramctl's mark of a folder. Raises CorpusError."""
        with self._asking(), self.file(mark.path).open() as file:
            return is_our_mark(file.read(MARK_BYTES))

    def _url(self, path: str) -> str:
        return path if "://" in path else f"{self._scheme}://{path.lstrip('/')}"

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Name what was asked for in what the libraries raise, which is of many kinds."""
        try:
            yield
        except ImportError as error:
            library = _NEEDS.get(self._scheme, "a library for it")
            raise ConfigError(
                f"reading {self._scheme}:// needs {library}: {error}",
                hint=f"run: pip install {library}",
            ) from error
        except Exception as error:
            raise CorpusError(
                f"cannot ask for {self._name}",
                facts={"found": " ".join(str(error).split())[:300]},
                hint="check the name, the network and the credentials",
            ) from error


def _kind(info: Any) -> Kind:
    """Read fsspec's word for it; what is no folder is opened, and says then what it is."""
    return Kind.FOLDER if info["type"] == "directory" else Kind.FILE


def _connect(scheme: str, name: str) -> tuple[Any, Any, str]:
    """Return what lists, what reads (a pyarrow file system), and the path in both."""
    from pyarrow import fs

    if scheme == "s3":
        from fsspec.implementations.arrow import ArrowFSWrapper

        query = _QUERY.search(name)
        path = name[: query.start() if query else None].removeprefix("s3://").rstrip("/")
        bucket = path.partition("/")[0]
        filesystem, _ = fs.FileSystem.from_uri(f"s3://{bucket}{query[0] if query else ''}")
        return ArrowFSWrapper(filesystem), filesystem, path
    from fsspec.core import url_to_fs

    listing, path = url_to_fs(name)
    return listing, fs.PyFileSystem(fs.FSSpecHandler(listing)), path
