"""Every form of a checkpoint has the rows that plain torch reads, in every command."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engramctl.checkpoints import open_checkpoint, open_store
from engramctl.storage import open_store as open_ours
from tests.checkpoints.variants import VARIANTS, same
from tests.conftest import RunCli

LARGEST = (1 << 63) - 1


def is_prime(number: int) -> bool:
    return number > 1 and all(number % k for k in range(2, int(number**0.5) + 1))


def v41_row_ids(config: Mapping[str, Any], ids: list[int], layer: int) -> list[list[int]]:
    """Row ids of canonical ids, one position after the other, from the paper's own words."""
    text = config["text_config"]
    heads, orders = text["engram_n_heads"], range(2, text["engram_max_ngram_size"] + 1)
    primes = (n for n in range(text["engram_vocab_size"], 1 << 30) if is_prime(n))
    for one in text["engram_layer_ids"]:
        moduli = [next(primes) for _ in orders for _ in range(heads)]
        if one == layer:
            break
    half = LARGEST // text["engram_compressed_vocab_size"] // 2
    draws = np.random.default_rng(10007 * layer).integers(0, half, size=orders[-1])
    offsets = [sum(moduli[:head]) for head in range(len(moduli))]
    rows = []
    for at in range(len(ids)):
        mixed = 0
        row: list[int] = []
        for back in range(orders[-1]):
            token = ids[at - back] if at >= back else text["engram_pad_token_id"]
            mixed ^= token * (2 * int(draws[back]) + 1)
            if back:
                row += range((back - 1) * heads, back * heads)
                row[-heads:] = [mixed % moduli[n] + offsets[n] for n in row[-heads:]]
        rows.append(row)
    return rows


@pytest.mark.parametrize("name", VARIANTS)
def test_rows_are_those_of_a_plain_reader_everywhere(
    run_cli: RunCli, tmp_path: Path, name: str
) -> None:
    path, out, back = (tmp_path / one for one in ("model", "shards", "back"))
    path.mkdir()
    wanted = VARIANTS[name](path)
    assert same(path, wanted)
    assert run_cli("inspect", path, "-q").exit_code == 0
    assert run_cli("layout", path, "-o", out, "-q").exit_code == 0
    assert run_cli("verify", out, "--against", path, "-q").exit_code == 0
    assert run_cli("export", path, "-o", back, "-q").exit_code == 0
    assert same(back, wanted)
    with open_store(path, "ssd", dtype=torch.float32) as store, open_ours(out) as ours:
        for layer, rows in wanted.items():
            ids = np.random.default_rng(layer).integers(0, len(rows), 99)
            assert torch.equal(store.gather(layer, ids), rows[ids])
            assert torch.equal(ours.gather(layer, ids), rows[ids].to(torch.bfloat16))


def test_row_ids_are_those_of_the_papers_words(run_cli: RunCli, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.mkdir()
    VARIANTS["ranks-heads"](path)
    config = json.loads((path / "config.json").read_text())
    scheme = open_checkpoint(path).scheme
    assert scheme is not None
    ids = np.random.default_rng(0).integers(0, 99_000, 12)
    for layer in scheme.layers:
        found = scheme.row_ids(ids[None], layer=layer)[0]
        assert np.asarray(found).tolist() == v41_row_ids(config, ids.tolist(), layer)
    assert run_cli("layout", path, "-o", tmp_path / "out", "-q").exit_code == 0
    sent = tmp_path / "ids.jsonl"
    sent.write_text(json.dumps(ids.tolist()) + "\n")
    words = ("rows", sent, "--scheme", tmp_path / "out", "--layer", 1, "--canonical")
    answer = run_cli(*words)
    assert answer.exit_code == 0, answer.stderr
    assert json.loads(answer.stdout)["rows"]["1"] == v41_row_ids(config, ids.tolist(), 1)
