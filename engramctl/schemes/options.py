"""From options to a scheme: a named one with other sizes, a scheme.json, or a folder of tables."""

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from engramctl.errors import ConfigError, EngramError, unknown
from engramctl.hashing import Lookup, Scheme, lookup_from_dict
from engramctl.hashing.released import presets
from engramctl.hashing.walk.token_map import Canonical
from engramctl.schemes.names import DEFAULT_SCHEME, DICTIONARY
from engramctl.storage.files.strict_json import load_strict, read_limited
from engramctl.storage.kinds.recognise import recognise
from engramctl.storage.reading.table import open_table
from engramctl.storage.record.dtypes import DTYPES
from engramctl.vocabulary.fingerprints import check_tokenizer, of_scheme
from engramctl.vocabulary.tokenizer_file import load_canonical

DEFAULT_SLOTS = 20_000
Ranges = tuple[tuple[int, int], ...]
FIXED = ("slots", "orders", "heads", "layers")
"""Options that a scheme.json and a folder of tables have already decided."""


@dataclass(frozen=True)
class SchemeOptions:
    """What may be said about a scheme; None: the scheme's own value.

    Attributes:
        scheme: a scheme's name, a scheme.json, or a folder of tables; None: V4.1 with few slots
            (about 256 MB).
        tokenizer: tokenizer.json whose token map is used; None: every token id is itself. With a
            scheme.json or a folder it must be theirs, or is the one they lack.
        reads_text: the tokenizer turns text into ids as well, so a scheme needs no map for it.
        slots: smallest number of slots a head.
        orders: n-gram orders.
        heads: heads an order.
        layers: decoder layers.
        row_dim: values a row.
        dtype: how rows are stored.
        counts: mined counts a dictionary is made from.
        entries: n-grams of a dictionary, at most.
        min_count: how often each occurs, at least.
        vocab_size: token ids of a dictionary.
    """

    scheme: str | None = None
    tokenizer: Path | None = None
    reads_text: bool = False
    slots: int | None = None
    orders: tuple[int, ...] | None = None
    heads: int | None = None
    layers: tuple[int, ...] | None = None
    row_dim: int | None = None
    dtype: str | None = None
    counts: Path | None = None
    entries: int | None = None
    min_count: int | None = None
    vocab_size: int | None = None

    def given(self, *names: str) -> str:
        """Return which of these options were given, as words of a command line; empty: none."""
        words = [name.replace("_", "-") for name in names if getattr(self, name) is not None]
        return ", ".join(f"--{word}" for word in words)

    def words(self) -> tuple[str, ...]:
        """Return the options that were given, as words of a command line."""
        words = []
        for name, value in vars(self).items():
            if name != "reads_text" and value is not None:
                text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
                words += [f"--{name.replace('_', '-')}", text]
        return tuple(words)

    @property
    def is_file(self) -> bool:
        """Whether `scheme` names a file or folder rather than a known scheme."""
        if self.scheme is None or self.scheme in presets.PRESETS:
            return False
        path = Path(self.scheme)
        return path.suffix == ".json" or path.is_dir()

    def assumed(self, scheme: Lookup) -> tuple[str, ...]:
        """Return what was not said and so chosen, in words."""
        words = []
        if self.scheme is None:
            words.append(f"scheme {DEFAULT_SCHEME}")
            if self.slots is None:
                words.append(f"{DEFAULT_SLOTS:,} slots a head")
        if self.tokenizer is None and not self.is_file:
            words.append(
                f"{scheme.vocab_size:,} canonical ids of a token map that is not named"
                if scheme.canonical.takes_canonical
                else f"identity token map of {scheme.vocab_size:,} ids"
            )
        if self.dtype is None:
            words.append(f"dtype {scheme.dtype}")
        return tuple(words)


def resolve_scheme(options: SchemeOptions) -> Lookup:
    """Return the scheme that options name.

    Raises:
        ConfigError: an unknown name, a file that is not a scheme, or values it cannot have.
        FormatError: a folder that holds no table of ours.
    """
    name = options.scheme or DEFAULT_SCHEME
    scheme: Lookup
    if options.is_file:
        scheme = _scheme_of_file(Path(name), options)
    elif name == DICTIONARY:
        raise ConfigError(
            "a dictionary is made from mined counts",
            hint="make its file first: engramctl rows /dev/null --scheme dictionary "
            "--counts counts --save-scheme dictionary.json",
        )
    elif name not in presets.PRESETS:
        _refuse_another_kind(Path(name))
        raise unknown(
            "scheme",
            name,
            [*sorted(presets.PRESETS), DICTIONARY],
            hint="name one of these (engramctl inspect --schemes describes them), or a scheme.json "
            "or a folder of tables that is there",
        )
    else:
        few = options.scheme is None and options.slots is None
        scheme = presets.make_scheme(
            name,
            token_map=_preset_map(name, options),
            slots=DEFAULT_SLOTS if few else options.slots,
            orders=options.orders,
            heads_per_order=options.heads,
            layers=options.layers,
            row_dim=options.row_dim,
        )
    dtype = options.dtype or scheme.dtype
    if dtype not in DTYPES:
        raise unknown("dtype", dtype, DTYPES)
    if dtype != scheme.dtype or options.row_dim not in (None, scheme.row_dim):
        scheme = replace(scheme, dtype=dtype, row_dim=options.row_dim or scheme.row_dim)
    return scheme


def _preset_map(name: str, options: SchemeOptions) -> Canonical | None:
    """Return the token map of a named scheme's tokenizer, for models that have one."""
    if options.tokenizer is None:
        return None
    preset = presets.PRESETS.get(name)
    if preset is None or preset.has_token_map:
        return load_canonical(options.tokenizer)
    if options.reads_text:
        return None
    raise ConfigError(
        f"{name} reads token ids as they are: its models have no token map",
        hint="leave out --tokenizer",
    )


def _scheme_of_file(path: Path, options: SchemeOptions) -> Lookup:
    if given := options.given(*FIXED):
        raise ConfigError(
            f"{path} says what {given} would change",
            hint="leave these options out, or name a scheme (engramctl inspect --schemes)",
        )
    if path.is_dir():
        scheme = lookup_from_dict(dict(open_table(path).manifest.scheme))
    else:
        scheme = read_scheme(path)
    if options.tokenizer is None:
        return scheme
    return with_tokenizer(scheme, options.tokenizer, f"scheme {path}", text=options.reads_text)


def with_tokenizer(scheme: Lookup, tokenizer: Path, what: str, *, text: bool = False) -> Lookup:
    """Return a scheme that was written down as it reads the ids of a tokenizer.

    One that takes canonical ids gets the tokenizer's map; a map it has must be the tokenizer's.

    Args:
        scheme: of a file or folder.
        tokenizer: tokenizer.json.
        what: the file or folder, for messages.
        text: the tokenizer makes ids of text as well; a scheme without a map stays as it is.

    Raises:
        ConfigError: another tokenizer, or a scheme that reads ids as they are.
    """
    canonical = scheme.canonical
    if canonical.kind == "map":
        check_tokenizer(tokenizer, of_scheme(canonical, what))
        return scheme
    if not canonical.takes_canonical:
        if text:
            return scheme
        raise ConfigError(
            f"{what} says what --tokenizer would change",
            hint="leave this option out, or name a scheme (engramctl inspect --schemes)",
        )
    made, fill = load_canonical(tokenizer), scheme.boundary.fill
    if made.num_canonical != canonical.num_canonical:
        raise ConfigError(
            f"the token map of {tokenizer} is not that of {what}",
            facts={
                "expected": f"{canonical.num_canonical:,} canonical ids",
                "found": f"{made.num_canonical:,}",
            },
            hint="name the tokenizer.json of the model",
        )
    # A config names the pad's token id; what its canonical id is, only the map can tell.
    if made.of(fill) != fill:
        raise ConfigError(
            f"{what} was made without its token map, which moves the pad id {fill}",
            facts={"expected": made.of(fill), "found": fill},
            hint="lay the checkpoint out again with: engramctl layout --tokenizer",
        )
    return replace(scheme, canonical=made)


def read_scheme(path: Path) -> Lookup:
    """Read a scheme.json.

    Raises:
        ConfigError: it is missing, not JSON, or not a scheme.
    """
    try:
        document = load_strict(read_limited(path))
    except EngramError as error:
        raise ConfigError(
            f"cannot read scheme {path}: {error.message}", facts=error.facts
        ) from error
    except ValueError as error:
        _refuse_another_kind(path)
        raise ConfigError(f"scheme {path} is not valid JSON: {error}") from error
    _refuse_another_kind(path)
    if not isinstance(document, dict):
        raise ConfigError(f"scheme {path} is not a JSON object")
    return lookup_from_dict(document)


def _refuse_another_kind(path: Path) -> None:
    kind = recognise(path)
    if kind is not None and kind.name != "scheme":
        raise ConfigError(f"{path} {kind.says}, not a scheme", hint=kind.hint)


def head_ranges(scheme: Lookup, layer: int, num_rows: int) -> Ranges:
    """Return the rows of each head of a layer, head by head: ranges that cover it once.

    A head's rows begin at its offset, and offsets need not ascend from head to head.

    Args:
        scheme: whose heads; a dictionary counts as one.
        layer: one of its layers.
        num_rows: of the table; padding rows at the end go with the head that lies last.
    """
    starts = [0]
    if isinstance(scheme, Scheme):
        starts = [head.offset for head in scheme.layer_hash(layer).heads]
    stops = dict(pairwise([*sorted(starts), num_rows]))
    return tuple((start, stops[start]) for start in starts)
