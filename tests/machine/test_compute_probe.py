"""What the compute device gives: rates that are rates, measured once for each question."""

from pathlib import Path

import pytest
import torch

from engramctl.machine import ceilings
from engramctl.machine.ceilings import MOST_STREAMED, Ceilings
from engramctl.machine.compute_probe import bytes_per_s, flops_per_s

CPU = torch.device("cpu")


def test_rates_are_of_what_was_done() -> None:
    assert 1e6 < flops_per_s(torch.float32, CPU, 0.0) < 1e15
    assert 1e6 < bytes_per_s(1 << 20, CPU, 0.0) < 1e13


def test_each_rate_is_measured_once_and_kept_in_the_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def rate(of: object, *_: object) -> float:
        asked.append(of)
        return float(len(asked))

    monkeypatch.setattr(ceilings, "flops_per_s", rate)
    monkeypatch.setattr(ceilings, "bytes_per_s", rate)
    found = Ceilings(tmp_path)
    assert [found.of_products(torch.float32) for _ in "ab"] == [1, 1]
    assert [found.of_streams(size) for size in (1000, 600, 1 << 40)] == [2, 2, 3]
    assert asked == [torch.float32, 512, MOST_STREAMED]
    document = found.document()
    assert document["flops_per_s"] == {"float32": 1}
    assert document["bytes_per_s"] == {"512": 2, str(MOST_STREAMED): 3}
