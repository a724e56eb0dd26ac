"""A small run of the harness; the long one is `python -m tests.fuzz_checkpoints`."""

import struct
from pathlib import Path

import pytest

from engramctl.checkpoints.opening import open_checkpoint
from engramctl.errors import FormatError
from tests.checkpoints import make
from tests.fuzz_checkpoints import run


def test_no_hostile_checkpoint_crashes(tmp_path: Path) -> None:
    ends = run(700, 1, tmp_path)
    assert sum(ends.values()) == 700
    assert ends["FormatError"] > 300
    assert ends["rows"] > 50


def test_counts_that_a_gguf_file_cannot_hold_are_refused_at_once(tmp_path: Path) -> None:
    make.gguf_file(tmp_path / "model.gguf", "Q8_0")
    whole = (tmp_path / "model.gguf").read_bytes()
    for at, number in [(8, 1 << 40), (16, 1 << 62), (24, 1 << 63)]:
        data = whole[:at] + struct.pack("<Q", number) + whole[at + 8 :]
        (tmp_path / "model.gguf").write_bytes(data)
        with pytest.raises(FormatError, match="is no GGUF file that can be read"):
            open_checkpoint(tmp_path / "model.gguf")


@pytest.mark.parametrize("number", ["1e999", "NaN", "64.0", "true", '"64"'])
def test_a_sidecar_with_a_strange_number_is_refused(tmp_path: Path, number: str) -> None:
    stem = tmp_path / "layer01" / "engram_v0_4_r0"
    stem.parent.mkdir()
    rest = '"layer": 1, "num_rows": 4, "rows": [0, 4], "dtype": "f32", "table_scale": null'
    Path(f"{stem}.weight.bin").write_bytes(bytes(4 * 64 * 4))
    Path(f"{stem}.done.json").write_text(f'{{{rest}, "row_dim": 64}}')
    assert open_checkpoint(tmp_path).rows.num_rows(1) == 4
    Path(f"{stem}.done.json").write_text(f'{{{rest}, "row_dim": {number}}}')
    with pytest.raises(FormatError, match="no sidecar"):
        open_checkpoint(tmp_path)
