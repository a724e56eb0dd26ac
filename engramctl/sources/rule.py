"""Which files the name of a corpus means: one rule, for this machine and remote systems alike.

1. A name that exists as it is written is that file or folder, whatever characters it has.
2. A folder means every file below it whose name ends in `.parquet`, links followed, each once: it
   is the pattern `FOLDER/**/*.parquet`.
3. Any other name with `*`, `?` or `[..]` is a pattern, part by part; `**` is any number of folders.
   It begins in the longest folder that exists as it is written. A folder that it matches is read as
   one. `.parquet` may be in capitals.
4. What was found, below a folder or by a pattern, and not spelled out is left out when its name
   begins with `.` or `_` (and is no partition such as `_lang=en`), or when it lies in a folder that
   engramctl wrote or is writing: programs keep copies, logs and halves there. It is told how many.
5. A link to nothing, a folder that may not be listed and a pipe are errors; --skip-bad-files leaves
   them out and lists them.
"""

import fnmatch
import glob
import re
from collections.abc import Callable

Pattern = tuple[str, ...]
ANY_DEPTH = "**"
SUFFIX = ".parquet"
FOLDER: Pattern = (ANY_DEPTH, "*" + SUFFIX)  # what a folder means, as a pattern
MARKS = ("manifest.json", "state.json")  # of a folder that engramctl wrote, or is writing
MARK_BYTES = 1 << 16  # of them that are looked at

HIDDEN = "with a name or in a folder that begins with . or _"
OURS = "in a folder that engramctl wrote"

_SCHEMA = re.compile(rb'"schema"\s*:\s*"engramctl\.')
_UNFINISHED = ".partial"


def is_pattern(name: str) -> bool:
    """Whether a name, or a part of one, can match others."""
    return glob.has_magic(name)


def split_pattern(path: str, exists: Callable[[str], bool]) -> tuple[str, Pattern]:
    """Cut a pattern into the folder that it begins with and the parts after that.

    Args:
        path: what is no file or folder as it is written.
        exists: whether a folder is there, as written; asked only for names that look like patterns.

    Example:
        >>> split_pattern("data/en/**/part-?.parquet", exists=lambda folder: False)
        ('data/en', ('**', 'part-?.parquet'))
        >>> split_pattern("data[1]/*.parquet", exists=lambda folder: folder == "data[1]")
        ('data[1]', ('*.parquet',))
        >>> split_pattern("/*.parquet", exists=lambda folder: False)
        ('/', ('*.parquet',))
    """
    root = "/" if path.startswith("/") else ""
    steps = [part for part in path.split("/") if part]
    while len(steps) > 1:
        folder = join(root, steps[0])
        if is_pattern(steps[0]) and (steps[0] == ANY_DEPTH or not exists(folder)):
            break
        root = folder
        del steps[0]
    if steps[-1] == ANY_DEPTH:  # every folder below, each read as one
        steps[-1:] = FOLDER
    return root, tuple(steps)


def join(folder: str, name: str) -> str:
    """Return the path of a name in a folder; "" is the folder one is in."""
    return f"{folder.rstrip('/')}/{name}" if folder else name


def is_parquet(name: str) -> bool:
    """Whether a name is one that a folder is read for."""
    return name.lower().endswith(SUFFIX)


def part_matches(part: str, name: str) -> bool:
    """Whether one part of a pattern matches a name.

    Example:
        >>> part_matches("*.parquet", "PART-0.PARQUET"), part_matches("part*", "PART-0.PARQUET")
        (True, False)
    """
    if part == ANY_DEPTH or fnmatch.fnmatchcase(name, part):
        return True
    return is_parquet(name) and fnmatch.fnmatchcase(name[: -len(SUFFIX)] + SUFFIX, part)


def reason_to_leave_out(part: str, name: str, *, is_folder: bool) -> str | None:
    """Say why a name that `part` of a pattern found is not read; None where it is.

    Example:
        >>> reason_to_leave_out("*", "_temporary", is_folder=True) == HIDDEN
        True
        >>> reason_to_leave_out("*", "_lang=en", is_folder=True)
        >>> reason_to_leave_out("_*", "_temporary", is_folder=True)
    """
    is_partition = is_folder and name.startswith("_") and "=" in name
    if name[:1] in (".", "_") and not part.startswith(name[0]) and not is_partition:
        return HIDDEN
    return OURS if is_folder and name.endswith(_UNFINISHED) else None


def is_our_mark(content: bytes) -> bool:
    """Whether a file of `MARKS` begins as engramctl's do."""
    return _SCHEMA.search(content) is not None
