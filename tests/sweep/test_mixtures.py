"""Mixtures of tiers on the command line: one name each, the states of rows, their memory."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engramctl.errors import ConfigError
from engramctl.storage.tiers.door import READING_BYTES
from engramctl.storage.tiers.tier_list import TIERS, is_mixture, on_disk, read_tiers, whole_tier
from engramctl.sweep.chosen import chosen_options
from engramctl.sweep.loops import CHUNK, num_rounds, plan_loops, total_rounds
from engramctl.sweep.options import BenchOptions
from tests.conftest import RunCli
from tests.helpers.small_table import small_table

MIXED = "host:1MiB,ssd"
SIZES = st.one_of(
    st.integers(1, 1 << 45).map(str),
    st.tuples(st.decimals(1, 4000, places=1), st.sampled_from(["KiB", "MiB", "GB", "TiB"])).map(
        lambda pair: f"{pair[0]}{pair[1]}"
    ),
)


@st.composite
def mixtures(draw: st.DrawFn) -> str:
    names = draw(st.lists(st.sampled_from(TIERS), min_size=1, unique=True).map(sorted))
    return ",".join([*(f"{name}:{draw(SIZES)}" for name in names[:-1]), names[-1]])


@given(mixtures())
def test_a_name_stands_for_its_mixture_and_has_nothing_that_a_shell_or_an_id_reads(
    text: str,
) -> None:
    """An ID is cut at dots; a name has none, though a size may."""
    name = read_tiers(text).name
    assert read_tiers(name) == read_tiers(text)
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzKMGTB0123456789:,")
    assert is_mixture(name) == (text not in TIERS)
    assert whole_tier(name) == read_tiers(text).whole
    assert on_disk(name) == (read_tiers(text).whole == "ssd")


def test_what_holds_no_rows_is_neither_on_disk_nor_a_mixture() -> None:
    assert not any(on_disk(one) or is_mixture(one) for one in ("none", "ready", "gpu", "host"))


def test_spellings_of_one_mixture_are_one_tier(run_cli: RunCli) -> None:
    words = [word for one in ("host:1024KiB, ssd", MIXED, "ssd") for word in ("--tier", one)]
    listed = run_cli("bench", *words, "--case", "gather.decode", "--list", "--json")
    ids = [one["id"] for one in listed.json["cases"]]
    assert ids == [
        f"gather.decode.{tier}.{cache}.b1" for cache in ("warm", "cold") for tier in (MIXED, "ssd")
    ]
    for one in ids:
        found = run_cli("bench", *words, "--case", one, "--list", "--json")
        assert [case["id"] for case in found.json["cases"]] == [one]
    halves = run_cli("bench", "--tier", "host:1.5MiB,ssd", "--case", "gather", "--list")
    assert "gather.decode.host:1536KiB,ssd.cold.b1" in halves.stdout


def test_a_mixture_comes_from_the_config_file_too(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for text, found in ((f'"{MIXED}"', [MIXED]), (f'["host", "{MIXED}"]', ["host", MIXED])):
        Path("engramctl.toml").write_text(f"[bench]\ntier = {text}\ncase = 'gather.decode'\n")
        cases = run_cli("bench", "--list", "--json").json["cases"]
        assert list(dict.fromkeys(one["tier"] for one in cases)) == found


@pytest.mark.parametrize(
    ("words", "text", "hint"),
    [
        (("--tier", "host,ssd"), "host is a row cache over ssd", "--tier host --tier ssd"),
        (("--tier", "host,ssd"), "has no size", "host:1GiB"),
        (("--tier", "ssd,host:1GiB"), "the fastest first", "host:SIZE,ssd"),
        (("--tier", "host:1GiB"), "holds every row", "host:16GiB,ssd"),
        (("--tier", "host:1GiB,sdd"), "unknown tier 'sdd'", "did you mean 'ssd'?"),
        (("--tier", "sdd"), "unknown tier 'sdd'", "did you mean 'ssd'?"),
        (("--tier", MIXED, "--row-cache", "1MiB"), "says it again", "leave out --row-cache"),
        (("--tier", MIXED, "--budget", "1MiB"), "leaves no memory", "leave out --budget"),
        (("--tier", MIXED, "--tier", "ssd", "--cache", "traffic"), "memory of its own", MIXED[:4]),
    ],
)
def test_what_is_no_mixture_or_contradicts_it_is_refused_with_what_to_write(
    run_cli: RunCli, words: tuple[str, ...], text: str, hint: str
) -> None:
    found = run_cli("bench", *words, "--list")
    assert found.exit_code == 2
    plain = " ".join(found.stderr.split())
    assert text in plain
    assert hint in plain


def test_a_mixture_over_ssd_has_the_states_of_rows_on_disk() -> None:
    options = BenchOptions(tiers=(MIXED, "gpu:1MiB,host"))
    assert options.caches(MIXED) == ("warm", "cold")
    assert options.caches("gpu:1MiB,host") == ("warm",)
    loops = {(loop.cache, loop.tiers) for loop in plan_loops(options)}
    assert loops == {("warm", options.tiers), ("cold", (MIXED,))}
    assert all(loop.cache_of("gpu:1MiB,host") == "warm" for loop in plan_loops(options))
    traffic = BenchOptions(tiers=(MIXED,), cache="traffic", after=5)
    assert {(loop.cache, loop.tiers) for loop in plan_loops(traffic)} == {("traffic", (MIXED,))}


def test_a_budget_is_the_host_memory_of_all_and_no_option_names_the_cache_again() -> None:
    options = chosen_options(tier=[MIXED, "gpu:1MiB,host"], budget="80MiB", engine="pread")
    assert options.reading(MIXED) == {
        "budget_bytes": 80 << 20, "engine": "pread", "cache_bytes": None
    }  # fmt: skip
    assert options.reading("gpu:1MiB,host") == {}


def test_a_dictionary_is_filled_by_one_mixture_over_ssd() -> None:
    filling: dict[str, Any] = {"cache": "traffic", "fill": "records.log", "named": True}
    assert BenchOptions(tiers=(MIXED,), **filling).fill == "records.log"
    for tiers in ((MIXED, "host:2MiB,ssd"), ("gpu:1MiB,host",), (MIXED, "host")):
        with pytest.raises(ConfigError, match="the ssd tier alone, or of one mixture"):
            BenchOptions(tiers=tiers, **filling)


def test_what_comes_before_is_progress_once_in_each_store() -> None:
    options = BenchOptions(tiers=(MIXED, "host:2MiB,ssd"), cache="traffic", after=CHUNK + 1)
    assert total_rounds(options) == sum(map(num_rounds, plan_loops(options))) + 2 * 2


def test_a_dry_run_adds_up_the_memory_of_a_mixture(run_cli: RunCli, tmp_path: Path) -> None:
    shards = small_table(tmp_path / "shards", slots=600, tier="ssd").path
    tiers = ("host", MIXED, "gpu:1KiB,host", f"gpu:1KiB,{MIXED}", "gpu:1KiB,ssd")
    words = [word for one in tiers for word in ("--tier", one)]
    words += ["--case", "gather.decode", "--dry-run", "--json"]
    cases = run_cli("bench", shards, *words).json["cases"]
    warm = {case["tier"]: case["memory_bytes"] for case in cases if case["cache"] == "warm"}
    cold = {case["tier"]: case["memory_bytes"] for case in cases if case["cache"] == "cold"}
    direct = (1 << 20) + READING_BYTES
    assert warm[MIXED] == cold[MIXED] == direct
    assert warm[f"gpu:1KiB,{MIXED}"] == direct + 1024
    assert (warm["gpu:1KiB,host"], warm["gpu:1KiB,ssd"]) == (warm["host"] + 1024,) * 2
    assert cold["gpu:1KiB,ssd"] == 1024
    given = run_cli("bench", shards, *words, "--budget", "80MiB").json["cases"]
    assert {one["memory_bytes"] for one in given if one["tier"] == MIXED} == {80 << 20}
