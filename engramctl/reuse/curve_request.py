"""What `mine --scheme` and `--curves` mean; nothing is measured here."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engramctl.errors import ConfigError, CorpusError
from engramctl.output import Output

if TYPE_CHECKING:
    from engramctl.corpus import Corpus
    from engramctl.hashing.scheme.scheme import Scheme
    from engramctl.reuse.options import ReuseOptions


def counted_scheme(output: Output, name: str, tokenizer: Path | None) -> "Scheme":
    """Return the scheme whose rows are counted.

    Raises:
        ConfigError: an unknown one, or options it cannot have.
    """
    from engramctl.hashing import DictionaryScheme
    from engramctl.schemes.find import assumed_map, find_scheme, taking_token_ids
    from engramctl.schemes.options import SchemeOptions

    chosen = SchemeOptions(scheme=name, tokenizer=tokenizer, reads_text=True)
    made = taking_token_ids(find_scheme(chosen), name)
    if isinstance(made, DictionaryScheme):
        raise ConfigError(
            "accesses and cache curves are of hashed rows, and a dictionary has none",
            hint="name a hashed scheme with --scheme",
        )
    if words := assumed_map(chosen, made):
        output.note(f"assumed: {words}")
    return made


def curve_options(
    curves: bool,
    scheme: "Scheme | None",
    held_out: Sequence[str],
    sample_rate: float | None,
    max_tokens_per_file: int | None,
) -> "ReuseOptions | None":
    """Check what --curves needs, before any file is opened; None: there are to be no curves.

    Raises:
        ConfigError: no scheme, one that has no curves, or options that cannot be.
    """
    from engramctl.reuse.options import ReuseOptions

    if not curves:
        _check_unused(
            held_out=held_out, sample_rate=sample_rate, max_tokens_per_file=max_tokens_per_file
        )
        return None
    if scheme is None:
        raise ConfigError(
            "cache curves need to know which rows a text reads",
            hint="add --scheme deepseek-v41, a scheme.json or a folder of tables",
        )
    options = ReuseOptions(sample_rate=sample_rate, max_tokens_per_file=max_tokens_per_file)
    options.reader(scheme)
    return options


def curve_maker(
    output: Output,
    corpus: "Corpus",
    scheme: "Scheme",
    tokenizer: Path | None,
    held_out: Sequence[str],
    options: "ReuseOptions",
) -> Callable[[Path], dict[str, Any]]:
    """Open what is held out; returns what measures curves in a folder when all is counted.

    Raises:
        CorpusError: a held-out corpus cannot be read, or has ids that the scheme lacks.
    """
    from engramctl.corpus import Corpus
    from engramctl.reuse.curves import measure
    from engramctl.sources import printable

    others = [
        (
            printable(name),
            Corpus.open([name], column=corpus.column, tokenizer=tokenizer, note=output.note),
        )
        for name in held_out
    ]
    for name, other in others:
        known = None if tokenizer else other.max_id  # of text the ids are known when it is read
        if known is not None and known >= scheme.vocab_size:
            raise CorpusError(
                f"{name} has token ids that the scheme does not have",
                facts={"expected": f"0 to {scheme.vocab_size - 1:,}", "found": f"{known:,}"},
                hint="hold out text of the scheme's tokenizer",
            )

    def work(folder: Path) -> dict[str, Any]:
        found = measure(corpus, scheme, folder, options, held_out=others, progress=output.progress)
        return {"reuse": found}

    return work


def _check_unused(**options: object) -> None:
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value]
    if given:
        raise ConfigError(f"{', '.join(given)} belongs to --curves", hint="add --curves")
