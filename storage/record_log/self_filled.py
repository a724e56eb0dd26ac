"""What is said of a self-filling dictionary when a store is opened with one."""

from dataclasses import dataclass
from pathlib import Path

from engramctl.errors import ConfigError


@dataclass(frozen=True)
class SelfFilled:
    """A dictionary that traffic fills, in one file; off unless asked for, because it writes.

    Attributes:
        path: of the file; made when it is missing. It may be deleted at any time.
        num_orders: of the scheme whose keys `prefetch` is given: `len(scheme.orders)`.
        heads_per_order: of the scheme.
        key_bits: of its longest key: `scheme.key_bits`.
        size_bytes: of the file at most; what is oldest is dropped.
        write_bytes_per_token: most that is ever written, for each token that was served.

    Raises:
        ConfigError: numbers that no dictionary can have.
    """

    path: Path | str
    num_orders: int
    heads_per_order: int
    key_bits: int
    size_bytes: int = 4 << 30
    write_bytes_per_token: float = 1500.0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in ("num_orders", "heads_per_order", "key_bits", "size_bytes"):
            found = getattr(self, name)
            if not isinstance(found, int) or found < 1:
                raise ConfigError(
                    f"{name} of a self-filling dictionary must be an integer, at least 1",
                    facts={"found": found},
                )
