"""The same with an engine in which everything goes wrong: right rows, or an error and none."""

import numpy as np

from tests.flight.compared import Asking, opened
from tests.flight.subjects import Subject
from tests.helpers.faulty_engine import FaultyEngine

EIO, ENDS_EARLY = 5, 0


def faulty(store: object, rng: np.random.Generator) -> FaultyEngine:
    """Put a faulty engine in the place of a store's."""
    chosen = store.read.chosen  # type: ignore[attr-defined]
    engine = FaultyEngine(chosen.files, seed=int(rng.integers(1 << 30)), delay_s=0.002)
    object.__setattr__(chosen, "engine", engine)
    return engine


def with_faults(subject: Subject, rows: int, rng: np.random.Generator) -> Asking:
    """Ask while ranges fail; then, once they do not, everything is right again."""
    with opened(subject, "direct", "io_uring", rng) as store:
        real = store.read.chosen.engine
        engine = faulty(store, rng)
        asking = Asking(subject, store, rng, may_fail=True)
        while asking.rows < rows * 3 // 4:
            engine.fails = engine.done + int(rng.integers(0, 40))
            engine.error = int(rng.choice([EIO, ENDS_EARLY]))
            asking.ask(max(1, rows // 16))
        engine.fails, failed = -1, asking.errors
        asking.may_fail = False
        asking.ask(rows // 4)
        assert failed
        real.close()
    return asking
