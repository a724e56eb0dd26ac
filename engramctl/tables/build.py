"""Building tables: where a scheme's rows and the files they rest in meet.

`plan_build` says exactly what will be written, `run_build` writes it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import engramctl
from engramctl.counts.manifest import counts_digest, read_counts_manifest
from engramctl.errors import ConfigError
from engramctl.hashing import Lookup, Scheme
from engramctl.schemes.names import DEFAULT_SCHEME
from engramctl.schemes.options import SchemeOptions, resolve_scheme
from engramctl.storage.format.geometry import Layout
from engramctl.storage.format.manifest import Provenance
from engramctl.storage.format.row_file import EXTENT_BYTES
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.writing.plan import SHARD_BYTES, TablePlan, default_shard_rows
from engramctl.storage.writing.writer import write_table
from engramctl.tables.initial_rows import InitialRows, InitOptions, initial_rows
from engramctl.tables.layout import filler, tier_form
from engramctl.tables.made_rows import Told
from engramctl.tables.opened_rows import check_source
from engramctl.tables.slots_for_size import most_slots
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

    @property
    def slots(self) -> int | None:
        """Slots that every head has at least; None: each head's own number is named."""
        few = set(self.scheme.slots) if isinstance(self.scheme, Scheme) else set()
        return few.pop() if len(few) == 1 else None


@dataclass(frozen=True)
class Built:
    """What a build says of its rows.

    Attributes:
        losses: what storing them lost: an entry a layer and head (`HeadError.to_dict`), or one for
            all where every head is drawn from the same values.
        made: what they were made of, by `token_mean` or `import`; see `made_rows`.
    """

    losses: list[dict[str, Any]]
    made: Mapping[str, dict[str, Any]]


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
    layout = _layout(scheme, tier)
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


def _layout(scheme: Lookup, tier: str | None) -> Layout:
    form = "planar" if tier is None else tier_form(tier)
    return Layout.of(form, RecordSpec(scheme.dtype, scheme.row_dim))


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


def plan_of_size(options: SchemeOptions, size_bytes: int, **plan: Any) -> BuildPlan:
    """Decide the largest build whose files, manifest included, take at most `size_bytes`.

    Args:
        options: scheme and sizes, but no slots.
        size_bytes: of the whole folder.
        plan: as for `plan_build`.

    Raises:
        ConfigError: slots that are decided already, a size too small, or as `plan_build`.
    """
    init = plan.get("init") or InitOptions()
    scheme = resolve_scheme(options)
    decided = "the rows that are imported" if init.kind == "import" else options.given("slots")
    if options.is_file or not isinstance(scheme, Scheme):
        decided = f"scheme {options.scheme}"
    if decided:
        raise ConfigError(
            f"--size chooses the slots, and {decided} says them already",
            hint="leave out --size, or what says how many slots there are",
        )
    assert isinstance(scheme, Scheme)

    @cache
    def of(slots: int) -> BuildPlan:
        return plan_build(replace(options, slots=slots), **plan)

    def total(slots: int) -> int:
        return sum(of(slots).table.sizes.values())

    return of(most_slots(scheme, _layout(scheme, plan.get("tier")), size_bytes, total))


def run_build(plan: BuildPlan, out: Path, **run: Any) -> Built:
    """Write a planned build; `run` are the options of `write_table`.

    What is told of rows that an earlier run wrote is told again.
    """
    said = Told()
    with plan.initial.open() as rows:
        write_table(plan.table, out, filler(rows, plan.table), remark=said.told, **run)
    losses = plan.initial.losses + said.losses.to_dicts()
    return Built(losses, said.counted(plan.initial.made, plan.scheme))


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
