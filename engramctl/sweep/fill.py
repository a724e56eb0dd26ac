"""When a run of `bench` may fill a dictionary from its own traffic."""

from collections.abc import Mapping, Sequence

from engramctl.errors import ConfigError
from engramctl.results.states import TRAFFIC
from engramctl.storage.tiers.tier_list import on_disk, read_tiers


def refuse_fill(
    fill: str | None, sizes: Mapping[str, int | None], tiers: Sequence[str], cache: str
) -> None:
    """Refuse a dictionary that would say nothing, or flatter.

    In every state but TRAFFIC a second arm reads the tokens of the first, and would find the
    n-grams that the first had recorded.

    Args:
        fill: its file, or None.
        sizes: by option, what is said of a dictionary to be filled; None: nothing.
        tiers: that the caller named.
        cache: state of the ssd tier's memory.

    Raises:
        ConfigError: names the option and what to write.
    """
    for option, value in sizes.items():
        if value is None:
            continue
        if fill is None:
            raise ConfigError(
                f"{option} is of a dictionary that traffic fills",
                hint="name its file: --fill records.log",
            )
        if value < 1:
            raise ConfigError(f"{option} must be at least 1 byte", facts={"found": value})
    if fill is None:
        return
    if len(tiers) != 1 or not on_disk(tiers[0]):
        raise ConfigError(
            "--fill is of the ssd tier alone, or of one mixture over it",
            facts={"found": f"--tier {' --tier '.join(tiers)}"},
            hint="--tier ssd, or a mixture: --tier host:1GiB,ssd",
        )
    if read_tiers(tiers[0]).uses("gpu"):
        raise ConfigError(
            "--fill records n-grams by keys, which a row cache on a GPU does not take",
            facts={"found": f"--tier {tiers[0]}"},
            hint="leave the row cache of gpu out: --tier host:1GiB,ssd",
        )
    if cache != TRAFFIC:
        raise ConfigError(
            f"--fill records what is read twice, and --cache {cache} reads every sample twice",
            hint=f"add --cache {TRAFFIC}: no two samples are of the same tokens then",
        )
