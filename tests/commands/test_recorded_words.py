"""The words that a folder records make the folder again, byte for byte."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from engramctl.corpus.sample import train_tokenizer
from tests.checkpoints import make
from tests.conftest import run_in_process
from tests.helpers.corpora import file_bytes, zipf_documents
from tests.helpers.mined_counts import mined, run, small_scheme

SMALL = ("--slots", 50, "--row-dim", 32)
BUILDS: dict[str, tuple[Any, ...]] = {
    "defaults": ("--slots", 50),
    "sizes": ("--scheme", "longcat", "--slots", 97, "--heads", 2, "--orders", "2,4",
              "--layers", "7,3", "--row-dim", 64, "--dtype", "int8"),
    "engram": ("--scheme", "engram", *SMALL, "--layers", "15,1", "--seed", 7, "--std", 1e-3),
    "qwen-ple": ("--scheme", "qwen-ple", *SMALL, "--init", "zeros"),
    "blt": ("--scheme", "blt", *SMALL),
    "over-encoding": ("--scheme", "over-encoding-wrap64", *SMALL, "--dtype", "f32"),
    "file": ("--scheme", "scheme.json"),
    "file with sizes": ("--scheme", "scheme.json", "--row-dim", 32, "--dtype", "f16"),
    "dictionary": ("--scheme", "dictionary.json", "--row-dim", 32),
    "tokenizer": ("--scheme", "deepseek-v41", "--tokenizer", "tokenizer.json", *SMALL),
    "laid out": ("--slots", 50, "--tier", "ssd", "--shard-bytes", "64KiB"),
    "token-mean": ("--scheme", "scheme.json", "--row-dim", 32, "--dtype", "bf16", "--init",
                   "token-mean", "--counts", "counts", "--source", "source/e.safetensors",
                   "--tensor", "embed", "--seed", 3),
    "import": ("--scheme", "scheme.json", "--init", "import", "--source", "source/rows.safetensors",
               "--tensor", "rows.{layer}"),
}  # fmt: skip
LAYOUTS: dict[str, tuple[Any, ...]] = {
    "ssd": ("tables",),
    "host": ("tables", "--tier", "host", "--align", "8192", "--shard-bytes", "32KiB"),
    "planar": ("tables", "--tier", "gpu", "--form", "planar", "--head-shards", 2),
    "paged": ("tables", "--page-bytes", "8KiB", "--dtype", "int8"),
    "dictionary": ("tables", "--dictionary", "counts", "--dictionary-budget", "900000"),
    "checkpoint": ("model",),
    "scheme": ("raw", "--scheme", "model.json"),
    "tokenizer": ("mapped", "--tokenizer", "tokenizer.json"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that the commands above name."""
    here = tmp_path_factory.mktemp("words")
    scheme = small_scheme("deepseek-v41", 64, mapped=True, eos_id=6, slots=50)
    mined(here, scheme, zipf_documents(3, 2_000, 60))
    run("build", "--scheme", here / "scheme.json", "-o", here / "tables")
    (here / "source").mkdir()  # a tokenizer.json beside rows is theirs
    rows = {
        f"rows.{layer}": np.full((scheme.num_rows(layer), scheme.row_dim), layer, np.float32)
        for layer in scheme.layers
    }
    safetensors.numpy.save_file(rows, here / "source" / "rows.safetensors")
    embeddings = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
    safetensors.numpy.save_file({"embed": embeddings}, here / "source" / "e.safetensors")
    train_tokenizer(["the cat sat on the mat", "a dog sat on a log"] * 5, here / "tokenizer.json")
    run("build", "--scheme", "deepseek-v41", "--tokenizer", here / "tokenizer.json", *SMALL,
        "-o", here / "mapped")  # fmt: skip
    line = here / "line.jsonl"
    line.write_text("[1]\n")
    run("rows", line, "--scheme", "dictionary", "--counts", here / "counts",
        "--save-scheme", here / "dictionary.json")  # fmt: skip
    make.deepseek_v41(here / "model")
    run("layout", here / "model", "-o", here / "whole")
    run("export", here / "whole", "-o", here / "raw", "--family", "raw-shards", "--parts", 2)
    manifest = json.loads((here / "whole" / "manifest.json").read_text())
    (here / "model.json").write_text(json.dumps(manifest["scheme"]))
    return here


def check_words(folder: Path, words: tuple[Any, ...], out: Path) -> None:
    first = run_in_process(*words, "-o", out / "first", "-q")
    assert first.exit_code == 0, first.stderr
    manifest = json.loads((out / "first" / "manifest.json").read_text())
    recorded = manifest["provenance"]["command"]
    assert recorded[:2] == ["engramctl", words[0]]
    again = run_in_process(*recorded[1:], "-o", out / "again", "-q")
    assert again.exit_code == 0, again.stderr
    assert file_bytes(out / "again") == file_bytes(out / "first")


@pytest.mark.parametrize("name", BUILDS)
def test_the_words_of_a_build_make_it_again(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    check_words(folder, ("build", *BUILDS[name]), tmp_path)


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_words_of_a_layout_make_it_again(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    check_words(folder, ("layout", *LAYOUTS[name]), tmp_path)
