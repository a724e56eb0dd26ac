"""A decode step replayed from CUDA graphs: the host launches a few graphs, not hundreds of kernels.

The graph is broken where a memory takes its rows: the host gathers them while the device runs the
layers before, copies them into a fixed buffer, and launches the rest. So a wait for rows is timed
where it happens, as without graphs. One graph over all of it would need its rows before it begins,
and every fetch would be exposed.

A position is a part of a capture: the graphs are of one state at one position, for a caller who
rewinds it, as a benchmark does. Tensors that cross a break lie in the memory pool that all graphs
of a capture share; they are replayed in the order in which they were captured.
"""

# mypy: disable-error-code="no-untyped-call"
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor

from engramctl.layers.moe import Experts
from engramctl.model.decoder import Decoder, RowSource
from engramctl.model.state import State

NO_DEVICE = "no CUDA device"


def why_not(model: Decoder) -> str | None:
    """Return why decode steps of a model cannot be captured here; None: they can."""
    if model.device.type != "cuda":
        return NO_DEVICE
    for module in model.modules():
        if isinstance(module, Experts) and not (module.can_group and model.dtype == torch.bfloat16):
            return "the host reads how many tokens each expert has"
    return None


class GraphedDecode:
    """Decode steps of one state at one position; captured at the first one."""

    def __init__(self, model: Decoder, state: State) -> None:
        """Capture nothing yet.

        Args:
            model: for which `why_not` has no reason.
            state: whose position every step begins at; its values may change, its tensors not.
        """
        self._model = model
        self._state = state
        self._position = state.position
        self._captured: dict[bool, _Captured] = {}

    def decode(
        self, token_ids_B: Tensor, rows: RowSource | None = None, mask_B: Tensor | None = None
    ) -> Tensor:
        """Make the step; as `Decoder.decode`, but that the state is the one of this object.

        The logits are overwritten by the next step. A mask and none are two captures.

        Raises:
            ValueError: the state is at another position than that of the capture.
        """
        if self._state.position != self._position:
            raise ValueError(
                f"the graphs begin at position {self._position}, "
                f"the state is at {self._state.position}"
            )
        has_mask = mask_B is not None
        if has_mask not in self._captured:
            self._captured[has_mask] = _Captured(self._model, self._state, token_ids_B, mask_B)
            self._state.position = self._position
        logits = self._captured[has_mask].replay(token_ids_B, rows, mask_B)
        self._state.position = self._position + 1
        return logits


class _Captured:
    """Graphs in order, and the buffers they read."""

    def __init__(
        self,
        model: Decoder,
        state: State,
        token_ids_B: Tensor,
        mask_B: Tensor | None,
    ) -> None:
        self._ids = token_ids_B.clone()
        self._mask = None if mask_B is None else mask_B.clone()
        shape = (*token_ids_B.shape, 1)
        self._rows = {
            layer: torch.zeros(
                (*shape, one.memory.num_heads, one.memory.row_dim),
                dtype=model.dtype, device=model.device,
            )
            for _, layer, one in model.memories()
        }  # fmt: skip
        self._graphs: list[Any] = []
        self._pool = torch.cuda.graph_pool_handle()
        device = model.device
        position = state.position
        histories = {layer: history.clone() for layer, history in state.conv.items()}
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            # kernels are compiled and libraries started before a capture, which allows neither
            model.decode(self._ids, state, self._rows.__getitem__, self._mask)
            state.position = position
            torch.cuda.synchronize(device)
            self._begin()
            self._logits = model.decode(self._ids, state, self._break, self._mask)
            self._graphs[-1].capture_end()
        torch.cuda.current_stream(device).wait_stream(stream)
        for layer, history in histories.items():
            state.conv[layer].copy_(history)

    def _begin(self) -> None:
        self._graphs.append(torch.cuda.CUDAGraph())
        self._graphs[-1].capture_begin(
            pool=self._pool,
            capture_error_mode="thread_local",  # others read rows meanwhile
        )

    def _break(self, layer: int, /) -> Tensor:
        """End a graph where rows are taken, and begin the next one with them."""
        self._graphs[-1].capture_end()
        self._begin()
        return self._rows[layer]

    def replay(self, token_ids_B: Tensor, rows: RowSource | None, mask_B: Tensor | None) -> Tensor:
        self._ids.copy_(token_ids_B)
        if self._mask is not None and mask_B is not None:
            self._mask.copy_(mask_B)
        first, *others = self._graphs
        first.replay()
        for graph, (layer, buffer) in zip(others, self._rows.items(), strict=True):
            assert rows is not None
            buffer.copy_(rows(layer))
            graph.replay()
        return self._logits


def captured(work: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """Return what replays `work` from one CUDA graph; on another device `work` itself.

    `work` runs once before it is captured.
    """
    if device.type != "cuda":
        return work
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.stream(stream):
        work()
        torch.cuda.synchronize(device)
        graph.capture_begin(capture_error_mode="thread_local")
        work()
        graph.capture_end()
    torch.cuda.current_stream(device).wait_stream(stream)
    return cast(Callable[[], object], graph.replay)


def decoder_of(
    model: Decoder, state: State
) -> Callable[[Tensor, RowSource | None, Tensor | None], Tensor]:
    """Return what makes a decode step of a state, graphed if possible: (ids, rows, mask) -> logits.

    Elsewhere it is `Decoder.decode` as it stands.
    """
    if why_not(model) is None:
        return GraphedDecode(model, state).decode
    return lambda token_ids_B, rows, mask_B: model.decode(token_ids_B, state, rows, mask_B)
