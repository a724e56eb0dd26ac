"""The tier changes nothing in what a model says: bit for bit, whatever holds the rows."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engramctl.fusion.rows_to_read import rows_to_read
from engramctl.hashing import DictionaryScheme, Lookup, lookup_from_dict, make_scheme
from engramctl.model.decoder import Decoder
from engramctl.model.memory_of import memory_of
from engramctl.model.presets import preset
from engramctl.storage import Store, open_store
from engramctl.storage.reading.source import read_values
from engramctl.storage.reading.table import open_table
from engramctl.storage.record.dtypes import DTYPES
from tests.helpers.small_table import built_table, small_table

LAYOUTS = (None, "host", "ssd")
TIERS = ("host", "ssd", "ssd direct")
CHUNKS = (5, 3, 1, 1)  # a prefill in two parts, then decode steps
BATCH = 2
DICTIONARY = DictionaryScheme.of(
    [(a, b) for a in range(4) for b in range(4) if a != b], vocab_size=4
)
SCHEMES = {
    name: make_scheme(name, slots=101)
    for name in ("engram", "engram-27b", "qwen-ple", "over-encoding", "blt")
}
SCHEMES["longcat-next"] = make_scheme("longcat-next", vocab_size=50, slots=7, specials=[(50, 60)])
Rows = Callable[[int, NDArray[np.integer]], torch.Tensor]


def opened(folder: Path, tier: str) -> Store:
    if tier == "ssd direct":
        return open_store(folder, "ssd", dtype=torch.float32, budget_bytes=1 << 20)
    return open_store(folder, tier, dtype=torch.float32)


def every_step(model: Decoder, scheme: Lookup, rows: Rows) -> torch.Tensor:
    """Return the logits of each chunk of a text, its rows from `rows(layer, row_ids)`."""
    limit = min(scheme.vocab_size, model.config.vocab_size)
    random = np.random.default_rng(0)
    ids = random.integers(0, limit, (BATCH, scheme.max_order - 1 + sum(CHUNKS)))
    state, found, at = model.new_state(BATCH, sum(CHUNKS)), [], scheme.max_order - 1
    for size in CHUNKS:
        tokens, past = ids[:, at : at + size], ids[:, :at][:, -(scheme.max_order - 1) :]
        at += size
        read = rows_to_read(scheme, sorted(scheme.layers), tokens, past, model.device)
        found.append(
            model.prefill(
                torch.from_numpy(tokens), state,
                lambda layer, read=read: read.used(layer, rows(layer, read[layer])),
                read.mask_BT,
            )
        )  # fmt: skip
    return torch.stack(found)


def by_plain_reader(folder: Path) -> Rows:
    table = open_table(folder)

    def rows(layer: int, ids: NDArray[np.integer]) -> torch.Tensor:
        values = read_values(table, layer, ids.reshape(-1).astype(np.int64))
        return torch.from_numpy(np.ascontiguousarray(values)).view(*ids.shape, -1)

    return rows


def by_each_tier(folder: Path) -> Iterator[tuple[str, Rows]]:
    for tier in TIERS:
        with opened(folder, tier) as store:
            yield tier, lambda layer, ids, store=store: store.prefetch({layer: ids}).wait(layer)  # type: ignore[misc]


def model_of(scheme: Lookup) -> Decoder:
    return Decoder(preset("tiny", memory=memory_of(scheme, preset("tiny"), None, None)))


@pytest.fixture(scope="module")
def model() -> Decoder:
    return model_of(make_scheme("deepseek-v41", slots=101, heads_per_order=2, row_dim=64))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_layout_and_tier_of_a_dtype_gives_the_same_logits(
    dtype: str, model: Decoder, tmp_path: Path
) -> None:
    expected = None
    for layout in LAYOUTS:
        table = small_table(tmp_path / f"{layout}", dtype=dtype, tier=layout, row_dim=64)
        scheme = lookup_from_dict(dict(table.manifest.scheme))
        if expected is None:
            expected = every_step(model, scheme, by_plain_reader(table.path))
            assert expected.isfinite().all()
        for tier, rows in by_each_tier(table.path):
            assert torch.equal(every_step(model, scheme, rows), expected), (layout, tier)


@pytest.mark.parametrize("name", [*SCHEMES, "dictionary"])
def test_every_fusion_gives_the_same_logits_on_every_tier(name: str, tmp_path: Path) -> None:
    scheme = DICTIONARY if name == "dictionary" else SCHEMES[name]
    folder = built_table(tmp_path / "tables", scheme)
    made = lookup_from_dict(dict(open_table(folder).manifest.scheme))
    model = model_of(made)
    expected = every_step(model, made, by_plain_reader(folder))
    for tier, rows in by_each_tier(folder):
        assert torch.equal(every_step(model, made, rows), expected), tier
    emptied = every_step(model, made, lambda _, ids: torch.zeros(*ids.shape, made.row_dim))
    assert not torch.allclose(emptied, expected, atol=1e-3)
