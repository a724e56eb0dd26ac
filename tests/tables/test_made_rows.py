"""What a build says it did: the tensors it read, and the rows that they decided."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from engramctl.hashing import Scheme
from engramctl.storage.reading.table import open_table
from engramctl.storage.record.codecs import decode
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.writing.seeded_rows import seeded_values
from engramctl.storage.writing.seeded_values import RowInit
from engramctl.tables.made_rows import JOINED, OWN, SMALLEST, Told, composed_remark
from tests.conftest import RunCli
from tests.helpers.corpora import zipf_documents
from tests.helpers.mined_counts import mined, run, small_scheme

DOCUMENTS = zipf_documents(seed=4, tokens=2500, vocabulary=60)
WIDE = np.random.default_rng(0).normal(size=(64, 96)).astype(np.float32)


def scheme_of(*, mapped: bool = False) -> Scheme:
    return small_scheme("deepseek-v41", 60, mapped=mapped, eos_id=5, slots=997, row_dim=32)


def words_of(folder: Path, scheme: Scheme, *, canonical: bool = False) -> list[Any]:
    file, counts = mined(folder, scheme, DOCUMENTS, canonical=canonical)
    save_file({"x": WIDE[:7], "model.embed_tokens.weight": WIDE}, folder / "model.safetensors")
    words: list[Any] = ["build", "--scheme", file, "--init", "token-mean", "--counts", counts]
    return [*words, "--source", folder / "model.safetensors", "--dtype", "f32"]


def test_token_means_name_their_tensor_and_count_their_rows(tmp_path: Path) -> None:
    scheme = scheme_of()
    words = words_of(tmp_path, scheme)
    told = run(*words, "-o", tmp_path / "tables")["token_mean"]
    assert (told["tensor"], told["shape"]) == ("model.embed_tokens.weight", [64, 96])
    assert told["file"] == str(tmp_path / "model.safetensors")
    assert (told["folded_to"], told["canonical_id_embedding"]) == (32, OWN)
    stored, others = open_table(tmp_path / "tables"), seeded_values(RowInit(), 32, scheme.layers)
    for layer in told["layers"]:
        rows = scheme.num_rows(layer["layer"])
        normal = np.empty((rows, 32), np.float32)
        others(layer["layer"], 0, normal)
        parts = stored.read_rows(layer["layer"], np.arange(rows))
        found = decode(RecordSpec("f32", 32), np.concatenate(parts, axis=1))
        composed = int((found != normal).any(axis=1).sum())
        assert 0 < composed < rows
        assert (layer["rows"], layer["composed_rows"]) == (rows, composed)
        assert layer["normal_rows"] == rows - composed
        assert layer["composed_percent"] == pytest.approx(100 * composed / rows)
    assert told["composed_rows"] == sum(layer["composed_rows"] for layer in told["layers"])


def test_what_chunks_of_a_layer_say_is_added_up() -> None:
    said, scheme = Told(), scheme_of()
    for layer, rows in ((1, 30), (4, 7), (1, 12)):
        said.told(composed_remark([], layer, rows))
    counted = said.counted({"token_mean": {}}, scheme)["token_mean"]
    assert [one["composed_rows"] for one in counted["layers"]] == [42, 7]
    assert counted["normal_rows"] == scheme.num_rows(1) + scheme.num_rows(4) - 49


@pytest.mark.parametrize("canonical", [False, True])
def test_what_a_canonical_id_is_made_of_depends_on_the_counts(
    canonical: bool, tmp_path: Path
) -> None:
    words = words_of(tmp_path, scheme_of(mapped=True), canonical=canonical)
    told = run(*words, "-o", tmp_path / "tables", "--dry-run")["token_mean"]
    assert told["canonical_id_embedding"] == (SMALLEST if canonical else JOINED)
    assert (told["token_ids"], told["canonical_ids"]) == (60, 20)
    assert "composed_rows" not in told  # nothing was composed yet


def test_rows_composed_before_an_interruption_are_counted_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = words_of(tmp_path, scheme_of())
    whole = run(*words, "-o", tmp_path / "whole")["token_mean"]
    from engramctl.storage.writing.partial_folder import PartialDirectory

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(PartialDirectory, "publish", stop)
        run(*words, "-o", tmp_path / "cut", fails=130)
    resumed = run(*words, "-o", tmp_path / "cut", "--resume")["token_mean"]
    assert resumed == whole


def test_a_screen_says_tensor_rows_and_how_ids_are_made(run_cli: RunCli, tmp_path: Path) -> None:
    words = words_of(tmp_path, scheme_of(mapped=True))
    shown = run_cli(*words, "-o", tmp_path / "tables")
    text = " ".join(shown.stdout.split())
    assert "model.embed_tokens.weight" in text
    assert "composed rows" in text
    assert "left normal" in text
    assert JOINED in text


def test_an_import_names_the_tensor_of_every_layer(tmp_path: Path) -> None:
    scheme = scheme_of()
    (tmp_path / "scheme.json").write_text(json.dumps(scheme.to_dict()))
    rows = {f"layers.{n}.memory": np.zeros((scheme.num_rows(n), 32), np.float32) for n in (1, 4)}
    save_file(rows, tmp_path / "rows.safetensors")
    words = ["build", "--scheme", tmp_path / "scheme.json", "--init", "import"]
    words += ["--source", tmp_path / "rows.safetensors", "-o", tmp_path / "tables"]
    told = run(*words)["import"]
    assert [(one["layer"], one["tensor"]) for one in told["tensors"]] == [
        (1, "layers.1.memory"), (4, "layers.4.memory"),
    ]  # fmt: skip
    again = ["build", "--scheme", tmp_path / "scheme.json", "--init", "import", "-o"]
    ours = run(*again, tmp_path / "again", "--source", tmp_path / "tables")["import"]
    assert ours["tensors"] == []


def test_losses_are_a_line_a_layer_that_of_its_worst_head(run_cli: RunCli, tmp_path: Path) -> None:
    assert run_cli("build", "--slots", "50", "-o", tmp_path / "t", "-q").exit_code == 0
    layout = ("layout", tmp_path / "t", "--dtype", "int4", "-o", tmp_path / "s", "--force")
    losses = run(*layout)["conversion"]
    assert len(losses) == 48
    short = run_cli(*layout).stdout
    for layer in (1, 14):
        worst = max((one for one in losses if one["layer"] == layer), key=lambda one: one["rms"])
        line = next(
            line.split()
            for line in short.splitlines()
            if line.split()[:1] == [str(layer)] and len(line.split()) <= 5 and "," not in line
        )
        assert line[1] == str(worst["head"])
    assert "worst head" in short
    every = run_cli(*layout, "--each-head").stdout
    assert len(every.splitlines()) == len(short.splitlines()) + 48 - 2 - short.count("worst head:")
