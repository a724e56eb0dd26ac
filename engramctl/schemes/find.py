"""From a name on the command line to a scheme: a known one, a scheme.json, or a folder of ours."""

import re
from dataclasses import replace
from pathlib import Path

from engramctl.counts.manifest import check_counts_tokenizer
from engramctl.errors import ConfigError
from engramctl.hashing import PRESETS, DictionaryScheme, Lookup
from engramctl.hashing.walk.token_map import Canonical
from engramctl.schemes.names import DICTIONARY
from engramctl.schemes.options import SchemeOptions, resolve_scheme
from engramctl.storage.files.atomic import dump_json, os_errors
from engramctl.storage.files.output_file import BEGINNING_BYTES, output_file, written_whole
from engramctl.vocabulary.tokenizer_file import load_canonical

_BEGINS = re.compile(rb'\s*\{\s*"schema":\s*"engramctl\.scheme/')


def find_scheme(options: SchemeOptions) -> Lookup:
    """Return the scheme of a name, of a scheme.json, of mined counts, or of a folder of tables.

    Raises:
        ConfigError: an unknown name, or options that a file or folder already decides.
        FormatError: a folder that holds no table of ours.
    """
    if options.scheme == DICTIONARY:
        return _dictionary(options)
    if given := options.given("counts", "entries", "min_count", "vocab_size"):
        raise ConfigError(
            f"{given} says how a dictionary is made",
            hint="give --scheme dictionary with it, or leave it out",
        )
    return resolve_scheme(options)


def _dictionary(options: SchemeOptions) -> DictionaryScheme:
    """Make a dictionary of the counts that the options name."""
    from engramctl.schemes.dictionaries import (
        DEFAULT_ENTRIES,
        DEFAULT_MIN_COUNT,
        Selection,
        dictionary_of_counts,
    )

    if given := options.given("slots", "heads"):
        raise ConfigError(
            f"a dictionary has no {given}", hint="its size is --entries; leave the others out"
        )
    if options.counts is None:
        raise ConfigError(
            "a dictionary is made from mined counts",
            hint="name them with --counts; engramctl mine makes them",
        )
    canonical = None
    if options.tokenizer is not None:
        if options.vocab_size is not None:
            raise ConfigError(
                "--tokenizer says what --vocab-size would change", hint="give one of them"
            )
        check_counts_tokenizer(options.counts, options.tokenizer)
        canonical = load_canonical(options.tokenizer)
    selection = Selection(
        counts=options.counts,
        entries=DEFAULT_ENTRIES if options.entries is None else options.entries,
        min_count=DEFAULT_MIN_COUNT if options.min_count is None else options.min_count,
        orders=options.orders,
        vocab_size=options.vocab_size,
        layers=options.layers or (0,),
    )
    return dictionary_of_counts(selection, canonical)


def chosen_layers(scheme: Lookup, wanted: list[int] | None) -> tuple[int, ...]:
    """Return the layers asked for, all when none is.

    Raises:
        ConfigError: the scheme has no such layer.
    """
    for layer in wanted or ():
        scheme.num_rows(layer)  # raises where there is none
    return tuple(dict.fromkeys(wanted)) if wanted else scheme.layers


def taking_token_ids(scheme: Lookup, name: str, hint: str = "") -> Lookup:
    """Return a scheme that is about to read token ids.

    Args:
        scheme: the scheme.
        name: what it was called on the command line.
        hint: another way on.

    Raises:
        ConfigError: it takes canonical ids; token ids would give other rows.
    """
    if scheme.canonical.takes_canonical:
        raise ConfigError(
            f"{name} takes canonical ids: it has no token map, and token ids would give other rows",
            facts={
                "expected": f"canonical ids, 0 to {scheme.vocab_size - 1:,}",
                "found": "token ids",
            },
            hint=f"name the model's tokenizer: --tokenizer tokenizer.json{hint}",
        )
    return scheme


def taking_canonical_ids(scheme: Lookup) -> Lookup:
    """Return a scheme as it reads canonical ids."""
    ids = Canonical.of_canonical_ids(scheme.canonical.num_canonical)
    return replace(scheme, canonical=ids)


def assumed_map(options: SchemeOptions, scheme: Lookup) -> str | None:
    """Say in words what was assumed about ids, and where the model's own would come from.

    That is an identity map where the released model compresses ids, and for a dictionary how many
    ids there are.
    """
    if options.scheme == DICTIONARY:
        if scheme.canonical.token_map is not None or options.vocab_size is not None:
            return None
        return f"{scheme.vocab_size:,} token ids, after those in the counts; say --vocab-size"
    preset = PRESETS.get(options.scheme or "")
    if preset is None or not preset.has_token_map or options.tokenizer is not None:
        return None
    if scheme.canonical.takes_canonical:
        return None
    return (
        f"identity token map of {scheme.vocab_size:,} ids; the model's own needs --tokenizer, "
        "a scheme.json or a folder of tables"
    )


def lacking_ngrams(options: SchemeOptions, scheme: Lookup) -> str | None:
    """Say what a dictionary of the options' counts may lack; None: nothing, or none was made."""
    from engramctl.schemes.dictionaries import DEFAULT_MIN_COUNT, lacking

    if options.counts is None or not isinstance(scheme, DictionaryScheme):
        return None
    wanted = DEFAULT_MIN_COUNT if options.min_count is None else options.min_count
    return lacking(options.counts, wanted, scheme)


def write_scheme(scheme: Lookup, out: Path, *, force: bool) -> None:
    """Write a scheme.json.

    Raises:
        ConfigError: `out` exists, and is no scheme or may not be replaced.
        StorageError: it cannot be written.
    """
    target = output_file(out, force=force, what="a scheme.json", is_ours=_is_scheme)
    with os_errors("write", out), written_whole(target) as path:
        path.write_bytes(dump_json(scheme.to_dict()))


def _is_scheme(path: Path) -> bool:
    """Tell whether a file begins as schemes do; a cut one does too."""
    with path.open("rb") as file:
        return _BEGINS.match(file.read(BEGINNING_BYTES)) is not None
