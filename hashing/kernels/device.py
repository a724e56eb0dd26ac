"""The walk in torch operations, for tensors that live on a device.

Products stay below 2^63 by construction of the multipliers, so int64 is exact everywhere.
"""

from typing import TYPE_CHECKING

import numpy as np

from engramctl.hashing.kernels.plan import Plan
from engramctl.hashing.window import DEAD, START

if TYPE_CHECKING:
    import torch


class DeviceWalk:
    """One layer's walk on one torch device; constants are copied there once."""

    def __init__(self, plan: Plan, device: "torch.device") -> None:
        """Copy the plan's constants to `device`."""
        import torch

        self._plan = plan
        self._map = torch.from_numpy(plan.map_or_empty.astype(np.int64)).to(device)
        self._heads = [
            (int(order), slice(int(first), int(last)))
            for order, first, last in zip(
                *np.unique(plan.orders_H, return_index=True),
                np.append(np.unique(plan.orders_H, return_index=True)[1][1:], len(plan.orders_H)),
                strict=True,
            )
        ]
        self._moduli = torch.from_numpy(plan.moduli_H).to(device)
        self._offsets = torch.from_numpy(plan.offsets_H).to(device)
        self._multipliers = [int(value) for value in plan.multipliers_N]

    def bad_mask(self, ids_BS: "torch.Tensor") -> "torch.Tensor":
        """Mark the ids the scheme cannot take, bool (B, S). Reading it synchronises."""
        bad = ids_BS >= self._plan.canonical.num_ids
        if self._plan.boundary.negative == "dead":
            bad |= (ids_BS < 0) & (ids_BS != DEAD) & (ids_BS != START)
        elif self._plan.boundary.negative == "refuse":
            bad |= (ids_BS < 0) & (ids_BS != START)
        return bad

    def __call__(self, ids_BS: "torch.Tensor") -> "torch.Tensor":
        """Return row ids, int64 (B, T, H), of ids (B, max_order - 1 + T) with history in front."""
        import torch

        boundary, context = self._plan.boundary, self._plan.max_order - 1
        ids = ids_BS.long()
        if len(self._map):
            ids = torch.where(ids < 0, ids, self._map[ids.clamp(0, len(self._map) - 1)])
        is_start = ids == START
        stops, blocks = is_start.clone(), is_start.clone()
        for value in boundary.stop:
            stops |= ids == value
        for value in boundary.block:
            blocks |= ids == value
        hole = is_start | (ids == DEAD) if boundary.negative == "dead" else is_start
        current = slice(context, None)
        blocked = blocks[:, current]
        mix = torch.where(hole, boundary.fill, ids)[:, current] * self._multipliers[0]
        length = ids.shape[1] - context
        columns = []
        for distance in range(1, context + 1):
            past = slice(context - distance, context - distance + length)
            blocked = blocked | stops[:, past]
            seen = torch.where(blocked, boundary.fill, ids[:, past])
            mix = mix ^ (seen * self._multipliers[distance])
            for order, heads in self._heads:
                if order == distance + 1:
                    columns.append(mix[..., None] % self._moduli[heads] + self._offsets[heads])
        return torch.cat(columns, dim=-1)
