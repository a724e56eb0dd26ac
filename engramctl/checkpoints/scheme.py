"""A checkpoint's scheme: its config.json, against the constants in its safetensors files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from engramctl.errors import ConfigError, FormatError
from engramctl.hashing.buffers import is_buffer
from engramctl.hashing.scheme import Scheme
from engramctl.token_maps import TOKENIZER, load_canonical

CONFIG = "config.json"
MAX_JSON_BYTES = 64 << 20
MAX_BUFFER_VALUES = 1 << 16


def read_scheme(folder: Path, tokenizer: Path | None = None) -> Scheme:
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
    config, buffers = _read_json(folder / CONFIG), read_buffers(folder)
    scheme = Scheme.from_config(config, buffers)
    if not scheme.canonical.takes_canonical:
        if tokenizer is not None:
            raise ConfigError(f"{folder} reads token ids as they are", hint="leave out --tokenizer")
        return scheme
    beside = folder / TOKENIZER
    if tokenizer is None and not beside.exists():
        return scheme
    canonical = load_canonical(tokenizer or beside)
    try:
        return Scheme.from_config(config, buffers, token_map=canonical)
    except ConfigError as error:
        raise ConfigError(
            f"{tokenizer or beside} is not the tokenizer of {folder / CONFIG}: {error.message}",
            facts=error.facts,
            hint="name the model's own with engramctl layout --tokenizer"
            + ("" if tokenizer else ", or take this file out of the folder"),
        ) from error


def read_buffers(folder: Path) -> dict[str, NDArray[Any]]:
    """Return the constant buffers of every safetensors file, by tensor name.

    Raises:
        FormatError: a file cannot be read, two files hold one buffer, or a buffer is not integers.
    """
    buffers: dict[str, NDArray[Any]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="numpy") as file:
                for name in filter(is_buffer, file.keys()):
                    if name in buffers:
                        raise FormatError(f"{path} holds '{name}' a second time")
                    buffers[name] = _read_buffer(file, name, path)
        except (OSError, SafetensorError) as error:
            raise FormatError(f"cannot read {path}: {error}", facts={"file": path}) from error
    return buffers


def _read_buffer(file: Any, name: str, path: Path) -> NDArray[Any]:
    view = file.get_slice(name)
    shape, dtype = list(view.get_shape()), str(view.get_dtype())
    if dtype not in ("I64", "I32", "U64", "U32") or np.prod(shape) > MAX_BUFFER_VALUES:
        raise FormatError(
            f"'{name}' cannot be constants of a scheme",
            facts={
                "file": path,
                "expected": f"integers, at most {MAX_BUFFER_VALUES:,}",
                "found": f"{dtype} {shape}",
            },
        )
    values: NDArray[Any] = file.get_tensor(name)
    return values


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise FormatError(f"{path} is larger than any config")
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise FormatError(
            f"cannot read {path}: {error.strerror}",
            hint="name the folder of a model, the one with config.json",
        ) from error
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path} is not valid JSON: {error}", facts={"file": path}) from error
    if not isinstance(document, dict):
        raise FormatError(f"{path} is not a JSON object")
    return document
