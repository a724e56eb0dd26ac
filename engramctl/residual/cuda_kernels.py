"""The residual in Triton: a launch for the coefficients, one for collapse, one for expand.

The product with phi is cut along V, so that one token keeps the device busy. The last of the
programs that share tokens adds their parts, in order, and goes on to Sinkhorn: one launch, and the
same sums every time. In expand a program reads one token's block of columns once, all branches of
it, and where `pre` is known (single-pass mode) collapses what it writes.

Shapes: N tokens, D model width, R branches, V = R * D. Sums are float32 (the product as three tf32
products, as exact), outputs are rounded once. Addresses have 64 bits. `TRITON_INTERPRET=1`, set
before triton is imported, runs the same kernels on the CPU.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from typing import TYPE_CHECKING, Any

try:
    import triton
    import triton.language as tl
except ImportError:  # CPU builds of torch come without it
    triton = None

if TYPE_CHECKING:
    from torch import Tensor

_FEW_ROWS = 16  # rows of one program of a product: the least that tensor cores take
_MANY_ROWS = 64  # of one of many programs: phi is then read a quarter as often
_BLOCK_V = 64  # values of a row it takes at a time
_PROGRAMS = 128  # that a product is cut into where there are few rows: about one a processor
_LARGEST_BLOCK = 1024  # columns of one program of collapse and expand
_FUSED = {"enable_fp_fusion": True}  # multiply-adds; said, since Triton's default changes

if triton is not None:
    _PARTS = tl.constexpr(8)  # of a sum, read at once
    _LEAST = tl.constexpr(-78.6)  # below a row's largest: exp of less vanishes in float32

    @triton.jit
    def _product(
        x, weight, parts, rows, length, part_length,
        columns: tl.constexpr, lanes: tl.constexpr, block: tl.constexpr, block_v: tl.constexpr,
    ):  # fmt: skip
        """Store this program's part of x @ weight, and behind its columns that of the squares."""
        row = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
        part = tl.program_id(1).to(tl.int64)
        lane = tl.arange(0, lanes)
        is_row, is_column = row < rows, lane < columns
        total = tl.zeros([block, lanes], tl.float32)
        squares = tl.zeros([block], tl.float32)
        stop = tl.minimum((part + 1) * part_length, length)
        for start in range(part * part_length, stop, block_v):
            at = start + tl.arange(0, block_v)
            inside = at < stop
            where = x + row[:, None] * length + at[None, :]
            mask = is_row[:, None] & inside[None, :]
            values = tl.load(where, mask=mask, other=0.0).to(tl.float32)
            where = weight + at[:, None] * columns + lane[None, :]
            weights = tl.load(where, mask=inside[:, None] & is_column[None, :], other=0.0)
            total = tl.dot(values, weights, total, input_precision="tf32x3")
            squares += tl.sum(values * values, axis=1)
        place = parts + (part * rows + row) * (columns + 1)
        both = is_row[:, None] & is_column[None, :]
        tl.store(place[:, None] + lane[None, :], total, mask=both)
        tl.store(place + columns, squares, mask=is_row)

    @triton.jit
    def _is_last(arrived, num_parts: tl.constexpr):
        """Whether all other programs of these rows have stored their parts; then count anew."""
        last = True
        tl.debug_barrier()
        if num_parts > 1:
            before = tl.atomic_add(arrived + tl.program_id(0), 1, sem="acq_rel")
            last = before == num_parts - 1
            if last:
                tl.store(arrived + tl.program_id(0), 0)
        return last

    @triton.jit
    def _whole(parts, places, mask, stride, num_parts: tl.constexpr):
        """Add the parts of sums, of which `places` says where in a part each stands."""
        total = tl.zeros(places.shape, tl.float32)
        for part in tl.range(0, num_parts, loop_unroll_factor=_PARTS):
            # past the first-level cache, which other processors' stores do not reach
            where = parts + part * stride + places
            total += tl.load(where, mask=mask, other=0.0, cache_modifier=".cg")
        return total

    @triton.jit
    def mhc_kernel(
        x, phi, alpha, bias, parts, arrived, pre, post, comb, rows, length, part_length,
        hc_eps, rms_eps, branches: tl.constexpr, lanes_r: tl.constexpr, lanes: tl.constexpr,
        num_parts: tl.constexpr, iterations: tl.constexpr, paper: tl.constexpr,
        block: tl.constexpr, block_v: tl.constexpr,
    ):  # fmt: skip
        """Fill pre (N, R), post (N, R), comb (N, R, R) of `block` tokens."""
        columns: tl.constexpr = 2 * branches + branches * branches
        _product(x, phi, parts, rows, length, part_length, columns, lanes, block, block_v)
        if _is_last(arrived, num_parts):
            row = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
            is_row = row < rows
            stride = rows.to(tl.int64) * (columns + 1)
            at = row * (columns + 1)
            inverse = _whole(parts, at + columns, is_row, stride, num_parts) / length
            inverse = tl.rsqrt(inverse + rms_eps)
            r = tl.arange(0, lanes_r)
            mask = is_row[:, None] & (r < branches)[None, :]
            m = _whole(parts, at[:, None] + r[None, :], mask, stride, num_parts)
            m = m * (inverse * tl.load(alpha))[:, None]
            m += tl.load(bias + r, mask=r < branches, other=0.0)[None, :]
            place = row[:, None] * branches + r[None, :]
            tl.store(pre + place, tl.sigmoid(m) + hc_eps, mask=mask)
            m = _whole(parts, at[:, None] + branches + r[None, :], mask, stride, num_parts)
            m = m * (inverse * tl.load(alpha + 1))[:, None]
            m += tl.load(bias + branches + r, mask=r < branches, other=0.0)[None, :]
            tl.store(post + place, 2.0 * tl.sigmoid(m), mask=mask)
            i, o = r[:, None], r[None, :]
            is_entry = (i < branches) & (o < branches)
            entry = 2 * branches + (o * branches + i if paper else i * branches + o)
            inside = is_row[:, None, None] & is_entry[None, :, :]
            m = _whole(parts, at[:, None, None] + entry[None, :, :], inside, stride, num_parts)
            m = m * (inverse * tl.load(alpha + 2))[:, None, None]
            m += tl.load(bias + entry, mask=is_entry, other=0.0)[None, :, :]
            m = tl.where(is_entry[None, :, :], m, float("-inf"))
            most = tl.where((r < branches)[None, :], tl.max(m, axis=2), 0.0)
            mix = tl.exp(tl.maximum(m - most[:, :, None], _LEAST))
            mix = tl.where(is_entry[None, :, :], mix, 0.0)
            sums = tl.where((r < branches)[None, :], tl.sum(mix, axis=2), 1.0)
            mix = tl.where(is_entry[None, :, :], mix / sums[:, :, None] + hc_eps, 0.0)
            # lines beyond R are 0 / 1, not 0 / 0
            beyond = tl.where(r < branches, hc_eps, 1.0)[None, :]
            mix = mix / (tl.sum(mix, axis=1) + beyond)[:, None, :]
            for _ in range(iterations - 1):
                mix = mix / (tl.sum(mix, axis=2) + beyond)[:, :, None]
                mix = mix / (tl.sum(mix, axis=1) + beyond)[:, None, :]
            place = comb + row[:, None, None] * (branches * branches)
            tl.store(place + (i * branches + o)[None, :, :], mix, mask=inside)

    @triton.jit
    def hc_kernel(
        x, weight, static, scale, parts, arrived, pre, post, comb, rows, length, part_length,
        rms_eps, branches: tl.constexpr, lanes: tl.constexpr, num_parts: tl.constexpr,
        block: tl.constexpr, block_v: tl.constexpr,
    ):  # fmt: skip
        """Fill HC's coefficients; a row is one branch of one token."""
        columns: tl.constexpr = branches + 2
        _product(x, weight, parts, rows, length, part_length, columns, lanes, block, block_v)
        if _is_last(arrived, num_parts):
            row = tl.program_id(0).to(tl.int64) * block + tl.arange(0, block)
            is_row = row < rows
            stride = rows.to(tl.int64) * (columns + 1)
            at = row * (columns + 1)
            inverse = _whole(parts, at + columns, is_row, stride, num_parts) / length
            inverse = tl.rsqrt(inverse + rms_eps)
            lane = tl.arange(0, lanes)
            mask = is_row[:, None] & (lane < columns)[None, :]
            m = _whole(parts, at[:, None] + lane[None, :], mask, stride, num_parts)
            m = 2.0 * tl.sigmoid(2.0 * m * inverse[:, None]) - 1.0  # tanh
            m *= tl.load(scale + lane, mask=lane < columns, other=0.0)[None, :]
            place = static + (row % branches)[:, None] * columns + lane[None, :]
            m += tl.load(place, mask=mask, other=0.0)
            c = lane[None, :]
            tl.store(post + row[:, None] + c, m, mask=mask & (c == 0))
            tl.store(pre + row[:, None] + c - 1, m, mask=mask & (c == 1))
            tl.store(comb + row[:, None] * branches + c - 2, m, mask=mask & (c > 1))

    @triton.jit
    def collapse_kernel(
        x, pre, u, width, branches: tl.constexpr, lanes_r: tl.constexpr, block: tl.constexpr
    ):
        """Set u to sum_i pre[i] X[i] of one token, `block` columns."""
        token = tl.program_id(0).to(tl.int64)
        at = tl.program_id(1) * block + tl.arange(0, block)
        r = tl.arange(0, lanes_r)
        where = x + (token * branches + r[:, None]) * width + at[None, :]
        mask = (r < branches)[:, None] & (at < width)[None, :]
        values = tl.load(where, mask=mask, other=0.0).to(tl.float32)
        weights = tl.load(pre + token * branches + r, mask=r < branches, other=0.0)
        total = tl.sum(weights[:, None] * values, axis=0)
        tl.store(u + token * width + at, total.to(u.dtype.element_ty), mask=at < width)

    @triton.jit
    def expand_kernel(
        x, y, post, comb, pre, out, u, width, branches: tl.constexpr, lanes_r: tl.constexpr,
        ahead: tl.constexpr, block: tl.constexpr,
    ):  # fmt: skip
        """Set out[o] to sum_i comb[i, o] X[i] + post[o] y, and if `ahead` u to its collapse."""
        token = tl.program_id(0).to(tl.int64)
        at = tl.program_id(1) * block + tl.arange(0, block)
        r = tl.arange(0, lanes_r)
        where = x + (token * branches + r[:, None]) * width + at[None, :]
        mask = (r < branches)[:, None] & (at < width)[None, :]
        values = tl.load(where, mask=mask, other=0.0).to(tl.float32)
        written = tl.load(y + token * width + at, mask=at < width, other=0.0).to(tl.float32)
        next_u = tl.zeros([block], tl.float32)
        for o in tl.static_range(branches):
            place = comb + (token * branches + r) * branches + o
            weights = tl.load(place, mask=r < branches, other=0.0)
            total = tl.sum(weights[:, None] * values, axis=0)
            total += tl.load(post + token * branches + o) * written
            rounded = total.to(out.dtype.element_ty)
            tl.store(out + (token * branches + o) * width + at, rounded, mask=at < width)
            if ahead:
                next_u += tl.load(pre + token * branches + o) * rounded.to(tl.float32)
        if ahead:
            tl.store(u + token * width + at, next_u.to(u.dtype.element_ty), mask=at < width)


def mhc_coefficients(
    X: "Tensor", phi: "Tensor", alpha: "Tensor", bias: "Tensor", arrived: "Tensor",
    made: "tuple[Tensor, Tensor, Tensor]", iterations: int, hc_eps: float, rms_eps: float,
    paper: bool,
) -> None:  # fmt: skip
    """Fill made, (pre, post, comb); see `engramctl.residual.operators`."""
    branches, tokens = X.shape[-2], X.shape[:-2].numel()
    if not tokens:
        return
    programs, parts, part_length, options = _cut(X, tokens, phi)
    with _device_of(X):
        mhc_kernel[programs](
            X, phi, alpha, bias, parts, arrived, *made, tokens, len(phi), part_length, hc_eps,
            rms_eps, branches=branches, lanes_r=triton.next_power_of_2(branches),
            iterations=iterations, paper=paper, **options,
        )  # fmt: skip


def hc_coefficients(
    X: "Tensor", weight: "Tensor", static: "Tensor", scale: "Tensor", arrived: "Tensor",
    made: "tuple[Tensor, Tensor, Tensor]", eps: float,
) -> None:  # fmt: skip
    """Fill made, (pre, post, comb); see `engramctl.residual.operators`."""
    branches, tokens = X.shape[-2], X.shape[:-2].numel()
    if not tokens:
        return
    rows = tokens * branches
    programs, parts, part_length, options = _cut(X, rows, weight)
    with _device_of(X):
        hc_kernel[programs](
            X, weight, static, scale, parts, arrived, *made, rows, len(weight), part_length, eps,
            branches=branches, **options,
        )  # fmt: skip


def collapse(X: "Tensor", pre: "Tensor", u: "Tensor") -> None:
    """Fill u (..., D)."""
    (branches, width), tokens = X.shape[-2:], X.shape[:-2].numel()
    if tokens:
        block = min(triton.next_power_of_2(width), _LARGEST_BLOCK)
        with _device_of(X):
            collapse_kernel[(tokens, -(-width // block))](
                X, pre, u, width, branches=branches, lanes_r=triton.next_power_of_2(branches),
                block=block, **_FUSED,
            )  # fmt: skip


def expand(
    X: "Tensor", y: "Tensor", post: "Tensor", comb: "Tensor", pre: "Tensor | None",
    out: "Tensor", u: "Tensor",
) -> None:  # fmt: skip
    """Fill out (..., R, D), and u (..., D) where pre is given."""
    (branches, width), tokens = X.shape[-2:], X.shape[:-2].numel()
    if tokens:
        block = min(triton.next_power_of_2(width), _LARGEST_BLOCK)
        with _device_of(X):
            expand_kernel[(tokens, -(-width // block))](
                X, y, post, comb, post if pre is None else pre, out, u, width, branches=branches,
                lanes_r=triton.next_power_of_2(branches), ahead=pre is not None, block=block,
                **_FUSED,
            )  # fmt: skip


def cut_of(rows: int, length: int) -> tuple[int, int, int]:
    """Return rows of one program of a product, parts of each row, and values of a part.

    Example:
        >>> cut_of(1, 10_240), cut_of(8192, 10_240)
        ((16, 80, 128), (64, 1, 10240))
    """
    block = _MANY_ROWS if rows >= _PROGRAMS * _MANY_ROWS else _FEW_ROWS
    wanted = min(max(1, _PROGRAMS // -(-rows // block)), -(-length // (2 * _BLOCK_V)))
    if wanted == 1:
        return block, 1, length
    part_length = -(-length // (wanted * _BLOCK_V)) * _BLOCK_V
    return block, -(-length // part_length), part_length


def _cut(
    X: "Tensor", rows: int, weight: "Tensor"
) -> tuple[tuple[int, int], "Tensor", int, dict[str, Any]]:
    """Return the programs of a product, the place for its parts, a part's length, and options."""
    length, columns = weight.shape
    block, num_parts, part_length = cut_of(rows, length)
    parts = X.new_empty((num_parts, rows, columns + 1), dtype=weight.dtype)
    lanes = max(16, triton.next_power_of_2(columns))
    options = {"lanes": lanes, "num_parts": num_parts, "block": block, "block_v": _BLOCK_V}
    return (-(-rows // block), num_parts), parts, part_length, options | _FUSED


def _device_of(tensor: "Tensor") -> Any:
    """Make the tensor's device the current one: Triton launches there."""
    import torch

    return torch.cuda.device_of(tensor)
