"""Parquet's runs of small numbers (levels, numbers of dictionary values), unpacked in pieces."""

import numpy as np
from numpy.typing import NDArray

from engramctl.corpus.pages import BrokenPage
from engramctl.runtime.kernel_cache import compiled


class Runs:
    """Numbers of one width in a page, given in order."""

    def __init__(self, data: NDArray[np.uint8], begin: int, end: int, width: int) -> None:
        """Begin; `width` is the bits of a number, of which runs are in data[begin:end]."""
        if not 0 <= begin <= end <= len(data) or not 0 <= width <= 32:
            raise BrokenPage("levels are longer than their page")
        self._data, self._width = data[begin:end], width
        self._state = np.zeros(4, np.int64)

    def take(self, count: int) -> NDArray[np.int64]:
        """Return the next numbers.

        Raises:
            BrokenPage: there are fewer.
        """
        found = np.zeros(count, np.int64)
        if self._width and _unpack(self._data, self._width, self._state, found) != count:
            raise BrokenPage("a page holds fewer values than it says")
        return found


@compiled
def _unpack(
    data: NDArray[np.uint8], width: int, state: NDArray[np.int64], out: NDArray[np.int64]
) -> int:
    """Fill `out`; state: next byte, numbers left of the run, bit of a packed one or -1, value."""
    at, left, bit, value = state[0], state[1], state[2], state[3]
    done, size = 0, len(data)
    mask = (1 << width) - 1
    while done < len(out):
        if left == 0:
            header, shift = 0, 0
            while True:
                if at >= size or shift > 35:
                    return done
                byte = int(data[at])
                at += 1
                header |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            if header & 1:
                left = (header >> 1) * 8
                bit = at * 8
                at += (header >> 1) * width
            else:
                left = header >> 1
                bit = -1
                value = 0
                for place in range((width + 7) // 8):
                    if at >= size:
                        return done
                    value |= np.int64(data[at]) << (8 * place)
                    at += 1
            continue
        count = min(left, len(out) - done)
        if bit < 0:
            out[done : done + count] = value
        else:
            for number in range(count):
                byte = bit >> 3
                word = np.int64(0)
                for place in range((width + (bit & 7) + 7) >> 3):
                    if byte + place >= size:
                        return done + number
                    word |= np.int64(data[byte + place]) << (8 * place)
                out[done + number] = (word >> (bit & 7)) & mask
                bit += width
        done += count
        left -= count
    state[0], state[1], state[2], state[3] = at, left, bit, value
    return done
