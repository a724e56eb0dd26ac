"""A wave of whole sequences: every token once, each sequence as if it were alone."""

from pathlib import Path

import numpy as np
import pytest
import torch

from engramctl.arms.ground import Ground
from engramctl.arms.sequences import SequencesArm, num_calls, spread_lengths
from engramctl.arms.subject import Subject
from engramctl.arms.window import Window
from engramctl.measured.folder import scheme_of
from engramctl.measured.model import make_models
from engramctl.storage import open_store
from engramctl.sweep.options import BenchOptions
from engramctl.tables.opened_rows import open_rows
from tests.helpers.one_thread import one_thread
from tests.helpers.small_table import small_table

__all__ = ["one_thread"]
CPU = torch.device("cpu")
BATCH, LENGTHS = 3, (2, 14)


def test_lengths_are_spread_over_the_range_and_end_inside_it() -> None:
    lengths = spread_lengths(64, 100, 1024)
    assert sorted(lengths, reverse=True) == list(lengths)
    assert 100 <= lengths[-1] < 110
    assert 1014 < lengths[0] <= 1024
    assert abs(lengths.mean() - 562) < 1


@pytest.mark.parametrize("residual", ["none", "single_pass"])
def test_a_sequence_of_a_wave_is_read_as_if_it_were_alone(
    tmp_path: Path, residual: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_table(tmp_path / "t", scheme="engram", dtype="f32")
    table = open_rows(tmp_path / "t")
    scheme = scheme_of(tmp_path / "t", table.scheme)
    model = make_models(BenchOptions(preset="tiny", residual=residual), scheme, CPU).with_memory
    random = np.random.default_rng(0)
    window = Window(
        random.integers(0, 500, (BATCH, scheme.max_order - 1)),
        random.integers(0, 500, (BATCH, LENGTHS[1])),
    )
    logits: list[torch.Tensor] = []
    calls: list[int] = []
    decode, prefill = model.decode, model.prefill

    def decoded(ids, *others):  # type: ignore[no-untyped-def]
        logits.append(decode(ids, *others))
        calls.append(len(ids))
        return logits[-1]

    def filled(ids, state, *others):  # type: ignore[no-untyped-def]
        assert state.conv
        assert not any(history.any() for history in state.conv.values())
        calls.append(ids.numel())
        return prefill(ids, state, *others)

    lengths = spread_lengths(BATCH, *LENGTHS)
    with open_store(table.rows, "host", dtype=torch.float32, scheme=table.scheme) as store:
        subject = Subject(store, scheme, "warm")
        arm = SequencesArm("host", subject, Ground(CPU), model, LENGTHS)
        monkeypatch.setattr(model, "decode", decoded)
        monkeypatch.setattr(model, "prefill", filled)
        for _ in range(2):  # the second wave finds what the first one left
            logits.clear()
            calls.clear()
            arm.sample(window, keep=True)
        monkeypatch.undo()
        assert sum(calls) == lengths.sum()
        assert len(calls) == num_calls(BATCH, *LENGTHS)
        assert subject.checked_rows
        assert not subject.mismatches
        for place, length in enumerate(lengths):
            ids = window.token_ids_BT[place : place + 1, :length]
            rows = subject.row_ids(ids, window.history_BC[place : place + 1])
            alone = model.prefill(
                torch.from_numpy(ids % 512), model.new_state(1, length),
                lambda layer, rows=rows: store.gather(layer, rows[layer]),
            )  # fmt: skip
            if length > lengths[-1]:
                at = length - lengths[-1] - 1  # of the step that read its last token
                torch.testing.assert_close(logits[at][place], alone[0], rtol=1e-4, atol=1e-4)
    assert [len(waits) for waits in arm.waits_ns.values()] == [2] * len(store.layers)
