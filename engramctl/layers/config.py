"""What a decoder is made of, as frozen dataclasses checked when made; needs no torch.

Shapes: B sequences, T tokens, H hash heads, E row_dim, D model width, R branches.
"""

from dataclasses import dataclass
from typing import Literal

from engramctl.errors import ConfigError
from engramctl.layers.field_checks import at_least, one_of, positive
from engramctl.layers.fusions import KINDS, Fusion, Kind, Normaliser, Place
from engramctl.layers.shape_checks import refuse_attention, refuse_experts

ResidualMode = Literal["none", "hc", "mhc", "single_pass"]
SinkhornForm = Literal["paper", "release"]
ResidualInit = Literal["identity", "uniform", "random"]
Readout = Literal["mean", "hyperhead", "last_pre"]
Routing = Literal["softmax", "sqrt_softplus"]
ResidualKernels = Literal["eager", "fused"]

CONV_KERNEL = 4  # taps of the short convolution (Engram)


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
        one_of("residual mode", self.mode, ResidualMode)
        one_of("Sinkhorn form", self.form, SinkhornForm)
        one_of("residual init", self.init, ResidualInit)
        one_of("read-out", self.readout, Readout)
        one_of("residual kernels", self.kernels, ResidualKernels)
        at_least(self, 1, "branches", "iterations")
        positive(self, "rms_eps")
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
    """How rows enter the model: geometry from the table's scheme, fusion by name.

    Attributes:
        layers: pairs (place, table layer). A place is a 0-based decoder layer, ascending; a fusion
            at the input has one pair, whose place is INPUT.
        num_heads: H, hash heads of one layer, all orders together.
        row_dim: E, values of one row.
        max_order: the longest n-gram; the dilation of the short convolution.
        fusion: a name of `engramctl.layers.fusions`.
        norm_eps: epsilon of the query and key norms (demo 1.1920929e-07, V4.1 1e-20).
        conv_norm_eps: epsilon of the norm before the short convolution.
        conv_zero_init: start the convolution at zero, as in the paper; its time is the same.
        normaliser: what `over-encoding` and `longcat` divide: `mean` all by 1 + H, `sqrt` all by
            its root, `word_full` the sum of the rows alone by 1 + H.

    Raises:
        ConfigError: a value outside its choices or range, layers out of order, or a place that the
            fusion cannot have.
    """

    layers: tuple[tuple[Place, int], ...]
    num_heads: int
    row_dim: int
    max_order: int
    fusion: Fusion = "deepseek-v41"
    norm_eps: float = 1e-6
    conv_norm_eps: float = 1e-5
    conv_zero_init: bool = True
    normaliser: Normaliser = "mean"

    def __post_init__(self) -> None:
        """Refuse what no table could feed."""
        one_of("fusion", self.fusion, Fusion)
        one_of("normaliser", self.normaliser, Normaliser)
        at_least(self, 1, "num_heads", "row_dim", "max_order")
        positive(self, "norm_eps", "conv_norm_eps")
        table_layers = [table_layer for _, table_layer in self.layers]
        if not self.layers or min(*self.decoder_layers, *table_layers, 0) < 0:
            raise ConfigError(
                "memory layers must be pairs (decoder layer, table layer) from 0 on",
                facts={"found": self.layers},
            )
        self._check_places()
        if self.fusion == "dictionary" and self.num_heads != 1:
            raise ConfigError(
                "fusion 'dictionary' replaces a token by one row, and this table gives several",
                facts={"expected": "1 head", "found": f"{self.num_heads} heads"},
            )
        if len(set(table_layers)) != len(table_layers):
            raise ConfigError(
                "two decoder layers read the same table layer", facts={"found": table_layers}
            )

    def _check_places(self) -> None:
        at_input = len(self.layers) - len(self.decoder_layers)
        if self.kind.at_input and (at_input, len(self.layers)) != (1, 1):
            raise ConfigError(
                f"fusion '{self.fusion}' reads one table layer, at the input",
                facts={"found": self.layers},
            )
        if at_input and not self.kind.at_input:
            raise ConfigError(
                f"fusion '{self.fusion}' writes to the branches of a decoder layer, not at the "
                "input",
                hint="layer 0 comes straight behind the input",
            )
        if list(self.decoder_layers) != sorted(set(self.decoder_layers)):
            raise ConfigError(
                "memory layers must name each decoder layer once, ascending",
                facts={"found": list(self.decoder_layers)},
            )

    @property
    def kind(self) -> Kind:
        """What the fusion is made of."""
        return KINDS[self.fusion]

    @property
    def decoder_layers(self) -> tuple[int, ...]:
        """Decoder layers whose branches a memory writes to; none for a fusion at the input."""
        return tuple(place for place, _ in self.layers if isinstance(place, int))

    def table_at(self, place: Place) -> int:
        """Return the table layer whose rows a place reads."""
        return dict(self.layers)[place]

    @property
    def conv_history(self) -> int:
        """Past positions one convolution reads: (taps - 1) * dilation; 0 without one."""
        return (CONV_KERNEL - 1) * self.max_order if self.kind.has_conv else 0

    def projected_at_input(self, width: int) -> int:
        """Return the inputs of a fusion's projection at the input of a model of D = width, or 0.

        Rows of `blt` and `dictionary` are projected only where they are of another width.
        """
        if self.fusion in ("blt", "dictionary"):
            return 0 if self.row_dim == width else self.row_dim
        words = width if self.fusion == "over-encoding-concat" else 0
        return words + self.num_heads * self.row_dim


@dataclass(frozen=True)
class DecoderConfig:
    """One decoder: attention (GQA or MLA) and FFN (SwiGLU or experts), residual form, memory.

    Layers are counted from 0.

    Attributes:
        width: D.
        num_layers: decoder layers, each an attention and an FFN sublayer.
        num_attention_heads: query heads.
        num_kv_heads: key and value heads, a divisor of the query heads; MLA does not use it.
        attention_head_dim: values of one attention head, even; of MLA those without RoPE, which
            are also the values of a head's value.
        ffn_width: hidden width of the SwiGLU, of layers without experts.
        vocab_size: token ids are below it.
        tied: whether the embedding is also the output projection.
        memory_layers: decoder layers where this preset would place a memory; a table with other
            layers is mapped to them in order.
        residual: see ResidualConfig.
        memory: see MemoryConfig; None for a model without.
        rope_theta: RoPE base.
        rms_eps: epsilon of the pre-norms and the final norm.
        kv_rank: values of MLA's latent, which the cache holds in place of keys and values; 0: GQA.
        rope_head_dim: values of MLA's one rotated key, shared by all heads; even, 0 with GQA.
        num_experts: routed experts of a layer; 0: every FFN is the SwiGLU.
        experts_per_token: routed experts that a token passes through.
        num_shared_experts: experts that every token passes through besides.
        expert_width: hidden width of one expert.
        num_dense_layers: leading layers that keep the SwiGLU.
        routing: what turns a router's logits into the weights of the experts; the chosen ones'
            then sum to one.

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
    kv_rank: int = 0
    rope_head_dim: int = 0
    num_experts: int = 0
    experts_per_token: int = 0
    num_shared_experts: int = 0
    expert_width: int = 0
    num_dense_layers: int = 0
    routing: Routing = "softmax"

    def __post_init__(self) -> None:
        """Refuse sizes that do not fit each other."""
        at_least(
            self, 1,
            "width", "num_layers", "num_attention_heads", "num_kv_heads", "attention_head_dim",
            "ffn_width", "vocab_size",
        )  # fmt: skip
        at_least(
            self, 0,
            "kv_rank", "rope_head_dim", "num_experts", "experts_per_token", "num_shared_experts",
            "expert_width", "num_dense_layers",
        )  # fmt: skip
        positive(self, "rope_theta", "rms_eps")
        one_of("routing", self.routing, Routing)
        refuse_attention(self)
        refuse_experts(self)
        used = self.memory.decoder_layers if self.memory else ()
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

    @property
    def rotated_dim(self) -> int:
        """Values of a head that RoPE turns."""
        return self.rope_head_dim or self.attention_head_dim

    @property
    def cache_shape(self) -> tuple[int, int, int]:
        """What a layer's cache keeps of a token: parts, heads, values a head.

        Keys and values of GQA; of MLA one latent with the rotated key behind it.
        """
        if self.kv_rank:
            return 1, 1, self.kv_rank + self.rope_head_dim
        return 2, self.num_kv_heads, self.attention_head_dim

    @property
    def num_expert_layers(self) -> int:
        """Layers whose FFN is made of experts: all behind the leading dense ones."""
        return max(0, self.num_layers - self.num_dense_layers) if self.num_experts else 0

    def has_experts(self, layer: int) -> bool:
        """Tell whether a layer's FFN is made of experts."""
        return layer >= self.num_layers - self.num_expert_layers
