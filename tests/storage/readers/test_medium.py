"""A slow disk is told of when a store is opened, with what to expect."""

import warnings
from pathlib import Path

import pytest

from engramctl import checkpoints
from engramctl.storage import open_store
from engramctl.storage.readers import medium
from engramctl.storage.readers.choose import choose
from engramctl.storage.readers.medium import STEP_PAGES, slow_medium
from tests.helpers.faulty_engine import FaultyEngine
from tests.storage.readers.ranges import PAGE, random_file
from tests.storage.tables import make_plan, write


@pytest.mark.parametrize("direct", [True, False])
def test_a_fast_disk_and_a_small_file_are_not_told_of(tmp_path: Path, direct: bool) -> None:
    paths = [random_file(tmp_path / "a.bin", 9 * PAGE), random_file(tmp_path / "b.bin", 90 * PAGE)]
    for some in (paths[:1], paths):
        chosen = choose(some, direct=direct)
        assert slow_medium(chosen) is None
        chosen.close()


def test_a_slow_disk_is_told_of_with_the_tokens_to_expect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = choose([random_file(tmp_path / "a.bin", 90 * PAGE)], direct=False)
    late = FaultyEngine(chosen.files)
    object.__setattr__(chosen, "engine", late)
    clock = iter((10.0, 10.16))
    with monkeypatch.context() as slow:
        slow.setattr("time.perf_counter", lambda: next(clock))
        text = slow_medium(chosen)
    assert text is not None
    assert f"{STEP_PAGES} random pages took 160 ms" in text
    assert "expect 6.2 tokens/s at most" in text
    late.close()
    chosen.close()


def test_the_warning_reaches_who_opens_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(make_plan(form="paged", row_dim=256, rows={1: 3000}), tmp_path / "t")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_store(tmp_path / "t", "ssd").close()
    monkeypatch.setattr(medium, "SLOW_MS", -1.0)
    for opened in (open_store, checkpoints.open_store):  # the second calls the first
        with pytest.warns(
            RuntimeWarning, match="slow: 48 random pages .* tokens/s at most"
        ) as told:
            opened(tmp_path / "t", "ssd", budget_bytes=1 << 20).close()
        assert told[0].filename == __file__
