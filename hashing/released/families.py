"""Presets: the values that each family and each released model uses.

A released configuration (`longcat-2.0`) is a family (`longcat`) with that model's sizes.
"""

from dataclasses import dataclass, replace

from engramctl.hashing.walk.heads import PRIMES, HeadRule
from engramctl.hashing.walk.mix import XOR_MUL, Mix

BLT_PRIMES = (
    1000000007, 5915587277, 1500450271, 3267000013, 5754853343, 4093082899, 9576890767,
    3628273133, 2860486313, 5463458053, 3367900313,
)  # fmt: skip


@dataclass(frozen=True)
class Preset:
    """A family's own values, or a released model's.

    Attributes:
        vocab_size: V, the number of canonical ids when there is no token map; base of a poly mix.
        orders: n-gram orders.
        heads_per_order: K.
        slots: of each head, where the head rule starts from.
        layers: decoder layers; 0 for schemes that feed the input embedding.
        row_dim: E, values a row.
        dtype: the row type.
        fuse: how rows enter the model.
        fill: id that fills the window: `pad` (a token), `eos` or `zero`.
        pad_id: the pad token where fill is `pad`.
        eos_id: the token that ends look-back; None: no reset.
        zero_stops: whether the canonical id 0 ends look-back and, as the current token, has none.
        zeroed: half-open ranges of token ids that read as 0.
        negative: what a negative id means (`Boundary.negative`); `dead` ones also stop and block.
        seed: of the multipliers.
        num_canonical: canonical ids a token map must have; None: any number.
        mix: how windows are mixed; a poly mix takes its base from the vocabulary.
        rule: how moduli are made.
        normaliser: of the fusion.
    """

    vocab_size: int
    orders: tuple[int, ...]
    heads_per_order: int
    slots: int
    layers: tuple[int, ...]
    row_dim: int
    dtype: str
    fuse: str
    fill: str = "zero"
    pad_id: int | None = None
    eos_id: int | None = None
    zero_stops: bool = False
    zeroed: tuple[tuple[int, int], ...] = ()
    negative: str = "refuse"
    seed: int = 0
    num_canonical: int | None = None
    mix: Mix = XOR_MUL
    rule: HeadRule = PRIMES
    normaliser: str | None = None

    @property
    def has_token_map(self) -> bool:
        """Whether the models compress ids by a token map: Engram and DeepSeek-V4.1 do."""
        return self.fill == "pad"


_EXACT = Mix("poly", "exact", bases=(1,))  # the base is the vocabulary size, set by make_scheme
_WRAP64 = Mix("poly", "wrap64", bases=(1,))
_EVERY_SECOND = HeadRule("arith", step=2)

# engram_demo_v1.py
_ENGRAM = Preset(
    vocab_size=129280, orders=(2, 3), heads_per_order=8, slots=646400, layers=(1, 15), row_dim=64,
    dtype="bf16", fuse="engram-demo", fill="pad", pad_id=2, negative="pass",
)  # fmt: skip

# Engram-27B and -40B: arXiv 2601.07372, tables 1 and 5
_ENGRAM_27B = replace(_ENGRAM, slots=2_262_400, layers=(2, 15), row_dim=80, fuse="engram")

# DeepSeek-V4.1-Flash: its config.json
_DEEPSEEK_V41 = Preset(
    vocab_size=129280, orders=(2, 3, 4), heads_per_order=8, slots=16_000_000, layers=(1, 14),
    row_dim=256, dtype="f8_e4m3", fuse="deepseek-v41", fill="pad", pad_id=2, negative="dead",
)  # fmt: skip

# Qwen3.8-Flash-Next: its config.json; the seed is the class default, load-bearing
_QWEN_PLE = Preset(
    vocab_size=248320, orders=(2, 3), heads_per_order=8, slots=20_000_000, layers=(1,), row_dim=160,
    dtype="bf16", fuse="qwen-ple", fill="eos", eos_id=248044, negative="fill", seed=1234,
    mix=Mix(stream="splitmix64"), rule=HeadRule(pad_rows_to=128),
)  # fmt: skip

# OE-12.8M on OLMoE-1.3B (13.1 B parameters): arXiv 2501.16975
_OVER_ENCODING = Preset(
    vocab_size=50280, orders=(2, 3), heads_per_order=2, slots=12_800_000, layers=(0,), row_dim=256,
    dtype="bf16", fuse="over-encoding", mix=_EXACT, rule=_EVERY_SECOND, normaliser="mean",
)  # fmt: skip

# LongCat-Flash-Lite: its config.json; slots are int(ratio * V + 1)
_LONGCAT = Preset(
    vocab_size=131072, orders=(2, 3, 4), heads_per_order=4, slots=10_223_617, layers=(0,),
    row_dim=256, dtype="bf16", fuse="longcat", eos_id=2, mix=_EXACT, rule=_EVERY_SECOND,
    normaliser="mean",
)  # fmt: skip

# BLT: arXiv 2412.09871; 256 bytes behind 4 specials; row_dim is the local encoder's width
_BLT = Preset(
    vocab_size=260, orders=(3, 4, 5, 6, 7, 8), heads_per_order=1, slots=500_002, layers=(0,),
    row_dim=1024, dtype="bf16", fuse="blt", mix=Mix("rollpoly", bases=BLT_PRIMES[:1]),
    rule=HeadRule("arith"),
)  # fmt: skip

PRESETS = {
    "engram": _ENGRAM,
    "engram-27b": _ENGRAM_27B,
    "engram-40b": replace(_ENGRAM_27B, slots=7_239_680),
    "deepseek-v41": _DEEPSEEK_V41,
    # takes canonical ids, or a token map that gives exactly as many
    "deepseek-v41-flash": replace(_DEEPSEEK_V41, vocab_size=99_092, num_canonical=99_092),
    "qwen-ple": _QWEN_PLE,
    "qwen3.8-flash-next": _QWEN_PLE,
    "over-encoding": _OVER_ENCODING,
    "over-encoding-wrap64": replace(_OVER_ENCODING, mix=_WRAP64),
    "oe-12.8m": _OVER_ENCODING,
    "longcat": _LONGCAT,
    "longcat-flash-lite": _LONGCAT,
    "longcat-2.0": replace(
        _LONGCAT, vocab_size=163840, orders=(2, 3, 4, 5), slots=16_476_898, row_dim=512
    ),
    "longcat-next": replace(_LONGCAT, zero_stops=True, zeroed=((131072, 131125),)),
    # FLASHLocal; its special tokens are the caller's: `specials`, which hold EOS too
    "longcat-special-scope": replace(
        _LONGCAT, vocab_size=163840, slots=4_718_593, eos_id=None, zero_stops=True
    ),
    "blt": _BLT,
}
