"""Constants that a checkpoint ships, against those derived from its config.

Never re-derive without comparing: a wrong multiplier reads fluent, wrong rows.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError
from engramctl.hashing.scheme.scheme import Scheme
from engramctl.hashing.walk.heads import LayerHash

# Qwen4Exp: `..layers.1.ple.ple_embedding.layer_multipliers`; the layer number counts from 0.
BUFFER_NAMES = ("layer_multipliers", "ngram_heads_vocab_sizes", "ngram_heads_offsets")
_MOST_DIGITS = 5  # of a layer's number


def is_buffer(tensor: str) -> bool:
    """Tell whether a tensor of this name holds constants of a scheme.

    Example:
        >>> is_buffer("model.layers.1.ple.ple_embedding.layer_multipliers")
        True
    """
    return tensor.rsplit(".", 1)[-1] in BUFFER_NAMES


def compare_buffers(scheme: Scheme, buffers: Mapping[str, NDArray[Any]]) -> None:
    """Compare every buffer with the derived constants.

    Args:
        scheme: as derived from the config.
        buffers: integers by tensor name.

    Raises:
        ConfigError: a buffer of no known kind, of no layer of the scheme, of another size, or the
            first constant that differs.
    """
    for kind in BUFFER_NAMES:
        for name in sorted(buffers):
            if name.rsplit(".", 1)[-1] == kind:
                _compare(name, buffers[name], constants_of(_layer_of(name, scheme))[kind])
    for name in sorted(buffers):
        if not is_buffer(name):
            raise ConfigError(
                f"buffer '{name}' holds no constants of a scheme",
                facts={"known": ", ".join(BUFFER_NAMES)},
            )


def _layer_of(name: str, scheme: Scheme) -> LayerHash:
    found = re.search(r"\blayers\.(\d+)\.", name)
    if found:
        if len(found[1]) > _MOST_DIGITS:  # int() has a limit of its own
            raise ConfigError(f"the scheme has no layer {found[1]:.20}...")
        return scheme.layer_hash(int(found[1]))
    if len(scheme.layers) > 1:
        raise ConfigError(f"buffer '{name}' does not say which layer it belongs to")
    return scheme.layer_hash(scheme.layers[0])


def constants_of(layer: LayerHash) -> dict[str, list[int]]:
    """Return the constants of a layer as checkpoints ship them, by the last part of their name."""
    multipliers = list(layer.multipliers)
    sizes = [head.modulus for head in layer.heads]
    offsets = [head.offset for head in layer.heads]
    return dict(zip(BUFFER_NAMES, (multipliers, sizes, offsets), strict=True))


def _compare(name: str, stored: NDArray[Any], derived: list[int]) -> None:
    found = np.asarray(stored).reshape(-1).tolist()
    if len(found) != len(derived):
        raise ConfigError(
            f"{name} holds {len(found)} constants, the config gives {len(derived)}",
        )
    for index, (theirs, ours) in enumerate(zip(found, derived, strict=True)):
        if theirs != ours:
            raise ConfigError(
                f"{name}[{index}] differs from what the config derives",
                facts={"checkpoint": theirs, "derived": ours},
                hint="the config is not this checkpoint's, or its seed is not the default",
            )
