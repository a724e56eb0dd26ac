"""Every preset small enough to test: the released constants' sizes, a vocabulary of 500 ids."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from engramctl.hashing import DEAD, PRESETS, Scheme, make_scheme
from engramctl.hashing.walk.mix import Mix

VOCAB = 500
EOS = 7


def small(name: str, **options: Any) -> Scheme:
    preset = PRESETS[name]
    if preset.eos_id is not None:
        options.setdefault("eos_id", EOS)
    if preset.zero_stops:
        options.setdefault("specials", [(3, 5), (VOCAB - 10, VOCAB)])
    if preset.num_canonical is not None:
        return make_scheme(name, **options)  # its vocabulary decides its constants
    return make_scheme(name, vocab_size=VOCAB, **options)


SCHEMES = {name: small(name) for name in PRESETS}
FAMILIES = (
    "engram", "deepseek-v41", "qwen-ple", "over-encoding", "over-encoding-wrap64", "longcat",
    "longcat-next", "longcat-special-scope",
)  # fmt: skip
SCHEMES |= {f"{name}, few slots": small(name, slots=97, heads_per_order=2) for name in FAMILIES}
SCHEMES["blt, three functions"] = small(
    "blt", slots=30_000, heads_per_order=3, mix=Mix("rollpoly", bases=(1000003, 2**62 - 57, 31))
)
SCHEMES["over-encoding, order 6"] = small("over-encoding-wrap64", orders=(2, 4, 6))
SCHEMES["longcat, layers"] = small("longcat", layers=(3, 1), slots=2**33)
SCHEMES["qwen-ple, layers"] = small("qwen-ple", layers=(2, 5), orders=(2, 3, 4))

LARGE_VOCAB = 2**32
LARGE = {
    name: make_scheme(name, vocab_size=LARGE_VOCAB, specials=[] if p.zeroed else None)
    for name, p in PRESETS.items()
    if not name.startswith(("engram", "deepseek"))  # their multipliers leave no room for such ids
}
LARGE["longcat, few slots"] = make_scheme("longcat", vocab_size=LARGE_VOCAB, slots=97)
LARGE["over-encoding, huge moduli"] = make_scheme(
    "over-encoding", vocab_size=LARGE_VOCAB, slots=2**30
)
LARGE["blt, three functions"] = make_scheme(
    "blt", vocab_size=LARGE_VOCAB, slots=30_000, heads_per_order=3,
    mix=Mix("rollpoly", bases=(1000003, 2**62 - 57, 31)),
)  # fmt: skip


def knows_masks(scheme: Scheme) -> bool:
    return scheme.boundary.negative != "refuse"


@st.composite
def token_batches(draw: st.DrawFn, scheme: Scheme) -> NDArray[np.int64]:
    """Ids that meet stops, specials and the ends of the vocabulary often."""
    batch, length = draw(st.integers(1, 3)), draw(st.integers(1, 14))
    rare = [0, EOS, 3, VOCAB - 1, scheme.boundary.fill, *([DEAD] if knows_masks(scheme) else [])]
    one = st.one_of(st.sampled_from(rare), st.integers(0, VOCAB - 1))
    flat = draw(st.lists(one, min_size=batch * length, max_size=batch * length))
    return np.array(flat, np.int64).reshape(batch, length)
