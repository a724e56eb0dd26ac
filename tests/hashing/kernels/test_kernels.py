"""Kernels for devices: Triton through its interpreter, and both device kernels on a GPU."""

import os
import subprocess
import sys

import pytest
import torch

from engramctl.hashing import make_scheme
from engramctl.hashing.kernels.choice import kernel
from tests.hashing.presets import LARGE, SCHEMES, VOCAB


@pytest.fixture(scope="module")
def interpreted() -> list[str]:
    """What `triton_interpreted` prints, in a process that interprets Triton."""
    pytest.importorskip("triton", reason="needs triton, which CPU builds of torch do not bring")
    found = subprocess.run(
        [sys.executable, "-m", "tests.hashing.kernels.triton_interpreted"],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout.splitlines()


@pytest.mark.parametrize("name", SCHEMES)
def test_triton_gives_the_reference_rows(name: str, interpreted: list[str]) -> None:
    mine = [line for line in interpreted if line.startswith((f"{name}, case", f"{name}, bad"))]
    assert len(mine) == 2 * len(SCHEMES[name].layers) + 2
    assert [line for line in mine if not line.endswith(": same")] == []


def test_triton_gives_the_reference_rows_of_ids_of_32_bits(interpreted: list[str]) -> None:
    mine = [line for line in interpreted if line.startswith("large ")]
    assert mine == [f"large {name}: same" for name in LARGE]


def test_the_choice_of_a_kernel_is_told() -> None:
    scheme = make_scheme("deepseek-v41", vocab_size=VOCAB)
    assert scheme.kernel() == "numba"
    assert scheme.kernel(torch.device("cpu")) == "numba"
    assert make_scheme("longcat", vocab_size=VOCAB, eos_id=2, slots=2**33).kernel() == "numpy"
    assert scheme.kernel("mps") == "torch"
    assert scheme.kernel("cuda:1") == kernel("cuda") != "numba"


def test_triton_is_chosen_only_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for found, name in ((None, "torch"), (object(), "triton")):
        monkeypatch.setattr(
            "engramctl.hashing.kernels.choice.find_spec", lambda module, found=found: found
        )
        assert kernel("cuda") == name
