"""A tokenizer, counts, tables or a source of another tokenizer are refused by every command."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from tests.conftest import run_in_process
from tests.helpers.tokenizer_files import OTHER_MAP, OTHER_VOCABULARY, OURS, write_tokenizer

BUILD = "build --scheme deepseek-v41 --slots 60 --heads 2 --row-dim 32"
NAMES = ("ours", "copy", "other-map", "other-vocabulary")


@dataclass(frozen=True)
class World:
    """Artefacts of four tokenizers, a folder each; `copy` is that of `ours` in other bytes."""

    folder: Path

    def words(self, command: str, made: str, given: str, out: Path) -> list[object]:
        """Fill a command: `@x` is what `made` left, `%x` what `given` did, `=x` is everybody's."""
        places = {"@": self.folder / made, "%": self.folder / given, "=": self.folder}
        return [
            out if word == "OUT" else places[word[0]] / word[1:] if word[0] in places else word
            for word in command.split()
        ]


MADE_BY = (
    "mine =text.parquet --tokenizer @tokenizer.json -o @raw",
    f"{BUILD} --tokenizer @tokenizer.json -o @tables",
    "mine =text.parquet --tokenizer @tokenizer.json --scheme @tables -o @canonical",
    "rows /dev/null --scheme @tables --save-scheme @scheme.json",
    "rows /dev/null --scheme dictionary --counts @raw --tokenizer @tokenizer.json "
    "--save-scheme @dictionary.json",
    "layout @tables -o @shards",
    "export @shards -o @model",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("world"))
    dice = np.random.default_rng(4)
    texts = ["".join(dice.choice(["ab", "aB", "cd", "ce", " "], 60)) for _ in range(20)]
    pq.write_table(pa.table({"text": texts}), made.folder / "text.parquet")
    (made.folder / "ids.jsonl").write_text("[97, 256, 257, 258, 259, 97]\n")
    for name, merges in zip(NAMES, (OURS, OURS, OTHER_MAP, OTHER_VOCABULARY), strict=True):
        folder = made.folder / name
        folder.mkdir()
        indent = 2 if name == "copy" else None
        write_tokenizer(folder / "tokenizer.json", merges, indent=indent)
        for command in MADE_BY:
            result = run_in_process(*made.words(command, name, name, folder), "-q")
            assert result.exit_code == 0, f"{command}\n{result.stderr}"
        shutil.copy(folder / "tokenizer.json", folder / "model")
        embeddings = {"model.embed_tokens.weight": np.ones((260, 32), np.float32)}
        (folder / "embeddings").mkdir()
        save_file(embeddings, folder / "embeddings" / "model.safetensors")
        shutil.copy(folder / "tokenizer.json", folder / "embeddings")
    return made


COMMANDS = (
    "mine =text.parquet --scheme @tables --tokenizer %tokenizer.json -o OUT",
    "mine =text.parquet --scheme @shards --tokenizer %tokenizer.json -o OUT",
    "mine =text.parquet --scheme @scheme.json --tokenizer %tokenizer.json -o OUT",
    "inspect @raw --tokenizer %tokenizer.json",
    "inspect @canonical --tokenizer %tokenizer.json",
    "inspect @tables --counts %raw",
    "inspect @shards --counts %canonical",
    "inspect @tables --counts @raw --tokenizer %tokenizer.json",
    "inspect deepseek-v41 --slots 60 --counts @raw --tokenizer %tokenizer.json",
    f"{BUILD} --tokenizer %tokenizer.json --counts @raw -o OUT",
    f"{BUILD} --tokenizer %tokenizer.json --counts @canonical -o OUT",
    "build --scheme @scheme.json --counts %raw -o OUT",
    "build --scheme @scheme.json --tokenizer %tokenizer.json -o OUT",
    "build --scheme @shards --tokenizer %tokenizer.json -o OUT",
    "build --scheme @tables --counts %canonical -o OUT",
    f"{BUILD} --tokenizer %tokenizer.json --init import --source @tables -o OUT",
    f"{BUILD} --tokenizer %tokenizer.json --init import --source @model -o OUT",
    f"{BUILD} --tokenizer @tokenizer.json --init token-mean --counts %raw "
    "--source @embeddings -o OUT",
    f"{BUILD} --tokenizer @tokenizer.json --init token-mean --counts @raw "
    "--source %embeddings/model.safetensors -o OUT",
    "layout @tables --dictionary %raw -o OUT",
    "layout @shards --dictionary %canonical -o OUT",
    "layout @tables --tokenizer %tokenizer.json -o OUT",
    "layout @model --scheme %scheme.json -o OUT",
    "rows =ids.jsonl --scheme @tables --tokenizer %tokenizer.json",
    "rows =ids.jsonl --scheme @scheme.json --tokenizer %tokenizer.json",
    "rows =text.parquet --scheme @shards --tokenizer %tokenizer.json",
    "rows =ids.jsonl --scheme dictionary --counts @raw --tokenizer %tokenizer.json",
    "rows =text.parquet --scheme @dictionary.json --tokenizer %tokenizer.json",
    "verify @shards --against %tables",
)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_right_tokenizer_goes_on_and_another_is_refused(
    command: str, world: World, tmp_path: Path
) -> None:
    for number, given in enumerate(("ours", "copy")):
        right = run_in_process(*world.words(command, "ours", given, tmp_path / str(number)))
        assert right.exit_code == 0, right.stderr
        assert "another" not in right.stderr
    for given in ("other-map", "other-vocabulary"):
        wrong = run_in_process(*world.words(command, "ours", given, tmp_path / given))
        assert wrong.exit_code in (1, 2, 3), wrong.stderr
        assert f"/{given}/" in wrong.stderr
        assert "has another" in wrong.stderr
        assert "Hint: " in wrong.stderr
        assert not (tmp_path / given).exists()
