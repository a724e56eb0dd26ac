"""A dictionary's record is, byte for byte, what a direct gather of the n-gram's rows gives."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from engramctl.counts import candidates as ngram_choice
from engramctl.hashing import Scheme
from engramctl.storage.dictionary.read import DictionaryFiles
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.tables.ngram_dictionary import plan_ngrams
from tests.conftest import run_in_process
from tests.helpers.corpora import zipf_documents
from tests.helpers.mined_counts import mined, run, small_scheme

DOCUMENTS = zipf_documents(seed=3, tokens=3000, vocabulary=40)


def scheme_of(name: str, mapped: bool, heads: int = 2) -> Scheme:
    sizes = {"slots": 97, "heads_per_order": heads}
    return small_scheme(name, 64, mapped=mapped, eos_id=6, **sizes)


def prepare(folder: Path, scheme: Scheme, *, canonical: bool = False) -> tuple[Path, Path]:
    """Return tables of the scheme, and counts."""
    file, counts = mined(folder, scheme, DOCUMENTS, canonical=canonical)
    run("build", "--scheme", file, "-o", folder / "tables")
    return folder / "tables", counts


def check_records(table: TableFiles, scheme: Scheme, texts: list[np.ndarray]) -> int:
    """Compare every record that text finds with a direct gather; returns how many there were."""
    hits, heads = 0, scheme.heads_per_order
    with DictionaryFiles.open(table.path, table.manifest) as file:
        for text in texts:
            keys = scheme.ngram_keys(text)
            for number in range(len(scheme.orders)):
                found = file.find(number, np.ascontiguousarray(keys[:, number]))
                hit = np.flatnonzero(found >= 0)
                hits += len(hit)
                records = file.read(found[hit])
                records = records.reshape(len(hit), 2, records.shape[1] // 2)
                for place, layer in enumerate(scheme.layers):
                    ids = scheme.row_ids(text, layer)[hit, heads * number : heads * (number + 1)]
                    direct = np.concatenate(table.read_rows(layer, ids.reshape(-1)), axis=1)
                    assert np.array_equal(records[:, place].reshape(direct.shape), direct)
    return hits


@pytest.mark.parametrize("name", ["deepseek-v41", "engram", "qwen-ple"])
@pytest.mark.parametrize("ids", ["plain", "mapped", "canonical"])
def test_every_key_found_gives_the_rows_of_a_direct_gather(
    name: str, ids: str, tmp_path: Path
) -> None:
    scheme = scheme_of(name, ids != "plain")
    tables, counts = prepare(tmp_path, scheme, canonical=ids == "canonical")
    words = ["layout", tables, "--dictionary", counts, "--dictionary-budget", 900_000]
    planned = run(*words, "-o", tmp_path / "shards", "--dry-run")
    written = run(*words, "-o", tmp_path / "shards")
    assert written["files"] == planned["files"]
    for file in planned["files"]:
        assert (tmp_path / "shards" / file["file"]).stat().st_size == file["bytes"]
    assert written["dictionary"]["file_bytes"] <= 900_000
    assert sum(written["dictionary"]["by_order"].values()) == written["dictionary"]["entries"]
    assert run("verify", tmp_path / "shards")["files"] == len(planned["files"]) - 1
    facts = run("inspect", tmp_path / "shards")
    assert facts["dictionary_entries"] == written["dictionary"]["entries"]
    random = np.random.default_rng(5)
    texts = np.array_split(random.integers(0, 12, 600), 20)
    assert check_records(open_table(tmp_path / "shards"), scheme, texts) > 20


def test_records_of_v41_fill_two_pages_each(tmp_path: Path) -> None:
    scheme = scheme_of("deepseek-v41", mapped=False, heads=8)
    tables, counts = prepare(tmp_path, scheme)
    words = ["layout", tables, "--dictionary", counts, "--dictionary-budget", "1MiB"]
    run(*words, "-o", tmp_path / "shards")
    table = open_table(tmp_path / "shards")
    dictionary = table.manifest.dictionary
    assert dictionary is not None
    assert dictionary.record_bytes == 4224
    pages = [(r * 4224 // 4096, ((r + 1) * 4224 - 1) // 4096) for r in range(dictionary.entries)]
    assert {last - first for first, last in pages} == {1}
    assert check_records(table, scheme, [np.array(text) for text in DOCUMENTS[:10] if text]) > 20


@pytest.mark.parametrize("mapped", [False, True])
def test_the_choice_is_that_of_sorting_everything(
    mapped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheme = scheme_of("deepseek-v41", mapped)
    _, counts = prepare(tmp_path, scheme)
    size = 2 * 2 * 264
    whole = plan_ngrams(scheme, counts, 300 * size, 264)
    monkeypatch.setattr(ngram_choice, "_PASS_NGRAMS", 500)
    assert np.array_equal(plan_ngrams(scheme, counts, 300 * size, 264).token_ids, whole.token_ids)
    worth: Counter[tuple[int, tuple[int, ...]]] = Counter()
    token_map = np.arange(64) // 3 if mapped else np.arange(64)
    for document in DOCUMENTS:
        mapped_ids = token_map[np.array(document, np.int64)].tolist()
        for number, order in enumerate(scheme.orders):
            for at in range(len(mapped_ids) - order + 1):
                worth[number, tuple(mapped_ids[at : at + order])] += 1
    share = {
        key: count
        * np.interp(np.log(count), ngram_choice._COUNTS, ngram_choice._SHARES[key[0] + 2])
        for key, count in worth.items()
    }
    entries = len(whole.index)
    least = sorted(share.values(), reverse=True)[entries - 1]
    chosen = set()
    for number, tokens in zip(whole.order_index.tolist(), whole.token_ids, strict=True):
        chosen.add((number, tuple(token_map[tokens[2 - number :]].tolist())))
    assert len(chosen) == entries
    assert all(share[key] >= least for key in chosen)
    assert {key for key, value in share.items() if value > least} <= chosen


def test_interrupted_dictionaries_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables, counts = prepare(tmp_path, scheme_of("engram", mapped=False))
    words = ["layout", tables, "--dictionary", counts, "--dictionary-budget", "100KB"]
    run(*words, "-o", tmp_path / "whole")
    with monkeypatch.context() as patched:
        patched.setattr(
            "engramctl.storage.dictionary.write.made_ahead",
            lambda make, starts: (_ for _ in ()).throw(OSError(28, "No space left on device")),
        )
        result = run_in_process(*words, "-o", tmp_path / "again")
        assert result.exit_code == 1
        assert "No space left" in result.stderr
        assert (tmp_path / "again.partial").is_dir()
    run(*words, "-o", tmp_path / "again", "--resume")
    for file in (tmp_path / "whole").iterdir():
        if file.name != "manifest.json":
            assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


@pytest.mark.parametrize(
    ("words", "exit_code", "message"),
    [
        (["--dictionary-budget", "100"], 2, "budget holds no n-gram record"),
        (["--dictionary", "tables"], 1, "tables holds tables of rows, not counts"),
    ],
)
def test_what_cannot_be_a_dictionary_is_one_clear_error(
    words: list[str],
    exit_code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepare(tmp_path, scheme_of("engram", mapped=False))
    monkeypatch.chdir(tmp_path)
    counts = [] if "--dictionary" in words else ["--dictionary", "counts"]
    result = run_in_process("layout", "tables", *counts, *words, "-o", "x")
    assert result.exit_code == exit_code
    assert message in result.stderr
    assert not Path("x.partial").exists()


def test_verify_compares_a_dictionary_with_the_scheme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, counts = prepare(tmp_path, scheme_of("deepseek-v41", mapped=False))
    with monkeypatch.context() as patched:  # an index of another key length, whole in itself
        patched.setattr(Scheme, "key_bits", 25)
        run("layout", tables, "--dictionary", counts, "-o", tmp_path / "shards")
    result = run_in_process("verify", tmp_path / "shards")
    assert result.exit_code == 3
    assert "does not fit its own scheme: dictionary differ" in result.stderr
