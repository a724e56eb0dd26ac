"""The walk as one Triton kernel, for CUDA tensors: every id read, mixed and reduced in one pass.

Each program takes a block of positions and all heads of them, so that rows are written whole and in
order: 24 heads are 96 bytes a token, and that write is the bound. The modulo is the folding of
`engramctl.hashing.kernels.vector`, in float64, exact for moduli up to 2^30; larger ones divide.

Triton comes with CUDA builds of torch. `TRITON_INTERPRET=1`, set before triton is imported, runs
the same kernel on the CPU; so it is tested without a GPU.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from typing import TYPE_CHECKING

import numpy as np

from engramctl.hashing.kernels.choice import LARGEST_VECTOR_MODULUS
from engramctl.hashing.kernels.plan import Plan
from engramctl.hashing.kernels.vector import LIMB_BITS
from engramctl.hashing.walk.batch import NO_ROW
from engramctl.hashing.walk.window import DEAD, NEGATIVE_RULES, START

try:
    import triton
    import triton.language as tl
except ImportError:  # CPU builds of torch come without it
    triton = None

if TYPE_CHECKING:
    import torch

_ROWS_AT_A_TIME = 2048  # row ids of one program
_NOT_BAD = 2**62

if triton is not None:
    _REFUSE, _DEAD_RULE, _PASS, _FILL = (tl.constexpr(k) for k in range(len(NEGATIVE_RULES)))
    _NONE, _NO_ROW = tl.constexpr(_NOT_BAD), tl.constexpr(NO_ROW)
    _START, _DEAD = tl.constexpr(START), tl.constexpr(DEAD)
    _LIMB, _LIMB_MASK = tl.constexpr(LIMB_BITS), tl.constexpr(2**LIMB_BITS - 1)

    @triton.jit
    def _marked(ids, marks, count: tl.constexpr):
        """Tell which ids are among `count` marks."""
        found = ids == _START
        for k in tl.static_range(count):
            found = found | (ids == tl.load(marks + k))
        return found

    @triton.jit
    def _limbs(mix):
        """Cut integers into three limbs, float64, the highest first."""
        high = (mix >> (2 * _LIMB)).to(tl.float64)
        middle = ((mix >> _LIMB) & _LIMB_MASK).to(tl.float64)
        return high, middle, (mix & _LIMB_MASK).to(tl.float64)

    @triton.jit
    def walk_kernel(
        tokens, history, token_map, stops, blocks, weights, orders, moduli, constants, offsets,
        out, first_bad, positions, length, num_ids, fill,
        order: tl.constexpr, heads: tl.constexpr, lanes: tl.constexpr, block: tl.constexpr,
        num_stops: tl.constexpr, num_blocks: tl.constexpr, negative: tl.constexpr,
        mapped: tl.constexpr, linear: tl.constexpr, wide: tl.constexpr, later: tl.constexpr,
    ):  # fmt: skip
        """Hash `block` positions; `lanes` is the number of heads rounded up to a power of two.

        `later`: windows with a bad id have rows of -1, and `first_bad` is not touched.
        """
        context: tl.constexpr = order - 1
        at = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
        here = at < positions
        sequence, t = at // length, at % length
        head = tl.arange(0, lanes)
        is_head = head < heads
        order_H = tl.load(orders + head, mask=is_head, other=0)
        total = tl.zeros([block, lanes], tl.int64)
        high = tl.zeros([block, lanes], tl.float64)
        middle = tl.zeros([block, lanes], tl.float64)
        low = tl.zeros([block, lanes], tl.float64)
        mix = tl.zeros([block], tl.int64)
        closed = tl.zeros([block], tl.int1)
        spoilt = tl.zeros([block], tl.int1)
        for d in tl.static_range(order):
            s = t - d
            ids = tl.load(tokens + sequence * length + s, mask=here & (s >= 0), other=0)
            ids = ids.to(tl.int64)
            if d > 0:
                past = history + sequence * context + context + s
                ids = tl.where(s < 0, tl.load(past, mask=here & (s < 0), other=_START), ids)
            bad = ids >= num_ids
            if negative == _REFUSE:
                bad = bad | ((ids < 0) & (ids != _START))
            elif negative != _PASS:
                bad = bad | ((ids < 0) & (ids != _START) & (ids != _DEAD))
            if later:
                spoilt = spoilt | bad
            else:
                index = sequence * (context + length) + context + s
                worst = tl.min(tl.where(bad & here, index, _NONE), axis=0)
                tl.atomic_min(first_bad, worst, mask=worst < _NONE)
            if mapped:
                known = here & (ids >= 0) & (ids < num_ids)
                ids = tl.where(known, tl.load(token_map + ids, mask=known, other=0), ids)
            if negative == _FILL:
                ids = tl.where(ids == _DEAD, fill, ids)
            if d == 0:
                hole = ids == _START
                if negative == _DEAD_RULE:
                    hole = hole | (ids == _DEAD)
                closed = hole | _marked(ids, blocks, num_blocks)
                ids = tl.where(hole, fill, ids)
            else:
                closed = closed | _marked(ids, stops, num_stops)
                ids = tl.where(closed, fill, ids)
            if linear:
                weight = tl.load(weights + d * heads + head, mask=is_head, other=0)
                total += ids[:, None] * weight[None, :]
            else:
                mix = mix ^ (ids * tl.load(weights + d))
                theirs = (order_H == d + 1)[None, :]
                if wide:
                    total = tl.where(theirs, mix[:, None], total)
                else:
                    a, b, c = _limbs(mix)
                    high = tl.where(theirs, a[:, None], high)
                    middle = tl.where(theirs, b[:, None], middle)
                    low = tl.where(theirs, c[:, None], low)
        modulus = tl.load(moduli + head, mask=is_head, other=1)[None, :]
        if wide:
            slot = total % modulus
            slot = tl.where(slot < 0, slot + modulus, slot)
        else:
            if linear:
                high, middle, low = _limbs(total)
            p = modulus.to(tl.float64)
            high_factor = tl.load(constants + head, mask=is_head, other=0.0)[None, :]
            middle_factor = tl.load(constants + heads + head, mask=is_head, other=0.0)[None, :]
            inverse = tl.load(constants + 2 * heads + head, mask=is_head, other=1.0)[None, :]
            x = high * high_factor + middle * middle_factor + low
            rest = x - tl.floor(x * inverse + 0.5) * p
            slot = tl.where(rest < 0, rest + p, rest).to(tl.int64)
        rows = slot + tl.load(offsets + head, mask=is_head, other=0)[None, :]
        if later:
            rows = tl.where(spoilt[:, None], _NO_ROW, rows)
        place = out + at[:, None] * heads + head[None, :]
        tl.store(place, rows.to(out.dtype.element_ty), mask=here[:, None] & is_head[None, :])


class TritonWalk:
    """One layer's walk on one CUDA device; constants are copied there once."""

    def __init__(self, plan: Plan, device: "torch.device") -> None:
        """Copy the plan's constants to `device`."""
        import torch

        def there(values: "np.ndarray[tuple[int, ...], np.dtype[np.generic]]") -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(values)).to(device)

        moduli = [int(modulus) for modulus in plan.moduli_H]
        powers = [pow(2, limb * LIMB_BITS, p) for limb in (2, 1) for p in moduli]
        factors = np.array([*powers, *(1.0 / plan.moduli_H)], np.float64)
        linear = plan.coefficients_NH is not None
        weights = plan.multipliers_N if plan.coefficients_NH is None else plan.coefficients_NH
        marks = [
            np.array(ids or (0,), np.int64) for ids in (plan.boundary.stop, plan.boundary.block)
        ]
        self._plan = plan
        self.constants = (
            there(plan.map_or_empty), *(there(ids) for ids in marks), there(weights),
            there(plan.orders_H), there(plan.moduli_H), there(factors), there(plan.offsets_H),
        )  # fmt: skip
        heads = len(moduli)
        lanes = 1 << (heads - 1).bit_length()
        self.options = {
            "order": plan.max_order,
            "heads": heads,
            "lanes": lanes,
            "block": max(1, _ROWS_AT_A_TIME // lanes),
            "num_stops": len(plan.boundary.stop),
            "num_blocks": len(plan.boundary.block),
            "negative": plan.negative_code,
            "mapped": plan.canonical.token_map is not None,
            "linear": linear,
            "wide": max(moduli) > LARGEST_VECTOR_MODULUS,
            "enable_fp_fusion": True,  # said, since Triton's default changes; exact either way
        }
        self._compiled: set[tuple[object, ...]] = set()

    def __call__(
        self,
        tokens_BT: "torch.Tensor",
        history_BC: "torch.Tensor",
        out_BTH: "torch.Tensor",
        later: bool = False,
    ) -> int:
        """Fill `out_BTH`; return the index of the first bad id (history counted first), or -1.

        Reading that index waits for the kernel.

        Args:
            tokens_BT: int32 or int64, contiguous, on the device.
            history_BC: int64, exactly N - 1 ids before each sequence, START where there is none.
            out_BTH: integers, contiguous, on the device.
            later: look for none and wait for nothing: windows with a bad id have rows of -1.
        """
        import torch

        first_bad = history_BC  # any int64 tensor: it is not written
        if not later:
            first_bad = torch.full((1,), _NOT_BAD, dtype=torch.int64, device=tokens_BT.device)
        positions = tokens_BT.numel()
        if positions:
            programs = (-(-positions // self.options["block"]),)
            with torch.cuda.device_of(tokens_BT):  # Triton launches on the current device
                walk_kernel[programs](
                    tokens_BT, history_BC, *self.constants, out_BTH, first_bad, positions,
                    tokens_BT.shape[1], self._plan.canonical.num_ids, self._plan.boundary.fill,
                    later=later, **self.options,
                )  # fmt: skip
            if later:
                self._compiled.add(_form(tokens_BT, history_BC, out_BTH))
        if later:
            return -1
        found = int(first_bad)
        return -1 if found == _NOT_BAD else found

    def is_ready(self, *tensors: "torch.Tensor") -> bool:
        """Tell whether a call with `later` can be captured in a CUDA graph: it compiles nothing.

        Args:
            tensors: of the call.
        """
        return not tensors[0].numel() or _form(*tensors) in self._compiled


def _form(
    tokens_BT: "torch.Tensor", history_BC: "torch.Tensor", out_BTH: "torch.Tensor"
) -> tuple[object, ...]:
    """Return what Triton compiles code of its own for: dtypes, special sizes, alignment."""
    sizes = (tokens_BT.numel(), tokens_BT.shape[1])
    return (
        tokens_BT.dtype,
        out_BTH.dtype,
        *((size == 1, size % 16 == 0, size < 2**31) for size in sizes),
        *(is_aligned(one) for one in (tokens_BT, history_BC, out_BTH)),
    )


def is_aligned(tensor: "torch.Tensor") -> bool:
    """Tell whether an address divides by 16, of which Triton makes use."""
    return tensor.data_ptr() % 16 == 0
