"""What is measured, and how much of it is sampled."""

from dataclasses import dataclass

from engramctl.caches.sampling import power_of_two_rate
from engramctl.errors import ConfigError
from engramctl.hashing import Scheme
from engramctl.hashing.kernels.keys import MOST_KEY_BITS
from engramctl.reuse.documents import Reader
from engramctl.storage.record.record import RecordSpec

SAMPLED_ACCESSES = 1 << 21  # of a trace; below that it is taken whole
SAMPLED_ROWS = 1 << 16  # that an LRU trace keeps at most, see StackDistances
COUNTED_ROWS = 1 << 20  # of the tables, whose accesses are counted for best_fixed
COUNTED_NGRAMS = 1 << 23  # positions, of all orders, whose n-grams the dictionary counts
SMALLEST_CACHE = 1 << 10


@dataclass(frozen=True)
class ReuseOptions:
    """What to measure; all of it changes results.

    Attributes:
        layer: whose rows; None: the scheme's first.
        head: of each order, from 0.
        streams: documents that are interleaved, one trace each.
        chunk_streams: those of them in which chunks are looked at, and dictionaries.
        dictionary_sizes: entries, ascending.
        max_tokens_per_file: the dictionary learns from the first so many tokens of each file, of
            those that are mined; a document is cut there. None: from all.
        sample_rate: share of rows that LRU and S3-FIFO are simulated with, a power of two from
            2^-20 to 1; None: by the size of the text. 1 is exact for LRU, whatever memory it takes.
    """

    layer: int | None = None
    head: int = 0
    streams: tuple[int, ...] = (1, 8, 64, 512)
    chunk_streams: tuple[int, ...] = (1, 64)
    dictionary_sizes: tuple[int, ...] = tuple(1 << bits for bits in range(14, 23, 2))
    max_tokens_per_file: int | None = None
    sample_rate: float | None = None

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ConfigError: one of them cannot be.
        """
        for numbers, name in ((self.streams, "streams"), (self.dictionary_sizes, "entries")):
            if not numbers or min(numbers) < 1 or list(numbers) != sorted(set(numbers)):
                raise ConfigError(f"{name} must be ascending numbers above 0, not {numbers}")
        rate = self.sample_rate
        if rate is not None and rate not in [2.0**-bits for bits in range(21)]:
            raise ConfigError(
                f"sample rate {rate} is not a power of two from 2^-20 to 1",
                hint="write 1 for exact LRU curves, or 0.015625 for 1/64",
            )
        if self.max_tokens_per_file is not None and self.max_tokens_per_file < 1:
            raise ConfigError("at least one token a file is needed")

    def trace_rate(self, accesses: int) -> float:
        """Return the rate for a trace of about so many accesses."""
        return self.sample_rate or power_of_two_rate(accesses, SAMPLED_ACCESSES)

    def reader(self, scheme: Scheme) -> Reader:
        """Return what reads the rows of the layer and head; all that `measure` needs is checked.

        Raises:
            ConfigError: the scheme has no such layer or head, rows that cannot be stored, or
                windows that have no key.
        """
        RecordSpec(scheme.dtype, scheme.row_dim)
        if scheme.key_bits > MOST_KEY_BITS:
            raise ConfigError(
                f"{scheme.max_order} of {scheme.vocab_size:,} ids are a window too long for curves",
                facts={
                    "expected": f"keys of at most {MOST_KEY_BITS} bits",
                    "found": f"{scheme.key_bits} bits",
                },
                hint="take a scheme of fewer orders, or of a smaller vocabulary",
            )
        layer = scheme.layers[0] if self.layer is None else self.layer
        scheme.layer_hash(layer)
        if not 0 <= self.head < scheme.heads_per_order:
            raise ConfigError(
                f"scheme {scheme.name} has no head {self.head}",
                facts={"expected": f"0 to {scheme.heads_per_order - 1}"},
            )
        return Reader(scheme, layer, self.head)

    @property
    def most_rows(self) -> int | None:
        """Rows that an LRU trace may keep; None: all."""
        return None if self.sample_rate == 1 else SAMPLED_ROWS


def cache_sizes(rows: int, accesses: int | None = None) -> tuple[int, ...]:
    """Return cache sizes in rows: powers of two, from where a cache helps to where all fits.

    Args:
        rows: of the tables that are read.
        accesses: of the trace, about; None: without end.

    Example:
        >>> cache_sizes(20_000), cache_sizes(20), cache_sizes(20_000, 1_000)
        ((1024, 2048, 4096, 8192, 16384, 32768), (2, 4, 8, 16, 32), (1024,))
    """
    whole = (rows - 1).bit_length()
    least = min(SMALLEST_CACHE.bit_length() - 1, max(0, whole - 4))
    top = whole if accesses is None else min(whole, max(accesses - 1, 0).bit_length())
    return tuple(1 << bits for bits in range(least, max(least, top) + 1))


def best_fixed_rate(reader: Reader, tokens: int) -> float:
    """Return the share of rows whose accesses in a text are counted for the best fixed set."""
    rows = min(sum(reader.rows), tokens * len(reader.rows))
    return power_of_two_rate(rows, COUNTED_ROWS)


def ngram_rate(reader: Reader, tokens: int) -> float:
    """Return the share of n-grams that the dictionary is measured with."""
    return power_of_two_rate(tokens * len(reader.rows), COUNTED_NGRAMS)
