"""The fusions by name, and what follows from each name; needs no torch.

A gated fusion writes to the branches at the entry of a decoder layer. One at the input makes the
token's embedding, once, before the first layer.
"""

from dataclasses import dataclass
from typing import Final, Literal

Fusion = Literal[
    "engram", "engram-demo", "deepseek-v41", "qwen-ple",
    "over-encoding", "over-encoding-concat", "longcat", "blt", "dictionary",
]  # fmt: skip
Normaliser = Literal["mean", "sqrt", "word_full"]
Place = int | Literal["input"]
INPUT: Final = "input"


@dataclass(frozen=True)
class Kind:
    """What a fusion is made of.

    Attributes:
        at_input: it makes the token's embedding, instead of writing to the branches of a layer.
        has_conv: the value passes the short convolution.
        has_bias: key and value projections have biases.
        zero_centred: norm weights are stored around zero and used as 1 + weight.
        norm_eps: of the query and key norms.
        conv_norm_eps: of the norm before the short convolution.
    """

    at_input: bool = False
    has_conv: bool = False
    has_bias: bool = False
    zero_centred: bool = False
    norm_eps: float = 1e-6
    conv_norm_eps: float = 1e-5


KINDS: dict[Fusion, Kind] = {
    "engram": Kind(has_conv=True),
    # torch's default epsilon in the gate's norms
    "engram-demo": Kind(has_conv=True, has_bias=True, norm_eps=1.1920929e-07),
    "deepseek-v41": Kind(norm_eps=1e-20),
    "qwen-ple": Kind(has_conv=True, zero_centred=True, conv_norm_eps=1e-6),
    "over-encoding": Kind(at_input=True),
    "over-encoding-concat": Kind(at_input=True),
    "longcat": Kind(at_input=True),
    "blt": Kind(at_input=True),
    "dictionary": Kind(at_input=True),
}
GATED: tuple[Fusion, ...] = tuple(name for name, kind in KINDS.items() if not kind.at_input)
AT_INPUT: tuple[Fusion, ...] = tuple(name for name, kind in KINDS.items() if kind.at_input)
