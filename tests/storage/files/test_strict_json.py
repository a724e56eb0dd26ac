"""JSON of files we did not write has one reading, and is bounded before it takes memory."""

import json
import os
from pathlib import Path

import pytest

from engramctl.errors import FormatError, StorageError
from engramctl.storage.files.published import read_manifest, read_state
from engramctl.storage.files.safetensors_header import read_header
from engramctl.storage.files.strict_json import (
    MAX_DEPTH,
    MAX_DIGITS,
    MAX_VALUES,
    load_json,
    load_strict,
    read_limited,
)


@pytest.mark.parametrize(
    "text",
    ['{"a": 1, "a": 2}', '{"a": {"b": 1, "b": 1}}', "[NaN]", "[Infinity]", "[-Infinity]", "{",
     "1e999", "-1e999"],
)  # fmt: skip
def test_ambiguous_json_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"twice|no number|Expecting|too large"):
        load_strict(text)
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(FormatError, match="not valid JSON"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("load", [load_json, load_strict])
@pytest.mark.parametrize("kind", [str, str.encode])
def test_what_is_within_the_bounds_is_read(load: object, kind: object) -> None:
    assert callable(load)
    assert callable(kind)
    for document in (
        [0] * MAX_VALUES,
        int("-" + "9" * (MAX_DIGITS - 1)),
        json.loads("[" * MAX_DEPTH + "]" * MAX_DEPTH),
        {"text": "0123456789" * 100_000, "many": ["\u0000", 1.5, None, True]},
    ):
        text = json.dumps(document, separators=(",", ":"))
        assert load(kind(text)) == document


@pytest.mark.parametrize("load", [load_json, load_strict])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" + "0," * MAX_VALUES + "0]", "values or so"),
        ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "nested deeper"),
        ('{"a":' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1), "nested deeper"),
        ("[" * 100_000, "nested deeper"),
        ("[" + "9" * (MAX_DIGITS + 1) + "]", "an integer of 41 digits"),
        ("9" * 100_000, "an integer of 100,000 digits"),
    ],
)
def test_what_is_beyond_a_bound_is_refused(load: object, text: str, said: str) -> None:
    assert callable(load)
    with pytest.raises(ValueError, match=said):
        load(text)


def test_too_many_values_are_refused_before_one_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(*_: object, **__: object) -> None:
        raise AssertionError("it was parsed")

    monkeypatch.setattr(json, "loads", parse)
    for load in (load_json, load_strict):
        with pytest.raises(ValueError, match="values or so"):
            load(b"[" * (MAX_VALUES + 1))


def test_models_may_write_infinity() -> None:
    assert load_json('{"time_step_limit": [0.0, Infinity]}')["time_step_limit"][1] == float("inf")


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"x" * 3_000_000)
    assert len(read_limited(path, 3_000_000)) == 3_000_000
    with pytest.raises(FormatError, match="too large") as caught:
        read_limited(path, 2_999_999)
    assert caught.value.facts["found"] == "3,000,000 bytes"


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "manifest.json")
    with pytest.raises(FormatError, match="is not a file"):
        read_manifest(tmp_path)
    with pytest.raises(FormatError, match="is not a file"):
        read_limited(Path("/dev/zero"))
    os.mkfifo(tmp_path / "m.safetensors")
    with pytest.raises(FormatError, match="is not a file"):
        read_header(tmp_path / "m.safetensors")
    with pytest.raises(StorageError, match="cannot read"):
        read_limited(tmp_path / "nothing")
    with pytest.raises((FormatError, StorageError)):
        read_limited(tmp_path)


@pytest.mark.parametrize("text", ["[" * 100_000, "1", "{", "[" + "0," * MAX_VALUES + "0]"])
def test_a_state_that_says_nothing_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    assert read_state(tmp_path) is None
