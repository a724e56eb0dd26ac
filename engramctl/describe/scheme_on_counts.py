"""A scheme on mined counts: what `inspect --counts` says."""

import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from engramctl.counts.manifest import check_counts_tokenizer, read_counts_manifest
from engramctl.counts.ngrams import mine_hint, order_file, read_ngrams
from engramctl.counts.pruned import Pruned, pruned_orders, pruning
from engramctl.errors import ConfigError, FormatError
from engramctl.hashing import DictionaryScheme
from engramctl.hashing.diagnose.chance import CountHistogram
from engramctl.hashing.diagnose.load import OrderLoad, diagnose
from engramctl.hashing.diagnose.resonance import scheme_warnings
from engramctl.hashing.scheme.scheme import Scheme
from engramctl.hashing.walk.token_map import Canonical
from engramctl.schemes.find import find_scheme
from engramctl.schemes.options import SchemeOptions
from engramctl.vocabulary.fingerprints import counts_are_canonical


def scheme_with_heads(options: SchemeOptions, counts: Path) -> Scheme:
    """Find the scheme that n-grams of a counts folder are to be hashed with.

    Raises:
        ConfigError: an unknown scheme, a dictionary, or another tokenizer than that of the counts.
        FormatError: `counts` is not a counts folder.
    """
    scheme = find_scheme(options)
    if options.tokenizer is not None:
        check_counts_tokenizer(counts, options.tokenizer)
    if isinstance(scheme, DictionaryScheme):
        raise ConfigError(
            "a dictionary has no heads in which n-grams could collide",
            hint="name a hashed scheme, or leave out --counts",
        )
    return scheme


def diagnose_counts(
    scheme: Scheme, counts: Path, progress: Callable[[int], None] | None = None
) -> dict[str, Any]:
    """Return the diagnosis of every layer and order, as a JSON document.

    N-grams at document starts, whose windows have fills, are not among mined counts.

    Args:
        scheme: the scheme.
        counts: a folder that `engramctl mine` made.
        progress: called with 1 for each layer and order that is done.

    Raises:
        ConfigError: counts of token ids, and a scheme that takes canonical ids.
        FormatError: `counts` is not such a folder, or lacks every order of the scheme.
        CorpusError: a broken file, token ids outside the scheme's vocabulary, or counts of another
            tokenizer or token map.
    """
    manifest = read_counts_manifest(counts)
    if counts_are_canonical(scheme.canonical, f"scheme {scheme.name}", counts, manifest):
        scheme = replace(scheme, canonical=Canonical.identity(scheme.canonical.num_canonical))
    present = counted_orders(scheme, counts)
    if not present:
        files = [order_file(counts, order).name for order in scheme.orders]
        raise FormatError(
            f"{counts} has none of the scheme's orders",
            facts={"expected": ", ".join(files)},
            hint=mine_hint(scheme.orders),
        )
    pruned = pruned_orders(manifest)
    loads = []
    for layer in scheme.layers:
        for order in present:
            load = asdict(_order(scheme, layer, order, counts))
            loads.append(load | _bounded(load, pruned.get(order), _joins(scheme)))
            if progress is not None:
                progress(1)
    return {
        "kind": "diagnosis",
        "scheme": scheme.name,
        "counts": str(counts),
        "tokens": manifest.get("tokens"),
        "min_count": manifest.get("min_count"),
        "orders_without_counts": sorted(set(scheme.orders) - set(present)),
        "warnings": [
            *(_warning(n, pruned[n], manifest, _joins(scheme)) for n in present if n in pruned),
            *scheme_warnings(scheme),
        ],
        "orders": loads,
    }


def counted_orders(scheme: Scheme, counts: Path) -> list[int]:
    """Return the orders of a scheme whose n-grams a folder of counts has."""
    return [order for order in scheme.orders if order_file(counts, order).is_file()]


def _joins(scheme: Scheme) -> bool:
    """Whether several n-grams of the counts may be one window: a map or a stop makes them equal."""
    marks = (*scheme.boundary.stop, *scheme.boundary.block)
    return scheme.canonical.token_map is not None or any(mark >= 0 for mark in marks)


def _bounded(load: dict[str, Any], pruned: Pruned | None, joins: bool) -> dict[str, Any]:
    """Return what changes in a load of n-grams of which some were left out.

    How many there were is known; where every n-gram is a window of its own, so is what hangs on
    that number alone. Slots reached and collisions are at least those of the n-grams kept. Whom an
    unknown n-gram overshadows is unknown.
    """
    if pruned is None:
        return {"pruned": None}
    chance = None if joins else CountHistogram({1: pruned.distinct})
    heads = []
    for head in load["heads"]:
        slots = head["num_slots"]
        unknown = {"overshadowed_percent": None, "expected_overshadowed_percent": None}
        known = {} if chance is None else {
            "load_factor": chance.ngrams / slots,
            "expected_reached_slots": chance.expected_reached(slots),
            "expected_colliding_ngrams": chance.expected_colliding(slots),
        }  # fmt: skip
        heads.append(head | unknown | known)
    changed: dict[str, Any] = {"pruned": asdict(pruned), "heads": heads}
    if chance is not None:
        together = math.prod(head["num_slots"] for head in heads)
        changed["distinct"] = chance.ngrams
        changed["expected_joint_collisions"] = chance.expected_colliding(together)
    return changed


def _warning(order: int, pruned: Pruned, manifest: dict[str, Any], joins: bool) -> str:
    least = "n-grams, load, slots reached and collisions, and what chance gives, are lower bounds"
    exact = (
        "n-grams, load and chance are of all; accesses, slots reached and collisions are lower "
        "bounds"
    )
    return (
        f"order {order}: the counts are pruned ({pruning(manifest)}), {pruned.kept:,} of "
        f"{pruned.distinct:,} n-grams are in them; {least if joins else exact}; slots never "
        "reached are an upper bound; what is overshadowed is not known"
    )


def _order(scheme: Scheme, layer: int, order: int, counts: Path) -> OrderLoad:
    return diagnose(scheme, layer, order, lambda: read_ngrams(counts, order, scheme.vocab_size))
