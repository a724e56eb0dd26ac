"""Tiers by name: one that holds all rows, and faster ones that keep some of them before it.

`host:1GiB,ssd` is a row cache of 1 GiB in host memory over rows on disk. Needs no torch.
"""

from dataclasses import dataclass

from engramctl.errors import ConfigError, unknown
from engramctl.numbers import exact_size, parse_bytes

TIERS = ("gpu", "host", "ssd")  # the fastest first
_EXAMPLE = "host:16GiB,ssd"


@dataclass(frozen=True)
class TierList:
    """A tier, or a mixture of several.

    Attributes:
        whole: of TIERS, the slowest: it holds every row.
        caches: the faster ones, the fastest first, each with the bytes of its row cache.
    """

    whole: str
    caches: tuple[tuple[str, int], ...] = ()

    @property
    def name(self) -> str:
        """What it is called, with sizes in one spelling: `host:1GiB,ssd`."""
        return ",".join([*(f"{tier}:{exact_size(size)}" for tier, size in self.caches), self.whole])

    def cache_bytes(self, tier: str) -> int:
        """Return the bytes of a tier's row cache; 0: it has none."""
        return dict(self.caches).get(tier, 0)

    def uses(self, tier: str) -> bool:
        """Tell whether rows are on a tier, all or some."""
        return tier == self.whole or self.cache_bytes(tier) > 0


def whole_tier(name: str) -> str:
    """Return the tier that holds every row, of a name that `TierList` gives; any other word itself.

    Example:
        >>> whole_tier("host:1GiB,ssd"), whole_tier("gpu"), whole_tier("none")
        ('ssd', 'gpu', 'none')
    """
    return name.rpartition(",")[2]


def on_disk(name: str) -> bool:
    """Tell whether the rows of a tier or mixture are on disk, all of them."""
    return whole_tier(name) == "ssd"


def is_mixture(name: str) -> bool:
    """Tell whether it is the name of several tiers."""
    return "," in name


def read_tiers(text: str) -> TierList:
    """Read a tier, or a list of tiers with sizes, the fastest first.

    Args:
        text: `ssd`, `host:16GiB,ssd`, `gpu:2GiB,host:16GiB,ssd`, ..

    Raises:
        ConfigError: an unknown tier; one twice, or a slower one before a faster; a size that is
            missing, or one of the last tier, which holds every row.

    Example:
        >>> read_tiers("gpu:2GiB, host:16384MiB, ssd").name
        'gpu:2GiB,host:16GiB,ssd'
    """
    words = [word.strip() for word in text.split(",")]
    parts = [word.partition(":") for word in words]
    names = [name.strip() for name, _, _ in parts]
    for name in names:
        if name not in TIERS:
            raise unknown("tier", name, TIERS)
    if sorted(set(names), key=TIERS.index) != names:
        in_order = sorted(set(names), key=TIERS.index)
        raise ConfigError(
            f"a mixture names each tier once, the fastest first, not '{text}'",
            hint=",".join([*(f"{name}:SIZE" for name in in_order[:-1]), in_order[-1]]),
        )
    if parts[-1][1]:
        raise ConfigError(
            f"the last tier holds every row, so {names[-1]} has no size in '{text}'",
            hint=f"write {names[-1]}; a size is of a faster tier that keeps some rows: {_EXAMPLE}",
        )
    for name, given, _ in parts[:-1]:
        if not given:
            raise ConfigError(
                f"{name} is a row cache over {names[-1]} in '{text}', and has no size",
                hint=f"say how much it keeps: {name}:1GiB; to measure tiers one by one, repeat "
                f"the option: {' '.join(f'--tier {one}' for one in names)}",
            )
    sized = ((name.strip(), parse_bytes(size, name)) for name, _, size in parts[:-1])
    return TierList(names[-1], tuple(sized))
