"""An arm: one thing that is measured, a sample at a time, beside others.

`prepare`, the ground and `settle` are untimed: they set the cache state, poison, make what comes
before every sample alike, and check. `run` is the sample.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping

from engramctl.arms.ground import Ground
from engramctl.arms.subject import Subject, read_bytes_so_far
from engramctl.arms.threads import Threads, threads_now
from engramctl.arms.waits import Clock, Waits
from engramctl.arms.window import Window
from engramctl.results.document import SAVED
from engramctl.storage.tiers.tier_list import TIERS

ASKED = "rows_asked"
SERVED = {tier: f"rows_by_{tier}" for tier in TIERS}
COUNTED = ("device_reads", "device_bytes", "rows_unique", *SAVED, *SERVED.values())
_NOTHING = dict.fromkeys((ASKED, *COUNTED), 0)


class Arm(ABC):
    """One thing measured in a loop; keeps its own samples.

    Attributes:
        waits_ns: by layer of the table, how long each sample waited for its rows.
        arrivals_ns: by layer, how long after a sample's start its rows were there.
        counted: by field of StoreStats, what each sample added to it; of COUNTED. Of
            `rows_by_tier` each tier is one, by its name in SERVED.
        rows_before: row ids that the store was asked for before the first sample that was kept.
        leads_ns: how long before a sample's start its rows were asked for; 0: not before.
        graphs: whether its model's steps are CUDA graphs, and why not; None where it makes none.
        threads: what the process computed with at the end of samples, warm-up included.
    """

    graphs: tuple[bool | None, str | None] = (None, None)

    def __init__(self, tier: str, subject: Subject | None, ground: Ground) -> None:
        """`subject` is None for a model that reads from no store."""
        self.tier = tier
        self.subject = subject
        self._ground = ground
        self._clock = Clock(ground.device)
        self.samples_ns: list[int] = []
        self.waits_ns: dict[int, list[int]] = {}
        self.arrivals_ns: dict[int, list[int]] = {}
        self.leads_ns: list[int] = []
        self.device_bytes: list[int] = []
        self.counted: dict[str, list[int]] = {name: [] for name in COUNTED}
        self.threads: set[Threads] = set()
        self.rows = 0
        self.rows_before: int | None = None

    def sample(self, window: Window, *, keep: bool) -> None:
        """Prepare, time and settle one sample; `keep` is False while warming up."""
        self.prepare(window)
        self._ground.level()
        before = read_bytes_so_far(), self._counts()
        lead_ns = self.lead()
        waits = Waits(self._clock)
        started = time.perf_counter_ns()
        self.run(waits)
        took = time.perf_counter_ns() - started
        self.threads.add(threads_now())
        after = read_bytes_so_far(), self._counts()
        self.settle()
        if keep:
            self.samples_ns.append(took)
            self.leads_ns.append(lead_ns)
            for kept, of_layers in (
                (self.waits_ns, waits.waited_ns()), (self.arrivals_ns, waits.arrived_ns())
            ):  # fmt: skip
                for layer, time_ns in of_layers.items():
                    kept.setdefault(layer, []).append(time_ns)
            if before[0] is not None and after[0] is not None:
                self.device_bytes.append(after[0] - before[0])
            for name, kept_counts in self.counted.items():
                kept_counts.append(after[1][name] - before[1][name])
            if self.rows_before is None:
                self.rows_before = before[1][ASKED]

    def stalls_ns(self) -> list[int]:
        """Return how long each sample waited for rows, all layers together."""
        return [sum(of_layers) for of_layers in zip(*self.waits_ns.values(), strict=False)]

    def other_threads(self) -> Threads | None:
        """Return with which threads a sample ended that are not the run's, or None."""
        return next((one for one in self.threads if one != self._ground.threads), None)

    def _counts(self) -> Mapping[str, int]:
        """What the store has counted so far; nothing of a model without one."""
        if self.subject is None:
            return _NOTHING
        stats = self.subject.store.stats()
        served = {name: stats.rows_by_tier.get(tier, 0) for tier, name in SERVED.items()}
        return stats.to_dict() | served

    @abstractmethod
    def prepare(self, window: Window) -> None:
        """Get ready for a window, untimed."""

    def lead(self) -> int:
        """Do what comes right before the sample; return how long ago its rows were asked for."""
        return 0

    @abstractmethod
    def run(self, waits: Waits) -> None:
        """Do the work; rows are waited for through `waits`."""

    @abstractmethod
    def settle(self) -> None:
        """Check what the sample returned, untimed."""
