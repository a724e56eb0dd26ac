"""The folder that pages' blocks run in: what the demo leaves, smaller, and small models beside."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from engramctl.corpus.sample import write_sample_corpus
from engramctl.hashing import make_scheme
from tests.checkpoints import make
from tests.conftest import run_in_process

# As `engramctl demo` runs them; its text is larger.
DEMO = """
mine corpus.parquet --column input_ids -o counts
build --scheme deepseek-v41 --slots 50000 --row-dim 64 --tokenizer tokenizer.json --counts counts
layout tables --tier host -o shards-host
layout tables --tier ssd -o shards-ssd
"""


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make once what pages take for given."""
    folder = tmp_path_factory.mktemp("pages") / "engramctl-demo"
    write_sample_corpus(folder, max_bytes=400_000, vocab_size=2000)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in DEMO.strip().splitlines():
            result = run_in_process(*line.split())
            assert result.exit_code == 0, f"{line}\n{result.stderr}"
    (folder / "tokens.jsonl").write_text("[17, 4, 17]\n[4]\n")
    _write_models(folder)
    return folder


@pytest.fixture
def demo(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder of one's own with the same files."""
    folder = tmp_path / "engramctl-demo"
    shutil.copytree(prepared, folder, copy_function=os.link)
    monkeypatch.chdir(folder)
    return folder


def _write_models(folder: Path) -> None:
    """Write checkpoints with the real names, token embeddings, and rows that were trained."""
    make.deepseek_v41(folder / "DeepSeek-V4.1-Flash")
    make.qwen(folder / "Qwen3.8-Flash-Next")
    ple = make_scheme("qwen-ple", slots=50)
    make.gguf_file(folder / "ple.gguf", "Q8_0", ple.num_rows(1), ple.row_dim)
    random = np.random.default_rng(0)
    (folder / "model").mkdir()
    embeddings = random.normal(size=(2000, 96)).astype(np.float32)
    save_file({"model.embed_tokens.weight": embeddings}, folder / "model" / "model.safetensors")
    small = make_scheme("deepseek-v41", slots=2000)
    tables = {
        f"layers.{layer}.memory.weight": random.normal(size=(small.num_rows(layer), 64))
        for layer in small.layers
    }
    trained = {name: values.astype(np.float32) for name, values in tables.items()}
    save_file(trained, folder / "trained.safetensors")
