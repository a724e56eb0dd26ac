"""The module that made Qwen's tables reads the rows that we say, in prefill, decode and padding."""

import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engramctl.checkpoints import read_scheme
from engramctl.hashing import History, Scheme

pytestmark = [
    pytest.mark.skipif(find_spec("transformers") is None, reason="transformers is not installed"),
    pytest.mark.filterwarnings("ignore"),  # not ours
]

EOS, VOCAB, LAYER = 3, 200, 1
SIZES = {
    "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1,
    "head_dim": 32, "vocab_size": VOCAB, "eos_token_id": EOS, "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16, "num_experts": 4, "num_experts_per_tok": 2,
    "linear_key_head_dim": 16, "linear_value_head_dim": 16, "linear_num_key_heads": 2,
    "linear_num_value_heads": 2, "hc_count": 2, "hc_lowrank": 8, "ple_layer_ids": [LAYER + 1],
    "ple_embed_dim": 64, "heads_per_ngram": 4, "ngram_vocab_size_base": 300,
    "make_ngram_vocab_size_divisible_by": 16, "split_ngram_parts": 4,
    "layer_types": ["linear_attention"] * 2 + ["indexed_attention"],
    "indexer_n_heads": 2, "indexer_kv_heads": 1, "indexer_head_dim": 32, "indexer_budget": 8,
    "indexer_compress_ratio": 4,
}  # fmt: skip


class Reads:
    """A model whose table tells which rows it is asked for."""

    def __init__(self) -> None:
        from transformers import Qwen4ExpForCausalLM, Qwen4ExpTextConfig

        torch.manual_seed(1)
        self.model = Qwen4ExpForCausalLM(Qwen4ExpTextConfig(**SIZES)).eval()
        table = self.model.model.layers[LAYER].ple.ple_embedding.ngram_embedding
        self.num_rows = table.num_embeddings
        self._seen: list[NDArray[np.int64]] = []
        table.register_forward_pre_hook(lambda _, given: self._seen.append(given[0].numpy()))

    def rows(self, ids: NDArray[np.int64], **options: Any) -> tuple[NDArray[np.int64], Any]:
        """Run one forward pass; returns the row ids (B, T, H) and the model's cache."""
        self._seen.clear()
        with torch.no_grad():
            out = self.model(input_ids=torch.as_tensor(ids), use_cache=True, **options)
        [seen] = self._seen
        return seen, out.cache


@pytest.fixture(scope="module")
def reads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reads]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield Reads()


@pytest.fixture(scope="module")
def scheme(reads: Reads, tmp_path_factory: pytest.TempPathFactory) -> Scheme:
    """Of the folder that transformers itself writes."""
    folder: Path = tmp_path_factory.mktemp("model")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reads.model.save_pretrained(folder)
    found = read_scheme(folder)
    assert isinstance(found, Scheme)
    return found


def some_ids(seed: int, *shape: int) -> NDArray[np.int64]:
    """Ids of which one in six ends a document."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, VOCAB, shape)
    ids[rng.random(shape) < 1 / 6] = EOS
    return ids


def test_its_table_has_as_many_rows(reads: Reads, scheme: Scheme) -> None:
    assert scheme.layers == (LAYER,)
    assert scheme.num_rows(LAYER) == reads.num_rows


@pytest.mark.parametrize("length", [1, 2, 3, 40])
def test_rows_of_a_prefill_with_ends_of_documents_are_its_rows(
    length: int, reads: Reads, scheme: Scheme
) -> None:
    ids = some_ids(length, 3, length)
    assert np.array_equal(scheme.row_ids(ids, LAYER), reads.rows(ids)[0])


def test_rows_of_decode_steps_are_its_rows(reads: Reads, scheme: Scheme) -> None:
    ids = some_ids(7, 2, 30)
    history = History(scheme.max_order - 1, len(ids))
    cache, start = None, 0
    for stop in (1, 2, 12, *range(13, 31)):  # short prefill, chunks, then token by token
        step = ids[:, start:stop]
        seen, cache = reads.rows(step, cache=cache)
        assert np.array_equal(scheme.row_ids(step, LAYER, history.ids), seen), start
        history.append(step)
        start = stop


def test_a_left_padded_batch_reads_what_its_pads_as_ends_of_documents_read(
    reads: Reads, scheme: Scheme
) -> None:
    ids = some_ids(9, 3, 20)
    mask = np.arange(20) >= np.array([[0], [5], [19]])
    seen, cache = reads.rows(ids, attention_mask=torch.as_tensor(mask.astype(np.int64)))
    padded = np.where(mask, ids, EOS)
    assert np.array_equal(scheme.row_ids(padded, LAYER), seen)
    step = some_ids(10, 3, 1)
    history = History(scheme.max_order - 1, len(ids))
    history.append(padded)
    whole = np.concatenate([mask, np.ones((3, 1), bool)], axis=1).astype(np.int64)
    seen, _ = reads.rows(step, cache=cache, attention_mask=torch.as_tensor(whole))
    assert np.array_equal(scheme.row_ids(step, LAYER, history.ids), seen)
