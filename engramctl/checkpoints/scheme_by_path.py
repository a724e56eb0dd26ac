"""The scheme of whatever has one: a model's folder, tables of ours, a scheme.json."""

from pathlib import Path

from engramctl.checkpoints.scheme import read_scheme as scheme_of_checkpoint
from engramctl.errors import ConfigError, FormatError, StorageError
from engramctl.hashing import Lookup, lookup_from_dict
from engramctl.model_folder.place import CONFIG
from engramctl.storage.files.published import MANIFEST
from engramctl.storage.files.strict_json import load_json, read_limited
from engramctl.storage.reading.table import open_table


def read_scheme(path: Path | str, tokenizer: Path | str | None = None) -> Lookup:
    """Return the scheme of a checkpoint, of tables or shards of ours, or of a scheme.json.

    No table row is read.

    Args:
        path: a folder with config.json, whose *.safetensors files, where there are any, are looked
            through for constant buffers; a folder of ours; or a scheme.json.
        tokenizer: tokenizer.json of a model that compresses ids (DeepSeek-V4.1); None: the one in
            its folder. Where there is none such a scheme takes canonical ids.

    Returns:
        A `Scheme`, or of tables of a dictionary a `DictionaryScheme`.

    Raises:
        ConfigError: the config fits no scheme, a constant in the files differs from it, the
            tokenizer is not the model's, or one is named for what says its own token map.
        FormatError: a file cannot be read, or is no scheme.
    """
    path = Path(path)
    is_ours = (path / MANIFEST).is_file() and not (path / CONFIG).exists()
    if not is_ours and not path.is_file():
        return scheme_of_checkpoint(path, tokenizer)
    if tokenizer is not None:
        raise ConfigError(
            f"{path} says its scheme, token map included", hint="leave out the tokenizer"
        )
    return lookup_from_dict(dict(open_table(path).scheme) if is_ours else _document(path))


def _document(path: Path) -> dict[str, object]:
    try:
        document = load_json(read_limited(path))
    except StorageError as error:
        raise FormatError(error.message, facts=error.facts, hint=error.hint) from error
    except ValueError as error:
        raise FormatError(
            f"{path} is not valid JSON: {error}",
            hint="name a scheme.json, or the folder of a model or of tables",
        ) from error
    if not isinstance(document, dict):
        raise FormatError(f"{path} is not a JSON object")
    return document
