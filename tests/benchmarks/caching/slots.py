"""Which record has an n-gram: our index against engramdb's `SlotIndex`, the same n-grams.

Ours is asked with the keys that `Scheme.ngram_keys` gives, theirs with the row ids of an n-gram's
heads, which it is keyed by. For an n-gram that it does not know it refuses the whole call, so only
known ones are asked for. The records of its view have 2,560 bytes, whatever the model's have, so
what reads them is not compared.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.corpus.batch import TokenBatch
from engramctl.hashing import Scheme
from engramctl.reuse.documents import joined
from engramctl.tables.ngram_dictionary import NgramPlan
from tests.benchmarks.caching.mining import Mined, found_records
from tests.benchmarks.caching.texts import Domain
from tests.benchmarks.harness import Row, interleave, row, skipped

MIB = 1 << 20
ASKED = 2048
PEER = "engramdb SlotIndex"


@dataclass(frozen=True)
class Asked:
    """Known n-grams of a text, each once, order by order.

    Attributes:
        keys: by order, uint64 (n, 2).
        rows: of the heads of the first layer, int64 (n of all orders, heads).
        records: that have them, int64 (n of all orders,).
    """

    keys: tuple[NDArray[np.uint64], ...]
    rows: NDArray[np.int64]
    records: NDArray[np.int64]


def known(scheme: Scheme, text: Domain, plan: NgramPlan, most: int = ASKED) -> Asked:
    """Return n-grams of a text that a dictionary knows, as many of each order as there are."""
    ids, is_token = joined(TokenBatch(text.ids, text.offsets))
    keys = scheme.ngram_keys(ids)[is_token]
    heads = scheme.row_ids(ids, scheme.layers[0])[is_token]
    heads = heads.reshape(len(keys), len(scheme.orders), scheme.heads_per_order)
    found = found_records(plan, keys)
    asked, rows, records = [], [], []
    for order in range(len(scheme.orders)):
        hits, where = np.unique(found[:, order], return_index=True)
        where = np.sort(where[hits >= 0])[: most // len(scheme.orders)]
        asked.append(np.ascontiguousarray(keys[where, order]))
        rows.append(heads[where, order].astype(np.int64))
        records.append(found[where, order])
    return Asked(tuple(asked), np.concatenate(rows), np.concatenate(records))


def look_ups(scheme: Scheme, mined: Mined, rounds: int) -> list[Row]:
    """Time known n-grams of the held-out text in both, and hold their memory side by side."""
    name = f"records of {ASKED:,} known n-grams, {len(mined.plan.order_index):,} entries"
    try:
        theirs: Any = import_module("engramdb")
    except ImportError as error:
        return [skipped(one, PEER, str(error)) for one in (name, f"{name}, memory")]
    plan = mined.plan
    asked = known(scheme, mined.held_out[0], plan)
    index = theirs.SlotIndex.from_rowids(plan.rows(scheme.layers[0], 0, len(plan.order_index)))
    found: dict[str, NDArray[np.int64]] = {}

    def ours() -> None:
        parts = [plan.index.find(order, keys) for order, keys in enumerate(asked.keys)]
        found["ours"] = np.concatenate(parts)

    def slots() -> None:
        found["theirs"] = index.to_slots(asked.rows)

    arms: dict[str, Callable[[], object]] = {"ours": ours, "theirs": slots}
    for arm in arms.values():
        arm()
    for who, records in found.items():
        assert np.array_equal(records, asked.records), f"{who} finds other records"
    seconds = interleave(arms, rounds)
    entry = plan.index.num_bytes / len(plan.order_index)
    bound = f"one call an order; {entry:.1f} bytes an entry; in memory, no device"
    return [
        row(name, PEER, seconds["ours"], seconds["theirs"], bound=bound, work=len(asked.records),
            unit="n-grams/s"),
        row(f"{name}, memory", PEER, [plan.index.num_bytes / MIB], [index.memory_bytes / MIB],
            bound=bound, unit="MiB"),
    ]  # fmt: skip
