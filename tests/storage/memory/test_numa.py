"""NUMA nodes: which is nearest, asked for, and how much lies there."""

from pathlib import Path

import pytest

from engramctl.storage.memory import numa
from engramctl.storage.memory.host_memory import PAGE, HostMemory

MAPS = """\
7f0000000000 prefer:1 anon=1024 dirty=1024 N0=24 N1=1000 kernelpagesize_kB=4
7f0000800000 default file=/lib/x mapped=3 N0=3 kernelpagesize_kB=4
7f0000900000 prefer:0 anon=2 dirty=2 N0=2 kernelpagesize_kB=2048
"""


@pytest.mark.parametrize(
    ("said", "node"), [("1\n", 1), ("0\n", 0), ("-1\n", None), ("", None), (None, None)]
)
def test_the_node_of_a_device_is_what_the_machine_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str | None, node: int | None
) -> None:
    monkeypatch.setattr(numa, "_PCI", tmp_path)
    folder = tmp_path / "0000:b5:00.0"
    folder.mkdir()
    if said is not None:
        (folder / "numa_node").write_text(said)
    found, why = numa.node_of_device("0000:B5:00.0")
    assert found == node
    assert "0000:b5:00.0" in why
    assert numa.node_of_device(None)[0] is None


def test_a_node_that_is_here_may_be_asked_for_and_one_that_is_not_is_told() -> None:
    memory = HostMemory(4 * PAGE)
    for node in (-1, 999, 5000):
        why = numa.prefer_node(memory.address, 4 * PAGE, node)
        assert why is not None
        assert f"node {node}" in why
    if not Path("/sys/devices/system/node/node0").exists():
        pytest.skip("this machine has no NUMA nodes")
    why = numa.prefer_node(memory.address, 4 * PAGE, 0)
    assert why is None or "refused" in why  # as in some containers
    memory.array[:] = 1
    found = numa.bytes_on_node(memory.address, 0)
    assert found in (None, 4 * PAGE)


def test_bytes_on_a_node_are_counted_by_the_pages_of_one_mapping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "maps").write_text(MAPS)
    monkeypatch.setattr(numa, "_NUMA_MAPS", tmp_path / "maps")
    assert numa.bytes_on_node(0x7F0000000000, 1) == 1000 * 4096
    assert numa.bytes_on_node(0x7F0000900000, 0) == 2 * (2 << 20)
    assert numa.bytes_on_node(0x7F0000900000, 1) == 0
    assert numa.bytes_on_node(0x7F0000001000, 0) is None
