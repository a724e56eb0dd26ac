"""A GGUF file that has its scheme's constants needs no --scheme; wrong ones give none."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from engramctl.checkpoints.opening import open_checkpoint
from engramctl.hashing import make_scheme
from tests.checkpoints.make_gguf import PAD, engram_scheme, engram_tensors, write
from tests.conftest import RunCli

IDS = np.random.default_rng(8).integers(0, 90, (3, 20))


def pad(writer: Any) -> None:
    writer.add_uint32("deepseek41.engram.pad_token_id", PAD)


@pytest.mark.parametrize("by_layer", [False, True])
def test_engram_tensors_give_the_models_row_ids(tmp_path: Path, by_layer: bool) -> None:
    wanted = engram_scheme()
    write(tmp_path / "t.gguf", engram_tensors(wanted, by_layer), facts=pad)
    found = open_checkpoint(tmp_path / "t.gguf").scheme
    assert found is not None
    for layer in wanted.layers:
        assert np.array_equal(found.row_ids(IDS, layer=layer), wanted.row_ids(IDS, layer=layer))


def test_engram_facts_do_as_well(tmp_path: Path) -> None:
    wanted = engram_scheme()
    tensors = engram_tensors(wanted)
    named = {name: tensors.pop(name) for name in list(tensors) if name.startswith("engram_")}

    def facts(writer: Any) -> None:
        pad(writer)
        for name, numbers in named.items():
            word = name.removeprefix("engram_").removesuffix(".weight")
            kinds = (gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.INT64)
            writer.add_key_value(f"deepseek41.engram.{word}", numbers.reshape(-1).tolist(), *kinds)

    write(tmp_path / "t.gguf", tensors, facts=facts)
    found = open_checkpoint(tmp_path / "t.gguf").scheme
    assert found is not None
    assert np.array_equal(found.row_ids(IDS, layer=3), wanted.row_ids(IDS, layer=3))


def test_without_a_pad_fact_it_is_the_tokenizers(tmp_path: Path) -> None:
    def facts(writer: Any) -> None:
        writer.add_uint32("tokenizer.ggml.padding_token_id", PAD)

    write(tmp_path / "t.gguf", engram_tensors(engram_scheme()), facts=facts)
    found = open_checkpoint(tmp_path / "t.gguf").scheme
    assert found is not None
    assert found.boundary.fill == PAD


@pytest.mark.parametrize("kind", ["primes", "offsets", "multipliers"])
def test_a_constant_that_differs_gives_no_scheme_and_says_so(
    run_cli: RunCli, tmp_path: Path, kind: str
) -> None:
    tensors = engram_tensors(engram_scheme())
    tensors[f"engram_{kind}.weight"][1, 1] += 2
    path = tmp_path / "t.gguf"
    write(path, tensors, facts=pad)
    found = open_checkpoint(path)
    assert found.scheme is None
    assert "differs from what the config derives" in (found.no_scheme or "")
    assert "not clear from its files" in run_cli("inspect", path).stdout
    refused = run_cli("layout", path, "-o", tmp_path / "out")
    assert (refused.exit_code, "differs from" in refused.stderr) == (2, True)


def test_layout_takes_the_files_own_scheme(run_cli: RunCli, tmp_path: Path) -> None:
    write(tmp_path / "t.gguf", engram_tensors(engram_scheme()), facts=pad)
    made = run_cli("layout", tmp_path / "t.gguf", "-o", tmp_path / "out")
    assert made.exit_code == 0, made.stderr


def test_qwens_facts_give_its_row_ids(tmp_path: Path) -> None:
    wanted = make_scheme(
        "qwen-ple", vocab_size=90, slots=50, heads_per_order=2, layers=(1,), row_dim=32, eos_id=3
    )
    one = wanted.layer_hash(1)

    def facts(writer: gguf.GGUFWriter) -> None:
        writer.add_uint32("qwen4exp.vocab_size", 90)
        writer.add_array("qwen4exp.ple.layers", [1])
        writer.add_uint32("qwen4exp.ple.ngram_size", wanted.max_order)
        writer.add_uint32("qwen4exp.ple.heads_per_ngram", 2)
        writer.add_uint32("qwen4exp.ple.eos_token_id", 3)
        kinds = (gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.UINT64)
        writer.add_key_value("qwen4exp.ple.layer_multipliers", list(one.multipliers), *kinds)
        writer.add_array("qwen4exp.ple.head_offsets", [head.offset for head in one.heads])
        writer.add_array("qwen4exp.ple.head_vocab_sizes", [head.modulus for head in one.heads])

    table = np.ones((one.num_rows, 32), np.float32)
    write(tmp_path / "t.gguf", {"per_layer_token_embd.weight": table}, facts=facts)
    checkpoint = open_checkpoint(tmp_path / "t.gguf")
    assert checkpoint.scheme is not None, checkpoint.no_scheme
    found = checkpoint.scheme.row_ids(IDS, layer=1)
    assert np.array_equal(found, wanted.row_ids(IDS, layer=1))
