"""A chunk of a prompt whose rows are all on the disk: engine by engine, and other ways to read."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.errors import StorageError
from engramctl.storage import open_store
from engramctl.storage.io.pages import PAGE
from engramctl.storage.readers.batch import Batch
from engramctl.storage.readers.choose import Chosen, choose
from engramctl.storage.reading.table import TableFiles
from engramctl.storage.record.codecs import decode
from engramctl.storage.tiers.ssd import SsdStore
from engramctl.storage.tiers.store import Store
from tests.benchmarks.cold import peers
from tests.benchmarks.cold.table import SPEC, File, Rows, mapped, paired
from tests.benchmarks.harness import Row, row, skipped

BUDGET_BYTES = 512 << 20
CEILING = "the same pages, each a read, best depth"
ENGINES = {
    "io_uring direct": ("io_uring", BUDGET_BYTES, 0.9),
    "pread direct": ("pread", BUDGET_BYTES, 0.9),
    "willneed mapped": ("willneed", None, 0.9),
    "io_uring mapped": ("io_uring", None, 0.9),
    "pread mapped (the fallback)": ("pread", None, 0.65),
}


def chunks(table: TableFiles, count: int, samples: int, device: str) -> list[Row]:
    """Every engine against the ceiling, pair by pair: rows of the first layer.

    Args:
        table: paged, a file a layer.
        count: rows of a chunk.
        samples: chunks.
        device: what the disk can do, for the rows' bounds.
    """
    random = np.random.default_rng(2)
    layer = table.layers[0]
    results = []
    with ExitStack() as stack:
        file = stack.enter_context(mapped(table))[layer]
        out = torch.empty(count, SPEC.row_dim, dtype=torch.bfloat16)
        ceilings = [Ceiling(file, count, depth) for depth in (64, 256)]
        for one in ceilings:
            stack.callback(one.close)
        for name, (engine, budget, target) in ENGINES.items():
            what = f"cold chunk of {count:,} rows, {name}"
            try:
                store = open_store(table.path, "ssd", budget_bytes=budget, engine=engine)
            except StorageError as error:
                results.append(skipped(what, CEILING, error.message, target))
                continue
            with store:
                arms: dict[str, Callable[[Rows], None]] = {"ours": partial(chunk, store, out)}
                arms |= {f"depth {one.depth}": one.read for one in ceilings}
                if engine != "willneed":  # which brings pages to nobody's buffer
                    alone = Ceiling(file, count, None, engine, direct=budget is not None)
                    stack.callback(alone.close)
                    arms["alone"] = alone.read
                seconds = paired(
                    arms, samples, partial(drawn, random, layer, table.num_rows(layer), count),
                    partial(before, store, {layer: file}, out), partial(check, file, out),
                )  # fmt: skip
                stats = store.stats()
            best = [min(pair) for pair in zip(*(seconds[f"depth {one.depth}"] for one in ceilings),
                                              strict=True)]  # fmt: skip
            alone_s = seconds.get("alone")
            itself = f"; the engine alone {median(best) / median(alone_s):.2f}" if alone_s else ""
            asked = samples * count
            pairs = median(b / a for a, b in zip(seconds["ours"], best, strict=True))
            reads = stats.device_reads / asked
            bound = f"paired {pairs:.2f}{itself}; {reads:.3f} reads a row; {device}"
            results.append(
                row(what, CEILING, seconds["ours"], best, target=target, bound=bound, work=count,
                    unit="rows/s")
            )  # fmt: skip
    return results


def against_peers(
    table: TableFiles, folder: Path, count: int, own_rows: int, samples: int, device: str
) -> list[Row]:
    """The best engine past the page cache against other ways, each on ids that both read."""
    random = np.random.default_rng(4)
    layer = table.layers[0]
    results = []
    with ExitStack() as stack:
        file = stack.enter_context(mapped(table))[layer]
        store = stack.enter_context(open_store(table.path, "ssd", budget_bytes=BUDGET_BYTES))
        for peer in (
            peers.torch_index(file), peers.pread_pool(file), peers.safetensors_slices(file),
            peers.lmdb_get(file, folder, own_rows), peers.rocksdb_get(file, folder, own_rows),
        ):  # fmt: skip
            number = min(count, peer.most)
            what = f"cold chunk of {number:,} rows, auto direct"
            if peer.rows is None:
                results.append(skipped(what, peer.name, peer.why, peer.target))
                continue
            held = own_rows if "get" in peer.name.lower() else table.num_rows(layer)
            out = torch.empty(number, SPEC.row_dim, dtype=torch.bfloat16)
            found: dict[str, NDArray[np.uint8]] = {}
            arms: dict[str, Callable[[Rows], None]] = {
                "ours": partial(chunk, store, out), "theirs": partial(keep, peer, found)
            }  # fmt: skip
            seconds = paired(
                arms, samples,
                partial(drawn, random, layer, held, number),
                partial(before_peer, peer, store, {layer: file}, out),
                partial(check_peer, file, out, found),
            )  # fmt: skip
            results.append(
                row(what, peer.name, seconds["ours"], seconds["theirs"], target=peer.target,
                    bound=device, work=number, unit="rows/s")
            )  # fmt: skip
    return results


class Ceiling:
    """Each page of a sample once, as a read of its own, and nothing else done."""

    def __init__(
        self, file: File, most: int, depth: int | None, engine: str = "io_uring", *,
        direct: bool = True,
    ) -> None:  # fmt: skip
        self.depth = depth
        self._file = file
        depths = None if depth is None else {engine: depth}
        self._chosen: Chosen = choose([file.path], engine, direct=direct, depths=depths)
        self._memory = np.empty((most + 1) * PAGE, np.uint8)
        self._memory[::PAGE] = 0
        self._address = self._memory.ctypes.data + -self._memory.ctypes.data % PAGE

    def read(self, rows: Rows) -> None:
        """Read the pages of one layer's rows, in ascending order."""
        (ids,) = rows.values()
        pages = self._file.pages(ids)
        ranges_R5 = np.zeros((len(pages), 5), np.int64)
        ranges_R5[:, 1] = pages * PAGE
        ranges_R5[:, 2] = ranges_R5[:, 4] = PAGE
        ranges_R5[:, 3] = self._address + PAGE * np.arange(len(pages))
        batch = Batch.of(ranges_R5)
        self._chosen.engine.start(batch).wait()
        self._chosen.files.check(batch)

    def close(self) -> None:
        self._chosen.close()


def chunk(store: Store, out: torch.Tensor, rows: Rows) -> None:
    """Our arm."""
    ((layer, ids),) = rows.items()
    store.prefetch({layer: ids}).wait(layer, out)


def drawn(random: np.random.Generator, layer: int, below: int, count: int) -> Rows:
    """Rows of a sample."""
    return {layer: random.integers(0, below, count)}


def before(store: Store, files: dict[int, File], out: torch.Tensor, _: str, rows: Rows) -> None:
    """Make a sample's pages cold and poison the output."""
    out.fill_(-3.0e38)
    assert isinstance(store, SsdStore)
    store.drop(rows)
    for layer, ids in rows.items():
        files[layer].make_cold(ids)


def check(file: File, out: torch.Tensor, name: str, rows: Rows) -> None:
    """Compare with the mapping's records."""
    if name != "ours":
        return
    ((_, ids),) = rows.items()
    some = np.linspace(0, len(ids) - 1, min(len(ids), 512)).astype(np.int64)
    expected = torch.from_numpy(decode(SPEC, file.take(ids[some]))).to(torch.bfloat16)
    assert torch.equal(out[some], expected), "other rows"
    assert not (out == -3.0e38).any(), "a row was not written"


def keep(peer: peers.Peer, found: dict[str, NDArray[np.uint8]], rows: Rows) -> None:
    """A peer's arm."""
    ((_, ids),) = rows.items()
    assert peer.rows is not None
    found["records"] = peer.rows(ids)


def before_peer(
    peer: peers.Peer, store: Store, files: dict[int, File], out: torch.Tensor, name: str, rows: Rows
) -> None:
    """Make both cold."""
    peer.make_cold()
    before(store, files, out, name, rows)


def check_peer(
    file: File, out: torch.Tensor, found: dict[str, NDArray[np.uint8]], name: str, rows: Rows
) -> None:
    """Compare either arm's rows with the mapping's records."""
    check(file, out, name, rows)
    if name == "theirs":
        ((_, ids),) = rows.items()
        assert np.array_equal(found["records"], file.take(ids)), "other rows"
