"""What `mine --scheme` and `--curves` mean; nothing is measured here."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engramctl.errors import ConfigError
from engramctl.output import Output

if TYPE_CHECKING:
    from engramctl.corpus import Corpus
    from engramctl.hashing.scheme import Scheme


def counted_scheme(output: Output, name: str, tokenizer: Path | None) -> "Scheme":
    """Return the scheme whose rows are counted.

    Raises:
        ConfigError: an unknown one, or options it cannot have.
    """
    from engramctl.hashing import PRESETS, DictionaryScheme
    from engramctl.scheme_sources import assumed_map, find_scheme
    from engramctl.schemes import SchemeOptions

    chosen = SchemeOptions(scheme=name, tokenizer=tokenizer if name in PRESETS else None)
    made = find_scheme(chosen)
    if isinstance(made, DictionaryScheme):
        raise ConfigError(
            "accesses and cache curves are of hashed rows, and a dictionary has none",
            hint="name a hashed scheme with --scheme",
        )
    if words := assumed_map(chosen, made):
        output.note(f"assumed: {words}")
    return made


def curve_maker(
    output: Output,
    corpus: "Corpus",
    scheme: "Scheme | None",
    tokenizer: Path | None,
    held_out: Sequence[str],
    sample_rate: float | None,
    max_tokens_per_file: int | None,
) -> Callable[[Path], dict[str, Any]]:
    """Check everything that can be checked before work begins; returns what does it in a folder.

    Raises:
        ConfigError: no scheme, or options it cannot have.
        CorpusError: a held-out corpus cannot be read.
    """
    from engramctl.corpus import Corpus
    from engramctl.reuse.curves import measure
    from engramctl.reuse.options import ReuseOptions
    from engramctl.sources import printable

    if scheme is None:
        raise ConfigError(
            "cache curves need to know which rows a text reads",
            hint="add --scheme deepseek-v41, a scheme.json or a folder of tables",
        )
    options = ReuseOptions(sample_rate=sample_rate, max_tokens_per_file=max_tokens_per_file)
    others = [
        (
            printable(name),
            Corpus.open([name], column=corpus.column, tokenizer=tokenizer, note=output.note),
        )
        for name in held_out
    ]

    def work(folder: Path) -> dict[str, Any]:
        found = measure(corpus, scheme, folder, options, held_out=others, progress=output.progress)
        return {"reuse": found}

    return work


def check_unused(**options: object) -> None:
    """Refuse options that mean nothing without --curves.

    Raises:
        ConfigError: one of them was given.
    """
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value]
    if given:
        raise ConfigError(f"{', '.join(given)} belongs to --curves", hint="add --curves")
