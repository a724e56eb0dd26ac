"""A checkpoint's scheme: its config.json, against the constants in its safetensors files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from engramctl.errors import FormatError
from engramctl.hashing.buffers import is_buffer
from engramctl.hashing.scheme import Scheme

CONFIG = "config.json"
MAX_JSON_BYTES = 64 << 20
MAX_BUFFER_VALUES = 1 << 16


def read_scheme(folder: Path, *, token_map: NDArray[np.integer[Any]] | None = None) -> Scheme:
    """Return the scheme of a checkpoint; no table row is read.

    Args:
        folder: with config.json; its *.safetensors files, where there are any, are looked through
            for constant buffers.
        token_map: int (num_ids,), of DeepSeek-V4.1; without it the scheme takes canonical ids.

    Raises:
        ConfigError: the config fits no scheme, or a constant in the files differs from it.
        FormatError: config.json or a file cannot be read.
    """
    config = _read_json(folder / CONFIG)
    return Scheme.from_config(config, read_buffers(folder), token_map=token_map)


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
