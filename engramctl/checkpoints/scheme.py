"""A checkpoint's scheme: its config.json, against the constants in its safetensors files."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.checkpoints.family_names import find_family
from engramctl.errors import ConfigError, FormatError, StorageError
from engramctl.hashing.released.buffers import is_buffer
from engramctl.hashing.released.configs import scheme_from_config
from engramctl.hashing.scheme.scheme import Scheme
from engramctl.model_folder.place import CONFIG, find_place
from engramctl.model_folder.tensors import FolderTensors, read_folder
from engramctl.storage.files.safetensors_header import Tensor
from engramctl.storage.files.strict_json import load_json, read_limited
from engramctl.storage.kinds.recognise import stand_in
from engramctl.storage.reading.region import RegionFiles
from engramctl.vocabulary.fingerprints import check_same, of_tokenizer
from engramctl.vocabulary.tokenizer_file import TOKENIZER, load_canonical

MAX_JSON_BYTES = 64 << 20
MAX_BUFFER_BYTES = 1 << 19
_INTEGERS = {"I64": "<i8", "I32": "<i4", "U64": "<u8", "U32": "<u4"}


def read_scheme(folder: Path | str, tokenizer: Path | str | None = None) -> Scheme:
    """Return the scheme of a checkpoint; no table row is read.

    Args:
        folder: with config.json; its *.safetensors files, where there are any, are looked through
            for constant buffers.
        tokenizer: tokenizer.json of a model that compresses ids (DeepSeek-V4.1); None: the one in
            the folder. Where there is none such a scheme takes canonical ids.

    Raises:
        ConfigError: the config fits no scheme, a constant in the files differs from it, or the
            tokenizer is not the model's.
        FormatError: config.json or a file cannot be read.
    """
    folder = Path(folder)
    place = find_place(folder)
    found = None if place is None else read_folder(place, find_family)
    return scheme_of(folder if place is None else place.model, found, tokenizer)


def scheme_of(
    folder: Path, tensors: FolderTensors | None, tokenizer: Path | str | None = None
) -> Scheme:
    """Return the scheme of a model whose tensors were found; see `read_scheme`.

    Args:
        folder: of config.json and tokenizer.json.
        tensors: of its safetensors files; None: there are none.
        tokenizer: see `read_scheme`.
    """
    config = _read_json(folder / CONFIG)
    buffers = {} if tensors is None else read_buffers(tensors)
    scheme = scheme_from_config(config, buffers)
    if not scheme.canonical.takes_canonical:
        if tokenizer is not None:
            raise ConfigError(f"{folder} reads token ids as they are", hint="leave out --tokenizer")
        return scheme
    beside = folder / TOKENIZER
    if tokenizer is None and not beside.exists():
        return scheme
    if tokenizer is not None:
        _check_beside(beside, Path(tokenizer))
    canonical = load_canonical(Path(tokenizer or beside))
    try:
        return scheme_from_config(config, buffers, token_map=canonical)
    except ConfigError as error:
        raise ConfigError(
            f"{tokenizer or beside} is not the tokenizer of {folder / CONFIG}: {error.message}",
            facts=error.facts,
            hint="name the model's own with engramctl layout --tokenizer"
            + ("" if tokenizer else ", or take this file out of the folder"),
        ) from error


def _check_beside(beside: Path, tokenizer: Path) -> None:
    """Refuse another vocabulary than that of the file beside the weights, where one is.

    Two token maps of one size differ in no number that a config.json has.
    """
    if not beside.exists() or beside.samefile(tokenizer):
        return
    try:
        own = of_tokenizer(beside)
    except ConfigError:
        return  # a broken one is what --tokenizer takes the place of
    check_same(own, of_tokenizer(tokenizer), "leave out --tokenizer: the file beside it is read")


def read_buffers(found: FolderTensors) -> dict[str, NDArray[Any]]:
    """Return the constant buffers of a folder, by tensor name.

    Raises:
        FormatError: the copies of ranks differ, or a buffer is not integers.
    """
    buffers: dict[str, NDArray[Any]] = {}
    for name, copies in found.tensors.items():
        if not is_buffer(name):
            continue
        buffers[name], *others = [_read_buffer(one) for one in copies]
        if any(not np.array_equal(one, buffers[name]) for one in others):
            raise FormatError(
                f"the ranks' copies of '{name}' differ",
                facts={"file": copies[0].path, "expected": "one set of constants"},
                hint="the rank files are not of one conversion; convert the checkpoint again",
            )
    return buffers


def _read_buffer(tensor: Tensor) -> NDArray[Any]:
    kind = _INTEGERS.get(tensor.dtype)
    if kind is None or tensor.num_bytes > MAX_BUFFER_BYTES:
        raise FormatError(
            f"'{tensor.name[:80]}' cannot be constants of a scheme",
            facts={
                "file": tensor.path,
                "expected": f"integers, at most {MAX_BUFFER_BYTES:,} bytes",
                "found": f"{tensor.dtype} {list(tensor.shape)}",
            },
        )
    data = np.empty(tensor.num_bytes, np.uint8)
    with RegionFiles() as files:
        files.pread(tensor.path, tensor.offset, data)
    return data.view(kind).reshape(tensor.shape)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = load_json(read_limited(path, MAX_JSON_BYTES))
    except StorageError as error:
        raise FormatError(
            error.message, hint="name the folder of a model, the one with config.json"
        ) from error
    except ValueError as error:
        raise stand_in(path, "the config.json of a model") or FormatError(
            f"{path} is not valid JSON: {error}", facts={"file": path}
        ) from error
    if not isinstance(document, dict):
        raise FormatError(f"{path} is not a JSON object")
    return document
