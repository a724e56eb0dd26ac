"""In which state the ssd tier's memory is when a sample begins, and why it is not; needs no torch.

`cold`: it has none of the sample's rows; `warm`: all of them; `traffic`: those that the tokens
before left there, for nothing is dropped or brought.
"""

TRAFFIC = "traffic"
STATES = ("warm", "cold", TRAFFIC)
NONE_IS_WARM = (
    "with a budget every row is read past the page cache: none is warm; with --row-cache some are"
)
NOTHING_KEPT = "nothing is kept of the rows that were read before"


def stateless_tier(tier: str, cache: str) -> str:
    """Say that a tier is in no loop of a run, for its rows have not the state `cache`."""
    return (
        f"{tier} is not measured: its rows are in memory, and --cache {cache} "
        "is a state of rows on disk"
    )


def too_many_rows(rows: int, capacity: int, *, at_most: bool = False) -> str:
    """Say that a row cache does not keep the rows of a sample; or may not, of at most so many.

    Example:
        >>> too_many_rows(2000, 1500)
        'the row cache does not keep the rows of a sample: 2,000 of them, and it holds 1,500 rows'
    """
    keeps, most = ("may not keep", "up to ") if at_most else ("does not keep", "")
    return (
        f"the row cache {keeps} the rows of a sample: {most}{rows:,} of them, and it holds "
        f"{capacity:,} rows"
    )
