"""Were ids cut to 16 bits on the way? Larger ones then read as others, and no error tells."""

LIMIT = 1 << 16
_NEAR = LIMIT * 15 // 16  # random words reach so far soon


def narrow_ids(largest: int, vocab_size: int, bits: int | None = None) -> str | None:
    """Say in words why ids look as if they were cut to 16 bits; None: they do not.

    Args:
        largest: the largest id that occurs.
        vocab_size: how many ids the tokenizer or the model has.
        bits: of the type that the ids were stored in, where it is known.

    Example:
        >>> narrow_ids(65_530, 128_000)
        'no id of 65,536 or more occurs, of 128,000 in the vocabulary: were they cut to 16 bits?'
        >>> narrow_ids(70_000, 128_000) or narrow_ids(500, 128_000)
        >>> narrow_ids(500, 128_000, bits=16)
        'ids are stored in 16 bits: no id of 65,536 or more fits, of 128,000 in the vocabulary'
    """
    if vocab_size <= LIMIT or largest >= LIMIT:
        return None
    of = f"no id of {LIMIT:,} or more"
    if bits is not None and bits <= 16:
        return f"ids are stored in {bits} bits: {of} fits, of {vocab_size:,} in the vocabulary"
    if largest < _NEAR:
        return None
    return f"{of} occurs, of {vocab_size:,} in the vocabulary: were they cut to 16 bits?"
