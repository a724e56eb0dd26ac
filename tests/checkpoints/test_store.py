"""Rows of every family, and of every layout of ours, are the plain reader's on every tier."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engramctl.checkpoints import open_checkpoint, open_store
from engramctl.checkpoints.raw_shards import raw_name
from engramctl.errors import ConfigError, FormatError
from engramctl.hashing import make_scheme, scheme_from_config
from engramctl.storage import Store
from engramctl.storage.reading.source import RecordReader, Source
from engramctl.storage.reading.table import open_table
from engramctl.storage.record.codecs import decode
from engramctl.storage.record.dtypes import DTYPES
from engramctl.storage.tiers.gpu import GpuStore
from engramctl.storage.writing.seeded_values import RowInit
from tests.checkpoints import make
from tests.checkpoints.changed import bits, replace_in, rewrite
from tests.storage.tables import make_plan, write

POISON = 777.0
TIERS = ("host", "ssd", "gpu")


def raw_shards(folder: Path) -> None:
    """Rows of f8_e4m3 in three shards, values and scales each in a file."""
    folder.mkdir()
    random = np.random.default_rng(3)
    for shard, rows in enumerate(((0, 100), (100, 101), (101, 250))):
        stem = folder / raw_name(*rows, shard)
        count = rows[1] - rows[0]
        codes = random.integers(0, 255, (count, 64), dtype=np.uint8) & 0x7E
        codes.tofile(f"{stem}.weight.bin")
        random.integers(100, 140, (count, 2), dtype=np.uint8).tofile(f"{stem}.scale.bin")
        sidecar = {"layer": 3, "num_rows": 250, "rows": rows, "dtype": "f8_e4m3", "row_dim": 64,
                   "table_scale": None}  # fmt: skip
        Path(f"{stem}.done.json").write_text(json.dumps(sidecar))


FAMILIES: dict[str, Callable[[Path], Any]] = {
    "deepseek": make.deepseek_v41,
    **{
        f"qwen-{dtype}-{parts}": partial(make.qwen, dtype=dtype, parts=parts)
        for dtype in ("float8_e4m3fn", "nvfp4", "bfloat16")
        for parts in (1, 12)
    },
    "longcat": make.longcat,
    "raw": raw_shards,
    **{
        f"{kind}.gguf": partial(make.gguf_file, kind=kind)
        for kind in ("Q8_0", "Q4_0", "IQ4_NL", "F16", "F32", "BF16")
    },
}
FORMS = [f"{form}-{dtype}" for form in ("planar", "packed", "paged") for dtype in DTYPES]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One of each, small."""
    root = tmp_path_factory.mktemp("rows")
    for name, write_family in FAMILIES.items():
        write_family(root / name)
    for name in FORMS:
        form, _, dtype = name.partition("-")
        plan, init = make_plan(form=form, dtype=dtype, shard_rows=300), RowInit(seed=3)
        plan.table_scales[1] = init.table_scale(plan.layout.record)  # type: ignore[index]
        write(plan, root / name, init=init)
    return {name: root / name for name in (*FAMILIES, *FORMS)}


def opened(path: Path, tier: str, dtype: torch.dtype) -> Store:
    """Any tier, without a GPU."""
    if tier != "gpu":
        return open_store(path, tier, dtype=dtype)
    return GpuStore(source_of(path), dtype, torch.device("cpu"))


def source_of(path: Path) -> Source:
    ours = (path / "manifest.json").exists()
    return open_table(path) if ours else open_checkpoint(path).rows


def plain(source: Source, layer: int) -> np.ndarray:
    """All rows, through the plain reader and decoder."""
    records = np.empty((source.num_rows(layer), source.record.record_bytes), np.uint8)
    with RecordReader(source) as reader:
        reader.read(layer, 0, records)
    return decode(source.record, records, source.table_scale(layer))


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("name", [*FAMILIES, *FORMS])
@given(data=st.data())
@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
def test_gathered_rows_are_the_plain_readers(
    paths: dict[str, Path], name: str, tier: str, data: st.DataObject
) -> None:
    source = source_of(paths[name])
    dtype = data.draw(st.sampled_from([torch.bfloat16, torch.float32]))
    with opened(paths[name], tier, dtype) as store:
        assert store.layers == source.layers
        for layer in store.layers:
            last = store.num_rows(layer) - 1
            drawn = data.draw(st.lists(st.integers(0, last), min_size=1, max_size=50))
            ids = np.array([0, last, *drawn])
            out = torch.full((len(ids), store.row_dim), POISON, dtype=dtype)
            assert store.gather(layer, ids, out) is out
            wanted = torch.from_numpy(plain(source, layer)[ids]).to(dtype)
            assert torch.equal(out.isnan(), wanted.isnan())
            assert torch.equal(out.nan_to_num(), wanted.nan_to_num())


def test_a_store_of_a_checkpoint_has_its_scheme(paths: dict[str, Path]) -> None:
    with open_store(paths["deepseek"]) as store:
        config = json.loads((paths["deepseek"] / "config.json").read_text())
        assert store.scheme["name"] == scheme_from_config(config, {}).name
        with pytest.raises(ValueError, match="layer 2 has no table; layers with one: 1, 14"):
            store.gather(2, np.arange(3))
    with open_store(paths["raw"]) as store, pytest.raises(ConfigError, match="by which scheme"):
        _ = store.scheme


def test_a_scheme_is_compared_with_the_tables(paths: dict[str, Path]) -> None:
    other = make_scheme("deepseek-v41", slots=50)
    with pytest.raises(FormatError, match="not those of the scheme"):
        open_store(paths["raw"], scheme=other)
    with pytest.raises(ConfigError, match="has its scheme in its manifest"):
        open_store(paths["packed-bf16"], scheme=other)


@pytest.mark.parametrize("tier", ["host", "ssd"])
def test_a_scale_that_opening_did_not_see_is_an_error_when_its_row_is_read(
    tmp_path: Path, tier: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.deepseek_v41(tmp_path)
    rewrite(tmp_path, replace_in("layers.14.engram.embed.scale", lambda t: bits(t, 77, 255)))
    monkeypatch.setattr("engramctl.checkpoints.opening.check_scales", lambda rows: None)
    with open_store(tmp_path, tier) as store:
        store.gather(14, np.arange(77))
        for ids in (np.array([5, 77, 6]), np.arange(100).repeat(100)):  # one piece, and several
            with pytest.raises(FormatError, match="is NaN or infinite") as caught:
                store.gather(14, ids)
            assert caught.value.facts["row"] == "77"
            assert caught.value.facts["layer"] == 14
            assert "safetensors" in str(caught.value.facts["file"])
