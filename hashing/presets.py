"""Named schemes: what released models and papers use, with every size settable."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError
from engramctl.hashing.scheme import Scheme
from engramctl.hashing.token_map import Canonical
from engramctl.hashing.window import DEAD, Boundary


@dataclass(frozen=True)
class Preset:
    """A family's own values; `masks` tells whether -1 marks a masked token."""

    vocab_size: int
    orders: tuple[int, ...]
    heads_per_order: int
    slots: int
    layers: tuple[int, ...]
    row_dim: int
    dtype: str
    fuse: str
    pad_id: int
    masks: bool


PRESETS = {
    # engram_demo_v1.py: spec/engram-paper.md section 2.3
    "engram": Preset(
        vocab_size=129280, orders=(2, 3), heads_per_order=8, slots=646400, layers=(1, 15),
        row_dim=64, dtype="bf16", fuse="engram-demo", pad_id=2, masks=False,
    ),
    # DeepSeek-V4.1-Flash: spec/engram-deepseek-v41.md section 2
    "deepseek-v41": Preset(
        vocab_size=129280, orders=(2, 3, 4), heads_per_order=8, slots=16_000_000, layers=(1, 14),
        row_dim=256, dtype="f8_e4m3", fuse="deepseek-v41", pad_id=2, masks=True,
    ),
}  # fmt: skip


def make_scheme(
    name: str,
    *,
    token_map: NDArray[np.integer[Any]] | None = None,
    vocab_size: int | None = None,
    slots: int | Sequence[int] | None = None,
    orders: Sequence[int] | None = None,
    heads_per_order: int | None = None,
    layers: Sequence[int] | None = None,
    row_dim: int | None = None,
    seed: int = 0,
    pad_id: int | None = None,
) -> Scheme:
    """Return a preset, with any of its sizes replaced.

    Args:
        name: `engram` or `deepseek-v41`.
        token_map: int (num_ids,), canonical id of each token; default: the identity.
        vocab_size: number of token ids when there is no map.
        slots: smallest number of slots a head, one for all orders or one an order.
        orders: 2, 3, .. N.
        heads_per_order: K.
        layers: layer ids, in the order that decides the primes.
        row_dim: E, values a row.
        seed: of the multipliers.
        pad_id: token id that fills the window before the sequence.

    Raises:
        ConfigError: unknown name, or values that no scheme of the family can have.

    Example:
        >>> make_scheme("deepseek-v41").num_rows(1)
        384006168
    """
    preset = PRESETS.get(name)
    if preset is None:
        raise ConfigError(f"unknown scheme '{name}'", facts={"known": ", ".join(sorted(PRESETS))})
    if token_map is not None and vocab_size not in (None, len(token_map)):
        raise ConfigError(
            f"vocab_size {vocab_size:,} contradicts a token map of {len(token_map):,} ids"
        )
    canonical = (
        Canonical.identity(preset.vocab_size if vocab_size is None else vocab_size)
        if token_map is None
        else Canonical.mapped(token_map)
    )
    pad = preset.pad_id if pad_id is None else pad_id
    if not 0 <= pad < canonical.num_ids:
        raise ConfigError(
            f"pad id {pad} is outside the vocabulary",
            facts={"ids": f"0..{canonical.num_ids - 1:,}"},
            hint="set pad_id to a token of this vocabulary",
        )
    holes = (DEAD,) if preset.masks else ()
    chosen = tuple(preset.orders if orders is None else orders)
    sizes = preset.slots if slots is None else slots
    return Scheme(
        name=name,
        canonical=canonical,
        boundary=Boundary(
            canonical.of(pad), stop=holes, block=holes, negative="dead" if preset.masks else "pass"
        ),
        orders=chosen,
        heads_per_order=preset.heads_per_order if heads_per_order is None else heads_per_order,
        slots=(sizes,) * len(chosen) if isinstance(sizes, int) else tuple(sizes),
        layer_ids=tuple(preset.layers if layers is None else layers),
        seed=seed,
        row_dim=preset.row_dim if row_dim is None else row_dim,
        dtype=preset.dtype,
        fuse=preset.fuse,
    )
