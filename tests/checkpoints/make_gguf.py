"""GGUF files as they are published, written with the official library."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

from engramctl.hashing import Scheme, make_scheme

TABLE = "blk.{}.engram_embd.weight"
PAD = 5


def write(
    path: Path,
    tensors: Mapping[str, Any],
    kind: str | None = None,
    facts: Callable[[Any], None] = lambda writer: None,
) -> None:
    """Write arrays; those of bytes are rows of ggml's type `kind` where it is named."""
    writer = gguf.GGUFWriter(str(path), "deepseek41")
    facts(writer)
    for name, data in tensors.items():
        packed = kind is not None and data.dtype == np.uint8
        dtype = getattr(gguf.GGMLQuantizationType, kind) if packed and kind else None
        writer.add_tensor(name, data, raw_dtype=dtype)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def packed_rows(kind: str, rows: int, columns: int) -> tuple[NDArray[np.uint8], Any]:
    """Return rows of a type that the library only reads, and their values."""
    number = getattr(gguf.GGMLQuantizationType, kind)
    values, width = gguf.GGML_QUANT_SIZES[number]
    random = np.random.default_rng(11)
    data = random.integers(0, 120, (rows, columns // values, width), dtype=np.uint8)
    places = {"Q3_K": (108,), "Q2_K": (80, 82), "Q6_K": (208,), "Q5_0": (0,)}.get(kind, (0, 2))
    for at in places:  # float16 scales that are ordinary numbers
        data[:, :, at : at + 2] = np.array([0.0123], np.float16).view(np.uint8)
    raw = data.reshape(rows, -1)
    return raw, gguf.quants.dequantize(raw, number)


def split(folder: Path, tables: Sequence[Mapping[str, Any]], kind: str | None = None) -> list[Path]:
    """Write one part for each group of tensors."""
    folder.mkdir(exist_ok=True)
    paths = []
    for number, tensors in enumerate(tables):

        def facts(writer: Any, number: int = number) -> None:
            writer.add_uint16("split.no", number)
            writer.add_uint16("split.count", len(tables))
            writer.add_int32("split.tensors.count", sum(map(len, tables)))

        paths.append(folder / f"t-{number + 1:05d}-of-{len(tables):05d}.gguf")
        write(paths[-1], tensors, kind, facts)
    return paths


def engram_scheme() -> Scheme:
    """A small V4.1 scheme with a token map that merges some ids."""
    token_map = np.arange(90, dtype=np.int32)
    token_map[60:] = np.arange(30)
    return make_scheme(
        "deepseek-v41",
        token_map=token_map,
        slots=40,
        orders=(2, 3),
        heads_per_order=2,
        layers=(1, 3),
        row_dim=64,
        pad_id=PAD,
    )


def engram_tensors(scheme: Scheme, by_layer: bool = False) -> dict[str, Any]:
    """The tables of a scheme in F32, and its constants as tensors."""
    hashes = [scheme.layer_hash(layer) for layer in scheme.layers]
    kinds = {
        "primes": [[head.modulus for head in one.heads] for one in hashes],
        "offsets": [[head.offset for head in one.heads] for one in hashes],
        "multipliers": [list(one.multipliers) for one in hashes],
    }
    random = np.random.default_rng(2)
    tensors: dict[str, Any] = {
        TABLE.format(one.layer): random.normal(size=(one.num_rows, 64)).astype(np.float32)
        for one in hashes
    }
    assert scheme.canonical.token_map is not None
    tensors["engram_token_map.weight"] = np.asarray(scheme.canonical.token_map, np.int32)
    for kind, rows in kinds.items():
        if by_layer:
            for one, numbers in zip(hashes, rows, strict=True):
                tensors[f"blk.{one.layer}.engram_{kind}.weight"] = np.array(numbers, np.int64)
        else:
            tensors[f"engram_{kind}.weight"] = np.array(rows, np.int64)
    return tensors
