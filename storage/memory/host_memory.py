"""Memory of this process's own, in huge pages where the machine has them.

Random rows of a table of many gigabytes miss the TLB with pages of 4 KiB; with pages of 2 MiB a
five-hundredth of the entries covers as much.
"""

import contextlib
import mmap
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.memory import text_or_empty
from engramctl.storage.memory.reserved import reserved

PAGE = mmap.PAGESIZE
HUGE_PAGE = 2 << 20  # where a huge page has another size, fewer bytes may lie in some
_HUGEPAGE, _COLLAPSE = 14, 25
_ENABLED = Path("/sys/kernel/mm/transparent_hugepage/enabled")
_SMAPS = Path("/proc/self/smaps")


class HostMemory:
    """Bytes, each page taken from the system when it is first written to.

    A forked child shares the pages until one of the two writes. They are unmapped as soon as nobody
    holds the object or a view of its `array`.

    Attributes:
        array: uint8 (num_bytes,).
        address: of its first byte: of a page, and of a huge one where they fill one.
        num_bytes: as asked for; what is mapped and used is whole pages.
    """

    def __init__(self, num_bytes: int) -> None:
        """Reserve the addresses.

        Args:
            num_bytes: at least 1.

        Raises:
            StorageError: the system does not give so many.
        """
        self.num_bytes = num_bytes
        whole = whole_pages(num_bytes)
        # A page in front that has no advice keeps the kernel from joining this mapping to another
        # one: what it says of huge pages is of this one alone.
        step = HUGE_PAGE if whole >= HUGE_PAGE else PAGE
        hint = "use --tier ssd, or a table with fewer slots"
        self._map = reserved(whole, "the table", hint, ahead=step + PAGE)
        everything = np.frombuffer(self._map, np.uint8)
        self._start = PAGE + -(everything.ctypes.data + PAGE) % step
        self.array: NDArray[np.uint8] = everything[self._start : self._start + num_bytes]
        self.address: int = self.array.ctypes.data
        self._advise(_HUGEPAGE)

    def _advise(self, advice: int) -> None:
        """Ask the kernel for something that it may not know, or not be able to do."""
        with contextlib.suppress(OSError):
            self._map.madvise(advice, self._start, whole_pages(self.num_bytes))

    def collapse(self) -> None:
        """Put what was written into huge pages now: there may have been none free at that time.

        Since Linux 6.1; nothing where it cannot be done, or where the machine's owner wants none.
        """
        if "[never]" not in text_or_empty(_ENABLED):
            self._advise(_COLLAPSE)

    def huge_page_bytes(self) -> int | None:
        """Return how many bytes lie in huge pages now; None: the kernel does not say.

        It looks at every page: a second or so for 100 GB that lie in small ones.
        """
        try:
            with _SMAPS.open() as lines:
                return anonymous_huge(lines, self.address, self.address + self.num_bytes)
        except (OSError, ValueError):
            return None


def whole_pages(num_bytes: int) -> int:
    """Return the bytes of the pages that hold so many."""
    return -(-num_bytes // PAGE) * PAGE


def anonymous_huge(lines: Iterable[str], start: int, stop: int) -> int | None:
    """Return the bytes in huge pages of the mappings that overlap some addresses.

    Args:
        lines: of /proc/PID/smaps.
        start: the first address.
        stop: the address after the last.

    Returns:
        None: they say nothing of huge pages.

    Example:
        >>> anonymous_huge(["7f00-7f80 rw-p 0 0:0 0", "AnonHugePages:  4 kB"], 0x7f00, 0x7f80)
        4096
    """
    found, inside = None, False
    for line in lines:
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):
            low, _, high = name.partition("-")
            inside = int(low, 16) < stop and start < int(high, 16)
        elif inside and name == "AnonHugePages:":
            found = (found or 0) + 1024 * int(rest.split()[0])
    return found
