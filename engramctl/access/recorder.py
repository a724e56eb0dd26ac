"""Listens to a mining run: spectra of every order, and with a scheme the accesses of its rows.

The run hands over the corpus as it is read and the rows as they are counted; `finish` does the rest
when the files of all orders are written.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xxhash
from numpy.typing import NDArray

from engramctl.access.count import check_rows, count_access
from engramctl.access.document_starts import NO_ID, DocumentStarts
from engramctl.access.ngrams import RawNgrams
from engramctl.access.spectrum import Spectrum
from engramctl.access.statistics import layer_document, order_statistics
from engramctl.access.windows import Windows
from engramctl.corpus.batch import TokenBatch
from engramctl.corpus.corpus import Progress
from engramctl.counts.ngrams import MAX_ORDER
from engramctl.errors import ConfigError, CorpusError
from engramctl.hashing.scheme.scheme import Scheme
from engramctl.storage.files.atomic import dump_json
from engramctl.vocabulary.tokenizer_file import map_fingerprint

LEAST_COUNTER_BYTES = 64 << 20
# Measured: the process with pyarrow and numba, Parquet on its way in and, of two layers, out.
BASE_BYTES = 420 << 20


class CountedRows(Protocol):
    """Rows of one order: `engramctl.counting.count.Rows`."""

    @property
    def ids(self) -> NDArray[np.uint32]:
        """Token ids (R, order)."""

    @property
    def counts(self) -> NDArray[np.uint64]:
        """How often each occurs."""

    @property
    def distinct(self) -> int:
        """N-grams before pruning."""

    @property
    def occurrences(self) -> int:
        """The sum of their counts."""


class Recorder:
    """Listens to one run. Without a scheme it keeps the spectra only, and costs next to nothing."""

    def __init__(self, scheme: Scheme | None, orders: Iterable[int], min_count: int) -> None:
        """Check that the run counts what the scheme needs.

        Args:
            scheme: whose rows are counted; with a token map the run mines canonical ids.
            orders: that are counted.
            min_count: of the files.

        Raises:
            ConfigError: as `check_counted`.
        """
        self._scheme = scheme
        self._min_count = min_count
        self._spectra = {order: Spectrum() for order in sorted(orders)}
        self._starts: DocumentStarts | None = None
        self._raw: dict[int, RawNgrams] = {}
        self._folder = Path()
        check_counted(scheme, self._spectra)

    @property
    def wants_all(self) -> bool:
        """Whether rows must come before pruning."""
        return self._scheme is not None

    def identity(self) -> dict[str, Any]:
        """Return what decides the bytes, beside the run's own options."""
        scheme = self._scheme
        return {
            "scheme_xxh3_128": xxhash.xxh3_128_hexdigest(dump_json(self.manifest())),
            "token_map_xxh3_128": None if scheme is None else map_fingerprint(scheme.canonical),
        }

    def manifest(self) -> dict[str, Any]:
        """Return what the manifest says beside the run's own facts."""
        return {"scheme": None if self._scheme is None else self._scheme.to_dict()}

    def begin(self, folder: Path, state: dict[str, Any] | None) -> None:
        """Begin, or go on from a checkpoint.

        Args:
            folder: of temporary files.
            state: what `checkpoint` returned.
        """
        self._folder = folder
        if self._scheme is not None:
            context, starts = self._scheme.max_order - 1, state["starts"] if state else None
            self._starts = DocumentStarts(folder / "starts.raw", context, starts)
            self._raw = {
                order: RawNgrams(folder / f"ngrams{order}.raw", order)
                for order in self._scheme.orders
            }

    def largest_id(self, max_id: int) -> int:
        """Return the largest id that is counted, when the corpus has none above `max_id`."""
        canonical = None if self._scheme is None else self._scheme.canonical
        if canonical is None or canonical.token_map is None:
            return max_id
        return canonical.num_canonical - 1

    def read(self, batch: TokenBatch) -> TokenBatch:
        """Return a batch in canonical ids, its documents' beginnings noted.

        Raises:
            CorpusError: an id that the scheme does not have.
        """
        if self._scheme is None or self._starts is None:
            return batch
        canonical = self._scheme.canonical
        largest = int(batch.ids.max(initial=0))
        if largest >= canonical.num_ids:
            raise CorpusError(
                f"token id {largest:,} is not in the scheme's vocabulary",
                facts={"expected": f"0 to {canonical.num_ids - 1:,}", "found": f"{largest:,}"},
                hint="name a scheme made for this tokenizer: engramctl mine --scheme ...",
            )
        if canonical.token_map is not None:
            ids = canonical.token_map[batch.ids].astype(np.uint32)
            batch = replace(batch, ids=ids)
        self._starts.add(batch)
        return batch

    def checkpoint(self) -> dict[str, Any]:
        """Return what `begin` needs to go on; what was read so far is in the file."""
        return {"starts": self._starts.checkpoint()} if self._starts else {}

    def see(self, order: int, rows: CountedRows) -> None:
        """Take in rows of one order, in any pieces; all of them when `wants_all`."""
        spectrum = self._spectra[order]
        spectrum.add(rows.counts)
        left_out = rows.distinct - len(rows.counts)
        if left_out:
            spectrum.hide(left_out, rows.occurrences - int(rows.counts.sum()), self._min_count)
        if order in self._raw:
            self._raw[order].append(rows.ids, rows.counts)

    def finish(
        self,
        folder: Path,
        summary: dict[str, Any],
        *,
        memory_bytes: int,
        threads: int,
        show: Progress,
    ) -> None:
        """Add to the summary what is known now, and write the files of row accesses.

        Args:
            folder: of the result; the files of all orders are whole.
            summary: of the run.
            memory_bytes: for the whole process; counters take what it leaves, or a little.
            threads: that hash and count.
            show: progress.
        """
        for order in summary["orders"]:
            order |= order_statistics(self._spectra[order["order"]])
        summary["access"] = None
        if self._scheme is None:
            return
        scheme = self._scheme
        windows = {order: self._windows(order) for order in scheme.orders}
        rows = sum(scheme.num_rows(layer) for layer in scheme.layers)
        with show("rows", rows, "rows") as advance:
            found = count_access(
                scheme,
                windows,
                summary["tokens"],
                folder,
                memory_bytes=max(memory_bytes - BASE_BYTES, LEAST_COUNTER_BYTES),
                threads=threads,
                advance=advance,
            )
        histograms = {order: one.spectrum.histogram() for order, one in windows.items()}
        for one in windows.values():
            one.remove()
        summary["access"] = {
            "scheme": scheme.name,
            "layers": [layer_document(scheme, layer, found, histograms) for layer in scheme.layers],
        }

    def remove(self) -> None:
        """Delete the temporary files."""
        if self._starts is not None:
            self._starts.remove()
        for raw in self._raw.values():
            raw.remove()

    def _windows(self, order: int) -> Windows:
        assert self._scheme is not None
        return Windows(
            self._raw[order],
            self._starts,
            self._scheme.boundary,
            self._scheme.canonical.num_canonical,
            self._folder,
        )


def check_counted(scheme: Scheme | None, orders: Iterable[int]) -> None:
    """Refuse a scheme whose rows a run of these orders cannot count.

    Raises:
        ConfigError: the scheme reads orders that are not counted, or has too many rows or ids.
    """
    if scheme is None:
        return
    check_rows(scheme)
    if scheme.canonical.num_canonical > NO_ID:
        raise ConfigError(
            f"scheme {scheme.name} has too many ids to count what is read",
            facts={
                "expected": f"at most {NO_ID:,}",
                "found": f"{scheme.canonical.num_canonical:,}",
            },
        )
    counted = sorted(orders)
    if scheme.max_order > MAX_ORDER:
        raise ConfigError(
            f"scheme {scheme.name} reads orders that cannot be counted",
            facts={"expected": f"1 to {MAX_ORDER}", "found": _comma(scheme.orders)},
            hint=_shorter(scheme),
        )
    if set(scheme.orders) - set(counted):
        raise ConfigError(
            f"scheme {scheme.name} reads orders that are not counted",
            facts={"expected": _comma(scheme.orders), "found": _comma(counted)},
            hint=f"write: --orders {_comma(sorted({*scheme.orders, *counted}))}",
        )


def _shorter(scheme: Scheme) -> str:
    """Say how to count the orders of a scheme that can be."""
    orders = _comma(order for order in scheme.orders if order <= MAX_ORDER)
    if not orders:
        return "mine without --scheme"
    return (
        f"keep the orders that can be: engramctl rows /dev/null --scheme {scheme.name} --orders "
        f"{orders} --save-scheme shorter.json, then mine with --scheme shorter.json --orders "
        f"{orders}"
    )


def _comma(orders: Iterable[int]) -> str:
    return ",".join(str(order) for order in orders)
