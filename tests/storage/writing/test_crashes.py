"""Power cuts, kills and failing calls at every step of every command that writes a folder."""

import errno
import shutil
from itertools import count
from pathlib import Path

import pytest

from tests.storage.writing.crash_fs import SYNCS, WRITES
from tests.storage.writing.crash_scenarios import Scenario, scenarios

NAMES = (
    "build",
    "build-replacing",
    "build-replacing-without-exchange",
    "build-resumed",
    "build-begun-anew",
    "dictionary",
    "export",
    "mine",
)
MOST_STATES = 250  # of a scenario; `python -m tests.crashes` takes all


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scenario]:
    found = {one.name: one for one in scenarios(tmp_path_factory.mktemp("sources"))}
    assert tuple(found) == NAMES
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_crash_leaves_old_or_new_and_the_work_goes_on(
    known: dict[str, Scenario], name: str, tmp_path: Path
) -> None:
    recorder = known[name].record(tmp_path / "run")
    states = recorder.states()
    assert len(states) > 20
    step = -(-len(states) // MOST_STATES)
    for number, (finished, tree) in enumerate(states[::step]):
        place = tmp_path / "state"
        known[name].check_crash(finished, tree, tmp_path / "run", place, anew=number % 5 == 0)
        shutil.rmtree(place)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("calls", "code"), [(SYNCS, errno.EIO), (WRITES, errno.ENOSPC)], ids=["sync", "full"]
)
def test_a_call_that_fails_is_one_error_and_the_work_goes_on(
    known: dict[str, Scenario], name: str, calls: tuple[str, ...], code: int, tmp_path: Path
) -> None:
    known[name].record(tmp_path / "run")
    for number in count():
        place = tmp_path / "fault"
        came = known[name].check_fault(calls, number, code, tmp_path / "run", place)
        shutil.rmtree(place)
        if not came:
            break
    assert number > 10
