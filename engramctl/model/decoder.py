"""The decoder: embeddings (memory), layers of (memory) -> attention -> FFN over branches, logits.

Shapes: B sequences, T tokens, H hash heads, E row_dim, D model width, R branches, V vocabulary. A
layer's order, as DeepSeek-V4.1 has it: the memory writes to the branches, then each of the two
sublayers computes its coefficients, collapses, runs, expands. A memory at the input makes the
embedding before it becomes branches.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engramctl.fusion.at_input import InputMemory
from engramctl.fusion.gated_lookup import Memory
from engramctl.layers.attention import Attention, chunk_mask
from engramctl.layers.config import DecoderConfig
from engramctl.layers.ffn import SwiGlu
from engramctl.layers.fusions import INPUT, Place
from engramctl.layers.init import Draw, Drawn
from engramctl.layers.mla import LatentAttention
from engramctl.layers.moe import Experts
from engramctl.layers.norm import RmsNorm
from engramctl.model.state import State, new_state
from engramctl.residual.readout import ReadOut
from engramctl.residual.site import first_pre, replicate
from engramctl.residual.sites import Site, make_site

Trace = Callable[[str], None]


class RowSource(Protocol):
    """Gives one table layer's rows for the tokens of this call, when the layer needs them."""

    def __call__(self, table_layer: int, /) -> Tensor:
        """Return rows (B, T, H, E), dequantised, on the model's device; may wait for them.

        Where a head reads no row, it gives zeros.
        """
        ...


@dataclass(frozen=True)
class Flow:
    """What goes from one layer to the next, and from one stage of a pipeline to the next.

    Attributes:
        X_BTRD: the branches, in the model's dtype.
        carry_BTR: the input mix of the sublayer before, float32: what the residual `single_pass`
            and its read-out need.
    """

    X_BTRD: Tensor
    carry_BTR: Tensor


class Layer(nn.Module):
    """The weights of one decoder layer."""

    def __init__(self, config: DecoderConfig, index: int, draw: Draw) -> None:
        """Draw every part from its own name."""
        super().__init__()
        self.attention_site: Site = make_site(config, 2 * index, draw.at("attention_site"))
        self.attention_norm = RmsNorm(config.width, config.rms_eps, draw)
        self.attention: Attention | LatentAttention = (
            LatentAttention if config.kv_rank else Attention
        )(config, draw.at("attention"))
        self.ffn_site: Site = make_site(config, 2 * index + 1, draw.at("ffn_site"))
        self.ffn_norm = RmsNorm(config.width, config.rms_eps, draw)
        self.ffn: SwiGlu | Experts = (
            Experts(config, draw.at("ffn"))
            if config.has_experts(index)
            else SwiGlu(config.width, config.ffn_width, draw.at("ffn"))
        )
        self.memory: Memory | None = None
        if config.memory is not None and index in config.memory.decoder_layers:
            self.memory = Memory(config, config.memory, draw.at("memory"))


class Decoder(nn.Module):
    """A decoder with random weights, each a function of (seed, its name).

    Args:
        config: the shape.
        seed: of every weight.
        dtype: of weights, branches and cache; coefficients and gates stay float32.
        device: where all of it lives.
        trace: called with `layer.point` as each point is reached, for a clock; costs nothing when
            None. Points: memory_wait, memory_apply, then coeff, collapse, attention, expand,
            coeff, collapse, ffn, expand, each when it begins. A memory at the input is layer
            `input`.
        like: a decoder whose weights are taken, not drawn again, where they would be the same.
    """

    def __init__(
        self,
        config: DecoderConfig,
        seed: int = 0,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        trace: Trace | None = None,
        like: "Decoder | None" = None,
    ) -> None:
        """Draw the weights."""
        super().__init__()
        self.config, self.dtype, self.device = config, dtype, torch.device(device)
        self.trace = trace
        self.drawn: Drawn = {} if like is None else like.drawn
        draw = Draw(seed, dtype, self.device, drawn=self.drawn)
        self.embedding = draw.normal("embedding", config.vocab_size, config.width, std=0.02)
        self.input_memory: InputMemory | None = None
        if config.memory is not None and config.memory.kind.at_input:
            self.input_memory = InputMemory(config, config.memory, draw.at("input_memory"))
        self.layers = nn.ModuleList(
            Layer(config, index, draw.at(f"layers.{index}")) for index in range(config.num_layers)
        )
        self.readout = ReadOut(config, draw.at("readout"))
        self.norm = RmsNorm(config.width, config.rms_eps, draw)
        self.head = (
            self.embedding if config.tied else draw.linear("head", config.vocab_size, config.width)
        )

    def num_parameters(self) -> int:
        """Count weights; a tied head is counted once, rows of the memory's tables never."""
        return sum(weight.numel() for weight in self.parameters())

    def new_state(self, batch: int, max_tokens: int) -> State:
        """Return an empty state for `batch` sequences of up to `max_tokens` tokens."""
        return new_state(self.config, batch, max_tokens, self.dtype, self.device)

    def prefill(
        self,
        token_ids_BT: Tensor,
        state: State,
        rows: RowSource | None = None,
        mask_BT: Tensor | None = None,
    ) -> Tensor:
        """Read T tokens from `state.position` on and return the logits of the last one.

        Chunks equal the whole: the state carries everything. No host synchronisation.

        Args:
            token_ids_BT: int64 or int32 (B, T), T at least 1.
            state: moved on by T, in place.
            rows: asked once for each memory layer, in order; may be None without a memory.
            mask_BT: bool; False forces the memory's gate to 0 at that token, and leaves it its own
                embedding where the memory is at the input.

        Returns:
            (B, V) in the model's dtype.

        Raises:
            ValueError: the state is full, rows are missing or have another shape.
        """
        with torch.inference_mode():
            return self._run(token_ids_BT, state, rows, mask_BT)

    def decode(
        self,
        token_ids_B: Tensor,
        state: State,
        rows: RowSource | None = None,
        mask_B: Tensor | None = None,
    ) -> Tensor:
        """Read one token a sequence and return its logits (B, V); else as prefill with T = 1."""
        mask_BT = None if mask_B is None else mask_B.unsqueeze(1)
        with torch.inference_mode():
            return self._run(token_ids_B.unsqueeze(1), state, rows, mask_BT)

    def memories(self) -> list[tuple[Place, int, Memory | InputMemory]]:
        """Return each memory with its place and its table layer, in the order a call runs them."""
        found: list[tuple[Place, int, Memory | InputMemory]] = []
        for place, table_layer in self.config.memory.layers if self.config.memory else ():
            layer = None if place == INPUT else self.layers[int(place)]
            module = layer.memory if isinstance(layer, Layer) else self.input_memory
            assert module is not None
            found.append((place, table_layer, module))
        return found

    def _run(
        self, token_ids_BT: Tensor, state: State, rows: RowSource | None, mask_BT: Tensor | None
    ) -> Tensor:
        num_tokens, start = token_ids_BT.shape[1], state.position
        end = start + num_tokens
        if num_tokens < 1 or end > state.max_tokens:
            raise ValueError(
                f"{num_tokens} tokens at position {start} do not fit a state of {state.max_tokens}"
            )
        flow = self.enter(token_ids_BT, rows, mask_BT)
        flow = self.through(flow, range(self.config.num_layers), state, rows, mask_BT)
        state.position = end
        return self.leave(flow)

    def enter(self, token_ids_BT: Tensor, rows: RowSource | None, mask_BT: Tensor | None) -> Flow:
        """Return what flows into layer 0: a call is `enter`, `through` all layers, `leave`."""
        x_BTD = F.embedding(token_ids_BT, self.embedding)
        if self.input_memory is not None:
            x_BTD = self._remember(INPUT, self.input_memory, x_BTD, None, rows, mask_BT)
        X = replicate(x_BTD, self.config.num_branches)
        return Flow(X, first_pre(X))

    def through(
        self,
        flow: Flow,
        layers: range,
        state: State,
        rows: RowSource | None,
        mask_BT: Tensor | None,
    ) -> Flow:
        """Run some layers, from `state.position` on, which is not moved: all layers share it."""
        X, carry = flow.X_BTRD, flow.carry_BTR
        num_tokens, start = X.shape[1], state.position
        cos, sin = (one[start : start + num_tokens] for one in (state.cos, state.sin))
        mask_TS = chunk_mask(num_tokens, start, self.device)
        deferred = self.config.residual.mode == "single_pass"
        ahead: Tensor | None = None  # the next sublayer's input, where it was made with X
        for index in layers:
            layer = self.layers[index]
            assert isinstance(layer, Layer)
            if layer.memory is not None:
                X = self._remember(index, layer.memory, X, state.conv.get(index), rows, mask_BT)
            for name, site, norm in (
                ("attention", layer.attention_site, layer.attention_norm),
                ("ffn", layer.ffn_site, layer.ffn_norm),
            ):
                self._mark(index, "coeff")
                found = site.coeff(X)
                self._mark(index, "collapse")
                if ahead is None:
                    ahead = site.collapse(X, carry if deferred else found.pre_BTR)
                u = norm(ahead)
                self._mark(index, name)
                if name == "attention":
                    y = layer.attention(u, state.kv[index], start, cos, sin, mask_TS)
                else:
                    y = layer.ffn(u)
                self._mark(index, "expand")
                inside = index + 1 < layers.stop and self._reads_branches_next(index)
                X, ahead = site.advance(
                    X, y, found, ahead=deferred and (name == "attention" or inside)
                )
                carry = found.pre_BTR
        return Flow(X, carry)

    def leave(self, flow: Flow) -> Tensor:
        """Return the logits (B, V) of the last token, of what flowed out of the last layer."""
        last = self.readout(flow.X_BTRD[:, -1], flow.carry_BTR[:, -1])
        return F.linear(self.norm(last), self.head)

    def _reads_branches_next(self, index: int) -> bool:
        """Whether another layer follows, and no memory writes to the branches before it."""
        return index + 1 < len(self.layers) and self.layers[index + 1].memory is None

    def _remember(
        self,
        place: Place,
        module: Memory | InputMemory,
        X: Tensor,
        history: Tensor | None,
        rows: RowSource | None,
        mask_BT: Tensor | None,
    ) -> Tensor:
        memory = module.memory
        table_layer = memory.table_at(place)
        if rows is None:
            where = "the input" if place == INPUT else f"layer {place}"
            raise ValueError(f"{where} has a memory, and no rows were given")
        self._mark(place, "memory_wait")
        rows_BTHE = rows(table_layer)
        self._mark(place, "memory_apply")
        expected = (*X.shape[:2], memory.num_heads, memory.row_dim)
        if tuple(rows_BTHE.shape) != expected:
            raise ValueError(
                f"rows of table layer {table_layer} have shape {tuple(rows_BTHE.shape)}, "
                f"expected {expected}"
            )
        update: Tensor = module(X, rows_BTHE, history, mask_BT)
        return update

    def _mark(self, place: Place, point: str) -> None:
        if self.trace is not None:
            self.trace(f"{place}.{point}")
