import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from engramctl.caches.reference import (
    S3FifoReference,
    distinct_in_chunks,
    interleave,
    lru_hits,
    ranking,
    static_hits,
)
from engramctl.corpus.corpus import Corpus
from engramctl.errors import ConfigError, CorpusError
from engramctl.hashing import make_scheme
from engramctl.reuse.curves import measure
from engramctl.reuse.options import ReuseOptions
from tests.conftest import RunCli
from tests.helpers.corpora import file_bytes, write_ids, zipf_documents

SCHEME = make_scheme("deepseek-v41", vocab_size=500, slots=300, heads_per_order=2)
OPTIONS = ReuseOptions(streams=(1, 8), chunk_streams=(1, 8), dictionary_sizes=(16, 256))
DOCUMENTS = zipf_documents(5, 9_000, 500)
OTHERS = zipf_documents(6, 2_500, 400)
LATE = {
    "odd": replace(SCHEME, row_dim=33, dtype="f8_e4m3"),
    "wide": make_scheme("longcat", vocab_size=2**31, orders=(2, 3, 4, 5)),
}


def measured(folder: Path, documents: Any = DOCUMENTS, **options: Any) -> dict[str, Any]:
    folder.mkdir()
    source = write_ids(folder / "corpus.parquet", documents, row_group_size=9)
    other = write_ids(folder / "other.parquet", OTHERS)
    held_out = [("other", Corpus.open([other]))]
    return measure(Corpus.open([source]), SCHEME, folder, OPTIONS, held_out=held_out, **options)


def rows_of(documents: list[list[int]], streams: int, order: int) -> list[int]:
    """Rows of head 0, in turn; order 0 is all orders, position by position."""
    layer = SCHEME.layers[0]
    columns = [0, 2, 4] if order == 0 else [2 * (order - 2)]
    ids = [SCHEME.row_ids(document, layer)[:, columns] for document in documents if document]
    table = np.concatenate(ids)
    numbers = iter(range(len(table)))
    order_of_reading = interleave([[next(numbers) for _ in one] for one in ids], streams)
    rows: list[int] = table[order_of_reading].reshape(-1).tolist()
    return rows


def test_every_curve_is_what_plain_caches_do(tmp_path: Path) -> None:
    found = measured(tmp_path / "x")
    mined = [one for number, one in enumerate(DOCUMENTS) if number % 10 != 9]
    parts = {None: mined, "tenth": DOCUMENTS[9::10], "other": OTHERS}
    assert [(part["held_out"], part["tokens"]) for part in found["parts"]] == [
        (name, sum(map(len, documents))) for name, documents in parts.items()
    ]
    assert len(found["curves"]) == len(parts) * 2 * 4 * 4
    for curve in found["curves"]:
        streams, order = curve["interleave"], curve["order"]
        rows = rows_of(parts[curve["held_out"]], streams, order)
        top = ranking(rows_of(mined, 1, order) if curve["policy"] == "static" else rows)
        assert curve["sample_rate"] == 1
        assert curve["cache_rows"] == sorted(curve["cache_rows"])
        for size, rate in zip(curve["cache_rows"], curve["hit_rate"], strict=True):
            if curve["policy"] == "lru":
                hits = lru_hits(rows, size)
            elif curve["policy"] == "s3fifo":
                plain = S3FifoReference(size)
                hits = sum(plain.access(row) for row in rows)
            else:
                hits = static_hits(rows, top, size)
            assert rate == pytest.approx(hits / len(rows)), (curve["policy"], size)


def ngrams_of(documents: list[list[int]], order: int) -> list[tuple[int, ...]]:
    keys = [SCHEME.ngram_keys(one)[:, order - 2] for one in documents if one]
    return [tuple(key) for key in np.concatenate(keys).tolist()]


def test_chance_is_hits_of_fixed_rows_by_ngrams_that_were_never_mined(tmp_path: Path) -> None:
    found = measured(tmp_path / "x")
    mined = [one for number, one in enumerate(DOCUMENTS) if number % 10 != 9]
    curves = [one for one in found["curves"] if one["held_out"] == "other" and one["order"]]
    assert all(("by_chance" in one) == (one["policy"] == "static") for one in curves)
    for curve in (one for one in curves if "by_chance" in one):
        order = curve["order"]
        known = set(ngrams_of(mined, order))
        read = zip(ngrams_of(OTHERS, order), rows_of(OTHERS, 1, order), strict=True)
        strange = [row for ngram, row in read if ngram not in known]
        top = ranking(rows_of(mined, 1, order))
        tokens = sum(map(len, OTHERS))
        for size, rate in zip(curve["cache_rows"], curve["by_chance"], strict=True):
            assert rate == pytest.approx(static_hits(strange, top, size) / tokens)
        assert curve["by_chance"][-1] > 0
    own = [one for one in found["curves"] if one["held_out"] is None]
    assert not any("by_chance" in one for one in own)


def test_chance_is_not_said_where_not_all_mined_ngrams_are_known(tmp_path: Path) -> None:
    source = write_ids(tmp_path / "corpus.parquet", DOCUMENTS)
    few = replace(OPTIONS, max_tokens_per_file=50)
    found = measure(Corpus.open([source]), SCHEME, tmp_path, few)
    assert not any("by_chance" in one for one in found["curves"])


def test_unique_shares_are_those_of_the_ngrams_the_model_reads(tmp_path: Path) -> None:
    found = measured(tmp_path / "x")
    keys = [SCHEME.ngram_keys(document) for document in OTHERS if document]
    rows = [row for row in found["unique"] if row["held_out"] == "other" and row["interleave"] == 1]
    assert {(row["order"], row["chunk_tokens"]) for row in rows} == {
        (order, size) for order in (2, 3, 4) for size in (512, 1024, 2048)
    }
    for row in rows:
        column = np.concatenate(keys)[:, row["order"] - 2]
        tuples = [tuple(key) for key in column.tolist()]
        assert distinct_in_chunks(tuples, row["chunk_tokens"]) == (row["distinct"], row["total"])


def test_dictionaries_are_measured_on_held_out_text_only(tmp_path: Path) -> None:
    dictionary = measured(tmp_path / "x")["dictionary"]
    served = dictionary["served"]
    assert [(row["held_out"], row["interleave"], row["entries"]) for row in served] == [
        (name, streams, size)
        for name in ("tenth", "other")
        for streams in (1, 8)
        for size in (0, 16, 256)
    ]
    assert dictionary["sample_rate"] == 1
    for none, few, many in zip(served[::3], served[1::3], served[2::3], strict=True):
        assert none["reads_per_token"] == 6
        names = [name for name in none if name.startswith("reads_per_token")]
        for name in names:
            assert none[name] > few[name] > many[name] > 0
    for made in dictionary["made"]:
        assert made["entries_held"] == made["entries"]
        assert sum(made["share_by_order"]) == pytest.approx(1)


def test_no_result_depends_on_threads_batches_or_how_files_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engramctl.reuse.options.SAMPLED_ACCESSES", 2_000)
    monkeypatch.setattr("engramctl.reuse.options.COUNTED_ROWS", 200)
    monkeypatch.setattr("engramctl.reuse.options.COUNTED_NGRAMS", 4_000)
    monkeypatch.setattr("engramctl.reuse.options.SAMPLED_ROWS", 30)
    first = measured(tmp_path / "first", threads=1)
    rates = {(curve["policy"], curve["sample_rate"] < 1) for curve in first["curves"]}
    assert {("lru", True), ("s3fifo", True), ("best_fixed", True), ("static", False)} <= rates
    assert first["dictionary"]["sample_rate"] < 1
    expected = (tmp_path / "first" / "curves.parquet").read_bytes()
    for number, pieces in enumerate((1 << 7, 1 << 10)):
        monkeypatch.setattr("engramctl.corpus.corpus.BATCH_TOKENS", pieces)
        monkeypatch.setattr("engramctl.reuse.interleave.PIECE_TOKENS", pieces)
        folder = tmp_path / str(number)
        assert measured(folder, threads=4) == first
        assert (folder / "curves.parquet").read_bytes() == expected
    parts = [
        write_ids(tmp_path / f"{at}.parquet", DOCUMENTS[at : at + 50])
        for at in range(0, len(DOCUMENTS), 50)
    ]
    held_out = [("other", Corpus.open([tmp_path / "first" / "other.parquet"]))]
    assert measure(Corpus.open(parts), SCHEME, tmp_path, OPTIONS, held_out=held_out) == first
    assert (tmp_path / "curves.parquet").read_bytes() == expected


def test_the_file_has_every_point_of_the_document(tmp_path: Path) -> None:
    found = measured(tmp_path / "x")
    table = pq.read_table(tmp_path / "x" / "curves.parquet")
    assert table.schema.names == [
        "order", "policy", "interleave", "held_out", "cache_rows", "hit_rate",
    ]  # fmt: skip
    points = [
        (curve["order"], curve["policy"], curve["interleave"], curve["held_out"], size, rate)
        for curve in found["curves"]
        for size, rate in zip(curve["cache_rows"], curve["hit_rate"], strict=True)
    ]
    assert [tuple(row.values()) for row in table.to_pylist()] == points


@pytest.mark.parametrize("documents", [[[1, 2, 3]], [[], None, [4]]])
def test_a_corpus_of_few_tokens_has_no_curves_of_nothing(documents: Any, tmp_path: Path) -> None:
    found = measured(tmp_path / "x", documents)
    assert [part["tokens"] for part in found["parts"]][1] == 0
    assert {curve["held_out"] for curve in found["curves"]} == {None, "other"}
    json.dumps(found, allow_nan=False)


def test_ids_the_scheme_does_not_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="500"):
        measured(tmp_path / "x", [[1, 500]])


@pytest.mark.parametrize(
    "options",
    [{"streams": ()}, {"streams": (8, 1)}, {"sample_rate": 0.3}, {"max_tokens_per_file": 0}],
)
def test_options_that_cannot_be_are_refused(options: Any) -> None:
    with pytest.raises(ConfigError):
        ReuseOptions(**options)


def test_a_head_or_layer_the_scheme_lacks_is_refused() -> None:
    for options in (ReuseOptions(head=2), ReuseOptions(head=-1), ReuseOptions(layer=3)):
        with pytest.raises(ConfigError):
            options.reader(SCHEME)


@pytest.fixture
def scheme_file(tmp_path: Path) -> Path:
    (tmp_path / "scheme.json").write_text(json.dumps(SCHEME.to_dict()))
    return tmp_path / "scheme.json"


def test_mine_writes_curves_and_inspect_shows_them(
    run_cli: RunCli, tmp_path: Path, scheme_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # short names, so that no table is too wide
    source = write_ids(Path("corpus.parquet"), DOCUMENTS)
    other = write_ids(Path("other.parquet"), OTHERS)
    words = ("mine", source, "--scheme", scheme_file, "--curves", "--held-out", other, "--json")
    result = run_cli(*words, "-o", tmp_path / "counts")
    assert result.exit_code == 0, result.stderr
    reuse = result.json["reuse"]
    assert [part["held_out"] for part in reuse["parts"]] == [None, "tenth", str(other)]
    assert run_cli("verify", tmp_path / "counts").exit_code == 0
    assert run_cli("inspect", tmp_path / "counts", "--json").json["reuse"] == reuse
    text = run_cli("inspect", tmp_path / "counts").stdout
    for word in (
        "s3fifo",
        "best fixed",
        "by chance",
        "2,048",
        "with dedup",
        "tenth",
        str(other)[:8],
    ):
        assert word in text
    assert run_cli(*words, "-o", tmp_path / "again").stdout == result.stdout
    assert file_bytes(tmp_path / "again") == file_bytes(tmp_path / "counts")
    (tmp_path / "counts" / "curves.parquet").write_bytes(b"")
    assert run_cli("verify", tmp_path / "counts").exit_code == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--curves"], "--scheme"),
        (["--held-out", "x"], "--curves"),
        (["--sample-rate", "0.5"], "--curves"),
        (["--curves", "--scheme", "nonsense"], "nonsense"),
        (["--curves", "--scheme", "engram", "--sample-rate", "0.3"], "power of two"),
        (["--curves", "--scheme", "{odd}"], "does not fit dtype"),
        (["--curves", "--scheme", "{wide}", "--orders", "1,2,3,4,5"], "too long for curves"),
        (["--scheme", "blt"], "--orders 3,4,5"),
        (["--scheme", "longcat-2.0"], "--orders 1,2,3,4,5"),
    ],
)
def test_wrong_options_for_curves_exit_with_2_and_write_nothing(
    options: list[str], message: str, run_cli: RunCli, tmp_path: Path
) -> None:
    for name, scheme in LATE.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(scheme.to_dict()))
    source = tmp_path / "corpus.parquet"
    source.write_bytes(b"not looked at before all options are")
    words = [word.replace("{", f"{tmp_path}/").replace("}", ".json") for word in options]
    result = run_cli("mine", source, "-o", tmp_path / "counts", *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "counts").exists()


def test_the_hint_for_a_scheme_of_longer_orders_works_as_it_stands(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_ids(tmp_path / "corpus.parquet", zipf_documents(1, 300, 200))
    refused = run_cli("mine", "corpus.parquet", "--scheme", "blt", "-o", "counts")
    assert "orders that cannot be counted" in refused.stderr
    hint = refused.stderr.split("Hint: ")[1].replace("\n", " ")
    first = re.search(r"engramctl (rows .* --save-scheme \S+),", hint)
    second = re.search(r"mine with (.*)$", hint.strip())
    assert first is not None
    assert second is not None
    assert run_cli(*first[1].split()).exit_code == 0
    words = ("mine", "corpus.parquet", *second[1].split(), "-o", "counts", "--json")
    found = run_cli(*words)
    assert found.exit_code == 0, found.stderr
    assert [order["order"] for order in found.json["access"]["layers"][0]["orders"]] == [3, 4, 5]


def test_held_out_ids_that_the_scheme_lacks_are_refused_before_anything_is_counted(
    run_cli: RunCli, tmp_path: Path, scheme_file: Path
) -> None:
    source = write_ids(tmp_path / "corpus.parquet", DOCUMENTS)
    other = write_ids(tmp_path / "other.parquet", [[1, 500]])
    words = ("mine", source, "--scheme", scheme_file, "--curves", "--held-out", other)
    result = run_cli(*words, "-o", tmp_path / "counts")
    assert result.exit_code == 1
    assert "other.parquet has token ids that the scheme does not have" in result.stderr
    assert not list(tmp_path.glob("counts*"))


@pytest.mark.parametrize("limit", [1, 100, 777, 10**6])
def test_each_file_teaches_a_dictionary_exactly_its_first_tokens(
    limit: int, tmp_path: Path, run_cli: RunCli, scheme_file: Path
) -> None:
    files = [
        write_ids(tmp_path / f"{name}.parquet", part)
        for name, part in (("a", DOCUMENTS[:90]), ("b", DOCUMENTS[90:]))
    ]
    words = ("mine", *files, "--scheme", scheme_file, "--curves", "--json")
    found = run_cli(*words, "--max-tokens-per-file", limit, "-o", tmp_path / "counts")
    assert found.exit_code == 0, found.stderr
    numbered = list(enumerate(DOCUMENTS))
    mined = [
        sum(len(one) for number, one in part if number % 10 != 9)
        for part in (numbered[:90], numbered[90:])
    ]
    reuse = found.json["reuse"]
    assert reuse["dictionary"]["mined_tokens"] == sum(min(limit, tokens) for tokens in mined)
    assert reuse["parts"][0]["tokens"] == sum(mined)  # caches follow the whole text
