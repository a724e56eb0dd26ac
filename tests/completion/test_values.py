"""The words a shell offers are those that the code knows."""

from typing import Any

import pytest

from engramctl.arms.issue import ISSUES
from engramctl.checkpoints.exported import FAMILIES
from engramctl.cli import COMMANDS, app
from engramctl.comparison.differences import NAMES as DIFFERENT
from engramctl.completion.values import VALUES, values_of
from engramctl.hashing import PRESETS
from engramctl.mining.engines import ENGINES
from engramctl.model import presets
from engramctl.output import FORMATS
from engramctl.report.written import FORMATS as REPORT_FORMATS
from engramctl.schemes.names import DICTIONARY
from engramctl.storage.format import geometry
from engramctl.storage.readers import choose as readers
from engramctl.storage.record.dtypes import DTYPES
from engramctl.storage.tiers.tier_list import TIERS
from engramctl.sweep.axes import CASES, RANKS
from engramctl.sweep.options import CACHES, FUSIONS, MODEL_DTYPES, RESIDUALS
from engramctl.sweep.options import ENGINES as BENCH_ENGINES
from engramctl.sweep.ranked import SHARDS
from engramctl.sweep.recipes import RECIPES
from engramctl.tables.export import RAW
from engramctl.tables.initial_rows import KINDS
from engramctl.traffic.trace import GENERATED
from tests.completion.programs import PROGRAM

KNOWN: dict[str, Any] = {
    "bench --tier": TIERS,
    "bench --case": (*CASES, RANKS),
    "bench --deal": SHARDS,
    "bench --cache": CACHES,
    "bench --preset": presets.PRESETS,
    "bench --recipe": RECIPES,
    "bench --residual": RESIDUALS,
    "bench --model-dtype": MODEL_DTYPES,
    "bench --fusion": FUSIONS,
    "bench --engine": readers.ENGINES,
    "bench --issue": ISSUES,
    "bench --trace": GENERATED,
    "build --scheme": PRESETS,
    "build --dtype": DTYPES,
    "build --init": KINDS,
    "build --tier": geometry.TIERS,
    "compare --allow-different": DIFFERENT,
    "export --family": (*FAMILIES, RAW),
    "inspect PATH": PRESETS,
    "layout --tier": geometry.TIERS,
    "layout --form": geometry.FORMS,
    "layout --dtype": DTYPES,
    "mine --scheme": PRESETS,
    "mine --engine": ENGINES,
    "report --format": REPORT_FORMATS,
    "rows --scheme": (*PRESETS, DICTIONARY),
}


def test_every_list_is_the_one_of_the_code() -> None:
    assert {place: set(words) for place, words in VALUES.items()} == {
        place: set(words) for place, words in KNOWN.items()
    }
    assert values_of("bench", "--format") == values_of("inspect", "--format") == FORMATS
    assert values_of("bench", "--out") == ()
    assert BENCH_ENGINES == readers.ENGINES  # there without numba


def test_every_place_is_an_option_or_argument_of_its_command() -> None:
    assert app is not None
    for place in VALUES:
        command, word = place.split()
        params = PROGRAM.command(command).params
        assert any(word in one.opts or word == one.metavar for one in params), place


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_that_other_commands_offer_words_for_has_some_too(command: str) -> None:
    """But a scheme.json is a file: `--scheme FILE`."""
    offered = {place.split()[1] for place in VALUES} - {"--scheme"}
    for one in PROGRAM.command(command).params:
        for word in offered.intersection(one.opts):
            assert values_of(command, word), f"{command} {word}"
