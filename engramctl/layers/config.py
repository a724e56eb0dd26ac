"""What a decoder is made of, as frozen dataclasses checked when made; needs no torch.

Shapes: B sequences, T tokens, H hash heads, E row_dim, D model width, R branches.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from engramctl.errors import ConfigError, unknown

ResidualMode = Literal["none", "hc", "mhc", "single_pass"]
SinkhornForm = Literal["paper", "release"]
ResidualInit = Literal["identity", "uniform", "random"]
Readout = Literal["mean", "hyperhead", "last_pre"]
ResidualKernels = Literal["eager", "fused"]
Fusion = Literal["engram", "engram-demo", "deepseek-v41"]

CONV_KERNEL = 4  # taps of the short convolution (Engram)


def _one_of(name: str, value: str, choices: object) -> None:
    allowed = get_args(choices)
    if value not in allowed:
        raise unknown(name, value, allowed)


def _at_least(owner: object, minimum: int, *names: str) -> None:
    for name in names:
        value = getattr(owner, name)
        if not isinstance(value, int) or value < minimum:
            raise ConfigError(
                f"{name} is out of range",
                facts={"expected": f"an integer of at least {minimum}", "found": value},
            )


def _positive(owner: object, *names: str) -> None:
    for name in names:
        value = getattr(owner, name)
        if not value > 0:
            raise ConfigError(f"{name} must be above zero", facts={"found": value})


@dataclass(frozen=True)
class ResidualConfig:
    """How sublayers are joined (HC, arXiv 2409.19606; mHC, arXiv 2512.24880).

    Attributes:
        mode: `none` is the pre-norm residual; `mhc` the classic form; `single_pass` applies the
            input mix one sublayer late (V4.1).
        branches: R; ignored by mode `none`, which has one.
        form: Sinkhorn as in the paper (2.1), or as released by DeepSeek (2.2).
        iterations: Sinkhorn steps, 20 in every published model.
        hc_eps: the release form's additive epsilon; the paper form has none.
        rms_eps: epsilon of the norm over all R * D values.
        init: starting coefficients (2.5); `identity` and `uniform` start as the pre-norm residual.
        readout: how R branches become one vector after the last layer (2.6).
        kernels: `eager` is plain torch, the reference; `fused` two or three launches a sublayer.

    Raises:
        ConfigError: a value outside its choices or range, or a read-out that mode `none` lacks.
    """

    mode: ResidualMode = "mhc"
    branches: int = 4
    form: SinkhornForm = "release"
    iterations: int = 20
    hc_eps: float = 1e-6
    rms_eps: float = 1e-6
    init: ResidualInit = "identity"
    readout: Readout = "mean"
    kernels: ResidualKernels = "eager"

    def __post_init__(self) -> None:
        """Refuse what no decoder could run."""
        _one_of("residual mode", self.mode, ResidualMode)
        _one_of("Sinkhorn form", self.form, SinkhornForm)
        _one_of("residual init", self.init, ResidualInit)
        _one_of("read-out", self.readout, Readout)
        _one_of("residual kernels", self.kernels, ResidualKernels)
        _at_least(self, 1, "branches", "iterations")
        _positive(self, "rms_eps")
        if self.hc_eps < 0:
            raise ConfigError("hc_eps must not be negative", facts={"found": self.hc_eps})
        if self.mode == "none" and self.readout != "mean":
            raise ConfigError(
                f"read-out '{self.readout}' needs branches, residual mode 'none' has one",
                hint="use read-out 'mean', or another residual mode",
            )

    @property
    def num_branches(self) -> int:
        """R as the decoder sees it: 1 for mode `none`."""
        return 1 if self.mode == "none" else self.branches


@dataclass(frozen=True)
class MemoryConfig:
    """The gated lookup: geometry from the table's scheme, fusion by name.

    Attributes:
        layers: pairs (decoder layer, table layer), decoder layers ascending.
        num_heads: H, hash heads of one layer, all orders together.
        row_dim: E, values of one row.
        max_order: the longest n-gram; the dilation of the short convolution.
        fusion: `engram` (paper: plain sigmoid), `engram-demo` (signed square root, biases), both
            with the short convolution; `deepseek-v41` (signed square root, no convolution).
        norm_eps: epsilon of the query and key norms (demo 1.1920929e-07, V4.1 1e-20).
        conv_norm_eps: epsilon of the norm before the short convolution.
        conv_zero_init: start the convolution at zero, as in the paper; its time is the same.

    Raises:
        ConfigError: a value outside its choices or range, or layers out of order.
    """

    layers: tuple[tuple[int, int], ...]
    num_heads: int
    row_dim: int
    max_order: int
    fusion: Fusion = "deepseek-v41"
    norm_eps: float = 1e-6
    conv_norm_eps: float = 1e-5
    conv_zero_init: bool = True

    def __post_init__(self) -> None:
        """Refuse what no table could feed."""
        _one_of("fusion", self.fusion, Fusion)
        _at_least(self, 1, "num_heads", "row_dim", "max_order")
        _positive(self, "norm_eps", "conv_norm_eps")
        decoder_layers = [decoder_layer for decoder_layer, _ in self.layers]
        table_layers = [table_layer for _, table_layer in self.layers]
        if not self.layers or min(decoder_layers + table_layers) < 0:
            raise ConfigError(
                "memory layers must be pairs (decoder layer, table layer) from 0 on",
                facts={"found": self.layers},
            )
        if decoder_layers != sorted(set(decoder_layers)):
            raise ConfigError(
                "memory layers must name each decoder layer once, ascending",
                facts={"found": decoder_layers},
            )
        if len(set(table_layers)) != len(table_layers):
            raise ConfigError(
                "two decoder layers read the same table layer", facts={"found": table_layers}
            )

    @property
    def has_conv(self) -> bool:
        """Whether the value passes the short convolution."""
        return self.fusion != "deepseek-v41"

    @property
    def has_bias(self) -> bool:
        """Whether key and value projections have biases."""
        return self.fusion == "engram-demo"

    @property
    def conv_history(self) -> int:
        """Past positions one convolution reads: (taps - 1) * dilation; 0 without one."""
        return (CONV_KERNEL - 1) * self.max_order if self.has_conv else 0


@dataclass(frozen=True)
class DecoderConfig:
    """One decoder: grouped-query attention with RoPE, SwiGLU, a residual form, maybe a memory.

    Attributes:
        width: D.
        num_layers: decoder layers, each an attention and an FFN sublayer.
        num_attention_heads: query heads.
        num_kv_heads: key and value heads, a divisor of the query heads.
        attention_head_dim: values of one attention head, even.
        ffn_width: hidden width of the SwiGLU.
        vocab_size: token ids are below it.
        tied: whether the embedding is also the output projection.
        memory_layers: decoder layers where this preset would place a memory; a table with other
            layers is mapped to them in order.
        residual: see ResidualConfig.
        memory: see MemoryConfig; None for a model without.
        rope_theta: RoPE base.
        rms_eps: epsilon of the pre-norms and the final norm.

    Raises:
        ConfigError: sizes that do not fit each other.
    """

    width: int
    num_layers: int
    num_attention_heads: int
    num_kv_heads: int
    attention_head_dim: int
    ffn_width: int
    vocab_size: int
    tied: bool = True
    memory_layers: tuple[int, ...] = ()
    residual: ResidualConfig = ResidualConfig()
    memory: MemoryConfig | None = None
    rope_theta: float = 10_000.0
    rms_eps: float = 1e-6

    def __post_init__(self) -> None:
        """Refuse sizes that do not fit each other."""
        _at_least(
            self, 1,
            "width", "num_layers", "num_attention_heads", "num_kv_heads", "attention_head_dim",
            "ffn_width", "vocab_size",
        )  # fmt: skip
        _positive(self, "rope_theta", "rms_eps")
        if self.num_attention_heads % self.num_kv_heads or self.attention_head_dim % 2:
            raise ConfigError(
                "attention heads do not fit: query heads must be a multiple of key-value heads, "
                "and the attention head width even",
                facts={
                    "query heads": self.num_attention_heads,
                    "key-value heads": self.num_kv_heads,
                    "head width": self.attention_head_dim,
                },
            )
        used = [decoder_layer for decoder_layer, _ in self.memory.layers] if self.memory else []
        for layer in (*self.memory_layers, *used):
            if not 0 <= layer < self.num_layers:
                raise ConfigError(
                    f"memory at decoder layer {layer}, which this decoder lacks",
                    facts={"expected": f"0 to {self.num_layers - 1}", "found": layer},
                )

    @property
    def num_branches(self) -> int:
        """R: 1 for residual mode `none`."""
        return self.residual.num_branches
