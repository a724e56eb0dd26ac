"""One question put to every kernel that runs here."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.hashing import Scheme
from engramctl.hashing.kernels import reference
from engramctl.hashing.kernels.device import DeviceWalk


def kernels(scheme: Scheme, ids: Any, layer: int, history: Any = None) -> list[NDArray[Any]]:
    """The same rows from every kernel that runs here."""
    tokens, past = scheme._checked(np.asarray(ids), history)
    ids_BS = np.concatenate([past, tokens], axis=1)
    plan = scheme._plans[layer]
    shape = (*np.asarray(ids).shape, scheme.num_heads)
    return [
        scheme.row_ids(ids, layer, history),
        reference.row_ids(ids_BS, plan).reshape(shape),
        DeviceWalk(plan, torch.device("cpu"))(torch.from_numpy(ids_BS)).numpy().reshape(shape),
    ]


def expect(scheme: Scheme, ids: Any, layer: int, rows: Any, history: Any = None) -> None:
    for found in kernels(scheme, ids, layer, history):
        np.testing.assert_array_equal(found, rows)
