"""What a run on several ranks can be: how a table and a batch are dealt to them."""

from collections.abc import Sequence

from engramctl.errors import ConfigError

HEADS = "heads"
ROWS = "rows"
SHARDS = (HEADS, ROWS)
PLAIN = "plain"
TWO = "two micro-batches"
SCHEDULES = {PLAIN: 1, TWO: 2}  # micro-batches of each
MOST_RANKS = 1 << 10


def smallest_batch(ranks: int) -> int:
    """Return the fewest sequences a sample can have: one a micro-batch and rank.

    Example:
        >>> smallest_batch(2)
        4
    """
    return ranks * max(SCHEDULES.values())


def refuse_ranks(
    ranks: int, batch: int, issues: Sequence[str], step_ms: float | None, traffic: bool
) -> None:
    """Refuse what cannot be measured on ranks.

    Args:
        ranks: how many.
        batch: sequences a sample.
        issues: when rows are asked for.
        step_ms: of somebody's engine, or None.
        traffic: whether caches are left as the tokens before left them.

    Raises:
        ConfigError: a batch that cannot be dealt out, or an option of other cases.
    """
    if ranks > MOST_RANKS:
        raise ConfigError(f"--ranks must be at most {MOST_RANKS:,}", facts={"found": ranks})
    if batch % smallest_batch(ranks):
        raise ConfigError(
            f"--batch must be a multiple of {smallest_batch(ranks)} with {ranks} ranks",
            facts={"expected": "two micro-batches of equal size for each rank", "found": batch},
            hint=f"--batch {-(-batch // smallest_batch(ranks)) * smallest_batch(ranks)}",
        )
    if tuple(issues) != ("start",):
        raise ConfigError(
            "with --ranks rows are asked for when a step begins",
            facts={"found": f"--issue {' --issue '.join(issues)}"},
            hint="leave out --issue",
        )
    if traffic:
        raise ConfigError(
            "--cache traffic is of one process that reads a table", hint="leave out --ranks"
        )
    if step_ms is not None:
        raise ConfigError(
            "--step-ms is of one process that reads a table", hint="leave out --ranks"
        )
