"""The walk in torch operations, for tensors that live on a device.

Products of xor_mul and exact sums stay below 2^63 by construction; the other mixes wrap in int64 by
definition, as torch does.
"""

from typing import TYPE_CHECKING

import numpy as np

from engramctl.hashing.kernels.choice import kernel
from engramctl.hashing.kernels.plan import Plan
from engramctl.hashing.walk.batch import NO_ROW
from engramctl.hashing.walk.window import DEAD, START

if TYPE_CHECKING:
    import torch

    from engramctl.hashing.kernels.triton_walk import TritonWalk


def device_walk(plan: Plan, device: "torch.device") -> "DeviceWalk | TritonWalk":
    """Return the walk for tensors on a device that is not the CPU."""
    if kernel(device.type) == "triton":
        from engramctl.hashing.kernels.triton_walk import TritonWalk

        return TritonWalk(plan, device)
    return DeviceWalk(plan, device)


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
        self._coefficients = (
            None
            if plan.coefficients_NH is None
            else torch.from_numpy(plan.coefficients_NH).to(device)
        )
        self._multipliers = [int(value) for value in plan.multipliers_N]

    def __call__(
        self,
        tokens_BT: "torch.Tensor",
        history_BC: "torch.Tensor",
        out_BTH: "torch.Tensor",
        later: bool = False,
    ) -> int:
        """Fill `out_BTH`; return the index of the first bad id (history counted first), or -1.

        Looking for one waits for the device.

        Args:
            tokens_BT: int32 or int64, on the device.
            history_BC: int64, exactly N - 1 ids before each sequence, START where there is none.
            out_BTH: integers, on the device.
            later: look for none and wait for nothing: windows with a bad id have rows of -1.
        """
        import torch

        ids_BS = torch.cat([history_BC, tokens_BT.long()], dim=1)
        bad_BS = self.bad_ids(ids_BS)
        if later:
            out_BTH.copy_(self.rows_of(ids_BS).masked_fill_(self._bad_windows(bad_BS), NO_ROW))
            return -1
        if bool(bad_BS.any()):
            return int(bad_BS.flatten().int().argmax())
        out_BTH.copy_(self.rows_of(ids_BS))
        return -1

    def is_ready(self, *tensors: "torch.Tensor") -> bool:
        """Tell whether a call can be captured in a CUDA graph: nothing is compiled."""
        return True

    def _bad_windows(self, bad_BS: "torch.Tensor") -> "torch.Tensor":
        """Mark windows with a bad id, bool (B, T, 1); as `reference.bad_windows`."""
        length = bad_BS.shape[1] - self._plan.max_order + 1
        bad_BT = bad_BS[:, :length]
        for d in range(1, self._plan.max_order):
            bad_BT = bad_BT | bad_BS[:, d : d + length]
        return bad_BT[..., None]

    def bad_ids(self, ids_BS: "torch.Tensor") -> "torch.Tensor":
        """Mark the ids the scheme cannot take, bool (B, S)."""
        bad = ids_BS >= self._plan.canonical.num_ids
        if self._plan.boundary.negative in ("dead", "fill"):
            bad |= (ids_BS < 0) & (ids_BS != DEAD) & (ids_BS != START)
        elif self._plan.boundary.negative == "refuse":
            bad |= (ids_BS < 0) & (ids_BS != START)
        return bad

    def rows_of(self, ids_BS: "torch.Tensor") -> "torch.Tensor":
        """Return row ids, int64 (B, T, H), of ids (B, max_order - 1 + T) with history in front."""
        import torch

        walk = self._window(ids_BS)
        if self._coefficients is not None:
            total = sum(c[..., None] * w for c, w in zip(walk, self._coefficients, strict=True))
            rows: torch.Tensor = total % self._moduli + self._offsets
            return rows
        mix = walk[0] * self._multipliers[0]
        columns = []
        for distance in range(1, len(walk)):
            mix = mix ^ (walk[distance] * self._multipliers[distance])
            for order, heads in self._heads:
                if order == distance + 1:
                    columns.append(mix[..., None] % self._moduli[heads] + self._offsets[heads])
        return torch.cat(columns, dim=-1)

    def _window(self, ids: "torch.Tensor") -> "list[torch.Tensor]":
        """Walk back from every position; as `engramctl.hashing.walk.window.window`."""
        import torch

        boundary, context = self._plan.boundary, self._plan.max_order - 1
        if len(self._map):
            ids = torch.where(ids < 0, ids, self._map[ids.clamp(0, len(self._map) - 1)])
        if boundary.negative == "fill":
            ids = ids.masked_fill(ids == DEAD, boundary.fill)
        is_start = ids == START
        stops, blocks = is_start.clone(), is_start.clone()
        for value in boundary.stop:
            stops |= ids == value
        for value in boundary.block:
            blocks |= ids == value
        hole = is_start | (ids == DEAD) if boundary.negative == "dead" else is_start
        blocked = blocks[:, context:]
        length = ids.shape[1] - context
        walk = [ids.masked_fill(hole, boundary.fill)[:, context:]]
        for distance in range(1, context + 1):
            past = slice(context - distance, context - distance + length)
            blocked = blocked | stops[:, past]
            walk.append(ids[:, past].masked_fill(blocked, boundary.fill))
        return walk
