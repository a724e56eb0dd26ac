"""Which commit of engramctl runs: of a checkout, read from its own files; git is not called."""

import re
from pathlib import Path

_HASH = re.compile(r"[0-9a-f]{40,64}")
_MOST_BYTES = 1 << 24


def own_commit(root: Path | None = None) -> str | None:
    """Return the commit that a checkout is at, or None: it is none, or says none.

    Files that were changed since are not looked for.

    Args:
        root: of the checkout; None: the folder that holds this package.
    """
    root = root or Path(__file__).resolve().parents[2]
    try:
        return _commit_at(root)
    except (OSError, ValueError):
        return None


def _commit_at(root: Path) -> str | None:
    git = root / ".git"
    if git.is_file():  # a worktree's
        git = root / _text(git).removeprefix("gitdir:").strip()
    if not git.is_dir():
        return None
    shared = git / "commondir"
    common = git / _text(shared).strip() if shared.exists() else git
    head = _text(git / "HEAD").strip()
    if not head.startswith("ref:"):
        return _hash(head)
    name = head.removeprefix("ref:").strip()
    for folder in (git, common):
        if (folder / name).is_file():
            return _hash(_text(folder / name).strip())
    packed = common / "packed-refs"
    for line in _text(packed).splitlines() if packed.exists() else ():
        found, _, of = line.partition(" ")
        if of == name:
            return _hash(found)
    return None


def _hash(text: str) -> str | None:
    return text if _HASH.fullmatch(text) else None


def _text(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES).decode()
