"""Row ids of a step, all of them inside the table, and what the model makes of the rows.

A scheme may name no row for a token (a dictionary without a match), or rows that count for nothing
(LongCat-Next's slot 0): those are read like any other, so that steps are alike, and left out after.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.fusion.used_rows import used_rows
from engramctl.hashing import Lookup


class RowsToRead(dict[int, NDArray[np.integer[Any]]]):
    """Table layer -> row ids (B, T, H).

    Attributes:
        mask_BT: what `Decoder.prefill` takes as its mask; None: every token uses its rows.
        ngram_keys: what `Store.prefetch` takes as its keys; None: none are needed.
    """

    def __init__(
        self,
        ids: Mapping[int, NDArray[np.integer[Any]]],
        mask_BT: torch.Tensor | None,
        counted: Mapping[int, torch.Tensor],
        ngram_keys: NDArray[np.uint64] | None = None,
    ) -> None:
        """`counted` holds, by layer, (B, T, H, 1) bool: which rows count; all where it has none."""
        super().__init__(ids)
        self.mask_BT = mask_BT
        self.ngram_keys = ngram_keys
        self._counted = counted

    def used(self, layer: int, rows_BTHE: torch.Tensor) -> torch.Tensor:
        """Return gathered rows as the model takes them: zeros where a row does not count."""
        counted = self._counted.get(layer)
        return rows_BTHE if counted is None else rows_BTHE * counted


def rows_to_read(
    scheme: Lookup,
    layers: Sequence[int],
    token_ids_BT: NDArray[np.int64],
    history_BC: NDArray[np.int64],
    device: torch.device,
    *,
    with_keys: bool = False,
) -> RowsToRead:
    """Hash a window for every layer.

    Args:
        scheme: of either kind.
        layers: of the table.
        token_ids_BT: of this step.
        history_BC: before it.
        device: of the model, where masks go.
        with_keys: pack the n-grams too, once for all layers.
    """
    ids: dict[int, NDArray[np.integer[Any]]] = {}
    counted: dict[int, torch.Tensor] = {}
    mask_BT = None
    for layer in layers:
        named = scheme.row_ids(token_ids_BT, layer, history_BC)
        use = used_rows(scheme, layer, token_ids_BT, named)
        ids[layer] = use.row_ids_BTH
        if use.heads_BTH is not None:
            counted[layer] = torch.from_numpy(use.heads_BTH[..., None]).to(device)
        if use.tokens_BT is not None:  # the same for every layer: it is of the token
            mask_BT = use.tokens_BT
    mask = None if mask_BT is None else torch.from_numpy(mask_BT).to(device)
    keys = scheme.ngram_keys(token_ids_BT, history_BC) if with_keys else None
    return RowsToRead(ids, mask, counted, keys)
