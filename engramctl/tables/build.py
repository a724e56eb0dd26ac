"""Building tables: where a scheme's rows and the files they rest in meet.

`plan_build` says exactly what will be written, `run_build` writes it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import engramctl
from engramctl.counts.manifest import counts_digest, read_counts_manifest
from engramctl.hashing import Lookup, Scheme
from engramctl.schemes.names import DEFAULT_SCHEME
from engramctl.schemes.options import SchemeOptions, resolve_scheme
from engramctl.storage.format.geometry import Layout
from engramctl.storage.format.manifest import Provenance
from engramctl.storage.format.row_file import EXTENT_BYTES
from engramctl.storage.record.losses import Losses
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.writing.plan import SHARD_BYTES, TablePlan, default_shard_rows
from engramctl.storage.writing.writer import write_table
from engramctl.tables.initial_rows import InitialRows, InitOptions, initial_rows
from engramctl.tables.layout import filler, tier_form
from engramctl.tables.opened_rows import check_source
from engramctl.vocabulary.fingerprints import check_tokenizer, counts_are_canonical, of_counts


@dataclass(frozen=True)
class BuildPlan:
    """A build, decided to the byte.

    Attributes:
        scheme: the scheme, with the table's dtype and row_dim.
        initial: what rows hold.
        table: files and manifest.
        assumed: what was not given and so chosen, in words.
        remark: what else is to be known of the rows.
    """

    scheme: Lookup
    initial: InitialRows
    table: TablePlan
    assumed: tuple[str, ...]
    remark: str | None = None


def plan_build(
    options: SchemeOptions,
    *,
    init: InitOptions | None = None,
    tier: str | None = None,
    shard_bytes: int = SHARD_BYTES,
    shard_rows: int | None = None,
    extent_bytes: int = EXTENT_BYTES,
    progress: Callable[[int], None] = lambda amount: None,
) -> BuildPlan:
    """Decide a build; nothing is written.

    Args:
        options: scheme and sizes.
        init: what rows hold (default: normal); its counts are recorded in the manifest.
        tier: lay the rows out for a tier in the same pass; None: planar tables.
        shard_bytes: records of one file, about.
        shard_rows: exact rows of one file, instead of `shard_bytes`.
        extent_bytes: data bytes under one checksum, about.
        progress: told of rows that are read to find a table's scale, where they are imported.

    Raises:
        ConfigError: an option is wrong, or tokenizer, scheme and source do not belong together.
        CorpusError: counts of another tokenizer.
        FormatError: counts, embeddings or rows that are not what they should be.
    """
    scheme = resolve_scheme(options)
    init = init or InitOptions()
    _check_tokenizers(options, scheme, init)
    form = "planar" if tier is None else tier_form(tier)
    layout = Layout.of(form, RecordSpec(scheme.dtype, scheme.row_dim))
    digest = None if init.counts is None else counts_digest(init.counts)
    initial = initial_rows(init, scheme, layout.record, progress)
    provenance = Provenance(
        command=(*_command(options, scheme, init, tier), *_cut(shard_bytes)),
        seed=None if init.kind == "import" else init.seed,
        source=initial.origin,
        counts_xxh3_128=digest,
    )
    table = TablePlan(
        kind="tables" if tier is None else "shards",
        tier=tier,
        created_by=f"engramctl {engramctl.__version__}",
        scheme=scheme.to_dict(),
        provenance=provenance,
        layout=layout,
        num_rows={layer: scheme.num_rows(layer) for layer in scheme.layers},
        table_scales=initial.table_scales,
        shard_rows=shard_rows or default_shard_rows(layout, shard_bytes),
        extent_bytes=extent_bytes,
        identity_extra=initial.identity,
    )
    return BuildPlan(scheme, initial, table, options.assumed(scheme), initial.remark)


def _check_tokenizers(options: SchemeOptions, scheme: Lookup, init: InitOptions) -> None:
    """Refuse counts or a source of another tokenizer."""
    if init.counts is not None:
        counts = read_counts_manifest(init.counts)
        if options.tokenizer is not None:
            check_tokenizer(options.tokenizer, of_counts(init.counts, counts))
        counts_are_canonical(scheme.canonical, f"scheme {scheme.name}", init.counts, counts)
    if init.source is not None:
        named = options.tokenizer or options.scheme or DEFAULT_SCHEME
        check_source(scheme.canonical, f"the new table of {named}", init.source)


def run_build(plan: BuildPlan, out: Path, **run: Any) -> list[dict[str, Any]]:
    """Write a planned build; `run` are the options of `write_table`.

    Returns:
        what storing the rows lost: an entry a layer and head (`HeadError.to_dict`), or one for all
        where every head is drawn from the same values.
    """
    losses = Losses()
    with plan.initial.open() as rows:
        write_table(plan.table, out, filler(rows, plan.table), remark=losses.told, **run)
    return plan.initial.losses + losses.to_dicts()


def _command(
    options: SchemeOptions, scheme: Lookup, init: InitOptions, tier: str | None
) -> tuple[str, ...]:
    """Return the words that make the same rows again, everything said."""
    words: list[object] = ["engramctl", "build", "--scheme", options.scheme or DEFAULT_SCHEME]
    if options.tokenizer is not None:
        words += ["--tokenizer", options.tokenizer]
    if isinstance(scheme, Scheme) and not options.is_file:
        words += ["--slots", scheme.slots[0], "--orders", _comma(scheme.orders)]
        words += ["--heads", scheme.heads_per_order, "--layers", _comma(scheme.layers)]
    words += ["--row-dim", scheme.row_dim, "--dtype", scheme.dtype, *init.words()]
    if tier is not None:
        words += ["--tier", tier]
    return tuple(str(word) for word in words)


def _cut(shard_bytes: int) -> tuple[str, ...]:
    return () if shard_bytes == SHARD_BYTES else ("--shard-bytes", str(shard_bytes))


def _comma(numbers: Sequence[int]) -> str:
    return ",".join(str(number) for number in numbers)
