"""How heads are dealt: to the files of head-strided shards, and to the ranks of a run."""


def dealt_heads(num_heads: int, shard: int, num_shards: int) -> tuple[int, ...]:
    """Return the heads of shard k of n: k, k + n, and so on.

    Heads of longer orders are read more, so neighbours part.

    Example:
        >>> dealt_heads(5, 0, 2), dealt_heads(5, 1, 2)
        ((0, 2, 4), (1, 3))
    """
    return tuple(range(shard, num_heads, num_shards))
