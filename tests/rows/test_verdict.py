"""What `rows --diff` says can be acted on: mistakes about tokens, and the next command."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RunCli
from tests.helpers.tokenizer_files import OURS, write_tokenizer

SMALL = ("--scheme", "deepseek-v41", "--slots", 500, "--heads", 2)
SEQUENCES = [[17, 4, 17, 4, 9], [30, 31, 32], [97, 98, 5, 6]]


def write(path: Path, records: Any) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return write(tmp_path / "my tokens.jsonl", SEQUENCES)


def ids_of(run_cli: RunCli, path: Path, *options: object) -> list[Any]:
    shown = run_cli("rows", path, *SMALL, *options, "-q").stdout
    return [json.loads(line) for line in shown.splitlines()]


def diff(run_cli: RunCli, tokens: Path, theirs: Any, *options: object) -> str:
    file = write(tokens.parent / "theirs.jsonl", theirs)
    result = run_cli("rows", tokens, *SMALL, *options, "--diff", file, "-q")
    assert result.exit_code == 3
    return result.stderr


def test_an_engine_one_token_behind_is_named(run_cli: RunCli, tokens: Path) -> None:
    chunks = [{"token_ids": ids[1:-1], "history": ids[:1]} for ids in SEQUENCES]
    ours = write(tokens.parent / "ours.jsonl", chunks)
    shifted = [{"token_ids": ids[:-2], "history": []} for ids in SEQUENCES]
    theirs = ids_of(run_cli, write(tokens.parent / "shifted.jsonl", shifted))
    assert "one token behind" in diff(run_cli, ours, theirs)


@pytest.mark.parametrize("bos", [0, 1, 128_000])
def test_a_bos_in_front_is_named(run_cli: RunCli, tokens: Path, bos: int) -> None:
    chunks = [{"token_ids": ids, "history": [bos]} for ids in SEQUENCES]
    theirs = ids_of(run_cli, write(tokens.parent / "bos.jsonl", chunks))
    assert f"BOS {bos} in front" in diff(run_cli, tokens, theirs)


def test_one_position_more_is_told_as_a_bos(run_cli: RunCli, tokens: Path) -> None:
    longer = [[0, *ids] for ids in SEQUENCES]
    theirs = ids_of(run_cli, write(tokens.parent / "longer.jsonl", longer))
    assert "BOS token in front" in diff(run_cli, tokens, theirs)  # exit code 3, as of other ids


def test_a_map_that_either_side_lacks_is_told(run_cli: RunCli, tokens: Path) -> None:
    map_of = ("--tokenizer", write_tokenizer(tokens.parent / "tokenizer.json", OURS))
    without, with_map = ids_of(run_cli, tokens), ids_of(run_cli, tokens, *map_of)
    assert without != with_map
    told = diff(run_cli, tokens, with_map)
    assert "no token map" in told
    assert "--tokenizer" in told
    assert "closest" in told or "no known mistake" in told


def test_the_hint_can_be_pasted(run_cli: RunCli, tokens: Path) -> None:
    theirs = ids_of(run_cli, tokens)
    theirs[0]["rows"]["14"][2][1] += 1
    [hint] = [one for one in diff(run_cli, tokens, theirs).splitlines() if "--explain" in one]
    program, *words = shlex.split(hint.partition("run: ")[2])
    assert program == "engramctl"
    shown = run_cli(*words, "--json")
    assert shown.exit_code == 0, shown.stderr
    assert (shown.json["position"], shown.json["layers"][0]["layer"]) == (2, 14)


def test_the_hint_of_a_later_sequence_cuts_it_out(run_cli: RunCli, tokens: Path) -> None:
    theirs = ids_of(run_cli, tokens)
    theirs[2]["rows"]["1"][0][0] += 1
    [hint] = [one for one in diff(run_cli, tokens, theirs).splitlines() if "--explain" in one]
    cut, _, then = hint.partition("run: ")[2].partition(" | ")
    assert shlex.split(cut) == ["sed", "-n", "3p", str(tokens)]
    assert shlex.split(then)[:3] == ["engramctl", "rows", "--scheme"]
