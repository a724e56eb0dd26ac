"""The odd multipliers of the XOR mix, and the random streams they come from.

The Engram models draw them with numpy's `default_rng(seed + 10007 * layer)`, Qwen4Exp by SplitMix64
(`engram_demo_v1.py`; transformers). numpy does not promise its stream for ever, and a table is
worthless under other multipliers, so it is written out here: SeedSequence, PCG64 (XSL-RR 128/64)
and Lemire's bounded draw. A test compares it with the numpy that is installed.
"""

from engramctl.errors import ConfigError

LAYER_STRIDE = 10007
_MASK32, _MASK64, _MASK128 = 2**32 - 1, 2**64 - 1, 2**128 - 1
_GOLDEN = 0x9E3779B97F4A7C15
_PCG_MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645


def half_bound(num_canonical: int) -> int:
    """Return B = max(1, floor(floor((2^63-1)/V')/2)): 2r+1 with r < B keeps id * a below 2^63.

    Source: `engram_demo_v1.py`.

    Example:
        >>> half_bound(99092)
        46539438283891
    """
    return max(1, (2**63 - 1) // num_canonical // 2)


def engram_multipliers(num_canonical: int, count: int, *, seed: int, layer: int) -> tuple[int, ...]:
    """Draw the layer's odd multipliers; entry k goes with look-back k (0 is the current token).

    Args:
        num_canonical: V', the number of canonical ids.
        count: how many, the largest order N.
        seed: the scheme's seed.
        layer: the layer id as the scheme lists it.

    Raises:
        ConfigError: a negative seed or layer, or more ids than a 64-bit draw can bound.

    Example:
        >>> engram_multipliers(99092, 4, seed=0, layer=1)
        (76632096046245, 4839876093313, 35959672319349, 73987337458391)
    """
    bound = half_bound(num_canonical)
    if seed < 0 or layer < 0:
        raise ConfigError(f"seed {seed} and layer {layer} must not be negative")
    if bound <= 2**32:
        raise ConfigError(f"{num_canonical:,} canonical ids are too many for 64-bit multipliers")
    stream = Pcg64(seed + LAYER_STRIDE * layer)
    return tuple(2 * stream.below(bound) + 1 for _ in range(count))


def splitmix_multipliers(
    num_canonical: int, count: int, *, seed: int, index: int
) -> tuple[int, ...]:
    """Draw one layer's odd multipliers as Qwen4Exp does (transformers).

    Args:
        num_canonical: V, the vocabulary size.
        count: how many, the largest order N.
        seed: the scheme's seed; the released model's is its class default, 1234.
        index: dense index of the layer among the scheme's layers, not the layer's number.

    Raises:
        ConfigError: a negative seed.

    Example:
        >>> splitmix_multipliers(248320, 3, seed=1234, index=0)
        (23703573157769, 20109073645365, 8052911324071)
    """
    if seed < 0:
        raise ConfigError(f"seed {seed} must not be negative")
    bound, start = half_bound(num_canonical), seed + LAYER_STRIDE * index
    drawn = (_splitmix64(start + _GOLDEN * (k + 1) & _MASK64) for k in range(count))
    return tuple(2 * (value % bound) + 1 for value in drawn)


def _splitmix64(state: int) -> int:
    """One output of Steele, Lea and Flood's SplitMix64 after adding its constant to `state`."""
    value = state + _GOLDEN & _MASK64
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _MASK64
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _MASK64
    return value ^ value >> 31


class Pcg64:
    """numpy's `default_rng(seed)`, as far as 64-bit bounded integers need it."""

    def __init__(self, seed: int) -> None:
        """Seed it as numpy does."""
        words = _seed_sequence(seed)
        state, increment = words[0] << 64 | words[1], words[2] << 64 | words[3]
        self._increment = (increment << 1 | 1) & _MASK128
        self._state = 0
        self._step()
        self._state = (self._state + state) & _MASK128
        self._step()

    def _step(self) -> None:
        self._state = (self._state * _PCG_MULTIPLIER + self._increment) & _MASK128

    def _next(self) -> int:
        self._step()
        value = (self._state >> 64 ^ self._state) & _MASK64
        turn = self._state >> 122
        return (value >> turn | value << (64 - turn)) & _MASK64

    def below(self, bound: int) -> int:
        """Draw from [0, bound), bound above 2^32: Lemire's multiply and reject."""
        product = self._next() * bound
        if product & _MASK64 < bound:
            threshold = (2**64 - bound) % bound
            while product & _MASK64 < threshold:
                product = self._next() * bound
        return product >> 64


def _seed_sequence(entropy: int) -> list[int]:
    """Return four 64-bit words of numpy's `SeedSequence(entropy)` (O'Neill's seed_seq_fe128)."""
    words = [entropy >> 32 * k & _MASK32 for k in range(max(1, -(-entropy.bit_length() // 32)))]
    constant = 0x43B0D7E5

    def mixed(value: int) -> int:
        nonlocal constant
        value ^= constant
        constant = constant * 0x931E8875 & _MASK32
        value = value * constant & _MASK32
        return value ^ value >> 16

    def merge(x: int, y: int) -> int:
        value = (x * 0xCA01F9DD - y * 0x4973F715) & _MASK32
        return value ^ value >> 16

    pool = [mixed(words[k] if k < len(words) else 0) for k in range(4)]
    for source in range(4):
        for target in range(4):
            if source != target:
                pool[target] = merge(pool[target], mixed(pool[source]))
    for word in words[4:]:
        pool = [merge(value, mixed(word)) for value in pool]
    constant = 0x8B51F9DD
    output = []
    for k in range(8):
        value = pool[k % 4] ^ constant
        constant = constant * 0x58F38DED & _MASK32
        value = value * constant & _MASK32
        output.append(value ^ value >> 16)
    return [output[2 * k] | output[2 * k + 1] << 32 for k in range(4)]
