"""What `mine --scheme` and `--curves` ask for, checked before anything is measured."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engramctl.corpus.corpus import Corpus
from engramctl.errors import ConfigError, CorpusError
from engramctl.hashing import DictionaryScheme, Scheme
from engramctl.reuse.curves import measure
from engramctl.reuse.options import ReuseOptions
from engramctl.reuse.study import Progress
from engramctl.schemes.find import assumed_map, find_scheme, taking_token_ids
from engramctl.schemes.options import SchemeOptions
from engramctl.sources.file import printable

Note = Callable[[str], None]


def counted_scheme(name: str, tokenizer: Path | None, note: Note) -> Scheme:
    """Return the scheme whose rows are counted; `note` is told what is assumed of its ids.

    Raises:
        ConfigError: an unknown one, or options it cannot have.
    """
    chosen = SchemeOptions(scheme=name, tokenizer=tokenizer, reads_text=True)
    made = taking_token_ids(find_scheme(chosen), name)
    if isinstance(made, DictionaryScheme):
        raise ConfigError(
            "accesses and hit-rate curves are of hashed rows, and a dictionary has none",
            hint="name a hashed scheme with --scheme",
        )
    if words := assumed_map(chosen, made):
        note(f"assumed: {words}")
    return made


@dataclass(frozen=True)
class CurveRequest:
    """Curves that can be measured.

    Attributes:
        scheme: which rows a text reads.
        tokenizer: what makes ids of text; None: the corpora are of ids.
        held_out: names of corpora that are evaluated and not counted.
        options: what to measure.
    """

    scheme: Scheme
    tokenizer: Path | None
    held_out: Sequence[str]
    options: ReuseOptions

    def maker(
        self, corpus: Corpus, note: Note, progress: Progress
    ) -> Callable[[Path], dict[str, Any]]:
        """Open what is held out; returns what measures curves in a folder when all is counted.

        Raises:
            CorpusError: a held-out corpus cannot be read, or has ids that the scheme lacks.
        """
        others = [(printable(name), self._open(name, corpus, note)) for name in self.held_out]
        for name, other in others:
            self._check_ids(name, other)

        def work(folder: Path) -> dict[str, Any]:
            found = measure(
                corpus, self.scheme, folder, self.options, held_out=others, progress=progress
            )
            return {"reuse": found}

        return work

    def _open(self, name: str, corpus: Corpus, note: Note) -> Corpus:
        return Corpus.open([name], column=corpus.column, tokenizer=self.tokenizer, note=note)

    def _check_ids(self, name: str, other: Corpus) -> None:
        known = None if self.tokenizer else other.max_id  # of text: known when it is read
        if known is not None and known >= self.scheme.vocab_size:
            raise CorpusError(
                f"{name} has token ids that the scheme does not have",
                facts={"expected": f"0 to {self.scheme.vocab_size - 1:,}", "found": f"{known:,}"},
                hint="hold out text of the scheme's tokenizer",
            )


def curve_request(
    curves: bool,
    scheme: Scheme | None,
    tokenizer: Path | None,
    held_out: Sequence[str],
    sample_rate: float | None,
    max_tokens_per_file: int | None,
) -> CurveRequest | None:
    """Check what --curves needs, before any file is opened; None: there are to be no curves.

    Raises:
        ConfigError: no scheme, one that has no curves, or options that cannot be.
    """
    if not curves:
        _check_unused(
            held_out=held_out, sample_rate=sample_rate, max_tokens_per_file=max_tokens_per_file
        )
        return None
    if scheme is None:
        raise ConfigError(
            "hit-rate curves need to know which rows a text reads",
            hint="add --scheme deepseek-v41, a scheme.json or a folder of tables",
        )
    options = ReuseOptions(sample_rate=sample_rate, max_tokens_per_file=max_tokens_per_file)
    options.reader(scheme)
    return CurveRequest(scheme, tokenizer, held_out, options)


def _check_unused(**options: object) -> None:
    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value]
    if given:
        raise ConfigError(f"{', '.join(given)} belongs to --curves", hint="add --curves")
