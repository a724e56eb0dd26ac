"""scheme.json: a scheme's recipe with every derived constant, written and checked."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from engramctl.errors import ConfigError
from engramctl.hashing.scheme.scheme import Scheme
from engramctl.hashing.walk.heads import HeadRule, LayerHash
from engramctl.hashing.walk.mix import Mix, coefficients
from engramctl.hashing.walk.token_map import PACKED, Canonical
from engramctl.hashing.walk.window import Boundary

SCHEMA = "engramctl.scheme/1"
ID_KEYS = {
    "canonical": {"kind", "num_ids", "num_canonical", "sha256", PACKED, "zeroed",
                  "vocabulary_xxh3_128"},
    "boundary": {"fill", "stop", "block", "negative"},
}  # fmt: skip
_KEYS = {
    "": {"schema", "name", "orders", "canonical", "boundary", "mix", "heads", "store", "fuse",
         "layers"},
    **ID_KEYS,
    "mix": {"kind", "width", "seed", "stream", "bases"},
    "heads": {"generator", "heads_per_order", "slots", "step"},
    "store": {"row_dim", "dtype", "pad_rows_to"},
    "fuse": {"kind", "normaliser"},
}  # fmt: skip


def scheme_to_dict(scheme: Scheme) -> dict[str, Any]:
    """Return scheme.json: the recipe and every derived constant."""
    return _document(scheme, scheme.canonical.to_dict())


def _document(scheme: Scheme, canonical: dict[str, Any]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "name": scheme.name,
        "orders": list(scheme.orders),
        "canonical": canonical,
        "boundary": boundary_to_dict(scheme.boundary),
        "mix": scheme.mix.to_dict(scheme.seed),
        "heads": {
            "generator": scheme.rule.generator,
            "heads_per_order": scheme.heads_per_order,
            "slots": list(scheme.slots),
            **({"step": scheme.rule.step} if scheme.rule.generator == "arith" else {}),
        },
        "store": {
            "row_dim": scheme.row_dim,
            "dtype": scheme.dtype,
            **({"pad_rows_to": scheme.rule.pad_rows_to} if scheme.rule.pad_rows_to > 1 else {}),
        },
        "fuse": {
            "kind": scheme.fuse,
            **({"normaliser": scheme.normaliser} if scheme.normaliser else {}),
        },
        "layers": [
            {
                "layer": derived.layer,
                "multipliers": list(derived.multipliers),
                "moduli": [head.modulus for head in derived.heads],
                "offsets": [head.offset for head in derived.heads],
                **_coefficients(scheme, derived),
                "num_rows": derived.num_rows,
            }
            for derived in scheme.hashes
        ],
    }


def _coefficients(scheme: Scheme, derived: LayerHash) -> dict[str, Any]:
    """Return what a linear mix multiplies c_0, c_1, .. with, a list a head."""
    if not scheme.mix.is_linear:
        return {}
    weights = [
        coefficients(scheme.mix, head.order, head.base or 0, head.modulus) for head in derived.heads
    ]
    return {"coefficients": weights}


def scheme_from_dict(document: dict[str, Any]) -> Scheme:
    """Read scheme.json, derive every constant again and compare.

    Raises:
        ConfigError: unknown schema or key, a missing key, a value of the wrong type, or a derived
            constant that differs (the first one is named).
    """
    if "ngrams" in document:
        raise ConfigError(
            "the scheme is a dictionary; this works on hashed schemes only",
            hint="name another scheme; engramctl rows and engramctl inspect read dictionaries",
        )
    with values_checked():
        check_keys(document, _KEYS)
        scheme = Scheme(
            name=str(document["name"]),
            canonical=Canonical.from_dict(document["canonical"]),
            boundary=boundary_from_dict(document["boundary"]),
            orders=integers(document["orders"]),
            heads_per_order=int(document["heads"]["heads_per_order"]),
            slots=integers(document["heads"]["slots"]),
            layer_ids=integers([layer["layer"] for layer in document["layers"]]),
            seed=int(document["mix"].get("seed", 0)),
            row_dim=int(document["store"]["row_dim"]),
            dtype=str(document["store"]["dtype"]),
            fuse=str(document["fuse"]["kind"]),
            mix=Mix.from_dict(document["mix"]),
            rule=HeadRule(
                str(document["heads"]["generator"]),
                int(document["heads"].get("step", 0)),
                int(document["store"].get("pad_rows_to", 1)),
            ),
            normaliser=document["fuse"].get("normaliser"),
        )
    compare("scheme", without_map(document), _document(scheme, scheme.canonical.facts()))
    return scheme


def without_map(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document without the packed ids of its token map, of which it has the digest."""
    canonical = document["canonical"]
    if canonical["kind"] == "map":
        canonical = {key: value for key, value in canonical.items() if key != PACKED}
    return {**document, "canonical": canonical}


@contextmanager
def values_checked() -> Iterator[None]:
    """Turn what reading a wrong document raises into a ConfigError."""
    try:
        yield
    except KeyError as error:
        raise ConfigError(f"the scheme lacks the key {error}") from error
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ConfigError(f"the scheme has a value of the wrong type: {error}") from error


def boundary_to_dict(boundary: Boundary) -> dict[str, Any]:
    """Return the JSON form of a boundary."""
    return {
        "fill": boundary.fill,
        "stop": list(boundary.stop),
        "block": list(boundary.block),
        "negative": boundary.negative,
    }


def boundary_from_dict(document: dict[str, Any]) -> Boundary:
    """Read the JSON form of a boundary."""
    return Boundary(
        int(document["fill"]),
        integers(document["stop"]),
        integers(document["block"]),
        document["negative"],
    )


def integers(values: Sequence[Any]) -> tuple[int, ...]:
    """Return a list of the document as whole numbers."""
    return tuple(int(value) for value in values)


def check_keys(document: dict[str, Any], keys: Mapping[str, set[str]]) -> None:
    """Refuse another schema, and keys it does not have.

    Args:
        document: a scheme.json.
        keys: section -> its keys; the empty name is the document itself.

    Raises:
        ConfigError: names the schema or the first such key.
    """
    if document.get("schema") != SCHEMA:
        raise ConfigError(
            "this is not a scheme engramctl can read",
            facts={"expected": SCHEMA, "found": document.get("schema")},
        )
    for section, allowed in keys.items():
        unknown = set(document[section] if section else document) - allowed
        if unknown:
            place = section or "the scheme"
            raise ConfigError(f"unknown key '{sorted(unknown)[0]}' in {place}")


def compare(path: str, found: Any, derived: Any) -> None:
    """Raise at the first place where a stored scheme differs from its own derivation.

    Raises:
        ConfigError: names the place, what is stored and what is derived.
    """
    if isinstance(derived, dict) and isinstance(found, dict):
        for key in derived:
            compare(f"{path}.{key}", found.get(key), derived[key])
        for key in sorted(set(found) - set(derived)):
            raise ConfigError(f"key '{key}' in {path} has no meaning in this scheme")
    elif isinstance(derived, list) and isinstance(found, list) and len(found) == len(derived):
        for index, value in enumerate(derived):
            compare(f"{path}[{index}]", found[index], value)
    elif found != derived:
        raise ConfigError(
            f"{path} does not follow from the scheme's recipe",
            facts={"stored": ascii(found)[:200], "derived": derived},
            hint="the file was edited or made by another program; build the scheme again",
        )
