"""Rows go once to each rank that reads them, and every rank finds all it wants."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engramctl.ranks.parcels import parcels


@given(st.integers(1, 4), st.integers(1, 6), st.randoms(use_true_random=False))
def test_every_rank_gets_the_rows_it_wants(world: int, tokens: int, random) -> None:  # type: ignore[no-untyped-def]
    num_rows = 40
    wanted = [
        np.array([[random.randrange(num_rows) for _ in range(3)] for _ in range(tokens)])
        for _ in range(world)
    ]
    owner_of = np.array([random.randrange(world) for _ in range(num_rows)])
    sides = [parcels(wanted, lambda ids: owner_of[ids], rank) for rank in range(world)]
    for rank, side in enumerate(sides):
        came = []
        for sender, other in enumerate(sides):
            cuts = np.cumsum([0, *other.send_counts])
            mine = other.sent_ids[cuts[rank] : cuts[rank + 1]]
            assert len(mine) == side.receive_counts[sender]
            assert len(set(mine.tolist())) == len(mine)
            assert (owner_of[mine] == sender).all()
            came.append(mine)
        assert np.array_equal(np.concatenate(came)[side.places], wanted[rank])
