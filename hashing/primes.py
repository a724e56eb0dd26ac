"""Prime moduli: the search that gives every head a table size of its own."""

from collections.abc import Iterator

from engramctl.errors import ConfigError

_SMALL = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
MAX_MODULUS = 2**62


def is_prime(n: int) -> bool:
    """Tell whether `n` is prime, exactly for every n < 2^64.

    Miller-Rabin with the first twelve primes as bases has no strong pseudoprime below
    3.18e23 (Sorenson and Webster, 2015).

    Example:
        >>> [n for n in range(20) if is_prime(n)]
        [2, 3, 5, 7, 11, 13, 17, 19]
    """
    if n < 2:
        return False
    for p in _SMALL:
        if n % p == 0:
            return n == p
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in _SMALL:
        x = pow(base, odd, n)
        if x in (1, n - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def primes_above(start: int, taken: set[int]) -> Iterator[int]:
    """Yield the primes strictly above `start` that are not in `taken`, adding each to it.

    Raises:
        ConfigError: the search leaves the range of moduli a 64-bit mix can use.

    Example:
        >>> search = primes_above(6, {11})
        >>> [next(search) for _ in range(3)]
        [7, 13, 17]
    """
    candidate = start
    while candidate < MAX_MODULUS:
        candidate += 1
        if candidate not in taken and is_prime(candidate):
            taken.add(candidate)
            yield candidate
    raise ConfigError(f"no prime table size is left between {start:,} and {MAX_MODULUS:,}")
