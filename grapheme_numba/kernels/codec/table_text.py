"""Bytes of tables: where whole rows end, and hashes of strings that do not depend on how rows are gathered."""

import numpy as np
from numba import njit

from grapheme_numba.jit import SERIAL

PRIME, OFFSET = np.uint64(0x100000001B3), np.uint64(0xCBF29CE484222325)
MIX = np.uint64(0xFF51AFD7ED558CCD)


@njit(**SERIAL)
def last_row_end(data, delimiter, quote):
    """The position after the last line feed outside of quotes, 0 if there is none.

    data (n,) uint8 starts at the start of a row; a quote opens where a field starts, as CSV readers hold it, and
    two of them inside quotes are one.
    """
    end, inside, start = 0, False, True
    for at in range(data.size):
        byte = data[at]
        if inside:
            if byte == quote:
                inside = False  # a second one opens again, as the state says that a quote was just closed
                start = True
            continue
        if byte == quote and start:
            inside = True
        elif byte == 10:
            end = at + 1
        start = byte == delimiter or byte == 10 or byte == 13
    return end


@njit(**SERIAL)
def hash_strings(offset, data, hashes):
    """Mix the strings (offset (n + 1,) int64, data uint8) into hashes (n,) uint64, which is overwritten: FNV-1a."""
    for row in range(hashes.size):
        value = hashes[row] ^ OFFSET
        for at in range(offset[row], offset[row + 1]):
            value = (value ^ np.uint64(data[at])) * PRIME
        value = (value ^ (value >> np.uint64(33))) * MIX
        hashes[row] = value ^ (value >> np.uint64(29))
