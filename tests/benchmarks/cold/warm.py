"""Rows that are all in memory, through the ssd tier: what its bookkeeping costs."""

import contextlib
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.storage import Store, open_store
from engramctl.storage.reading.table import TableFiles
from engramctl.storage.record.codecs import decode
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.tiers.ssd import SsdStore
from engramctl.storage.writing.seeded_values import RowInit
from tests.benchmarks.cold.peers import drop_files
from tests.benchmarks.cold.table import SPEC, make
from tests.benchmarks.harness import Row, interleave, row, skipped

CALLS, STEP_ROWS, CHUNK_ROWS = 200, 48, 2048
PREFETCH_S = 15e-6
QWEN = RecordSpec("f8_e4m3_scalar", 160)


def steps(table: TableFiles, rounds: int) -> list[Row]:
    """A step of 48 rows of one layer: ssd against host and numpy; and its prefetch alone.

    Args:
        table: packed, one layer, small enough for the host tier.
        rounds: pairs, of CALLS steps each.
    """
    layer = table.layers[0]
    ids = np.random.default_rng(6).integers(0, table.num_rows(layer), (CALLS, STEP_ROWS))
    outs = [torch.empty(STEP_ROWS, SPEC.row_dim, dtype=torch.bfloat16) for _ in range(2)]
    with open_store(table.path, "ssd") as ssd, open_store(table.path, "host") as host:
        region = table.regions(layer)[0]
        records = np.memmap(region.path, np.uint8, "r", region.offset,
                            (table.num_rows(layer), SPEC.record_bytes))  # fmt: skip
        taken = np.empty((STEP_ROWS, SPEC.record_bytes), np.uint8)
        for some in ids:
            ssd.gather(layer, some)
            np.take(records, some, axis=0, out=taken, mode="clip")
        seconds = interleave(
            {
                "ssd": partial(each, partial(gather, ssd, layer, outs[0]), ids),
                "host": partial(each, partial(gather, host, layer, outs[1]), ids),
                "numpy": partial(each, partial(take, records, taken), ids),
                "prefetch": partial(each, partial(prefetch, ssd, layer), ids),
            },
            4 * rounds,
        )
    assert torch.equal(outs[0], outs[1])
    assert torch.equal(outs[0], torch.from_numpy(decode(SPEC, taken)).to(torch.bfloat16))
    what, bound = f"warm step of {STEP_ROWS} rows, ssd tier", "calls from Python"
    work = STEP_ROWS * CALLS
    return [
        row(what, "host tier", seconds["ssd"], seconds["host"], target=1 / 1.3, bound=bound,
            work=work, unit="rows/s"),
        row(what, "numpy take of the same bytes", seconds["ssd"], seconds["numpy"], target=1 / 2,
            bound=bound, work=work, unit="rows/s"),
        row(f"prefetch of {STEP_ROWS} resident rows", "15 us",
            [one / CALLS for one in seconds["prefetch"]], [PREFETCH_S], target=1.0, bound=bound),
    ]  # fmt: skip


def engramdb(folder: Path, num_rows: int, rounds: int, device: str) -> list[Row]:
    """Qwen-shaped rows: warm steps and cold chunks against engramdb's `Store.fetch`, same rows."""
    names = [
        f"warm step of {STEP_ROWS} Qwen rows, ssd tier",
        f"cold chunk of {CHUNK_ROWS:,} Qwen rows",
    ]
    try:
        theirs: Any = import_module("engramdb")
    except ImportError as error:
        return [skipped(name, "engramdb", str(error), 3.0) for name in names]
    table = make(folder / "qwen", "packed", num_rows, (1,), QWEN)
    region = table.regions(1)[0]
    (folder / "engramdb").mkdir()
    data = np.fromfile(region.path, np.uint8, region.num_bytes, offset=region.offset)
    data.tofile(folder / "engramdb" / "shard_000.bin")
    store = theirs.Store(
        str(folder / "engramdb"), shards=1, rows_per_shard=num_rows, width=QWEN.record_bytes
    )
    random = np.random.default_rng(7)
    ids = random.integers(0, num_rows, (CALLS, STEP_ROWS))
    out = torch.empty(STEP_ROWS, QWEN.row_dim, dtype=torch.bfloat16)
    wide = torch.empty(CHUNK_ROWS, QWEN.row_dim, dtype=torch.bfloat16)
    with open_store(table.path, "ssd") as ssd, contextlib.ExitStack() as stack:
        assert isinstance(ssd, SsdStore)
        for some in ids:
            ssd.gather(1, some)
            store.fetch(some)
        warm = interleave(
            {
                "ours": partial(each, partial(gather, ssd, 1, out), ids),
                "theirs": partial(each, store.fetch, ids),
            },
            rounds,
        )
        direct = stack.enter_context(open_store(table.path, "ssd", budget_bytes=64 << 20))
        cold: dict[str, list[float]] = {"direct": [], "mapped": [], "theirs": []}
        ssd.drop()
        for _ in range(rounds):
            some = random.integers(0, num_rows, CHUNK_ROWS)
            found: dict[str, Any] = {}
            arms: dict[str, Callable[[], object]] = {
                "direct": partial(gather, direct, 1, wide, some),
                "mapped": partial(gather, ssd, 1, wide, some),
                "theirs": partial(fetch, store, found, some),
            }  # fmt: skip
            for name, arm in arms.items():
                ssd.drop({1: some})
                drop_files(folder / "engramdb")
                assert not (ssd.resident(1, some) or (0, 0))[0], "pages could not be made cold"
                wide.fill_(-3.0e38)
                cold[name] += interleave({name: arm}, 1)[name]
                same_rows(data, some, wide if name != "theirs" else found["rows"])
    peer = "engramdb Store.fetch, not dequantised"
    made = [
        row(names[0], peer, warm["ours"], warm["theirs"], target=3.0, bound="calls from Python",
            work=STEP_ROWS * CALLS, unit="rows/s")
    ]  # fmt: skip
    for mode in ("direct", "mapped"):
        made.append(
            row(f"{names[1]}, auto {mode}", peer, cold[mode],
                cold["theirs"], target=None, bound=device, work=CHUNK_ROWS, unit="rows/s")
        )  # fmt: skip
    return made


def fetch(store: Any, found: dict[str, Any], ids: NDArray[np.int64]) -> None:
    """Their arm, cold."""
    found["rows"] = store.fetch(ids)


def same_rows(data: NDArray[np.uint8], ids: NDArray[np.int64], found: Any) -> None:
    """Compare what an arm returned with the stored bytes."""
    stored = data.reshape(-1, QWEN.record_bytes)[ids]
    if isinstance(found, torch.Tensor):
        values = decode(QWEN, stored, RowInit().table_scale(QWEN))
        assert torch.equal(found, torch.from_numpy(values).to(torch.bfloat16)), "other rows"
    else:
        assert bytes(found) == stored.tobytes(), "other rows"


def each(one: Callable[[NDArray[np.int64]], object], ids: NDArray[np.int64]) -> None:
    """Call `one` for each row of ids."""
    for some in ids:
        one(some)


def gather(store: Store, layer: int, out: torch.Tensor, ids: NDArray[np.int64]) -> None:
    """A gather."""
    store.gather(layer, ids, out)


def take(records: NDArray[np.uint8], out: NDArray[np.uint8], ids: NDArray[np.int64]) -> None:
    """The same bytes by numpy."""
    np.take(records, ids, axis=0, out=out, mode="clip")


def prefetch(store: Store, layer: int, ids: NDArray[np.int64]) -> None:
    """A ticket, dropped."""
    store.prefetch({layer: ids})
