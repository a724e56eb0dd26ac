"""Gather and dequantise in one Triton kernel; and records copied as they are, out of and into rows.

A row is cut into groups of as many values as share a scale (32, of nvfp4 16; where a row has no
groups, the largest part of 32 that divides it), and a program takes a block of groups, of whatever
rows they are: so no lane is idle, whatever row_dim is. Codes are read as bytes of which Triton
knows how they are aligned: it joins as many into one load as record_bytes and the begin of a group
allow, 8 of V4.1's 264-byte records, and 16 in stores. Floats are read as words. Addresses have 64
bits.

`TRITON_INTERPRET=1`, set before triton is imported, runs the same kernels on the CPU. Neither
multiply-adds nor flushed subnormal numbers: a value is what the plain decoder says, to the bit.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
from math import gcd
from typing import TYPE_CHECKING, Any

from engramctl.storage.device import triton_codecs as codecs
from engramctl.storage.record.float_scales import FLOAT_SCALED
from engramctl.storage.record.record import RecordSpec

try:
    import triton
    import triton.language as tl
except ImportError:  # CPU builds of torch come without it
    triton = None

if TYPE_CHECKING:
    import torch

_GROUP = 32  # values of one, of rows without groups
_LEAST_GROUP = 8  # a smaller divisor of row_dim is not worth it: lanes are masked instead
_VALUES = 4096  # of one program: 32 a thread
_FEW_VALUES = 256  # where there are few rows, so that many processors take part
FEW_PROGRAMS = 2048  # up to so many of them
_WORDS, _FEW_WORDS = 1024, 64  # of one program that copies records
EXACT = {"enable_fp_fusion": False}

if triton is not None:

    @triton.jit(do_not_specialize=["count", "num_rows", "row_ids", "targets", "bad"])
    def gather_kernel(
        records, row_ids, targets, out, bad, table_scale, count, num_rows,
        record_bytes: tl.constexpr, row_dim: tl.constexpr, groups: tl.constexpr,
        width: tl.constexpr, code: tl.constexpr, code_at: tl.constexpr, code_step: tl.constexpr,
        item: tl.constexpr, nibbles: tl.constexpr, scale: tl.constexpr, scale_at: tl.constexpr,
        scale_step: tl.constexpr, aligned: tl.constexpr, by_table: tl.constexpr,
        has_targets: tl.constexpr, has_bad: tl.constexpr, block: tl.constexpr,
    ):  # fmt: skip
        """Fill the output rows of a block of groups; note the positions of ids that are no rows."""
        first = tl.program_id(0).to(tl.int64) * block
        lane = (first % groups).to(tl.int32) + tl.arange(0, block)
        at = first // groups + lane // groups
        group = lane % groups
        here = at < count
        to = at
        if has_targets:
            to = tl.load(targets + at, mask=here, other=0).to(tl.int64)
            here = here & (to >= 0)
        ids = tl.load(row_ids + at, mask=here, other=0).to(tl.int64)
        is_row = (ids >= 0) & (ids < num_rows)
        good = here & is_row
        if has_bad:
            flag = bad + tl.zeros([block], tl.int32)
            missed = here & (is_row == 0) & (group == 0)
            tl.atomic_min(flag, at, mask=missed, sem="relaxed")  # nothing else is ordered by it
        record = records + ids * record_bytes
        read: tl.constexpr = width // 2 if nibbles != "none" else width
        k = tl.arange(0, read)
        inside = good[:, None] & (k >= 0)[None, :]
        if row_dim % width != 0:
            inside = inside & (group[:, None] * width + k[None, :] < row_dim)
        if item == 4:
            words = records.to(tl.pointer_type(tl.int32), bitcast=True) + ids * row_dim
            place = (words + group * width)[:, None] + k[None, :]
            value = codecs.floats(place, inside, code)
        elif item == 2:
            words = records.to(tl.pointer_type(tl.uint16), bitcast=True) + ids * row_dim
            place = (words + group * width)[:, None] + k[None, :]
            value = codecs.floats(place, inside, code)
        else:
            place = (record + group * code_step + code_at)[:, None] + k[None, :]
            # of rows without a scale the codes are NaN, e4m3's: those with one do not look at it
            found = tl.load(place, mask=inside, other=0x7F)
            if nibbles == "joined":
                found = tl.reshape(tl.join(found & 15, found >> 4), [block, width])
            if nibbles == "halves":
                value = codecs.numbers(found & 15, code)
            else:
                value = codecs.numbers(found, code)
        v = tl.arange(0, read if nibbles == "halves" else width)
        there = (out + to * row_dim + group * width)[:, None] + v[None, :]
        kept = here[:, None] & (v >= 0)[None, :]
        if row_dim % width != 0:
            kept = kept & (group[:, None] * width + v[None, :] < row_dim)
        if scale != "none":
            factor = codecs.scales(record + group * scale_step + scale_at, good, scale, aligned)
            if by_table:
                factor = factor * table_scale
            value = value * factor[:, None]
        elif by_table:
            value = value * table_scale
        if code == "affine":
            place = record + group * scale_step + scale_at + groups * scale_step
            value = value + codecs.scales(place, good, scale, aligned)[:, None]
        tl.store(there, codecs.rounded(value, out.dtype.element_ty), mask=kept)
        if nibbles == "halves":
            value = codecs.numbers(found >> 4, code) * factor[:, None]
            tl.store(there + read, codecs.rounded(value, out.dtype.element_ty), mask=kept)

    @triton.jit(do_not_specialize=["count", "num_rows", "row_ids", "targets", "bad"])
    def copy_kernel(
        source, row_ids, targets, out, bad, count, num_rows,
        words: tl.constexpr, word: tl.constexpr, has_ids: tl.constexpr,
        has_targets: tl.constexpr, has_bad: tl.constexpr, block: tl.constexpr,
    ):  # fmt: skip
        """Copy a block of words, `words` a record; of ids that are no rows, zeros."""
        first = tl.program_id(0).to(tl.int64) * block
        lane = (first % words).to(tl.int32) + tl.arange(0, block)
        at = first // words + lane // words
        here = at < count
        to = at
        if has_targets:
            to = tl.load(targets + at, mask=here, other=0).to(tl.int64)
            here = here & (to >= 0)
        good = here
        ids = at
        if has_ids:
            ids = tl.load(row_ids + at, mask=here, other=0).to(tl.int64)
            is_row = (ids >= 0) & (ids < num_rows)
            good = here & is_row
            if has_bad:
                flag = bad + tl.zeros([block], tl.int32)
                missed = here & (is_row == 0) & (lane % words == 0)
                tl.atomic_min(flag, at, mask=missed, sem="relaxed")
        if word == 8:
            source = source.to(tl.pointer_type(tl.int64), bitcast=True)
            out = out.to(tl.pointer_type(tl.int64), bitcast=True)
        elif word == 4:
            source = source.to(tl.pointer_type(tl.int32), bitcast=True)
            out = out.to(tl.pointer_type(tl.int32), bitcast=True)
        elif word == 2:
            source = source.to(tl.pointer_type(tl.int16), bitcast=True)
            out = out.to(tl.pointer_type(tl.int16), bitcast=True)
        found = tl.load(source + ids * words + lane % words, mask=good, other=0)
        tl.store(out + to * words + lane % words, found, mask=here)


def form_of(spec: RecordSpec) -> dict[str, Any]:
    """Return what the kernel must know of records, as its constants."""
    width = spec.facts.block_values
    if width == 1:
        width = gcd(spec.row_dim, _GROUP)
        width = width if width >= _LEAST_GROUP else _GROUP
    code, nibbles, code_at, step = spec.dtype, "none", 0, width
    kind, scale_at, scale_step = spec.facts.scale_tensor, spec.weight_bytes, 0
    if spec.dtype in FLOAT_SCALED:
        code = FLOAT_SCALED[spec.dtype]
        scale_step = spec.facts.block_scale_bytes
    elif spec.dtype in ("f8_e4m3", "f8_e4m3_scalar"):
        code, scale_step = "e4m3", spec.facts.block_scale_bytes
    elif spec.dtype in ("int4", "int4_affine"):
        code = "affine" if spec.dtype == "int4_affine" else "int4"
        scale_step = 2
    elif spec.dtype == "nvfp4":
        code, scale_step = "e2m1", 1
    elif spec.dtype not in codecs.WIDE:  # GGUF's: a float16, then the codes
        code = {"q8_0": "int8", "q4_0": "int4", "iq4_nl": "iq4_nl"}[spec.dtype]
        kind, scale_at, code_at = "F16", 0, 2
        step = scale_step = spec.facts.block_bytes
        nibbles = "none" if code == "int8" else "halves"
    if code in codecs.NIBBLES and nibbles == "none":
        nibbles, step = "joined", width // 2
    scale = {"F8_E8M0": "e8m0", "F8_E4M3": "e4m3", None: "none"}.get(kind, kind)
    item = {"F32": 4, "F16": 2, "BF16": 2}.get(kind or "", 1)
    return {
        "record_bytes": spec.record_bytes, "row_dim": spec.row_dim,
        "groups": -(-spec.row_dim // width), "width": width, "code": code, "code_at": code_at,
        "code_step": step, "item": codecs.WIDE.get(spec.dtype, 1), "nibbles": nibbles,
        "scale": scale, "scale_at": scale_at, "scale_step": scale_step,
        "aligned": gcd(spec.record_bytes, scale_at, scale_step) % item == 0,
        "by_table": spec.facts.table_scale,
    }  # fmt: skip


def word_of(record_bytes: int) -> int:
    """Return the bytes of the widest word that records are a whole number of, at most 8.

    They must begin at a multiple of it: then no word that these kernels read crosses its bounds.

    Example:
        >>> word_of(264), word_of(130), word_of(35)
        (8, 2, 1)
    """
    return gcd(record_bytes, 8)


def missing(device: "torch.device") -> str | None:
    """Return why these kernels cannot run on a device, or None: they may."""
    if triton is None:
        return "triton cannot be imported"
    if device.type == "cuda" or (device.type == "cpu" and codecs.INTERPRETED):
        return None
    return f"Triton has no kernels for {device.type}: they need a CUDA device"


def address_of(records: "torch.Tensor") -> int:
    """Return where records begin."""
    return records.data_ptr()


def gather(
    form: dict[str, Any], records: "torch.Tensor", row_ids: "torch.Tensor", table_scale: float,
    out: "torch.Tensor", targets: "torch.Tensor | None", bad: "torch.Tensor | None", num_rows: int,
) -> None:  # fmt: skip
    """Launch `gather_kernel` on the current device; nothing is checked (see `Gathering`)."""
    count, width = len(row_ids), form["width"]
    pairs = count * form["groups"]
    block = _FEW_VALUES // width
    warps = 1
    if pairs > block * FEW_PROGRAMS:
        block, warps = _VALUES // width, 4
    gather_kernel[(max(1, -(-pairs // block)),)](
        records, row_ids, row_ids if targets is None else targets, out,
        row_ids if bad is None else bad, table_scale, count, num_rows, **form,
        has_targets=targets is not None, has_bad=bad is not None, block=block, num_warps=warps,
        **EXACT,
    )  # fmt: skip


def copy(
    source: "torch.Tensor", row_ids: "torch.Tensor | None", out: "torch.Tensor",
    targets: "torch.Tensor | None", bad: "torch.Tensor | None", count: int, num_rows: int,
) -> None:  # fmt: skip
    """Launch `copy_kernel` on the current device; nothing is checked (see `Gathering`).

    Args:
        source: uint8 (R, record_bytes).
        row_ids: which of them, (count,); None: the first ones.
        out: uint8 (m, record_bytes).
        targets: rows of `out` that are written, (count,); None: the first ones.
        bad: as in `gather`.
        count: records.
        num_rows: as in `gather`.
    """
    word = word_of(source.shape[1])
    words = source.shape[1] // word
    block, warps = (_WORDS, 4) if count * words > _FEW_WORDS * FEW_PROGRAMS else (_FEW_WORDS, 1)
    ids = source if row_ids is None else row_ids
    copy_kernel[(max(1, -(-count * words // block)),)](
        source, ids, ids if targets is None else targets, out, ids if bad is None else bad,
        count, num_rows, words=words, word=word, has_ids=row_ids is not None,
        has_targets=targets is not None, has_bad=bad is not None, block=block, num_warps=warps,
        **EXACT,
    )  # fmt: skip
