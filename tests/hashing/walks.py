"""One question put to every kernel that runs here."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.hashing import Scheme
from engramctl.hashing.kernels import reference
from engramctl.hashing.kernels.device import DeviceWalk
from engramctl.hashing.walk.batch import as_batch, padded_history


def as_walked(
    scheme: Scheme, tokens: NDArray[Any], history: Any
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return token ids (B, T) and histories (B, N - 1), int64, as a walk takes them."""
    tokens_BT = as_batch(tokens)
    return tokens_BT, padded_history(history, len(tokens_BT), scheme.max_order - 1)


def kernels(scheme: Scheme, ids: Any, layer: int, history: Any = None) -> list[NDArray[Any]]:
    """The same rows from every kernel that runs here."""
    tokens, past = as_walked(scheme, np.asarray(ids), history)
    plan = scheme.plans[layer]
    shape = (*np.asarray(ids).shape, scheme.num_heads)
    by_reference = reference.row_ids(np.concatenate([past, tokens], axis=1), plan)
    return [
        scheme.row_ids(ids, layer, history),
        by_reference.reshape(shape),
        by_torch(scheme, tokens, past, layer).reshape(shape),
    ]


def by_torch(
    scheme: Scheme, tokens_BT: NDArray[Any], past_BC: NDArray[Any], layer: int
) -> NDArray[Any]:
    """The rows from torch operations, here on the CPU."""
    out = torch.full((*tokens_BT.shape, scheme.num_heads), -7, dtype=torch.int64)
    walk = DeviceWalk(scheme.plans[layer], torch.device("cpu"))
    assert walk(torch.from_numpy(tokens_BT), torch.from_numpy(past_BC), out) == -1
    return out.numpy()


def expect(scheme: Scheme, ids: Any, layer: int, rows: Any, history: Any = None) -> None:
    for found in kernels(scheme, ids, layer, history):
        np.testing.assert_array_equal(found, rows)
