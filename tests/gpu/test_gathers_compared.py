"""What `python -m tests.gpu` measures of rows, on the CPU: compared, checked, held to targets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from engramctl.storage import Store, open_store
from engramctl.storage.device.torch_codecs import widen
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.tiers.gpu import GpuStore
from engramctl.storage.tiers.pinned_host import PinnedHostStore
from engramctl.storage.tiers.staged import StagedStore
from engramctl.storage.tiers.tier_list import read_tiers
from tests.benchmarks.gather import packed_table
from tests.gpu import captured, gathers, hbm, host_gathers


@pytest.mark.parametrize("tier", captured.TIERS)
def test_a_captured_step_of_every_tier_is_compared_and_checked(tier: str, tmp_path: Path) -> None:
    table = packed_table(tmp_path / "t", "f8_e4m3", 300)
    tiers, cpu = read_tiers(tier.replace("MiB", "KiB")), torch.device("cpu")
    kind = {"gpu": GpuStore, "host": PinnedHostStore}.get(tier, StagedStore)
    budget = (2 << 20) if tiers.whole == "ssd" else None
    host = tiers.cache_bytes("host")
    words = table, torch.bfloat16, cpu, budget, "auto", None, host, None, tiers
    with kind(*words) as store:
        store.capture_slots = 1
        found = captured.compared(store, 4)
        assert found["theirs"] == 200e-6
        assert found["ratio"] == pytest.approx(200e-6 / found["ours"])
        assert found["ticket_s"] > 0
        assert store.tier in found["name"]


def test_wrong_rows_of_a_captured_step_end_the_measurement(tmp_path: Path) -> None:
    table = packed_table(tmp_path / "t", "f8_e4m3", 300)
    with GpuStore(table, torch.bfloat16, torch.device("cpu")) as store:
        store.capture_slots, right = 1, store.queue

        def wrong(layer: int, row_ids: torch.Tensor, out: torch.Tensor) -> None:
            right(layer, row_ids, out)
            out[-1, -1, 0] += 1

        store.queue = wrong  # type: ignore[method-assign]
        with pytest.raises(AssertionError, match="other rows"):
            captured.compared(store, 1)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Store]]:
    """The gpu tier's operations on the CPU, and the host tier."""
    table = packed_table(tmp_path_factory.mktemp("gathers") / "t", "nvfp4", 300)
    with (
        GpuStore(table, torch.bfloat16, torch.device("cpu")) as gpu,
        open_store(table.path, "host") as host,
    ):
        yield gpu, host


def test_gathers_are_compared_and_checked(stores: tuple[Store, Store]) -> None:
    for count in (gathers.STEP_ROWS, 5000):
        found = gathers.compared(*stores, count, 3)
        assert f"gather {count:,} rows of nvfp4 on the gpu tier, torch" in found["name"]
        assert found["ratio"] == pytest.approx(found["ours"] / found["theirs"])
        assert {len(samples) for samples in found["samples"].values()} == {3}


@pytest.mark.parametrize("tier", [0, 1])
def test_wrong_rows_of_either_tier_end_the_comparison(
    stores: tuple[Store, Store], tier: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = stores[tier].gather

    def wrong(*arguments: Any) -> torch.Tensor:
        rows = right(*arguments)
        rows[-1, 0] += 1
        return rows

    monkeypatch.setattr(stores[tier], "gather", wrong)
    with pytest.raises(AssertionError, match="other rows"):
        gathers.compared(*stores, 24, 1)


@pytest.fixture(scope="module")
def pinned_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PinnedHostStore]:
    """The host tier for a GPU, on the CPU."""
    table = packed_table(tmp_path_factory.mktemp("host") / "t", "f8_e4m3", 300)
    with PinnedHostStore(table, torch.bfloat16, torch.device("cpu")) as store:
        yield store


def test_rows_from_pinned_memory_are_held_against_what_they_must_reach(
    pinned_host: PinnedHostStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_gathers, "CALLS", 4)
    step, wall, batch, memory = host_gathers.rows(pinned_host, 5000, 3)
    assert (step["target"], wall["target"], batch["target"]) == (1.0, 5.0, 0.85)
    assert step["theirs"] == 12e-6
    assert step["ratio"] == pytest.approx(12e-6 / step["ours"])
    assert wall["ratio"] == pytest.approx(wall["theirs"] / wall["ours"])
    assert batch["ratio"] == pytest.approx(batch["ours"] / batch["theirs"])
    assert pinned_host.crossover.why in batch["bound"]
    assert memory["theirs"] == sum(map(pinned_host.num_rows, pinned_host.layers)) * 264
    assert memory["ratio"] >= memory["target"] == pytest.approx(1 / 1.01)
    assert host_gathers.SLOTS * 24 * 264 > 5e8
    assert host_gathers.STEP_ROWS == 48


@pytest.mark.parametrize("measure", ["in_place", "wall_to_wall", "copied"])
def test_wrong_rows_from_pinned_memory_end_the_measurement(
    pinned_host: PinnedHostStore, measure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = pinned_host.gather
    monkeypatch.setattr(host_gathers, "CALLS", 2)

    def wrong(*arguments: Any) -> torch.Tensor:
        rows = right(*arguments)
        rows[-1, 0] += 1
        return rows

    monkeypatch.setattr(pinned_host, "gather", wrong)
    words = (pinned_host, 5000, 1) if measure == "copied" else (pinned_host, 1)
    with pytest.raises(AssertionError, match="other rows"):
        getattr(host_gathers, measure)(*words)


@pytest.mark.parametrize("spec", hbm.SPECS, ids=lambda one: one.dtype)
def test_the_kernel_is_compared_with_a_copy_and_with_torch(spec: RecordSpec) -> None:
    of_a_copy, over_torch = hbm.compared(spec, 700, 300, torch.device("cpu"), 3)
    assert (of_a_copy["target"], over_torch["target"]) == (0.7, 1.3)
    moved = 300 * (spec.record_bytes + 2 * spec.row_dim)
    for number, found in enumerate(of_a_copy["samples"]["ours_s"]):
        assert found * moved == pytest.approx(over_torch["samples"]["ours_s"][number])
    assert over_torch["ratio"] == pytest.approx(over_torch["ours"] / over_torch["theirs"])
    assert "by torch" in over_torch["bound"]
    assert hbm.COUNT >= 1_000_000
    assert hbm.TABLE_ROWS * hbm.SPECS[0].record_bytes >= 2e9


@pytest.mark.parametrize("wrong", ["torch_gather.widen", "torch_gather.gather"])
def test_a_kernel_with_other_rows_ends_the_comparison(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that differ, and rows that are left out."""
    changed = {
        "torch_gather.widen": lambda spec, found, scale: widen(spec, found, scale) + 1,
        "torch_gather.gather": lambda *arguments: None,
    }
    monkeypatch.setattr(f"engramctl.storage.device.{wrong}", changed[wrong])
    with pytest.raises(AssertionError, match="other rows"):
        hbm.compared(hbm.SPECS[0], 700, 300, torch.device("cpu"), 1)
