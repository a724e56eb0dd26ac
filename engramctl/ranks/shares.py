"""Whose sequences are whose, and in which parts a rank runs them."""

from engramctl.arms.window import Window


def share(window: Window, rank: int, world: int, part: int, parts: int) -> Window:
    """Return one micro-batch of one rank: sequences are dealt in order, equally many to each.

    Args:
        window: all sequences.
        rank: whose.
        world: ranks.
        part: which micro-batch of the rank.
        parts: how many it has.
    """
    batch = len(window.token_ids_BT)
    size = batch // (world * parts)
    first = (rank * parts + part) * size
    some = slice(first, first + size)
    return Window(window.history_BC[some], window.token_ids_BT[some])
