"""`build --size`: the largest table that is not above it, to the byte."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import ConfigError
from engramctl.schemes.options import SchemeOptions
from engramctl.storage.reading.table import open_table
from engramctl.tables.build import BuildPlan, plan_build, plan_of_size
from engramctl.tables.initial_rows import InitOptions
from tests.helpers.mined_counts import run

SCHEMES = ("deepseek-v41", "engram", "longcat-2.0", "qwen-ple", "blt")
TIERS = (None, "ssd", "host")


def total(plan: BuildPlan) -> int:
    return sum(plan.table.sizes.values())


@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_one_slot_more_would_be_above_the_size(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(SCHEMES))
    options = SchemeOptions(
        scheme=name,
        heads=data.draw(st.sampled_from((1, 2, 5))) if name != "blt" else None,
        layers=data.draw(st.sampled_from(((1,), (2, 0), (1, 14, 3)))),
        row_dim=data.draw(st.sampled_from((32, 64, 288))),
        dtype=data.draw(st.sampled_from(("f8_e4m3", "int4", "f32", "nvfp4"))),
    )
    how: dict[str, Any] = {
        "tier": data.draw(st.sampled_from(TIERS)),
        "shard_bytes": data.draw(st.sampled_from((1 << 22, 1 << 37))),
    }
    size = data.draw(st.integers(1 << 16, 1 << 25))
    if total(plan_build(replace(options, slots=2), **how)) > size:
        with pytest.raises(ConfigError, match="as small as"):
            plan_of_size(options, size, **how)
        return
    plan = plan_of_size(options, size, **how)
    assert plan.slots is not None
    assert total(plan) <= size
    assert total(plan_build(replace(options, slots=plan.slots + 1), **how)) > size


def test_a_size_of_gigabytes_is_planned_exactly() -> None:
    plan = plan_of_size(SchemeOptions(), 2 << 30)
    assert plan.slots is not None
    assert total(plan) <= 2 << 30 < total(plan_build(SchemeOptions(slots=plan.slots + 1)))


def test_the_slots_chosen_are_said_written_and_recorded(tmp_path: Path) -> None:
    words = ("build", "--size", "3MiB", "--row-dim", "64", "-o", tmp_path / "t")
    said = run(*words, "--dry-run")
    made = run(*words)
    assert (said["slots"], said["total_bytes"]) == (made["slots"], made["total_bytes"])
    assert sum(file.stat().st_size for file in (tmp_path / "t").iterdir()) == made["total_bytes"]
    assert made["total_bytes"] <= made["size_bytes"] == 3 << 20
    manifest = open_table(tmp_path / "t").manifest
    assert f"--slots {made['slots']}" in " ".join(manifest.provenance.command)
    assert "--size" not in manifest.provenance.command
    assert set(manifest.scheme["heads"]["slots"]) == {made["slots"]}


def test_what_has_slots_already_has_no_size(tmp_path: Path) -> None:
    run("build", "--slots", "50", "-o", tmp_path / "t")
    for more in (("--slots", "60"), ("--scheme", tmp_path / "t")):
        message = run("build", "--size", "1GiB", *more, "-o", tmp_path / "x", fails=2)
        assert "--size" in message
    imported = InitOptions("import", source=tmp_path / "t")
    with pytest.raises(ConfigError, match="imported"):
        plan_of_size(SchemeOptions(), 1 << 30, init=imported)
    assert "--size 'much' is not a size" in run("build", "--size", "much", fails=2)
