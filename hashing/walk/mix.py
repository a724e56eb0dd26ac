"""The mix: how a window of canonical ids becomes one integer, before the head's modulus.

Three kinds cover every released scheme. With c_d the id at distance d (0 is the current token) and
n the order:

    xor_mul    c_0 * m_0  ^  c_1 * m_1  ^ ..                m_d: the layer's odd multipliers
    poly       c_0 + c_1 * b + c_2 * b^2 + ..               b: the head's base, V
    rollpoly   c_{n-1} + c_{n-2} * b + .. + c_0 * b^(n-1)   b: the head's base, a prime

rollpoly reads its window oldest first, poly the newest.
"""

from dataclasses import dataclass
from typing import Any

from engramctl.errors import ConfigError

STREAMS = ("pcg64", "splitmix64")
WIDTHS = {"xor_mul": ("int64",), "poly": ("exact", "wrap64"), "rollpoly": ("int64",)}
_KEYS = {
    "xor_mul": ({"kind", "width", "seed"}, {"kind", "width", "seed", "stream"}),
    "poly": ({"kind", "width", "bases"},) * 2,
    "rollpoly": ({"kind", "width", "bases"},) * 2,
}


@dataclass(frozen=True)
class Mix:
    """How windows are mixed, and in which integers.

    Attributes:
        kind: `xor_mul`, `poly` or `rollpoly`.
        width: `exact` integers; `wrap64`: signed 64-bit, the wrong but seen answer of a literal
            port; `int64`: xor_mul cannot leave it, rollpoly wraps in it by definition.
        stream: where the multipliers of xor_mul come from: `pcg64` or `splitmix64`.
        bases: of poly (one) and rollpoly (one a head of an order, cycled).

    Raises:
        ConfigError: an unknown kind, width or stream, or bases that the kind cannot have.
    """

    kind: str = "xor_mul"
    width: str = "int64"
    stream: str = "pcg64"
    bases: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check that the fields belong together."""
        if self.kind not in WIDTHS:
            raise ConfigError(f"unknown mix '{self.kind}'", facts={"known": ", ".join(WIDTHS)})
        if self.width not in WIDTHS[self.kind]:
            raise ConfigError(
                f"mix {self.kind} has no width '{self.width}'",
                facts={"known": ", ".join(WIDTHS[self.kind])},
            )
        if self.stream not in STREAMS:
            raise ConfigError(
                f"unknown multiplier stream '{self.stream}'", facts={"known": ", ".join(STREAMS)}
            )
        if self.is_linear != bool(self.bases) or any(not 1 <= b < 2**63 for b in self.bases):
            raise ConfigError(
                f"mix {self.kind} cannot have bases {list(self.bases)}",
                hint="poly has one base, rollpoly one a function, xor_mul none; all from 1 on",
            )

    @property
    def is_linear(self) -> bool:
        """Whether the mix is a weighted sum of the window."""
        return self.kind != "xor_mul"

    def to_dict(self, seed: int) -> dict[str, Any]:
        """Return the JSON form; `seed` is the scheme's."""
        document: dict[str, Any] = {"kind": self.kind, "width": self.width}
        if self.is_linear:
            return {**document, "bases": list(self.bases)}
        document["seed"] = seed
        return document if self.stream == "pcg64" else {**document, "stream": self.stream}

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "Mix":
        """Read the JSON form.

        Raises:
            ConfigError: an unknown kind, or keys that another kind has.
        """
        kind = document["kind"]
        needed, allowed = _KEYS.get(kind, (set(document), set(document)))
        if not needed <= set(document) <= allowed:
            raise ConfigError(
                "scheme.mix.kind does not follow from the keys beside it",
                facts={
                    "stored": kind,
                    "its keys": ", ".join(sorted(needed)),
                    "found": ", ".join(sorted(document)),
                },
            )
        bases = tuple(int(base) for base in document.get("bases", ()))
        return cls(str(kind), str(document["width"]), document.get("stream", "pcg64"), bases)


XOR_MUL = Mix()


def coefficients(mix: Mix, order: int, base: int, modulus: int) -> list[int]:
    """Return the int64 weights of c_0, c_1, .. in one head of a linear mix.

    The head's slot is the floored modulo of the wrapping 64-bit sum. Exact sums are reduced first
    (sum of c_d * (b^d mod M)), so that they never wrap.

    Args:
        mix: poly or rollpoly.
        order: n.
        base: the head's base.
        modulus: M, used by exact sums only.

    Example:
        >>> coefficients(Mix("poly", "exact", bases=(10,)), 3, 10, 7)
        [1, 3, 2]
        >>> coefficients(Mix("rollpoly", bases=(10,)), 3, 10, 7)
        [100, 10, 1]
    """
    if mix.width == "exact":
        return [pow(base, distance, modulus) for distance in range(order)]
    powers = [signed64(pow(base, power, 2**64)) for power in range(order)]
    return powers if mix.kind == "poly" else powers[::-1]


def signed64(value: int) -> int:
    """Wrap an integer to 64 bits with a sign.

    Example:
        >>> signed64(2**63)
        -9223372036854775808
    """
    return (value + 2**63) % 2**64 - 2**63
