"""Which cases a run has: those of every point, or those whose IDs were named; listed by --list."""

from pathlib import Path

import pytest

from engramctl.errors import ConfigError
from engramctl.sweep.loops import plan_loops
from engramctl.sweep.options import BenchOptions
from tests.conftest import RunCli

SWEEP = ("--tier", "ssd", "--batch", "1", "--batch", "8")


def listed(run_cli: RunCli, *words: object) -> list[str]:
    answer = run_cli("bench", *words, "--list", "--json")
    assert answer.exit_code == 0, answer.stderr
    return [case["id"] for case in answer.json["cases"]]


def test_a_list_needs_no_table_and_makes_none(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = run_cli("bench", *SWEEP, "--list")
    assert found.exit_code == 0
    assert "step.decode.ssd.cold.b8.c64" in found.stdout
    assert list(tmp_path.iterdir()) == []


def test_every_listed_id_measures_that_case_alone(run_cli: RunCli) -> None:
    for one in listed(run_cli, *SWEEP):
        assert listed(run_cli, *SWEEP, "--case", one) == [one]


@pytest.mark.parametrize("beginning", ["step", "step.decode", "gather.prefill.ssd.cold"])
def test_the_beginning_of_an_id_means_all_that_begin_so(run_cli: RunCli, beginning: str) -> None:
    every = listed(run_cli, *SWEEP)
    wanted = [one for one in every if one.startswith(f"{beginning}.")]
    assert wanted
    assert listed(run_cli, *SWEEP, "--case", beginning) == wanted


def test_a_beginning_ends_at_a_dot(run_cli: RunCli) -> None:
    words = ("--tier", "host", "--batch", "1", "--batch", "16")
    found = listed(run_cli, *words, "--case", "gather.decode.host.warm.b1")
    assert found == ["gather.decode.host.warm.b1"]


def test_cases_are_named_by_repeating(run_cli: RunCli) -> None:
    some = ("step.decode.ssd.warm.b8.c64", "gather.decode.ssd.cold.b1")
    found = listed(run_cli, *SWEEP, "--case", some[0], "--case", some[1])
    assert set(found) == set(some)


def test_an_id_that_no_case_has_is_refused_before_anything_is_measured(run_cli: RunCli) -> None:
    found = run_cli("bench", *SWEEP, "--case", "step.decode.ssd.cold.b9")
    assert found.exit_code == 2
    assert "no case of these options is step.decode.ssd.cold.b9" in found.stderr
    assert "--list" in found.stderr
    with pytest.raises(ConfigError, match="unknown --case 'stp'"):
        BenchOptions(cases=("stp",))


@pytest.mark.parametrize(
    ("tiers", "cache"),
    [(("gpu:1GiB,host",), "traffic"), (("host",), "traffic"), (("gpu", "host"), "cold")],
)
def test_a_state_that_no_tier_has_is_refused_and_not_an_empty_run(
    run_cli: RunCli, tiers: tuple[str, ...], cache: str
) -> None:
    words = [word for one in tiers for word in ("--tier", one)]
    found = run_cli("bench", *words, "--cache", cache, "--list", "--json")
    assert found.exit_code == 2
    error = found.json["error"]
    assert error["message"].startswith(f"--cache {cache} is a state of rows on disk")
    assert set(error["facts"]) == set(tiers)
    assert "--tier host:1GiB,ssd" in error["hint"]


def test_a_list_in_the_config_file_is_a_sweep(run_cli: RunCli, tmp_path: Path) -> None:
    config = tmp_path / "engramctl.toml"
    config.write_text('[bench]\nbatch = [1, 8]\ncase = "gather"\ntier = ["host"]\ntokens = 9\n')
    assert listed(run_cli, "--config", config) == [
        "gather.decode.host.warm.b1", "gather.decode.host.warm.b8",
        "gather.prefill.host.warm.b1.t9", "gather.prefill.host.warm.b8.t9",
    ]  # fmt: skip
    config.write_text("[bench]\nsamples = [1, 8]\n")
    answer = run_cli("bench", "--config", config, "--list")
    assert answer.exit_code == 2
    assert "takes one value" in answer.stderr


def test_models_come_one_after_the_other_and_cold_loops_last() -> None:
    loops = plan_loops(BenchOptions(tiers=("ssd",), sweep={"preset": ("tiny", "small")}))
    steps = [(one.options.preset, one.cache) for one in loops if one.case == "step"]
    order = [("tiny", "warm"), ("tiny", "cold"), ("small", "warm"), ("small", "cold")]
    assert list(dict.fromkeys(steps)) == order
    assert sorted(steps, key=order.index) == steps
