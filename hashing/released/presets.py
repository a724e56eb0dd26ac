"""Named schemes: what released models and papers use, with every size settable."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError, unknown
from engramctl.hashing.released.families import PRESETS, Preset
from engramctl.hashing.scheme.scheme import Scheme
from engramctl.hashing.walk.heads import HeadRule
from engramctl.hashing.walk.mix import Mix
from engramctl.hashing.walk.token_map import Canonical
from engramctl.hashing.walk.window import DEAD, Boundary

__all__ = ["PRESETS", "Preset", "make_scheme"]


def make_scheme(
    name: str,
    *,
    token_map: NDArray[np.integer[Any]] | Canonical | None = None,
    vocab_size: int | None = None,
    specials: Iterable[Sequence[int]] | None = None,
    slots: int | Sequence[int] | None = None,
    orders: Sequence[int] | None = None,
    heads_per_order: int | None = None,
    layers: Sequence[int] | None = None,
    row_dim: int | None = None,
    seed: int | None = None,
    pad_id: int | None = None,
    eos_id: int | None = None,
    mix: Mix | None = None,
    rule: HeadRule | None = None,
) -> Scheme:
    """Return a preset, with any of its sizes replaced.

    Args:
        name: one of PRESETS, e.g. `deepseek-v41` or `longcat-2.0`.
        token_map: int (num_ids,), canonical id of each token, or that step as a whole; default: the
            identity, or canonical ids where the preset counts those.
        vocab_size: number of token ids when there is no map; the base of polynomial schemes.
        specials: half-open ranges of ids that read as 0; default: the preset's, on its vocabulary.
        slots: smallest number of slots a head, one for all orders or one an order.
        orders: n-gram orders, ascending.
        heads_per_order: K.
        layers: layer ids, in the order that decides the primes.
        row_dim: E, values a row.
        seed: of the multipliers.
        pad_id: token id that fills the window before the sequence (Engram).
        eos_id: token id that ends look-back (Qwen, LongCat).
        mix: another mix of the same kind; a polynomial takes its base from the vocabulary.
        rule: another way to make moduli.

    Raises:
        ConfigError: unknown name, or values that no scheme of the family can have.

    Example:
        >>> make_scheme("deepseek-v41").num_rows(1)
        384006168
    """
    preset = _preset(name)
    canonical, base = _canonical(preset, token_map, vocab_size, specials)
    chosen = tuple(preset.orders if orders is None else orders)
    return Scheme(
        name=name,
        canonical=canonical,
        boundary=_boundary(name, preset, canonical, pad_id, eos_id),
        orders=chosen,
        heads_per_order=preset.heads_per_order if heads_per_order is None else heads_per_order,
        slots=_slots(preset.slots if slots is None else slots, len(chosen)),
        layer_ids=tuple(preset.layers if layers is None else layers),
        seed=preset.seed if seed is None else seed,
        row_dim=preset.row_dim if row_dim is None else row_dim,
        dtype=preset.dtype,
        fuse=preset.fuse,
        mix=_mix(preset.mix if mix is None else mix, base),
        rule=preset.rule if rule is None else rule,
        normaliser=preset.normaliser,
    )


def _preset(name: str) -> Preset:
    if name not in PRESETS:
        raise unknown(
            "scheme",
            name,
            sorted(PRESETS),
            hint="name one of these, or a scheme.json or a folder of tables that is there",
        )
    return PRESETS[name]


def _slots(sizes: int | Sequence[int], num_orders: int) -> tuple[int, ...]:
    return (sizes,) * num_orders if isinstance(sizes, int) else tuple(sizes)


def _mix(mix: Mix, base: int) -> Mix:
    return replace(mix, bases=(base,)) if mix.kind == "poly" else mix


def _canonical(
    preset: Preset,
    token_map: NDArray[np.integer[Any]] | Canonical | None,
    vocab_size: int | None,
    specials: Iterable[Sequence[int]] | None,
) -> tuple[Canonical, int]:
    """Return the first step, and V: the base that a polynomial of this vocabulary has."""
    zeroed = tuple((int(first), int(stop)) for first, stop in specials or ())
    if token_map is None:
        if specials is None and vocab_size is None:
            zeroed = preset.zeroed
        size = preset.vocab_size if vocab_size is None else vocab_size
        if not zeroed:
            if size == preset.num_canonical:
                return Canonical.of_canonical_ids(size), size
            return Canonical.identity(size), size
        num_ids = max(size, *(stop for _, stop in zeroed))
        return Canonical.specials_to_zero(num_ids, zeroed), size
    canonical = token_map if isinstance(token_map, Canonical) else Canonical.mapped(token_map)
    if vocab_size not in (None, canonical.num_ids):
        raise ConfigError(
            f"vocab_size {vocab_size:,} contradicts a token map of {canonical.num_ids:,} ids"
        )
    if zeroed:
        raise ConfigError("a token map and specials contradict each other", hint="give one")
    if preset.num_canonical not in (None, canonical.num_canonical):
        raise ConfigError(
            "the token map is not this model's: multipliers follow from its size",
            facts={
                "expected": f"{preset.num_canonical:,} canonical ids",
                "found": f"{canonical.num_canonical:,}",
            },
        )
    return canonical, canonical.num_canonical


def _boundary(
    name: str, preset: Preset, canonical: Canonical, pad_id: int | None, eos_id: int | None
) -> Boundary:
    """Return fill, stops and blocks."""
    if pad_id is not None and preset.fill != "pad":
        raise ConfigError(f"scheme {name} has no pad id", hint="set eos_id, where it has one")
    if eos_id is not None and preset.eos_id is None:
        raise ConfigError(f"scheme {name} does not reset at an end-of-sequence id")
    stop: tuple[int, ...] = (0,) if preset.zero_stops else ()
    block = stop
    fill = 0
    if preset.negative == "dead":
        stop = block = (DEAD,)
    if preset.fill == "pad":
        pad = preset.pad_id if pad_id is None else pad_id
        fill = _canonical_id("pad", pad, canonical)
    if preset.eos_id is not None:
        eos = _canonical_id("eos", preset.eos_id if eos_id is None else eos_id, canonical)
        stop = (*stop, *({eos} - set(stop)))
        fill = eos if preset.fill == "eos" else fill
    return Boundary(fill, stop, block, preset.negative)


def _canonical_id(name: str, token_id: int | None, canonical: Canonical) -> int:
    if token_id is None or not 0 <= token_id < canonical.num_ids:
        raise ConfigError(
            f"{name} id {token_id} is outside the vocabulary",
            facts={"ids": f"0..{canonical.num_ids - 1:,}"},
            hint=f"set {name}_id to a token of this vocabulary",
        )
    return canonical.of(token_id)
