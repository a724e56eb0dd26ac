"""Folders published by a command of the tests' own."""

from pathlib import Path
from typing import Any

from engramctl.storage.writing.ownership import Maker
from engramctl.storage.writing.partial_folder import PartialDirectory

MANIFEST = {"schema": "engramctl.test/1"}
MAKER = Maker("build", r"data|more|deep/(data)?")
ONCE = Maker("export", r"data", resumable=False)


def publish(path: Path, text: str, maker: Maker = MAKER, **options: Any) -> None:
    with PartialDirectory(path, maker, **options) as work:
        (work.path / "data").write_text(text)
        work.publish(MANIFEST, ["data"])


def fail_with_state(path: Path, maker: Maker = MAKER, **options: Any) -> None:
    with PartialDirectory(path, maker, **options) as work:
        (work.path / "data").write_text("half")
        work.save_state({"done": 3})
        raise KeyError("stop")
