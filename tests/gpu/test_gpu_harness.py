"""The sections of the harness, as far as a machine without a GPU can tell."""

import sys
from types import ModuleType
from typing import Any

import pytest
import torch

from engramctl.layers.config import ResidualConfig
from engramctl.residual.mhc import constrain, raw_coefficients
from engramctl.residual.site import collapse, expand
from tests.gpu import mhc, offload, steps
from tests.helpers.one_thread import one_thread

__all__ = ["one_thread"]
CPU = torch.device("cpu")


def rows(mode: str) -> dict[str, dict[str, Any]]:
    found = mhc.compared(mode, 64, 3, CPU, 2, 1e9)  # type: ignore[arg-type]
    with torch.inference_mode():
        return {row["peer"].partition(":")[0]: row for row in found}


def test_the_residual_is_held_against_torch_and_its_floor() -> None:
    found = rows("single_pass")
    assert set(found) == {"plain torch", "floor", "tile-kernels"}
    assert found["floor"]["theirs"] == pytest.approx(mhc.floor_bytes("single_pass", 64, 3) / 1e9)
    assert found["floor"]["target"] == 0.5
    assert "no single-pass form" in found["tile-kernels"]["skipped"]


def test_without_tile_kernels_the_row_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tile_kernels", None)
    skipped = rows("mhc")["tile-kernels"]["skipped"]
    assert "tile_kernels" in skipped
    assert "is not installed: pip install tile-kernels" in skipped


def pretend(monkeypatch: pytest.MonkeyPatch, post_mult: float) -> None:
    """Install a package of that name and its calls, as plain torch."""

    def mhc_pre(residual, fn, scale, base, **words):  # type: ignore[no-untyped-def]
        config = ResidualConfig(
            hc_eps=words["pre_eps"], rms_eps=words["norm_eps"], iterations=words["sinkhorn_repeat"]
        )
        raw = raw_coefficients(residual, fn.T.contiguous(), scale, base, config.rms_eps)
        found = constrain(raw, residual.shape[-2], config)
        post = found.post_BTR / 2 * words["post_mult_value"] * post_mult
        return collapse(residual, found.pre_BTR), (post.unsqueeze(-1), found.comb_BTRR)

    def mhc_post(x, residual, post, comb):  # type: ignore[no-untyped-def]
        return expand(residual, x, post.squeeze(-1), comb)

    names = ("tile_kernels", "modeling", "mhc", "ops", "post")
    for depth in range(1, len(names) + 1):
        name = ".".join(names[:depth])
        module = ModuleType(name)
        module.__path__ = []
        module.__dict__.update(mhc_pre=mhc_pre, mhc_post=mhc_post)
        monkeypatch.setitem(sys.modules, name, module)


def test_tile_kernels_are_called_with_the_values_of_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch, 1.0)
    assert rows("mhc")["tile-kernels"]["ratio"] > 0


def test_tile_kernels_are_no_peer_where_they_give_other_branches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend(monkeypatch, 0.5)  # of a call without the factor of two
    assert rows("mhc")["tile-kernels"]["skipped"] == "tile-kernels gives other branches"


def case(tier: str, mode: str, batch: int, over: float | None, off: float) -> dict[str, Any]:
    return {
        "id": "", "tier": tier, "mode": mode, "batch": batch, "resolution_percent": off,
        "against": {"resident_percent": over}, "exposed_ns": 0, "mhc": {"launch_bound": False},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("tier", "mode", "batch", "over", "off", "target", "reached"),
    [
        ("host", "memory", 1, 2.0, 0.5, 3.0, True),
        ("host", "memory", 8, 2.0, 0.5, 1.0, False),
        ("ssd", "mapped", 1, 0.8, 0.5, 1.0, None),
        ("ssd", "direct", 8, 2.0, 0.5, 3.0, True),
    ],
)
def test_a_step_is_held_against_its_target_where_the_loop_can_tell(
    tier: str, mode: str, batch: int, over: float, off: float, target: float, reached: bool | None
) -> None:
    (row,) = steps.over_resident([case(tier, mode, batch, over, off)])
    assert (row["target_percent"], row["reached"]) == (target, reached)


def test_the_baselines_of_a_step_have_no_target() -> None:
    assert steps.over_resident([case("gpu", "memory", 1, None, 1.0)]) == []
    assert steps.over_resident([case("none", "memory", 1, None, 1.0)]) == []


FEW = ("--preset", "tiny", "--samples", "3", "--context", "3")


def test_steps_are_measured_warm_and_in_a_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "BUDGET", "4MiB")
    found = steps.measured("f8_e4m3", 300, *FEW, "--case", "step.decode", "--batch", "1")
    modes = [
        {case["mode"] for case in document["cases"] if case["tier"] == "ssd"}
        for document in found["documents"]
    ]
    assert modes == [{"mapped"}, {"direct"}]
    assert {row["target_percent"] for row in found["rows"]} == {1.0, 3.0}


def test_the_offload_test_is_measured_and_says_what_is_cut() -> None:
    document = offload.measured(
        "--preset", "tiny", "--batch", "2", "--sequences", "2", "--lengths", "2-4",
        "--set", "vocab_size=512",
    )  # fmt: skip
    assert {case["status"] for case in document["cases"]} == {"ok"}
    assert [row["preset"] for row in document["recipe"]["rows"]] == ["tiny"]
    assert "lengths" in {one["what"] for one in document["recipe"]["cut"]}
