"""Rows that do not begin as noise: means of token embeddings, and rows that are there already."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from engramctl.checkpoints.named_tensors import embedding_table, tensors_of
from engramctl.counts.ngrams import read_ngrams
from engramctl.counts.scheme_ngrams import SeenNgrams
from engramctl.errors import ConfigError, StorageError
from engramctl.hashing import Scheme, make_scheme
from engramctl.hashing.walk.token_map import Canonical
from engramctl.storage.reading.table import open_table
from engramctl.storage.record.codecs import decode, encode
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.writing.seeded_rows import seeded_values
from engramctl.storage.writing.seeded_values import RowInit, splitmix64
from engramctl.tables.token_embeddings import read_embeddings
from engramctl.tables.token_mean import TokenMean
from tests.checkpoints import make
from tests.conftest import run_in_process
from tests.helpers.corpora import zipf_documents
from tests.helpers.mined_counts import mined, run, small_scheme
from tests.helpers.small_table import SMALL_BUILD as SMALL

VOCABULARY = 60
DOCUMENTS = zipf_documents(seed=4, tokens=2500, vocabulary=VOCABULARY)
EMBEDDINGS = np.random.default_rng(0).normal(size=(VOCABULARY + 4, 32)).astype(np.float32)


def scheme_of(name: str = "deepseek-v41", *, mapped: bool = False, **sizes: Any) -> Scheme:
    sizes = {"slots": 997, "row_dim": 32, **sizes}
    return small_scheme(name, VOCABULARY, mapped=mapped, eos_id=5, **sizes)


def _last(values: list[int], some: list[int]) -> int:
    return max(place for place, value in enumerate(values) if value in some)


def plain(
    scheme: Scheme, counts: Path, embeddings: np.ndarray, canonical: bool
) -> dict[int, np.ndarray]:
    """Each row's values, n-gram by n-gram."""
    map_of = np.arange(VOCABULARY) if not canonical else np.arange(VOCABULARY // 3) * 3
    token_map = scheme.canonical.token_map
    canonical_of = np.arange(VOCABULARY) if token_map is None else token_map.astype(np.int64)
    sums = {layer: np.zeros((scheme.num_rows(layer), 32)) for layer in scheme.layers}
    weights = {layer: np.zeros(scheme.num_rows(layer)) for layer in scheme.layers}
    for order in scheme.orders:
        columns = slice(*(scheme.orders.index(order) * 2 + k for k in (0, 2)))
        for ids, totals in read_ngrams(counts, order):
            for ngram, count in zip(map_of[ids.astype(np.int64)], totals.tolist(), strict=True):
                walked = canonical_of[ngram].tolist()
                stops = [k for k in walked[:-1] if k in scheme.boundary.stop]
                if stops and set(walked[: 1 + _last(walked[:-1], stops)]) != {scheme.boundary.fill}:
                    continue  # look-back stops there, and the model reads another n-gram
                for layer in scheme.layers:
                    for row in scheme.row_ids(ngram, layer)[-1, columns]:
                        for token in ngram:
                            sums[layer][row] += count * embeddings[token].astype(np.float64)
                        weights[layer][row] += count
    values = {}
    others = seeded_values(RowInit(seed=7), 32, scheme.layers)
    for layer, total in sums.items():
        values[layer] = np.empty(total.shape, np.float32)
        others(layer, 0, values[layer])
        heads = scheme.layer_hash(layer).heads
        orders = np.ones(len(total))  # padding rows at the end
        for head in heads:
            orders[head.offset : head.offset + head.modulus] = head.order
        hit = weights[layer] > 0
        length = (weights[layer] * orders)[hit, None]
        values[layer][hit] = (total[hit] / length).astype(np.float32)
        assert 0.2 < hit.mean() < 1
    return values


@pytest.mark.parametrize("name", ["deepseek-v41", "qwen-ple"])
@pytest.mark.parametrize("ids", ["plain", "mapped", "canonical"])
def test_a_row_is_the_weighted_mean_of_its_ngrams(name: str, ids: str, tmp_path: Path) -> None:
    scheme = scheme_of(name, mapped=ids != "plain")
    file, counts = mined(tmp_path, scheme, DOCUMENTS, canonical=ids == "canonical")
    save_file({"model.embed_tokens.weight": EMBEDDINGS}, tmp_path / "model.safetensors")
    words = ["build", "--scheme", file, "--init", "token-mean", "--counts", counts, "--seed", 7]
    words += ["--source", tmp_path / "model.safetensors"]
    run(*words, "--dtype", "f32", "-o", tmp_path / "exact")
    wanted = plain(scheme, counts, EMBEDDINGS, ids == "canonical")
    exact = open_table(tmp_path / "exact")
    for layer, values in wanted.items():
        assert np.array_equal(exact.read_values(layer, np.arange(len(values))), values)
    told = run(*words, "--dtype", "f8_e4m3", "--tier", "ssd", "-o", tmp_path / "stored")
    stored, spec = open_table(tmp_path / "stored"), RecordSpec("f8_e4m3", 32)
    assert stored.manifest.provenance.source is not None
    lost = 0.0
    for layer, values in wanted.items():
        records = encode(spec, values)
        found = np.concatenate(stored.read_rows(layer, np.arange(len(values))), axis=1)
        assert np.array_equal(found, records)
        lost = max(lost, float(np.abs(decode(spec, records) - values).max()))
    assert max(one["max_abs"] for one in told["conversion"]) == pytest.approx(lost)
    assert len(told["conversion"]) == 2 * scheme.num_heads
    assert run("verify", tmp_path / "stored")["ok"]


def test_parts_and_threads_do_not_change_a_row(tmp_path: Path) -> None:
    scheme = scheme_of()
    _, counts = mined(tmp_path, scheme, DOCUMENTS)
    found = []
    for workers, memory in [(1, 1 << 30), (2, 100_000), (7, 20_000)]:
        seen, others = SeenNgrams(scheme, counts), seeded_values(RowInit(), 32, scheme.layers)
        limits = {"workers": workers, "memory_bytes": memory}
        with TokenMean(seen, EMBEDDINGS, others, **limits) as values:
            out = np.full((scheme.num_rows(4), 32), np.nan, np.float32)
            for start in range(0, len(out), 700):
                values(4, start, out[start : start + 700])
            found.append(out)
            assert len(values.landed) <= workers + 1
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


def test_a_full_temporary_disk_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheme = scheme_of()
    file, counts = mined(tmp_path, scheme, DOCUMENTS)
    save_file({"wte.weight": EMBEDDINGS}, tmp_path / "model.safetensors")
    full = Path("/dev/full").open("r+b", buffering=0)  # noqa: SIM115
    monkeypatch.setattr("engramctl.tables.token_mean.tempfile.TemporaryFile", lambda **_: full)
    words = ["--scheme", file, "--init", "token-mean", "--counts", counts]
    words += ["--source", tmp_path / "model.safetensors", "-o", tmp_path / "tables"]
    message = run("build", *words, fails=1)
    assert "No space left" in message
    assert not (tmp_path / "tables").exists()
    full.close()


def test_a_scheme_that_takes_canonical_ids_has_no_token_means(tmp_path: Path) -> None:
    mapped = scheme_of(mapped=True)
    _, counts = mined(tmp_path, mapped, DOCUMENTS, canonical=True)
    taking = replace(mapped, canonical=Canonical.of_canonical_ids(mapped.canonical.num_canonical))
    (tmp_path / "taking.json").write_text(json.dumps(taking.to_dict()))
    save_file({"wte.weight": EMBEDDINGS}, tmp_path / "model.safetensors")
    words = ["--scheme", tmp_path / "taking.json", "--init", "token-mean", "--counts", counts]
    words += ["--source", tmp_path / "model.safetensors", "-o", tmp_path / "tables"]
    assert "--tokenizer" in run("build", *words, fails=2)
    assert not (tmp_path / "tables").exists()


def test_temporary_files_that_are_memory_must_fit_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheme = scheme_of()
    _, counts = mined(tmp_path, scheme, DOCUMENTS)
    seen, others = SeenNgrams(scheme, counts), seeded_values(RowInit(), 32, scheme.layers)
    monkeypatch.setattr("engramctl.storage.files.free_space.is_in_memory", lambda _: True)
    monkeypatch.setattr("engramctl.storage.files.free_space.available_bytes", lambda: 1000)
    with pytest.raises(StorageError, match="is memory") as caught:
        TokenMean(seen, EMBEDDINGS, others, workers=1)
    assert "TMPDIR" in str(caught.value.hint)


def test_wide_embeddings_are_folded_by_seeded_signs(tmp_path: Path) -> None:
    scheme = scheme_of(row_dim=32)
    file, counts = mined(tmp_path, scheme, DOCUMENTS)
    wide = np.random.default_rng(1).normal(size=(VOCABULARY, 80)).astype(np.float32)
    signs = np.array([1 if splitmix64(7 + j) < 1 << 63 else -1 for j in range(80)])
    folded = np.zeros((VOCABULARY, 32))
    for j in range(80):
        folded[:, j % 32] += signs[j] * wide[:, j].astype(np.float64)
    save_file({"wte.weight": wide, "lm_head.weight": wide}, tmp_path / "model.safetensors")
    words = ["--scheme", file, "--counts", counts, "--source", tmp_path / "model.safetensors"]
    words += ["--init", "token-mean", "--seed", 7, "--dtype", "f32"]
    run("build", *words, "-o", tmp_path / "tables")
    values = (folded * np.sqrt(32 / 80)).astype(np.float32)
    wanted = plain(scheme, counts, values, canonical=False)
    table = open_table(tmp_path / "tables")
    assert np.array_equal(table.read_values(4, np.arange(len(wanted[4]))), wanted[4])
    model = tmp_path / "model.safetensors"
    narrow = embedding_table(model, tensors_of(model), 60, "wte.weight")
    with pytest.raises(ConfigError, match="80 values cannot fill rows of 96"):
        read_embeddings(narrow, 60, 96)


def float_rows(folder: Path, rows: dict[int, int]) -> dict[int, np.ndarray]:
    random = np.random.default_rng(2)
    made = {n: random.normal(size=(count, 32)).astype(np.float32) for n, count in rows.items()}
    tensors = {f"layers.{n}.memory.weight": values for n, values in made.items()}
    save_file({**tensors, "other": np.zeros(3, np.float32)}, folder / "rows.safetensors")
    return made


def num_rows(**sizes: Any) -> dict[int, int]:
    scheme = make_scheme("deepseek-v41", slots=50, heads_per_order=2, row_dim=32, **sizes)
    return {layer: scheme.num_rows(layer) for layer in scheme.layers}


@pytest.mark.parametrize("tensor", [None, "layers.{layer}.memory.weight"])
def test_float_tensors_are_imported_by_shape_or_by_name(tensor: str | None, tmp_path: Path) -> None:
    made = float_rows(tmp_path, num_rows())
    words = [*SMALL, "--init", "import", "--source", tmp_path / "rows.safetensors"]
    words += [] if tensor is None else ["--tensor", tensor]
    exact = run("build", *words, "--dtype", "f32", "-o", tmp_path / "exact")
    assert "conversion" not in exact
    table = open_table(tmp_path / "exact")
    for layer, values in made.items():
        assert np.array_equal(table.read_values(layer, np.arange(len(values))), values)
    told = run("build", *words, "--dtype", "nvfp4", "-o", tmp_path / "stored")
    stored = open_table(tmp_path / "stored")
    spec = RecordSpec("nvfp4", 32)
    for layer, values in made.items():
        records = encode(spec, values, stored.table_scale(layer))
        found = np.concatenate(stored.read_rows(layer, np.arange(len(values))), axis=1)
        assert np.array_equal(found, records)
    assert [one["values"] for one in told["conversion"][:2]] == [53 * 32, 59 * 32]


def test_tables_and_checkpoints_are_imported_bit_for_bit(tmp_path: Path) -> None:
    run("build", *SMALL, "-o", tmp_path / "first", "--seed", 3)
    run("build", *SMALL, "--init", "import", "--source", tmp_path / "first", "-o", tmp_path / "b")
    for file in (tmp_path / "first").glob("*.safetensors"):
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()
    damaged = next((tmp_path / "b").glob("layer14*"))
    data = bytearray(damaged.read_bytes())
    data[5000] ^= 1
    damaged.write_bytes(data)
    words = ["--init", "import", "--source", tmp_path / "b", "-o", tmp_path / "x"]
    assert f"{damaged.name} is damaged" in run("build", *SMALL, *words, fails=1)
    (tmp_path / "model").mkdir()
    records = make.deepseek_v41(tmp_path / "model")
    scheme = json.loads(run_in_process("inspect", tmp_path / "model", "--json").stdout)
    words = ["--init", "import", "--source", tmp_path / "model", "-o", tmp_path / "c"]
    assert "are not those of the scheme" in run("build", *SMALL, *words, fails=1)
    run("layout", tmp_path / "model", "--form", "planar", "-o", tmp_path / "laid")
    document = json.loads((tmp_path / "laid" / "manifest.json").read_text())["scheme"]
    (tmp_path / "scheme.json").write_text(json.dumps(document))
    run("build", "--scheme", tmp_path / "scheme.json", *words)
    table = open_table(tmp_path / "c")
    assert scheme["family"] == "deepseek-v41"
    for layer, wanted in records.items():
        found = np.concatenate(table.read_rows(layer, np.arange(len(wanted))), axis=1)
        assert np.array_equal(found, wanted)


def test_build_tells_what_storing_seeded_rows_lost(tmp_path: Path) -> None:
    for dtype, heads in [("bf16", 1), ("f8_e4m3", 1), ("int8", 12), ("iq4_nl", 12)]:
        told = run("build", *SMALL, "--dtype", dtype, "-o", tmp_path / dtype)["conversion"]
        run("build", *SMALL, "--dtype", "f32", "-o", tmp_path / "exact", "--force")
        assert len(told) == heads
        lost = []
        for layer in (1, 14):
            rows = np.arange(open_table(tmp_path / dtype).num_rows(layer))
            exact = open_table(tmp_path / "exact").read_values(layer, rows)
            lost.append((open_table(tmp_path / dtype).read_values(layer, rows) - exact).ravel())
        rms = float(np.sqrt((np.concatenate(lost) ** 2).mean()))
        assert np.sqrt(np.mean([one["rms"] ** 2 for one in told])) == pytest.approx(rms, rel=0.05)
        assert all(0.9 < one["cosine"] <= 1 for one in told)
    assert "conversion" not in run("build", *SMALL, "--init", "zeros", "-o", tmp_path / "zeros")


MISTAKES: dict[str, tuple[list[object], int]] = {
    "needs --counts and --source": (["--init", "token-mean"], 2),
    "needs --source": (["--init", "import"], 2),
    "reads nothing": (["--source", "rows.safetensors"], 2),
    "unknown init": (["--init", "nonsense"], 2),
    "has no tensor 'x1'": (
        ["--init", "import", "--source", "rows.safetensors", "--tensor", "x{layer}"], 2,
    ),
    "names one tensor for 2 layers": (
        ["--init", "import", "--source", "rows.safetensors", "--tensor", "x"], 2,
    ),
    "does not say which tensor": (
        ["--init", "import", "--source", "rows.safetensors", "--row-dim", "64"], 2,
    ),
    "another shape": (
        ["--init", "import", "--source", "rows.safetensors", "--row-dim", "64", "--tensor",
         "layers.{layer}.memory.weight"], 1,
    ),
    "holds no rows": (["--init", "import", "--source", "empty"], 1),
    "cannot be a table": (
        ["--init", "import", "--source", "rows.safetensors", "--layers", "1", "--tensor", "ids"], 1,
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", MISTAKES)
def test_what_cannot_be_rows_is_one_clear_error(
    message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = num_rows()
    made = {f"layers.{n}.memory.weight": np.zeros((c, 32), np.float32) for n, c in rows.items()}
    made["ids"] = np.zeros((rows[1], 32), np.int32)
    save_file(made, tmp_path / "rows.safetensors")
    (tmp_path / "empty").mkdir()
    words, code = MISTAKES[message]
    small = SMALL[:4] if "--row-dim" in words else SMALL
    assert message in run("build", *small, *words, "-o", "x", fails=code)
    assert not Path("x").exists()
    assert not Path("x.partial").exists()
