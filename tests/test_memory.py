"""Memory is what the machine and every cgroup around us leave, whichever is least."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from engramctl.errors import StorageError
from engramctl.memory import available_bytes, is_in_memory
from engramctl.storage import open_store
from engramctl.storage.files import free_space
from engramctl.storage.files.free_space import check_space
from tests.conftest import RunCli
from tests.helpers.small_table import small_table

MIB = 1 << 20
V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1 = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory"
V1_CPU = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu"


def machine(
    root: Path, cgroup: str, mounts: str, files: Mapping[str, object], free_mib: int = 1000
) -> Path:
    """Write the files of a machine with so much free memory."""
    texts: dict[str, object] = {
        "proc/meminfo": f"MemTotal: 9 kB\nMemAvailable:   {free_mib * 1024} kB\n",
        "proc/self/cgroup": cgroup,
        "proc/self/mountinfo": mounts,
    }
    texts |= {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in texts.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    return root


def test_without_cgroups_it_is_the_machines(tmp_path: Path) -> None:
    assert available_bytes(machine(tmp_path, "", "", {})) == 1000 * MIB
    assert available_bytes(machine(tmp_path, "0::/a", V2, {"a/memory.max": "max"})) == 1000 * MIB
    assert available_bytes(tmp_path / "nothing") > 0


@pytest.mark.parametrize(
    ("name", "limit"), [("a/b/memory.max", 300), ("a/memory.max", 300), ("a/memory.high", 300)]
)
def test_the_least_of_all_levels_counts(name: str, limit: int, tmp_path: Path) -> None:
    files: dict[str, object] = {"a/b/memory.current": 100 * MIB, "a/memory.current": 100 * MIB}
    files |= {"a/b/memory.max": 900 * MIB, "a/memory.max": "max", "a/memory.high": "max"}
    files |= {name: limit * MIB}
    assert available_bytes(machine(tmp_path, "0::/a/b", V2, files)) == 200 * MIB


def test_page_cache_is_free_and_other_files_in_memory_are_not(tmp_path: Path) -> None:
    stat = f"anon 1\nfile {70 * MIB}\nshmem {20 * MIB}\ninactive_file {30 * MIB}\n"
    stat += f"active_file {20 * MIB}"
    files = {"memory.max": 300 * MIB, "memory.current": 250 * MIB, "memory.stat": stat}
    assert available_bytes(machine(tmp_path, "0::/", V2, files)) == 100 * MIB


def test_a_container_that_is_over_its_limit_has_nothing(tmp_path: Path) -> None:
    files = {"memory.max": 300 * MIB, "memory.current": 350 * MIB}
    assert available_bytes(machine(tmp_path, "0::/", V2, files)) == 0


def test_version_1_is_asked_where_memory_is_mounted(tmp_path: Path) -> None:
    files = {
        "memory/job/memory.limit_in_bytes": 400 * MIB,
        "memory/job/memory.usage_in_bytes": 150 * MIB,
        "memory/job/memory.stat": f"inactive_file 1\ntotal_inactive_file {50 * MIB}",
        "memory/memory.limit_in_bytes": 9223372036854771712,
        "memory/memory.usage_in_bytes": 150 * MIB,
        "cpu/job/memory.limit_in_bytes": 1,
    }
    cgroup = "4:memory:/job\n1:cpu:/job\n0::/"
    root = machine(tmp_path, cgroup, f"{V1_CPU}\n{V1}\nan odd line", files)
    assert available_bytes(root) == 300 * MIB


def test_a_hosts_name_of_the_cgroup_is_read_below_its_mount(tmp_path: Path) -> None:
    mount = V1.replace("0:32 / ", "0:32 /docker/abc ")
    files = {"memory/memory.limit_in_bytes": 50 * MIB, "memory/memory.usage_in_bytes": 10 * MIB}
    for name in ("/docker/abc", "/elsewhere", "/docker/abc/inner"):
        assert available_bytes(machine(tmp_path, f"4:memory:{name}", mount, files)) == 40 * MIB


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no tmpfs at /dev/shm")
def test_files_of_a_tmpfs_are_in_memory() -> None:
    assert is_in_memory(Path("/dev/shm"))
    assert not is_in_memory(Path("/proc"))


def test_what_is_written_to_memory_must_fit_into_the_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(free_space, "available_bytes", lambda: 5 * MIB)
    check_space(6 * MIB, tmp_path)
    monkeypatch.setattr(free_space, "is_in_memory", lambda _: True)
    check_space(4 * MIB, tmp_path)
    with pytest.raises(StorageError, match="is memory"):
        check_space(6 * MIB, tmp_path)


@pytest.mark.parametrize("budget", [None, 1 << 40])
def test_a_table_in_memory_must_fit_whatever_its_budget(
    budget: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = small_table(tmp_path / "tables")
    monkeypatch.setattr("engramctl.storage.tiers.host.available_bytes", lambda: 1000)
    with pytest.raises(StorageError, match="does not fit into the memory"):
        open_store(table.path, "host", budget_bytes=budget)


def test_env_and_mine_say_what_is_left(
    tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_cli("env", "--json").json["memory_available_bytes"] > 0
    place = "engramctl.mining.options.available_bytes"
    monkeypatch.setattr(place, lambda: 100 * MIB)
    result = run_cli("mine", tmp_path / "none.parquet", "-o", tmp_path / "counts")
    assert "104,857,600 are free here" in result.stderr
