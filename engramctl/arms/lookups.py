"""Arms without a model's step: a gather, what a step fetches, a gated lookup."""

from functools import partial

import torch

from engramctl.arms.arm import Arm
from engramctl.arms.ground import Ground, synchronise
from engramctl.arms.subject import Subject
from engramctl.arms.waits import Waits
from engramctl.arms.window import Window
from engramctl.fusion.rows_to_read import RowsToRead
from engramctl.layers.fusions import INPUT
from engramctl.model.decoder import Decoder


class GatherArm(Arm):
    """Rows of all layers by known row ids: `prefetch`, then `wait` layer by layer."""

    subject: Subject

    def prepare(self, window: Window) -> None:
        """Hash the window; poison the outputs."""
        self._ids = self.subject.row_ids(window.token_ids_BT, window.history_BC)
        self.rows = sum(ids.size for ids in self._ids.values())
        self._out = self.subject.outputs(self._ids)
        self.subject.prepare(self._ids)

    def run(self, waits: Waits) -> None:
        """Gather every layer."""
        self._fetch(self._ids, waits)

    def _fetch(self, ids: RowsToRead, waits: Waits) -> None:
        ticket = self.subject.store.prefetch(ids, ids.ngram_keys)
        for layer, out in self._out.items():
            waits.rows(layer, partial(ticket.wait, layer, out))
        synchronise(self.subject.store.device)

    def settle(self) -> None:
        """Compare the rows."""
        self.subject.settle(self._ids)
        self.subject.check(self._ids, self._out)


class FetchArm(GatherArm):
    """What a step does for its rows and nothing else: hash, prefetch, wait layer by layer."""

    def prepare(self, window: Window) -> None:
        """As for a gather; keep the window, which is hashed again."""
        super().prepare(window)
        self._window = window

    def run(self, waits: Waits) -> None:
        """Hash, then gather every layer."""
        self._fetch(self.subject.row_ids(self._window.token_ids_BT, self._window.history_BC), waits)


class FollowArm(GatherArm):
    """Gives a store what the arm of another one asks for, so that both have seen the same tokens.

    It asks as a gather, a lookup or a step does: for all layers at once, or layer by layer. Its
    times are nobody's.
    """

    def __init__(self, tier: str, subject: Subject, ground: Ground, issue: str | None) -> None:
        """`issue` says when the step that is followed asks; None: it is no step."""
        super().__init__(tier, subject, ground)
        self._layer_by_layer = issue == "layer"

    def prepare(self, window: Window) -> None:
        """As for a gather; keep the window, of which a layer is hashed again."""
        super().prepare(window)
        self._window = window

    def run(self, waits: Waits) -> None:
        """Gather every layer."""
        if not self._layer_by_layer:
            super().run(waits)
            return
        for layer, out in self._out.items():
            window = self._window
            ids = self.subject.row_ids(window.token_ids_BT, window.history_BC, layer)
            self.subject.store.prefetch(ids, ids.ngram_keys).wait(layer, out)


class LookupArm(Arm):
    """The gated lookup: hash, gather and dequantise, gate, write into the branches."""

    subject: Subject

    def __init__(self, tier: str, subject: Subject, ground: Ground, model: Decoder) -> None:
        """Use the memories of `model`, without the rest of it."""
        super().__init__(tier, subject, ground)
        self._model = model
        self._random = torch.Generator().manual_seed(0)
        self._memories = model.memories()

    def prepare(self, window: Window) -> None:
        """Draw branch values; poison the outputs."""
        self._window = window
        ids = self.subject.row_ids(window.token_ids_BT, window.history_BC)
        self.rows = sum(layer_ids.size for layer_ids in ids.values())
        self._out = self.subject.outputs(ids)
        config = self._model.config
        batch, tokens = window.token_ids_BT.shape
        at_input = any(place == INPUT for place, *_ in self._memories)
        branches = () if at_input else (config.num_branches,)
        shape = (batch, tokens, *branches, config.width)
        self._X = torch.randn(shape, generator=self._random).to(
            self._model.device, self._model.dtype
        )
        self._state = self._model.new_state(batch, 1)
        self.subject.prepare(ids)

    def run(self, waits: Waits) -> None:
        """Hash, fetch, gate, add; layer by layer."""
        X = self._X
        self._ids = self.subject.row_ids(self._window.token_ids_BT, self._window.history_BC)
        ticket = self.subject.store.prefetch(self._ids, self._ids.ngram_keys)
        with torch.inference_mode():
            for place, table_layer, memory in self._memories:
                out = self._out[table_layer]
                rows = waits.rows(table_layer, partial(ticket.wait, table_layer, out))
                history = None if place == INPUT else self._state.conv.get(place)
                X = memory(X, self._ids.used(table_layer, rows), history, self._ids.mask_BT)
        synchronise(self._model.device)

    def settle(self) -> None:
        """Compare the rows."""
        self.subject.settle(self._ids)
        self.subject.check(self._ids, self._out)
