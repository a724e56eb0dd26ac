"""Which files an option's value means, and what is known of each."""

from pathlib import Path

import pytest

from engramctl.errors import StorageError
from engramctl.sources.file import SourceFile
from engramctl.upkeep.input_files import look_at, path_files


def names(path: Path) -> list[str]:
    return [Path(str(file)).name for file in path_files(path)]


def test_a_preset_is_no_file_and_a_folder_all_below(tmp_path: Path) -> None:
    assert path_files(Path("deepseek-v41-of-no-folder")) == []
    (tmp_path / "layer01").mkdir()
    for name in ("b", "a", "layer01/c"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "nothing").symlink_to("gone")
    assert names(tmp_path) == ["a", "b", "c"]


def test_what_is_read_beside_a_file_is_an_input_too(tmp_path: Path) -> None:
    for name in ("model.safetensors.index.json", "x.safetensors", "config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"")
    assert names(tmp_path / "config.json") == ["config.json", "tokenizer.json"]
    assert names(tmp_path / "tokenizer.json") == ["tokenizer.json"]
    assert names(tmp_path / "model.safetensors.index.json") == [
        "model.safetensors.index.json", "tokenizer.json", "x.safetensors",
    ]  # fmt: skip


def test_a_file_that_cannot_be_read_is_known_by_the_rest_where_bad_files_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    file = SourceFile.local(tmp_path / "a")
    assert (look_at(file).xxh3_128, look_at(file).bytes) == (None, 3)

    def shut(self: SourceFile) -> None:
        raise PermissionError(13, "denied")

    monkeypatch.setattr(SourceFile, "open", shut)
    with pytest.raises(StorageError):
        look_at(file, contents=True)
    assert look_at(file, contents=True, bad_too=True).xxh3_128 is None
