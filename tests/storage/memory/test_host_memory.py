"""Memory of our own: where it lies, what is said of it, and when it is gone."""

import gc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engramctl.errors import StorageError
from engramctl.storage.memory import host_memory
from engramctl.storage.memory.host_memory import HUGE_PAGE, PAGE, HostMemory, anonymous_huge
from tests.helpers.forked import in_child
from tests.helpers.mapped import is_mapped


@pytest.mark.parametrize("num_bytes", [1, PAGE, HUGE_PAGE - 1, HUGE_PAGE, 2 * HUGE_PAGE + 5000])
def test_memory_is_zero_writable_and_begins_with_a_page(num_bytes: int) -> None:
    memory = HostMemory(num_bytes)
    assert memory.array.shape == (num_bytes,)
    assert memory.address == memory.array.ctypes.data
    assert memory.address % (HUGE_PAGE if num_bytes >= HUGE_PAGE else PAGE) == 0
    assert not memory.array.any()
    memory.array[:] = 0xA5
    assert (memory.array == 0xA5).all()


def test_memory_is_unmapped_at_once_and_not_before_its_last_view_is_gone() -> None:
    memory = HostMemory(5 * HUGE_PAGE)
    address = memory.address
    view = memory.array[PAGE:]
    view[:] = 7
    gc.disable()  # nothing waits for it
    try:
        del memory
        assert is_mapped(address)
        assert (view == 7).all()
        del view
        assert not is_mapped(address)
    finally:
        gc.enable()


def test_a_forked_child_reads_the_parents_bytes_and_writes_its_own() -> None:
    memory = HostMemory(3 * PAGE)
    memory.array[:] = 7

    def job() -> bool:
        right = bool((memory.array == 7).all())
        memory.array[:] = 9
        return right

    assert in_child(job) == 0
    assert (memory.array == 7).all()


def test_huge_pages_are_counted_for_one_memory_alone() -> None:
    """They are there where the machine gives some; two that touch are told apart in any case."""
    one, other = HostMemory(4 * HUGE_PAGE), HostMemory(4 * HUGE_PAGE)
    assert one.huge_page_bytes() in (0, None)
    one.array[:] = 1
    one.collapse()
    assert other.huge_page_bytes() in (0, None)
    found = one.huge_page_bytes()
    assert found is None or 0 <= found <= one.num_bytes


@pytest.mark.skipif(
    not any(word in host_memory._ENABLED.read_text() for word in ("[always]", "[madvise]"))
    if host_memory._ENABLED.exists()
    else True,
    reason="this machine gives no huge pages",
)
def test_memory_lies_in_huge_pages_where_the_machine_has_them() -> None:
    memory = HostMemory(8 * HUGE_PAGE)
    memory.array[:] = 1
    memory.collapse()
    assert memory.huge_page_bytes() == 8 * HUGE_PAGE


SMAPS = """\
{}-{} rw-p 00000000 00:00 0
Size:               8192 kB
AnonHugePages:      4096 kB
VmFlags: rd wr mr mw me ac sd hg
"""


@given(st.lists(st.booleans(), min_size=1, max_size=6))
def test_only_mappings_that_overlap_the_addresses_are_counted(inside: list[bool]) -> None:
    start, step = 0x7F0000000000, 0x800000
    text = "".join(
        SMAPS.format(f"{at:x}", f"{at + step:x}")
        for at in range(start, start + step * len(inside), step)
    )
    first = inside.index(True) if any(inside) else 0
    last = len(inside) - inside[::-1].index(True) if any(inside) else 0
    low, high = start + first * step, start + last * step
    found = anonymous_huge(text.splitlines(), low, high) if last > first else 0
    assert found == (last - first) * (4 << 20)


def test_what_the_kernel_does_not_say_is_not_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert anonymous_huge(["7f00-7f80 rw-p 0 0:0 0", "Size: 4 kB"], 0x7F00, 0x7F80) is None
    memory = HostMemory(PAGE)
    monkeypatch.setattr(host_memory, "_SMAPS", tmp_path / "none")
    assert memory.huge_page_bytes() is None


def test_an_advice_that_is_refused_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_memory, "_HUGEPAGE", 9999)
    monkeypatch.setattr(host_memory, "_COLLAPSE", 9999)
    memory = HostMemory(HUGE_PAGE)
    memory.collapse()
    memory.array[:] = 3
    assert np.count_nonzero(memory.array) == HUGE_PAGE


def test_nothing_is_collapsed_where_the_owner_wants_no_huge_pages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[int] = []
    memory = HostMemory(PAGE)
    monkeypatch.setattr(memory, "_advise", asked.append)
    for text, count in (("always madvise [never]", 0), ("always [madvise] never", 1)):
        (tmp_path / "enabled").write_text(text)
        monkeypatch.setattr(host_memory, "_ENABLED", tmp_path / "enabled")
        memory.collapse()
        assert len(asked) == count


def test_more_than_the_system_gives_is_an_error_with_a_way_out() -> None:
    for num_bytes in (1 << 60, 1 << 70):
        with pytest.raises(StorageError, match="gives no memory") as caught:
            HostMemory(num_bytes)
        assert "--tier ssd" in str(caught.value.hint)
