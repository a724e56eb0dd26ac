"""Words that an index's bijection takes where a test wants them."""


def unmix(x: int) -> int:
    """Undo the bijection, as docs/format.md has it."""
    for factor in (0x9CB4B2F8129337DB, 0x4F74430C22A54005):
        x = (x ^ (x >> 33)) * factor % 2**64
    return x ^ (x >> 33)
