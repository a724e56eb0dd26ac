"""What each rank sends and receives of one layer's rows, known to all from the ids alone.

Every rank knows all ids, since they follow from the tokens: nobody has to ask. A row goes once to
every rank that reads it, however often it does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RowIds = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Parcels:
    """One rank's side of an exchange.

    Attributes:
        sent_ids: row ids it sends, int64 (n,), those for rank 0 first, each rank's ascending.
        send_counts: how many are for each rank.
        receive_counts: how many come from each.
        places: where among the received rows each wanted one is, int64, the shape of the ids.
    """

    sent_ids: NDArray[np.int64]
    send_counts: list[int]
    receive_counts: list[int]
    places: NDArray[np.int64]


def parcels(
    wanted: Sequence[RowIds], owners: Callable[[RowIds], NDArray[np.int64]], rank: int
) -> Parcels:
    """Return what a rank sends and receives.

    Args:
        wanted: by rank, the row ids it reads.
        owners: gives the rank that owns each row.
        rank: whose side.

    Example:
        >>> by_half = lambda ids: ids // 10
        >>> ours = parcels([np.array([3, 12, 3]), np.array([4, 3])], by_half, 0)
        >>> ours.sent_ids.tolist(), ours.send_counts, ours.receive_counts, ours.places.tolist()
        ([3, 3, 4], [1, 2], [1, 1], [0, 1, 0])
    """
    sent = []
    for ids in wanted:
        distinct = np.unique(ids)
        sent.append(distinct[owners(distinct) == rank].astype(np.int64))
    distinct, inverse = np.unique(wanted[rank], return_inverse=True)
    by_owner = owners(distinct)
    places = np.empty(len(distinct), np.int64)
    places[np.argsort(by_owner, kind="stable")] = np.arange(len(distinct))
    return Parcels(
        np.concatenate(sent),
        [len(ids) for ids in sent],
        np.bincount(by_owner, minlength=len(wanted)).tolist(),
        places[inverse].reshape(wanted[rank].shape),
    )
