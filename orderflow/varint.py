"""Whole numbers from 0 to 2^63 - 1 as bytes, seven bits each, the last byte of a number below 128.

The encoding of protocol buffers (LEB128), computed for all numbers at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from orderflow.errors import MergeError

MORE = 128
BITS = 7
MOST_BYTES = 9


def encode(values: Sequence[int]) -> bytes:
    """The numbers one after the other; MergeError below 0 or beyond 63 bits."""
    try:
        numbers = np.array(values, dtype=np.int64)
    except OverflowError:
        raise MergeError("a number beyond 63 bits can't be packed") from None
    if not numbers.size:
        return b""
    if int(numbers.min()) < 0:
        raise MergeError("a negative number can't be packed")
    lengths = np.ones(numbers.size, dtype=np.int64)
    for count in range(1, MOST_BYTES):
        longer = numbers >= 1 << BITS * count
        if not longer.any():
            break
        lengths += longer
    ends = np.cumsum(lengths)
    starts = ends - lengths
    out = np.empty(int(ends[-1]), dtype=np.uint8)
    for place in range(int(lengths.max())):
        reach = lengths > place
        chosen = numbers[reach]
        last = lengths[reach] == place + 1
        out[starts[reach] + place] = (chosen >> BITS * place & MORE - 1) | np.where(last, 0, MORE)
    return out.tobytes()


def count(data: bytes) -> int:
    """How many numbers these bytes hold."""
    return int(np.count_nonzero(np.frombuffer(data, dtype=np.uint8) < MORE))


def decode(data: bytes) -> NDArray[np.int64]:
    """The numbers of `encode`; MergeError when the bytes are cut or too long for 63 bits."""
    found = np.frombuffer(data, dtype=np.uint8)
    if not found.size:
        return np.zeros(0, dtype=np.int64)
    if found[-1] >= MORE:
        raise MergeError("packed numbers are cut off")
    ends = np.flatnonzero(found < MORE)
    lengths = np.diff(ends, prepend=-1)
    longest = int(lengths.max())
    if longest > MOST_BYTES:
        raise MergeError("packed numbers are too long")
    # From the last byte of each number backwards: most numbers are short.
    numbers = found[ends].astype(np.int64)
    for place in range(1, longest):
        index = np.flatnonzero(lengths > place)
        high = numbers[index] << BITS
        numbers[index] = high | (found[ends[index] - place] & MORE - 1)
    return numbers
