"""Arms that give a store what another one is asked for, so that both have seen the same tokens.

In the state TRAFFIC a store is as the tokens before left it. The second copy of an arm gives its
store more of them than the others have; a follower gives each of the others the same, ask by ask.
Its times are nobody's.
"""

from engramctl.arms.arm import Arm
from engramctl.arms.ground import Ground
from engramctl.arms.lookups import GatherArm
from engramctl.arms.subject import Subject
from engramctl.arms.waits import Waits
from engramctl.arms.wave import Wave
from engramctl.arms.window import Window


class FollowArm(GatherArm):
    """Asks as a gather, a lookup or a step does: for all layers at once, or layer by layer."""

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


class FollowWaveArm(Arm):
    """Asks as an arm does that reads whole sequences, call by call."""

    subject: Subject

    def __init__(
        self, tier: str, subject: Subject, ground: Ground, lengths: tuple[int, int]
    ) -> None:
        """`lengths` are those of the shortest and the longest sequence."""
        super().__init__(tier, subject, ground)
        self._range = lengths

    def prepare(self, window: Window) -> None:
        """Take the wave."""
        self._wave = Wave(window, *self._range)

    def run(self, waits: Waits) -> None:
        """Gather what every call of the wave reads."""
        for call in self._wave.calls():
            ids = self._wave.ids(self.subject, *call)
            ticket = self.subject.store.prefetch(ids, ids.ngram_keys)
            self._ids, self._out = ids, self.subject.outputs(ids)
            for layer, out in self._out.items():
                ticket.wait(layer, out)

    def settle(self) -> None:
        """Compare the rows of the last call."""
        self.subject.check(self._ids, self._out)
