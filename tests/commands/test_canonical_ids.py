"""A checkpoint's token map: its own tokenizer.json, one named, or none and that said."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engramctl.hashing import lookup_from_dict, make_scheme
from engramctl.hashing.walk.token_map import Canonical
from engramctl.storage.reading.table import open_table
from engramctl.vocabulary.tokenizer_file import load_canonical, load_token_map, map_fingerprint
from tests.conftest import CliResult, run_in_process
from tests.helpers.corpora import write_ids
from tests.helpers.tokenizer_files import OTHER_MAP, OTHER_VOCABULARY, OURS, write_tokenizer

BENCH = ("--samples", "3", "--tokens", "2")
IDS = [97, 256, 257, 258, 259, 97, 66, 65]


def run(*words: object) -> CliResult:
    result = run_in_process(*words)
    assert result.exit_code == 0, f"{words}\n{result.stderr}"
    return result


def refused(*words: object) -> str:
    result = run_in_process(*words)
    assert result.exit_code in (1, 2), f"{words}\n{result.stderr}"
    return result.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table with a token map, and its rows as a checkpoint without and with a tokenizer.json."""
    here = tmp_path_factory.mktemp("made")
    tokenizer = write_tokenizer(here / "tokenizer.json", OURS)
    write_ids(here / "ids.parquet", [IDS] * 9)
    (here / "ids.jsonl").write_text(f"{IDS}\n")
    canonical = load_token_map(tokenizer)[IDS].tolist()
    (here / "canonical.jsonl").write_text(f"{canonical}\n")
    run(
        *("build", "--scheme", "deepseek-v41", "--slots", 60, "--row-dim", 64),
        *("--tokenizer", tokenizer, "-o", here / "tables"),
    )
    run("export", here / "tables", "-o", here / "model")
    manifest = open_table(here / "tables").manifest
    config = {
        "engram_layer_ids": [one.layer for one in manifest.layers],
        "engram_num_embeddings": [one.num_rows for one in manifest.layers],
        "engram_max_ngram_size": 4,
        "engram_vocab_size": 60,
        "engram_n_heads": 8,
        "engram_head_dim": 64,
        "engram_pad_token_id": 2,
        "engram_compressed_vocab_size": load_canonical(tokenizer).num_canonical,
        "vocab_size": 264,  # padded, as embeddings are
    }
    (here / "model" / "config.json").write_text(json.dumps({"text_config": config}))
    shutil.copytree(here / "model", here / "whole")
    shutil.copy(tokenizer, here / "whole")
    run("layout", here / "model", "-o", here / "bare")
    run("mine", here / "ids.parquet", "-o", here / "raw")
    return here


def rows(made: Path, scheme: Path, *words: object, ids: str = "ids.jsonl") -> str:
    return run("rows", made / ids, "--scheme", scheme, *words).stdout


def canonical_of(folder: Path) -> dict[str, Any]:
    scheme = open_table(folder).manifest.scheme
    return dict(scheme["canonical"])


@pytest.mark.parametrize(
    "words",
    [
        ("whole",),
        ("whole", "--dtype", "bf16"),
        ("model", "--tokenizer", "tokenizer.json"),
        ("bare", "--tokenizer", "tokenizer.json"),
    ],
    ids=" ".join,
)
def test_a_tokenizer_beside_the_rows_or_named_gives_their_token_map(
    made: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    filled = [made / word if (made / word).exists() else word for word in words]
    run("layout", *filled, "-o", tmp_path / "shards")
    run("layout", tmp_path / "shards", "-o", tmp_path / "again", "--tier", "host")
    assert canonical_of(tmp_path / "again") == canonical_of(made / "tables")
    assert rows(made, tmp_path / "again") == rows(made, made / "tables")


def test_without_one_the_scheme_says_that_it_takes_canonical_ids(
    made: Path, tmp_path: Path
) -> None:
    told = run("layout", made / "model", "-o", tmp_path / "bare").stderr
    assert "will take canonical ids" in told
    assert "--tokenizer" in told
    assert canonical_of(made / "bare")["kind"] == "canonical"
    for path in (made / "model", made / "bare"):
        assert run("inspect", path, "--json").json["ids"].startswith("canonical ids")
    assert "mapped to 230" in run("inspect", made / "whole", "--json").json["ids"]


def test_token_ids_are_refused_where_canonical_ids_are_taken(made: Path, tmp_path: Path) -> None:
    bare, tokenizer = made / "bare", made / "tokenizer.json"
    given = ("rows", made / "ids.jsonl", "--scheme", bare)
    assert "--tokenizer tokenizer.json" in refused(*given, "-q")
    assert "--canonical" in refused(*given, "-q")
    assert rows(made, bare, "--tokenizer", tokenizer) == rows(made, made / "tables")
    mine = ("mine", made / "ids.parquet", "--scheme", bare, "-o", tmp_path / "counts")
    assert "takes canonical ids" in refused(*mine, "-q")
    run(*mine, "--tokenizer", tokenizer)
    inspect = ("inspect", bare, "--counts", made / "raw", "--json")
    assert "takes canonical ids" in refused(*inspect)
    mapped = run(*inspect, "--tokenizer", tokenizer).json["orders"]
    canonical = run("inspect", bare, "--counts", tmp_path / "counts", "--json").json["orders"]
    assert mapped == canonical
    laid = ("layout", bare, "--dictionary", made / "raw", "-o", tmp_path / "shards")
    assert "takes canonical ids" in refused(*laid)
    run(*laid, "--tokenizer", tokenizer)


def test_canonical_ids_are_read_as_they_are_when_it_is_said(made: Path) -> None:
    wanted = rows(made, made / "tables")
    for scheme in ("bare", "tables"):
        given = (made / scheme, "--canonical")
        assert rows(made, *given, ids="canonical.jsonl") == wanted
    assert "outside the vocabulary" in refused(
        "rows", made / "ids.jsonl", "--scheme", made / "tables", "--canonical"
    )


def test_a_trace_of_token_ids_is_warned_of(made: Path) -> None:
    words = ("bench", made / "bare", "--tier", "host", "--case", "gather", *BENCH, "--json")
    trace = write_ids(made / "trace.parquet", [[97, 66, 65, 98] * 40])
    (warning,) = (one for one in run(*words, "--trace", trace).json["warnings"] if "ids" in one)
    assert "takes canonical ids" in warning
    assert "--tokenizer" in warning
    assert not [one for one in run(*words, "--trace", "zipf").json["warnings"] if "ids" in one]


def test_a_tokenizer_of_another_size_is_refused(made: Path, tmp_path: Path) -> None:
    other = write_tokenizer(tmp_path / "tokenizer.json", OURS[:2])
    shutil.copytree(made / "model", tmp_path / "model")
    shutil.copy(other, tmp_path / "model")
    for words in (("layout", tmp_path / "model"), ("layout", made / "model", "--tokenizer", other)):
        message = refused(*words, "-o", tmp_path / "shards")
        assert "tokenizer.json is not the tokenizer of" in message
        assert "--tokenizer" in message
    message = refused("rows", made / "ids.jsonl", "--scheme", made / "bare", "--tokenizer", other)
    assert "expected  230 canonical ids" in message


def test_a_pad_id_that_the_map_moves_is_refused_where_it_was_not_known(tmp_path: Path) -> None:
    tokenizer = write_tokenizer(tmp_path / "tokenizer.json", OURS)
    canonical = load_canonical(tokenizer)
    moved = next(one for one in range(canonical.num_ids) if canonical.of(one) != one)
    step = Canonical.of_canonical_ids(canonical.num_canonical)
    bare = make_scheme("deepseek-v41", token_map=step, slots=60, pad_id=moved).to_dict()
    (tmp_path / "scheme.json").write_text(json.dumps(bare))
    (tmp_path / "ids.jsonl").write_text("[1, 2]\n")
    message = refused(
        *("rows", tmp_path / "ids.jsonl", "--scheme", tmp_path / "scheme.json"),
        *("--tokenizer", tokenizer),
    )
    assert f"moves the pad id {moved}" in message


def test_the_released_models_preset_takes_canonical_ids() -> None:
    document = make_scheme("deepseek-v41-flash", slots=60).to_dict()
    assert document["canonical"] == {
        "kind": "canonical", "num_ids": 99_092, "num_canonical": 99_092,
    }  # fmt: skip


def test_older_schemes_are_read_as_before() -> None:
    for scheme in (
        make_scheme("deepseek-v41", vocab_size=230, slots=60, heads_per_order=2),
        make_scheme("deepseek-v41", token_map=np.arange(230) // 2, slots=60, heads_per_order=2),
        make_scheme("longcat-next"),
    ):
        document = json.loads(json.dumps(scheme.to_dict()))
        assert set(document["canonical"]) <= {
            *("kind", "num_ids", "num_canonical", "sha256", "ids_zlib_base64", "zeroed")
        }
        again = lookup_from_dict(document)
        assert again.canonical.kind == document["canonical"]["kind"] != "canonical"
        assert again.to_dict() == document


def test_a_model_that_reads_token_ids_as_they_are_has_no_use_for_a_tokenizer(
    made: Path, tmp_path: Path
) -> None:
    tokenizer = made / "tokenizer.json"
    given = ("rows", made / "ids.jsonl", "--scheme", "longcat")
    assert "leave out --tokenizer" in refused(*given, "--tokenizer", tokenizer)
    mine = ("mine", made / "ids.parquet", "--scheme", "longcat", "-q", "-o")
    run(*mine, tmp_path / "plain")
    run(*mine, tmp_path / "bounded", "--tokenizer", tokenizer)
    files = [tmp_path / name / "access.layer00.parquet" for name in ("plain", "bounded")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_vocabulary_is_named_by_what_its_ids_stand_for(tmp_path: Path) -> None:
    names = [
        load_canonical(write_tokenizer(tmp_path / f"{number}.json", merges, indent=indent))
        for number, (merges, indent) in enumerate(
            [(OURS, None), (OURS, 1), (OTHER_MAP, None), (OTHER_VOCABULARY, None)]
        )
    ]
    ours, copy, other, permuted = (one.vocabulary for one in names)
    assert ours == copy
    assert len({ours, other, permuted}) == 3
    assert map_fingerprint(names[0]) == map_fingerprint(names[3])


def test_the_vocabulary_stays_with_the_rows(made: Path, tmp_path: Path) -> None:
    wanted = canonical_of(made / "tables")
    assert wanted["vocabulary_xxh3_128"] == load_canonical(made / "tokenizer.json").vocabulary
    run("layout", made / "tables", "--dtype", "bf16", "-o", tmp_path / "shards")
    assert canonical_of(tmp_path / "shards") == wanted
    exported = json.loads((made / "model" / "export.json").read_text())
    assert exported["scheme"]["canonical"] == wanted
    run("build", "--scheme", made / "tables", "--init", "zeros", "-o", tmp_path / "built")
    assert (
        open_table(tmp_path / "built").manifest.scheme
        == open_table(made / "tables").manifest.scheme
    )
    assert rows(made, tmp_path / "built") == rows(made, made / "tables")


def test_rows_of_a_token_map_are_not_imported_without_one(made: Path, tmp_path: Path) -> None:
    words = ("build", "--scheme", "deepseek-v41", "--slots", 60, "--row-dim", 64)
    given = (*words, "--init", "import", "--source", made / "tables", "-o", tmp_path / "t")
    message = refused(*given)
    assert "has a token map" in message
    assert "--tokenizer" in message
    run(*given, "--tokenizer", made / "tokenizer.json")


def test_a_tokenizer_of_the_same_size_but_of_other_words_than_the_one_beside_is_refused(
    made: Path, tmp_path: Path
) -> None:
    other = write_tokenizer(tmp_path / "tokenizer.json", OTHER_MAP)
    message = refused("layout", made / "whole", "--tokenizer", other, "-o", tmp_path / "out")
    assert "another vocabulary" in message
    assert not (tmp_path / "out").exists()
    run("layout", made / "bare", "--tokenizer", other, "-o", tmp_path / "out")  # nothing to compare
