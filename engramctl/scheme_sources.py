"""From a name on the command line to a scheme: a preset, a scheme.json, or a folder of ours."""

from pathlib import Path

from engramctl.errors import ConfigError
from engramctl.hashing import PRESETS
from engramctl.hashing.scheme import Scheme
from engramctl.schemes import SchemeOptions, resolve_scheme
from engramctl.storage.reader import open_table


def find_scheme(options: SchemeOptions) -> Scheme:
    """Return the scheme of a preset, of a scheme.json, or of a folder of tables or shards.

    Raises:
        ConfigError: an unknown name, or options that a file or folder already decides.
        FormatError: a folder that holds no table of ours.
    """
    folder = Path(options.scheme or "")
    if options.scheme is None or options.scheme in PRESETS or not folder.is_dir():
        return resolve_scheme(options)
    fixed = ("tokenizer", "slots", "orders", "heads", "layers")
    given = [f"--{name}" for name in fixed if getattr(options, name) is not None]
    if given:
        raise ConfigError(
            f"{folder} says what {', '.join(given)} would change",
            hint="leave these options out, or name a preset",
        )
    return Scheme.from_dict(dict(open_table(folder).manifest.scheme))


def chosen_layers(scheme: Scheme, wanted: list[int] | None) -> tuple[int, ...]:
    """Return the layers asked for, all when none is.

    Raises:
        ConfigError: the scheme has no such layer.
    """
    for layer in wanted or ():
        scheme.layer_hash(layer)
    return tuple(dict.fromkeys(wanted)) if wanted else scheme.layers


def assumed_map(options: SchemeOptions, scheme: Scheme) -> str | None:
    """Say in words that ids are not compressed where the released model compresses them."""
    preset = PRESETS.get(options.scheme or "")
    if preset is None or preset.fill != "pad" or options.tokenizer is not None:
        return None
    return f"identity token map of {scheme.vocab_size:,} ids"
