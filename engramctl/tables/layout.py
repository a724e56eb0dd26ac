"""The same rows in another layout: what `engramctl layout` plans and runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import engramctl
from engramctl.checkpoints.opening import check_rows
from engramctl.errors import ConfigError, EngramError, FormatError, unknown
from engramctl.hashing import Scheme, lookup_from_dict
from engramctl.schemes.options import Ranges, head_ranges
from engramctl.storage.format.geometry import FORMS, TIER_FORMS, TIERS, Layout
from engramctl.storage.format.row_file import ALIGNMENT_BYTES, EXTENT_BYTES
from engramctl.storage.reading.source import RecordReader, Source
from engramctl.storage.reading.table import TableFiles
from engramctl.storage.record.losses import Losses
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.tiers.tier_list import is_mixture, read_tiers
from engramctl.storage.verifying.integrity import verify
from engramctl.storage.writing.convert import rows_as, scales_as
from engramctl.storage.writing.file_plan import FilePlan
from engramctl.storage.writing.lay_out import Rows
from engramctl.storage.writing.plan import SHARD_BYTES, TablePlan, default_shard_rows
from engramctl.storage.writing.writer import Fill, write_table
from engramctl.tables.opened_rows import Opened

if TYPE_CHECKING:
    from engramctl.tables.ngram_dictionary import NgramPlan

DICTIONARY_BYTES = 4 << 30


@dataclass(frozen=True)
class LayoutOptions:
    """How rows shall lie.

    Attributes:
        tier: what they are for; decides the form when none is given.
        form: planar, packed or paged; None: the tier's.
        page_bytes: of a paged form; None: 4,096, or what one record needs.
        alignment_bytes: the data of every file begins at a multiple of it.
        dtype: to convert the rows to; None: as they are.
        head_shards: deal whole heads to so many files a layer; None: cut by rows.
        shard_bytes: records of one file, about.
        shard_rows: exact rows of one file, instead of `shard_bytes`.
        extent_bytes: data bytes under one checksum.
        counts: n-grams for a dictionary; None: no dictionary.
        dictionary_bytes: what the dictionary's files may take.
        tokenizer: whose token map the scheme got; None: none was named.
        scheme: the scheme.json of a checkpoint; None: none was named.
    """

    tier: str = "ssd"
    form: str | None = None
    page_bytes: int | None = None
    alignment_bytes: int = ALIGNMENT_BYTES
    dtype: str | None = None
    head_shards: int | None = None
    shard_bytes: int = SHARD_BYTES
    shard_rows: int | None = None
    extent_bytes: int = EXTENT_BYTES
    counts: Path | None = None
    dictionary_bytes: int = DICTIONARY_BYTES
    tokenizer: Path | None = None
    scheme: Path | None = None

    def layout(self, source: Opened) -> Layout:
        """Return the layout for a source's records.

        Raises:
            ConfigError: an unknown tier or form, or a page that cannot be.
        """
        record = source.rows.record
        if self.dtype is not None:
            record = RecordSpec(self.dtype, record.row_dim)
        return Layout.of(self.form or tier_form(self.tier), record, self.page_bytes)

    def words(self) -> tuple[str, ...]:
        """Return the words of the command line that say the same."""
        words = ["--tier", self.tier]
        if self.form is not None:
            words += ["--form", self.form]
        if self.page_bytes is not None:
            words += ["--page-bytes", str(self.page_bytes)]
        if self.alignment_bytes != ALIGNMENT_BYTES:
            words += ["--align", str(self.alignment_bytes)]
        if self.dtype is not None:
            words += ["--dtype", self.dtype]
        if self.head_shards is not None:
            words += ["--head-shards", str(self.head_shards)]
        if self.shard_bytes != SHARD_BYTES:
            words += ["--shard-bytes", str(self.shard_bytes)]
        if self.counts is not None:
            words += ["--dictionary", str(self.counts)]
            words += ["--dictionary-budget", str(self.dictionary_bytes)]
        if self.tokenizer is not None:
            words += ["--tokenizer", str(self.tokenizer)]
        if self.scheme is not None:
            words += ["--scheme", str(self.scheme)]
        return tuple(words)


def tier_form(tier: str) -> str:
    """Return the form a tier reads best.

    Raises:
        ConfigError: an unknown tier, or a mixture of several.
    """
    if is_mixture(tier):
        mixture = read_tiers(tier)
        raise ConfigError(
            f"rows are laid out for one tier, not for the mixture {mixture.name}",
            hint=f"lay them out for its last, which holds every row: --tier {mixture.whole}",
        )
    if tier not in TIERS:
        raise unknown("tier", tier, TIERS)
    return TIER_FORMS[tier]


def plan_layout(
    source: Opened,
    options: LayoutOptions,
    progress: Callable[[int], None] = lambda amount: None,
) -> TablePlan:
    """Decide a re-laid table; nothing is written.

    Args:
        source: rows of any form.
        options: how they shall lie.
        progress: told of rows that are read to find the scale of a table, where the dtype has one.

    Raises:
        ConfigError: an option that cannot be, or heads asked for of a scheme that has none.
        FormatError: a scheme that is not the rows': shards would carry it on, and be refused.
    """
    _check_scheme(source)
    if options.form is not None and options.form not in FORMS:
        raise unknown("form", options.form, FORMS)
    tier_form(options.tier)
    layout = options.layout(source)
    rows = source.rows
    command = ("engramctl", "layout", str(source.path), *options.words())
    origin = {"path": str(source.path), "manifest_xxh3_128": source.digest}
    heads: Mapping[int, Ranges] = {}
    if options.head_shards is not None:
        heads = {layer: head_rows(source, layer) for layer in rows.layers}
    return TablePlan(
        kind="shards",
        tier=options.tier,
        created_by=f"engramctl {engramctl.__version__}",
        scheme=_with_dtype(source, layout.dtype),
        provenance=replace(source.provenance, command=command, source=origin),
        layout=layout,
        num_rows={layer: rows.num_rows(layer) for layer in rows.layers},
        shard_rows=options.shard_rows or default_shard_rows(layout, options.shard_bytes),
        extent_bytes=options.extent_bytes,
        alignment_bytes=options.alignment_bytes,
        table_scales=scales_as(rows, layout.record, progress),
        head_rows=heads,
        head_shards=options.head_shards,
    )


def _check_scheme(source: Opened) -> None:
    try:
        scheme = lookup_from_dict(dict(source.scheme))
    except ConfigError as error:
        raise FormatError(
            f"{source.path}: scheme is wrong: {error.message}", facts=error.facts, hint=error.hint
        ) from error
    again = "the manifest was edited, or is not from this version; build again"
    check_rows(source.path, scheme, source.rows, again)


def _with_dtype(source: Opened, dtype: str) -> Mapping[str, Any]:
    if dtype == source.rows.record.dtype:
        return source.scheme
    return replace(lookup_from_dict(dict(source.scheme)), dtype=dtype).to_dict()


def head_rows(source: Opened, layer: int) -> Ranges:
    """Return the rows of each head of a layer; padding rows at the end go with the last head.

    Raises:
        ConfigError: the scheme has no heads.
    """
    scheme = lookup_from_dict(dict(source.scheme))
    if not isinstance(scheme, Scheme):
        raise ConfigError(
            "a dictionary has no heads to deal to files", hint="leave out --head-shards"
        )
    return head_ranges(scheme, layer, source.rows.num_rows(layer))


def run_layout(
    source: Opened,
    plan: TablePlan,
    out: Path,
    ngrams: "NgramPlan | None" = None,
    *,
    progress: Callable[[int], None] = lambda amount: None,
    check: bool = True,
    **run: Any,
) -> list[dict[str, Any]]:
    """Write a planned layout, after checking that every byte of the source is right.

    Args:
        source: what the plan was made from; of a checkpoint, which has no checksums, sizes and
            headers were checked when it was opened.
        plan: what to write.
        out: the final folder.
        ngrams: the dictionary that `plan` has, written with it.
        progress: told of source bytes as they are checked, then of bytes as they are written.
        check: whether to check the source at all.
        **run: the other options of `write_table`.

    Returns:
        what converting to another dtype lost, one entry a layer and head (`HeadError.to_dict`);
        empty when nothing was converted.

    Raises:
        FormatError: the source is damaged; nothing is written.
    """
    if check:
        check_source(source.rows, progress)
    if ngrams is not None:
        run["finish"] = partial(ngrams.write, progress=progress)
    losses = Losses()
    with RecordReader(source.rows) as reader:
        rows = rows_as(reader, plan.layout.record, plan.table_scales, lambda: _all_heads(source))
        fill = filler(rows, plan)
        write_table(plan, out, fill, command="layout", remark=losses.told, progress=progress, **run)
    return losses.to_dicts()


def check_source(rows: Source, progress: Callable[[int], None] = lambda amount: None) -> None:
    """Check every byte of tables of ours before their rows are used; others have no checksums.

    Raises:
        FormatError: the first extent that is damaged.
    """
    if isinstance(rows, TableFiles):
        try:
            verify(rows.path, progress=progress)
        except EngramError as error:
            raise FormatError(error.message, facts=error.facts, hint=error.hint) from error


def _all_heads(source: Opened) -> dict[int, Ranges]:
    scheme = lookup_from_dict(dict(source.scheme))
    rows = source.rows
    return {layer: head_ranges(scheme, layer, rows.num_rows(layer)) for layer in rows.layers}


def filler(rows: Rows, plan: TablePlan) -> Fill:
    """Return what fills a planned table's files with rows."""

    def fill(file: FilePlan, row: int, num_rows: int, out: NDArray[np.uint8]) -> Any:
        return rows(plan.layout, file.layer, file.part, row, num_rows, out)

    return fill
