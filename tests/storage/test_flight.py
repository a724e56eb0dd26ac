"""A small run of `python -m tests.flight`, which compares millions of rows."""

from pathlib import Path

import numpy as np
import pytest

from tests.checkpoints import make
from tests.flight.changed import CHANGES, served_while_changed
from tests.flight.compared import WAYS, Asking, opened
from tests.flight.faults import with_faults
from tests.flight.subjects import FORMS, of_checkpoint, of_table

ROWS = 2000


@pytest.mark.parametrize(("form", "page", "heads"), FORMS)
def test_every_way_gives_the_plain_readers_rows(
    form: str, page: int | None, heads: int | None, tmp_path: Path
) -> None:
    subject = of_table(tmp_path / "t", "f8_e4m3", form, page, heads, 5003)
    for number, (mode, engine) in enumerate(WAYS):
        rng = np.random.default_rng(number)
        with opened(subject, mode, engine, rng) as store:
            asking = Asking(subject, store, rng)
            asking.ask(ROWS)
            asking.ask_from_threads(ROWS)
            if mode == "direct":
                asking.ask_from_a_child(ROWS)
        assert (asking.rows >= 2 * ROWS, asking.wrong) == (True, 0)


def test_a_checkpoint_in_place_gives_the_plain_readers_rows(tmp_path: Path) -> None:
    make.deepseek_v41(tmp_path)
    subject = of_checkpoint("safetensors", tmp_path)
    for mode, engine in WAYS:
        rng = np.random.default_rng(5)
        with opened(subject, mode, engine, rng) as store:
            asking = Asking(subject, store, rng)
            asking.ask(ROWS)
        assert asking.wrong == 0


def test_faults_are_errors_or_nothing(tmp_path: Path) -> None:
    subject = of_table(tmp_path / "t", "f8_e4m3", "paged", None, None, 5003)
    asking = with_faults(subject, 1000, np.random.default_rng(0))
    assert (asking.errors > 0, asking.wrong) == (True, 0)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_an_error_for_ever(change: str, tmp_path: Path) -> None:
    assert not served_while_changed(tmp_path / "t", change, "direct", "pread")["bad"]
