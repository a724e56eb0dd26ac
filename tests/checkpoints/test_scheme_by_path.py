"""`read_scheme` takes whatever has a scheme, by a path of either kind."""

import json
from pathlib import Path

import pytest

from engramctl.checkpoints import open_store, read_scheme
from engramctl.errors import ConfigError, FormatError
from engramctl.hashing import DictionaryScheme, lookup_from_dict, make_scheme
from engramctl.storage import open_table
from tests.checkpoints import make
from tests.conftest import RunCli


def test_of_tables_of_ours_and_of_a_scheme_file_it_is_theirs(
    tmp_path: Path, run_cli: RunCli
) -> None:
    scheme = make_scheme("engram", slots=97, row_dim=32)
    file, tables = tmp_path / "scheme.json", tmp_path / "tables"
    file.write_text(json.dumps(scheme.to_dict()))
    assert run_cli("build", "--scheme", file, "-o", tables, "-q").exit_code == 0
    for path in (file, str(file), tables, str(tables)):
        assert read_scheme(path) == scheme
        with pytest.raises(ConfigError, match="says its scheme"):
            read_scheme(path, tokenizer=tmp_path / "tokenizer.json")
    with open_store(tables) as store:
        assert lookup_from_dict(store.scheme) == lookup_from_dict(open_table(tables).scheme)


def test_of_the_file_of_a_dictionary_it_is_the_dictionary(tmp_path: Path) -> None:
    made = DictionaryScheme.of([(1, 2), (3, 4)], vocab_size=9)
    (tmp_path / "dictionary.json").write_text(json.dumps(made.to_dict()))
    assert isinstance(read_scheme(tmp_path / "dictionary.json"), DictionaryScheme)


def test_of_a_model_it_is_the_models_by_str_too(tmp_path: Path) -> None:
    make.longcat(tmp_path / "model")
    assert read_scheme(str(tmp_path / "model")) == read_scheme(tmp_path / "model")


@pytest.mark.parametrize("text", ["[1]", "{", "{}"])
def test_what_is_no_scheme_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "scheme.json"
    path.write_text(text)
    with pytest.raises((ConfigError, FormatError)):
        read_scheme(path)
