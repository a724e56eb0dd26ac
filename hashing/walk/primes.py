"""Prime moduli: the search that gives every head a table size of its own."""

import itertools
from collections.abc import Iterator
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError

MAX_MODULUS = 2**62
_BASES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
_BLOCK = 1024  # numbers sieved at once; about 60 of them are prime near 2^24
_STRIKERS = 8192  # the sieve strikes multiples of the primes below this
_FEW_HITS = 64  # primes from here on strike a block so rarely that numpy does them all at once


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
    for p in _BASES:
        if n % p == 0:
            return n == p
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in _BASES:
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
    for block in itertools.count((start + 1) // _BLOCK):
        if block * _BLOCK >= MAX_MODULUS:
            raise ConfigError(f"no prime table size is left between {start:,} and {MAX_MODULUS:,}")
        for n in primes_of(block):
            if n > start and n not in taken:
                taken.add(n)
                yield n


@lru_cache(maxsize=1024)
def primes_of(block: int) -> tuple[int, ...]:
    """Return the primes of a block.

    Kept, since the orders of a scheme, and its layers, mostly search from one start: what is tested
    is bounded by the range they search, not by how often they do.
    """
    sieved = _sieved(block)
    if block * _BLOCK + _BLOCK <= _STRIKERS**2:
        return sieved
    return tuple(n for n in sieved if is_prime(n))


def _sieved(block: int) -> tuple[int, ...]:
    """Return the numbers of a block that no prime below `_STRIKERS` divides, themselves apart."""
    first = block * _BLOCK
    primes = _strikers()
    starts = np.maximum(primes * primes - first, -first % primes)
    standing = np.ones(_BLOCK, np.bool_)
    standing[: max(0, 2 - first)] = False
    few, single = np.searchsorted(primes, [_FEW_HITS, _BLOCK])
    for prime, at in zip(primes[:few].tolist(), starts[:few].tolist(), strict=True):
        standing[at::prime] = False
    hits = np.arange(_BLOCK // _FEW_HITS)
    for struck in (
        (starts[few:single, None] + primes[few:single, None] * hits).ravel(),
        starts[single:],
    ):
        standing[struck[struck < _BLOCK]] = False
    return tuple((first + np.flatnonzero(standing)).tolist())


@cache
def _strikers() -> NDArray[np.int64]:
    """Return the primes below `_STRIKERS`, by the sieve of Eratosthenes."""
    standing = np.ones(_STRIKERS, np.bool_)
    standing[:2] = False
    for n in range(2, int(_STRIKERS**0.5) + 1):
        if standing[n]:
            standing[n * n :: n] = False
    return np.flatnonzero(standing)
