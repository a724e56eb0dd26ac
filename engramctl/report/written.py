"""A report's files: the page, Markdown, or a folder of pictures; never in a stranger's place."""

from pathlib import Path

from engramctl.errors import ConfigError
from engramctl.report.contents import MARK, Contents
from engramctl.report.drawing.pictures import picture
from engramctl.storage.files.atomic import os_errors
from engramctl.storage.files.output_file import BEGINNING_BYTES, output_file, written_whole

FORMATS = ("html", "md", "png", "svg")


def check_report(out: Path, *, force: bool) -> Path:
    """Return where a page or Markdown goes, links followed; leaves nothing there.

    Raises:
        ConfigError: a folder; a file, unless it is empty, or a report and `force` is given.
        StorageError: the file cannot be written.
    """
    return output_file(out, force=force, what="a report", is_ours=_is_report)


def write_report(text: str, target: Path) -> None:
    """Write the text whole, or leave what was there."""
    with os_errors("write", target), written_whole(target) as path:
        path.write_text(text, encoding="utf-8")


def write_pictures(contents: Contents, folder: Path, kind: str, *, force: bool) -> list[Path]:
    """Write every figure to a file of its own, and return their names.

    Raises:
        ConfigError: a file is there and `force` is not given; matplotlib is not installed.
        StorageError: a file cannot be written.
    """
    paths = [folder / f"{figure.key}.{kind}" for figure in contents.figures]
    with os_errors("write", folder):
        folder.mkdir(parents=True, exist_ok=True)
        taken = [path for path in paths if path.exists()]
    if taken and not force:
        raise ConfigError(
            f"{taken[0]} exists already",
            hint="add --force to replace it, or name another folder with -o",
        )
    for figure, path in zip(contents.figures, paths, strict=True):
        content = picture(figure, kind)
        with os_errors("write", path), written_whole(path) as fresh:
            fresh.write_bytes(content)
    return paths


def _is_report(path: Path) -> bool:
    with path.open("rb") as file:
        return MARK.encode() in file.read(BEGINNING_BYTES)
