"""What the memory of the ssd tier may be, beside mixtures that name their own."""

from collections.abc import Sequence

from engramctl.errors import ConfigError
from engramctl.storage.tiers.tier_list import is_mixture, on_disk, read_tiers


def refuse_memory(tiers: Sequence[str], budget: int | None, cache: int | None) -> None:
    """Refuse what the memory of the tiers of a run cannot be.

    Args:
        tiers: names of tiers and mixtures.
        budget: bytes of `--budget`; of a mixture over ssd, the host memory of all of it.
        cache: bytes of `--row-cache`.

    Raises:
        ConfigError: names the option and what to write.
    """
    if budget is not None and cache is not None and cache >= budget:
        raise ConfigError(
            "--row-cache is a part of --budget, and leaves memory for rows on their way",
            facts={"expected": f"less than {budget:,} bytes", "found": f"{cache:,} bytes"},
            hint="leave out --budget: it is then 64 MiB more than --row-cache",
        )
    for tier in filter(is_mixture, tiers):
        if cache is not None:
            raise ConfigError(
                f"--tier {tier} says how large its row caches are, and --row-cache says it again",
                hint="leave out --row-cache, or measure it by itself: --tier ssd --row-cache 1GiB",
            )
        host = read_tiers(tier).cache_bytes("host")
        if on_disk(tier) and budget is not None and host >= budget:
            raise ConfigError(
                f"--budget leaves no memory for rows on their way beside host in --tier {tier}",
                facts={"expected": f"more than {host:,} bytes", "found": f"{budget:,} bytes"},
                hint="leave out --budget: it is then 64 MiB more than host",
            )
