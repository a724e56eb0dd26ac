"""How much memory is to be had, of machine and cgroups; giving it back.

A container's limit is not in /proc/meminfo, and passing it ends in SIGKILL: before memory is taken
by the gigabyte, the least of all limits is asked for. Page cache counts as free, for the kernel
takes it back first; files in a tmpfs do not.
"""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_IN_MEMORY = {"tmpfs", "ramfs", "devtmpfs", "hugetlbfs"}
_NO_LIMIT = 1 << 62  # what version 1 of cgroups says where there is none: 2^63 less a page
_PAGE_CACHE = ("inactive_file", "active_file")


@dataclass(frozen=True)
class _Mount:
    """A line of /proc/self/mountinfo."""

    device: str
    root: PurePosixPath
    place: PurePosixPath
    kind: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class _Files:
    """How a version of cgroups calls what it says of memory."""

    limits: tuple[str, ...]
    usage: str
    prefix: str  # of the lines of memory.stat that count the cgroups below as well


_FILES = {
    1: _Files(("memory.limit_in_bytes",), "memory.usage_in_bytes", "total_"),
    2: _Files(("memory.max", "memory.high"), "memory.current", ""),
}


def available_bytes(root: Path = Path("/")) -> int:
    """Return the bytes that can be taken before the machine or a container is out of memory.

    Args:
        root: the folder with proc/ and sys/.
    """
    free = _number(_field(root / "proc/meminfo", "MemAvailable:"))
    if free is None:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024
    rooms = [_room(folder, _FILES[version]) for folder, version in cgroup_folders(root, "memory")]
    return max(0, min([free * 1024, *(room for room in rooms if room is not None)]))


def limit_bytes(root: Path = Path("/")) -> int | None:
    """Return the least limit that a cgroup sets to this process's memory; None: there is none.

    Args:
        root: the folder with proc/ and sys/.
    """
    texts = [
        text_or_empty(folder / name)
        for folder, version in cgroup_folders(root, "memory")
        for name in _FILES[version].limits
    ]
    limits = [limit for limit in map(_number, texts) if limit is not None and limit < _NO_LIMIT]
    return min(limits, default=None)


def give_back() -> None:
    """Return what allocators keep of arrays that are gone: up to 130 MiB after counting, measured.

    Arrow's pool and glibc's heap keep it for later; here the next need is of another size.
    """
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's alone
    if trim is not None:
        trim(0)


def is_in_memory(folder: Path) -> bool:
    """Tell whether files in a folder take memory instead of disk, as those of a tmpfs do."""
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    mounts = _mounts(Path("/"))
    return any(mount.device == number and mount.kind in _IN_MEMORY for mount in mounts)


def cgroup_folders(root: Path, controller: str) -> Iterator[tuple[Path, int]]:
    """Give the cgroups around this process that may limit something, innermost first.

    Args:
        root: the folder with proc/ and sys/.
        controller: of what: memory, cpu.

    Yields:
        the folder of each, and its version, 1 or 2.
    """
    mounts = list(_mounts(root))
    for line in text_or_empty(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, name = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        kind, version = ("cgroup", 1) if controllers else ("cgroup2", 2)
        for mount in mounts:
            if mount.kind != kind or (controllers and controller not in mount.options):
                continue
            path = PurePosixPath(name)
            # Without a namespace of its own a container sees the host's name, mounted as a root.
            inner = path.relative_to(mount.root) if path.is_relative_to(mount.root) else "."
            top = root / mount.place.relative_to("/")
            folder = top / inner
            while True:
                yield folder, version
                if folder == top:
                    break
                folder = folder.parent


def _room(folder: Path, files: _Files) -> int | None:
    """Return what a cgroup leaves; None: it has no limit, or says nothing."""
    limits = [_number(text_or_empty(folder / name)) for name in files.limits]
    known = [limit for limit in limits if limit is not None]
    usage = _number(text_or_empty(folder / files.usage))
    if not known or usage is None:
        return None
    stat = folder / "memory.stat"
    cache = sum(_number(_field(stat, files.prefix + name)) or 0 for name in _PAGE_CACHE)
    return min(known) - max(0, usage - cache)


def _mounts(root: Path) -> Iterator[_Mount]:
    for line in text_or_empty(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        with contextlib.suppress(ValueError):  # a line of another kind
            _, _, device, inside, place, *_ = before.split()
            kind, _, options = after.split(maxsplit=2)
            yield _Mount(
                device,
                PurePosixPath(_unescaped(inside)),
                PurePosixPath(_unescaped(place)),
                kind,
                tuple(options.split(",")),
            )


def _unescaped(name: str) -> str:
    return name.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")


def _field(file: Path, name: str) -> str:
    """Return what follows a name at the start of a line, '' when there is none."""
    for line in text_or_empty(file).splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return value
    return ""


def _number(text: str) -> int | None:
    """Return the first word as a number; None for 'max', or nothing."""
    words = text.split()
    return int(words[0]) if words and words[0].isdigit() else None


def text_or_empty(file: Path) -> str:
    """Return what a file of the kernel's says; '' where there is none, or it may not be read."""
    try:
        return file.read_text()
    except OSError:
        return ""
