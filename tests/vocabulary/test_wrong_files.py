"""A tokenizer file is read as it stands, or refused with what it is and what to do."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models

from engramctl.errors import ConfigError
from engramctl.hashing import build_token_map
from engramctl.vocabulary.tokenizer_file import load_token_map, load_tokenizer
from tests.helpers.tokenizer_files import OURS, write_tokenizer

NUM_IDS = 260
CONTENTS = {
    "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:44\nsize 12\n",
    "HTML page": b"<!DOCTYPE html><html></html>",
    "is an empty file": b"",
    "no JSON object": b"\n\x0e\n\x05<unk>\x15\x00\x00\x00\x00\x18\x02",
    "settings of a tokenizer": b'{"tokenizer_class": "LlamaTokenizer", "model_max_length": 3}',
    "vocabulary without its rules": b'{"a": 0, "b": 1}',
}


def written(path: Path, **changes: Any) -> Path:
    write_tokenizer(path, OURS)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return path


def added(token_id: int, content: str) -> dict[str, Any]:
    sides = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": token_id, "content": content, "special": True, **sides}


def refusal(path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_tokenizer(path)
    assert str(path) in caught.value.message
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("what", CONTENTS)
def test_what_is_no_tokenizer_file_is_named(what: str, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(CONTENTS[what])
    assert what in refusal(path).message


@pytest.mark.parametrize("first", [NUM_IDS + 1, 3], ids=["a hole", "an id that is taken"])
def test_added_tokens_that_the_library_would_number_anew_are_refused(
    first: int, tmp_path: Path
) -> None:
    following = [added(NUM_IDS + number, f"<{number}>") for number in range(2)]
    assert len(load_token_map(written(tmp_path / "good.json", added_tokens=following))) == 262
    error = refusal(written(tmp_path / "t.json", added_tokens=[added(first, "<x>")]))
    assert error.facts["token"] == "'<x>'"
    assert f"id {first}," in str(error.facts["expected"])
    assert f"id {NUM_IDS}:" in str(error.facts["found"])


def test_a_vocabulary_with_holes_has_no_token_map_and_says_so() -> None:
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1, "c": 5}, unk_token="a"))
    with pytest.raises(ConfigError, match="no id 2: its ids have holes") as caught:
        build_token_map(tokenizer)
    assert caught.value.facts["found"] == "ids up to 5"


@pytest.mark.parametrize(
    "changes",
    [{"version": "2.0"}, {"pre_tokenizer": {"type": "Shiny"}}, {"shiny": {"a": 1}}],
    ids=["version", "part", "key"],
)
def test_a_file_of_a_newer_release_is_refused_as_one(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    error = refusal(written(tmp_path / "t.json", **changes))
    assert "does not read it" in error.message
    assert "pip install -U tokenizers" in (error.hint or "")


def test_settings_that_the_library_passes_over_are_refused_where_they_are_on(
    tmp_path: Path,
) -> None:
    path = written(tmp_path / "t.json")
    document = json.loads(path.read_text())
    document["model"] |= {"shiny": False, "dull": None}
    assert len(load_token_map(written(path, **document))) == NUM_IDS
    document["model"]["shiny"] = True
    assert "does not know: model.shiny" in refusal(written(path, **document)).message
    del document["model"]["shiny"]
    document["pre_tokenizer"]["fast"] = 3
    assert "pre_tokenizer.fast" in refusal(written(path, **document)).message


def test_settings_under_their_older_names_are_read(tmp_path: Path) -> None:
    older = {"type": "Metaspace", "replacement": "\u2581", "add_prefix_space": True}
    split = {"type": "Sequence", "pretokenizers": [older | {"str_rep": "\u2581"}]}
    load_tokenizer(written(tmp_path / "t.json", pre_tokenizer=split, decoder=older))
