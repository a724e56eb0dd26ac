"""`mine --scheme` and what `inspect` makes of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from engramctl.corpus.corpus import Corpus
from engramctl.corpus.sample import SampleCorpus, write_sample_corpus
from engramctl.counting import reference
from engramctl.hashing import Scheme, make_scheme
from engramctl.mining import local
from engramctl.mining.local import mine
from engramctl.mining.options import MineOptions
from tests.conftest import RunCli
from tests.helpers.corpora import file_bytes, read_rows, write_ids, zipf_documents

DOCUMENTS = [*zipf_documents(1, 6000, 90), [], [5], [7, 7], [1, 2, 3]]
MAPPED = make_scheme(
    "deepseek-v41", token_map=np.arange(90) // 2, slots=101, heads_per_order=2, layers=(3, 1)
)
SCHEMES = {
    "mapped": MAPPED,
    "longcat": make_scheme("longcat", vocab_size=90, slots=97, heads_per_order=2, eos_id=7),
}
schemes = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES.keys())


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_ids(tmp_path / "corpus.parquet", DOCUMENTS)


def open_corpus(path: Path, scheme: Scheme) -> Corpus:
    return Corpus.open([path], vocab_size=scheme.vocab_size)


def read_access(counts: Path, scheme: Scheme, layer: int) -> NDArray[np.int64]:
    table = pq.read_table(counts / f"access.layer{layer:02d}.parquet")
    assert [str(field.type) for field in table.schema] == ["uint32", "uint64"]
    row_ids = table["row_id"].to_numpy()
    assert (np.diff(row_ids.astype(np.int64)) > 0).all()
    assert (table["count"].to_numpy() > 0).all()
    found = np.zeros(scheme.num_rows(layer), np.int64)
    found[row_ids] = table["count"].to_numpy()
    return found


def every_position(scheme: Scheme, layer: int) -> NDArray[np.int64]:
    total = np.zeros(scheme.num_rows(layer), np.int64)
    for document in DOCUMENTS:
        if document:
            row_ids = scheme.row_ids(np.array([document]), layer)
            total += np.bincount(row_ids.reshape(-1), minlength=len(total))
    return total


@schemes
@pytest.mark.parametrize("min_count", [1, 2, 5])
def test_the_files_say_how_often_each_row_is_read(
    scheme: Scheme, min_count: int, corpus: Path, tmp_path: Path
) -> None:
    options = MineOptions(min_count=min_count, top_k=50 if min_count == 2 else None)
    summary = mine(open_corpus(corpus, scheme), tmp_path / "counts", options, scheme=scheme)
    tokens = sum(map(len, DOCUMENTS))
    assert [layer["layer"] for layer in summary["access"]["layers"]] == list(scheme.layers)
    for layer in summary["access"]["layers"]:
        expected = every_position(scheme, layer["layer"])
        found = read_access(tmp_path / "counts", scheme, layer["layer"])
        np.testing.assert_array_equal(found, expected)
        assert layer["accesses"] == tokens * scheme.num_heads
        assert layer["rows_read"] == np.count_nonzero(expected)
        assert layer["rows_read"] + layer["rows_never_read"] == scheme.num_rows(layer["layer"])
        hottest = np.sort(expected)[::-1].cumsum()
        for point in layer["coverage"]:
            assert point["share"] == hottest[point["rows"] - 1] / expected.sum()
        for order in layer["orders"]:
            for head in order["heads"]:
                assert head["accesses"] == tokens
                assert sum(head["slots_by_ngrams"]) == head["num_slots"]
                assert head["load_factor"] == order["windows"] / head["num_slots"]
    names = {file.name for file in (tmp_path / "counts").iterdir()}
    assert not any(name.endswith(".raw") for name in names)


def test_with_a_token_map_canonical_ids_are_counted(corpus: Path, tmp_path: Path) -> None:
    mine(open_corpus(corpus, MAPPED), tmp_path / "counts", scheme=MAPPED)
    mapped = [[token // 2 for token in document] for document in DOCUMENTS]
    for order in (1, 2, 3, 4):
        assert read_rows(tmp_path / "counts", order) == reference.rows(mapped, order, 1)
    manifest = json.loads((tmp_path / "counts" / "manifest.json").read_text())
    assert len(manifest["token_map_xxh3_128"]) == 32
    assert Scheme.from_dict(manifest["scheme"]) is not None
    mine(open_corpus(corpus, MAPPED), tmp_path / "plain")
    manifest = json.loads((tmp_path / "plain" / "manifest.json").read_text())
    assert (manifest["token_map_xxh3_128"], manifest["scheme"]) == (None, None)


def test_neither_threads_nor_memory_change_a_byte(corpus: Path, tmp_path: Path) -> None:
    found = []
    for threads, memory in ((1, 700 << 20), (3, 560 << 20)):
        options = MineOptions(min_count=2, threads=threads, memory_bytes=memory, resident_bytes=0)
        target = tmp_path / f"threads{threads}"
        mine(open_corpus(corpus, MAPPED), target, options, scheme=MAPPED)
        found.append(file_bytes(target))
    assert found[0] == found[1]


@schemes
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(
    scheme: Scheme, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engramctl.corpus.corpus.BATCH_TOKENS", 300)
    monkeypatch.setattr(local, "CHECKPOINT_SECONDS", 0.0)
    options = MineOptions(min_count=2)
    mine(open_corpus(corpus, scheme), tmp_path / "whole", options, scheme=scheme)
    left = [3]
    checkpoint = local.Run.save_checkpoint

    def dies(run: Any, position: Any) -> None:
        checkpoint(run, position)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    monkeypatch.setattr(local.Run, "save_checkpoint", dies)
    with pytest.raises(KeyboardInterrupt):
        mine(open_corpus(corpus, scheme), tmp_path / "counts", options, scheme=scheme)
    monkeypatch.setattr(local.Run, "save_checkpoint", checkpoint)
    mine(open_corpus(corpus, scheme), tmp_path / "counts", options, scheme=scheme, resume=True)
    assert file_bytes(tmp_path / "counts") == file_bytes(tmp_path / "whole")


def test_min_count_hides_nothing_from_the_statistics(corpus: Path, tmp_path: Path) -> None:
    found = {}
    for min_count in (1, 2, 3, 4):
        options = MineOptions(min_count=min_count)
        orders = mine(open_corpus(corpus, MAPPED), tmp_path / f"{min_count}", options)["orders"]
        found[min_count] = [(order["entropy"], order["zipf"]) for order in orders]
    assert found[1] == found[2] == found[3]
    assert found[4][3][0] == {"bits": None, "normalised": None}


def test_orders_that_are_not_counted_are_named(
    run_cli: RunCli, corpus: Path, tmp_path: Path
) -> None:
    for scheme, orders, hint in (
        ("deepseek-v41", "1,2", "--orders 1,2,3,4"),
        ("longcat-2.0", "2,3", "--orders 2,3,4,5"),
    ):
        result = run_cli(
            "mine", corpus, "-o", tmp_path / "counts", "--scheme", scheme, "--orders", orders
        )
        assert result.exit_code == 2
        assert "orders that are not counted" in result.stderr
        assert hint in result.stderr
    assert not (tmp_path / "counts").exists()


def test_ids_beyond_the_scheme_are_named(run_cli: RunCli, tmp_path: Path) -> None:
    corpus = write_ids(tmp_path / "large.parquet", [[1, 2, 300]])
    scheme = tmp_path / "scheme.json"
    scheme.write_text(json.dumps(make_scheme("engram", vocab_size=260, slots=97).to_dict()))
    result = run_cli("mine", corpus, "-o", tmp_path / "counts", "--scheme", scheme)
    assert result.exit_code == 1
    assert "token id 300 is out of range" in result.stderr
    assert "Hint: " in result.stderr
    assert run_cli("mine", corpus, "-o", tmp_path / "c", "--scheme", "nonsense").exit_code == 2


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> SampleCorpus:
    return write_sample_corpus(tmp_path_factory.mktemp("text"), max_bytes=200_000, vocab_size=1000)


def test_inspect_shows_orders_heads_coverage_and_text(
    run_cli: RunCli, sample: SampleCorpus, tmp_path: Path
) -> None:
    counts, scheme = tmp_path / "counts", tmp_path / "scheme.json"
    built = run_cli(
        "build", "--scheme", "deepseek-v41", "--tokenizer", sample.tokenizer, "--slots", 4000,
        "--row-dim", 32, "-o", tmp_path / "tables", "-q",
    )  # fmt: skip
    assert built.exit_code == 0, built.stderr
    manifest = json.loads((tmp_path / "tables" / "manifest.json").read_text())
    scheme.write_text(json.dumps(manifest["scheme"]))
    mined = run_cli("mine", sample.parquet, "-o", counts, "--scheme", scheme, "--json")
    assert mined.exit_code == 0, mined.stderr
    shown = run_cli("inspect", counts, "--json").json
    assert shown["orders"] == mined.json["orders"]
    assert shown["access"] == mined.json["access"]
    text = run_cli("inspect", counts, "--tokenizer", sample.tokenizer).stdout
    for word in ("entropy bits", "zipf mle", "x_min", "overshadowed", "top 10 %", "'"):
        assert word in text
    top = mined.json["orders"][0]["top"]["token_ids"]
    assert f" {top[0]} " not in text.split("n-grams")[1].splitlines()[2]
    # one scheme on its counts: what --counts says of heads is what mining said, but for starts
    again = run_cli("inspect", tmp_path / "tables", "--counts", counts, "--json")
    assert again.exit_code == 0, again.stderr
    orders = shown["access"]["layers"][0]["orders"]
    for one, order in zip(again.json["orders"][:3], orders, strict=True):
        assert 0 <= order["windows"] - one["distinct"] <= 3 * sample.documents
    other = run_cli("inspect", "deepseek-v41", "--counts", counts)
    assert other.exit_code == 1
    assert "another token map" in other.stderr
    assert run_cli("verify", counts).exit_code == 0
    (counts / "access.layer01.parquet").write_bytes(b"PAR1")
    assert run_cli("verify", counts).exit_code == 3


def test_a_tokenizer_with_another_map_cannot_name_the_ngrams(
    run_cli: RunCli, corpus: Path, sample: SampleCorpus, tmp_path: Path
) -> None:
    mine(open_corpus(corpus, MAPPED), tmp_path / "counts", scheme=MAPPED)
    result = run_cli("inspect", tmp_path / "counts", "--tokenizer", sample.tokenizer)
    assert result.exit_code == 2
    assert "another token map" in result.stderr
    refused = run_cli("inspect", tmp_path / "none", "--tokenizer", sample.tokenizer)
    assert refused.exit_code == 1
