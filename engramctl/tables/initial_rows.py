"""What the rows of a new table hold: seeded values, means of embeddings, or given rows."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engramctl.checkpoints.named_tensors import embedding_table, named_tables, tensors_of
from engramctl.checkpoints.opening import (
    check_heads,
    check_rows,
    is_checkpoint,
    open_checkpoint,
    open_without_config,
    places_digest,
)
from engramctl.checkpoints.stacked_tensors import check_scales
from engramctl.counts.ngrams import mine_hint
from engramctl.counts.pruned import pruned_note
from engramctl.counts.scheme_ngrams import SeenNgrams
from engramctl.errors import ConfigError, FormatError, unknown
from engramctl.hashing import Lookup, Scheme
from engramctl.runtime.threads import default_workers
from engramctl.schemes.options import head_ranges
from engramctl.storage.files.checksum import file_digest
from engramctl.storage.files.published import MANIFEST
from engramctl.storage.format.geometry import Layout
from engramctl.storage.reading.source import RecordReader, Source
from engramctl.storage.reading.table import open_table
from engramctl.storage.record.codecs import table_scale_for
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.writing.convert import ValueRows, rows_as, scales_as
from engramctl.storage.writing.lay_out import Rows
from engramctl.storage.writing.seeded_rows import seeded_rows, seeded_values
from engramctl.storage.writing.seeded_values import INITS, TABLED, RowInit
from engramctl.tables.layout import check_source
from engramctl.tables.made_rows import composed_remark, tensors_read, token_mean_facts
from engramctl.tables.token_embeddings import read_embeddings
from engramctl.tables.token_mean import TokenMean

KINDS = (*INITS, "token-mean", "import")
Progress = Callable[[int], None]


@dataclass(frozen=True)
class InitOptions:
    """What rows shall hold.

    Attributes:
        kind: one of KINDS.
        seed: of `normal`, and of the rows of `token-mean` that no n-gram reaches.
        std: standard deviation of these.
        source: of `import` the rows: tables or shards of ours, a model's checkpoint, or safetensors
            with one float tensor a layer; of `token-mean` the token embeddings.
        tensor: names the tensor in `source`; None: by its shape, or by what models call it.
        counts: mined counts; what `token-mean` is made of.

    Raises:
        ConfigError: an unknown kind, or options that do not fit it.
    """

    kind: str = "normal"
    seed: int = 0
    std: float = 0.02
    source: Path | None = None
    tensor: str | None = None
    counts: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.kind not in KINDS:
            raise unknown("init", self.kind, KINDS)
        if self.kind == "token-mean" and (self.source is None or self.counts is None):
            raise ConfigError(
                "--init token-mean needs --counts and --source",
                hint="name the mined counts, and with --source the model's token embeddings",
            )
        if self.kind == "import" and self.source is None:
            raise ConfigError("--init import needs --source", hint="name the rows with --source")
        if self.kind in INITS and (self.source is not None or self.tensor is not None):
            raise ConfigError(
                f"--init {self.kind} reads nothing", hint="leave out --source and --tensor"
            )
        self.seeded()

    def seeded(self) -> RowInit:
        """Return the seeded rows: all, or those that no n-gram reaches."""
        kind = self.kind if self.kind in INITS else "normal"
        return RowInit(kind=kind, seed=self.seed, std=self.std)

    def words(self) -> list[object]:
        """Return the words of the command line that say the same."""
        words: list[object] = ["--init", self.kind]
        if self.kind in ("normal", "token-mean"):
            words += ["--std", self.std, "--seed", self.seed]
        if self.source is not None:
            words += ["--source", self.source]
        if self.tensor is not None:
            words += ["--tensor", self.tensor]
        if self.counts is not None:
            words += ["--counts", self.counts]
        return words


@dataclass(frozen=True)
class InitialRows:
    """Rows decided, not read.

    Attributes:
        options: as given.
        table_scales: of each layer, for dtypes that have one.
        origin: the manifest's `provenance.source`.
        open: a context in which the rows can be read.
        losses: what storing them loses, where that is known without looking at them.
        remark: what is to be known of them, in words.
        made: the tensors they are of, by `token_mean` or `import`.
    """

    options: InitOptions
    table_scales: Mapping[int, float | None]
    origin: Mapping[str, str] | None
    open: Callable[[], Any]
    losses: list[dict[str, Any]] = field(default_factory=list)
    remark: str | None = None
    made: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the bytes of the rows, for `--resume`."""
        options = self.options
        seeded = options.kind in ("normal", "token-mean")
        return {
            "init": options.kind,
            "std": options.std if seeded else None,
            "tensor": options.tensor,
        }


def initial_rows(
    options: InitOptions,
    scheme: Lookup,
    record: RecordSpec,
    progress: Progress = lambda amount: None,
) -> InitialRows:
    """Decide what a scheme's rows begin as.

    Args:
        options: what was asked for.
        scheme: whose rows.
        record: how they are stored.
        progress: told of rows that are read to find a table's scale.

    Raises:
        ConfigError: options that do not fit the scheme, or a tensor that cannot be found.
        FormatError: what is named is not what it should be.
        CorpusError: broken counts.
        StorageError: a file cannot be read.
    """
    if options.kind == "import":
        return _imported(options, scheme, record, progress)
    if options.kind == "token-mean":
        return _token_mean(options, scheme, record)
    init = options.seeded()
    scales = dict.fromkeys(scheme.layers, init.table_scale(record))
    rows = seeded_rows(init, record, scheme.layers, _heads(scheme))
    losses = []
    if init.kind == "normal" and record.dtype in TABLED:
        losses.append({"layer": None, "head": None, **init.error(record).to_dict()})
    return InitialRows(options, scales, None, _ready(rows), losses)


def _token_mean(options: InitOptions, scheme: Lookup, record: RecordSpec) -> InitialRows:
    assert options.counts is not None
    assert options.source is not None
    if not isinstance(scheme, Scheme):
        raise ConfigError(
            "a dictionary has no slots in which n-grams could meet",
            hint="leave out --init token-mean",
        )
    if scheme.canonical.takes_canonical:
        raise ConfigError(
            "token-mean needs to know which tokens a canonical id stands for",
            facts={"found": f"scheme {scheme.name}, which has no token map"},
            hint="name the model's tokenizer: --tokenizer tokenizer.json",
        )
    seen = SeenNgrams(scheme, options.counts)
    if not seen.orders:
        raise ConfigError(
            f"{options.counts} has none of the scheme's orders",
            facts={"expected": ", ".join(map(str, scheme.orders))},
            hint=mine_hint(scheme.orders),
        )
    tensors = tensors_of(options.source)
    table = embedding_table(options.source, tensors, scheme.vocab_size, options.tensor)
    embeddings = read_embeddings(table, scheme.vocab_size, scheme.row_dim, options.seed)
    init = options.seeded()
    largest = max(init.largest, float(np.abs(embeddings).max()))  # a mean is no larger
    scales = dict.fromkeys(scheme.layers, table_scale_for(record, largest))
    others = seeded_values(init, scheme.row_dim, scheme.layers)

    @contextmanager
    def opened() -> Iterator[Rows]:
        with TokenMean(seen, embeddings, others, workers=default_workers()) as values:
            fill = ValueRows(values, record, scales, _heads(scheme)).fill

            def told(layout: Layout, layer: int, part: str, row: int, rows: int, out: Any) -> Any:
                losses = fill(layout, layer, part, row, rows, out)
                if losses is None:
                    return None
                return composed_remark(losses, layer, values.composed(layer, row, rows))

            yield told

    origin = {"path": str(options.source), "manifest_xxh3_128": places_digest(table)}
    (tensor,) = tensors_read(table, tensors)
    made = {"token_mean": token_mean_facts(seen, table, tensor)}
    remark = pruned_note(
        options.counts,
        scheme.orders,
        "rows that only others would reach are normal, and no mean has them in it",
    )
    return InitialRows(options, scales, origin, opened, remark=remark, made=made)


def _imported(
    options: InitOptions, scheme: Lookup, record: RecordSpec, progress: Progress
) -> InitialRows:
    assert options.source is not None
    source, digest, tensors = _open_source(options.source, options.tensor, scheme)
    check_rows(
        options.source, scheme, source, "check --scheme, --slots, --heads, --orders and --row-dim"
    )
    scales = scales_as(source, record, progress)

    @contextmanager
    def opened() -> Iterator[Rows]:
        check_source(source)
        with RecordReader(source) as reader:
            yield rows_as(reader, record, scales, lambda: _heads(scheme))

    origin = {"path": str(options.source), "manifest_xxh3_128": digest}
    facts = {"path": str(options.source), "dtype": source.record.dtype, "tensors": tensors}
    return InitialRows(options, scales, origin, opened, made={"import": facts})


def _open_source(
    path: Path, tensor: str | None, scheme: Lookup
) -> tuple[Source, str, list[dict[str, Any]]]:
    """Open rows to import; return also the digest of where they lie, and the tensors, if any."""
    if (path / MANIFEST).exists():
        if tensor is not None:
            raise ConfigError(f"{path} is a folder of ours", hint="leave out --tensor")
        return open_table(path), file_digest(path / MANIFEST), []
    tensors: Mapping[str, Any] = {}
    if path.suffix == ".gguf" or (path.is_dir() and not any(path.glob("*.safetensors"))):
        if not is_checkpoint(path):
            raise FormatError(f"{path} holds no rows", hint="name tables, or safetensors files")
        rows = open_checkpoint(path).rows
    else:
        tensors = tensors_of(path)
        found = None if tensor is not None else open_without_config(path, scheme)
        if found is not None:
            rows = found.rows
            check_heads(scheme, found)
        else:
            num_rows = {layer: scheme.num_rows(layer) for layer in sorted(scheme.layers)}
            rows = named_tables(path, tensors, num_rows, scheme.row_dim, tensor)
        check_scales(rows)
    return rows, places_digest(rows), tensors_read(rows, tensors)


def _heads(scheme: Lookup) -> dict[int, tuple[tuple[int, int], ...]]:
    return {layer: head_ranges(scheme, layer, scheme.num_rows(layer)) for layer in scheme.layers}


def _ready(rows: Rows) -> Callable[[], Any]:
    @contextmanager
    def opened() -> Iterator[Rows]:
        yield rows

    return opened
