"""What a text is made of, counted byte by byte: the evidence by which the router chooses a brain."""

from numba import njit, prange

from grapheme_numba.jit import PARALLEL, SERIAL

LETTERS, DIGITS, OPERATORS, EXPRESSIONS = 0, 1, 2, 3  # columns of the counts
PLUS, MINUS, STAR, SLASH, CARET, EQUALS, PERCENT = 43, 45, 42, 47, 94, 61, 37
BLANK, DOT, OPEN, CLOSE = 32, 46, 40, 41


@njit(**SERIAL)
def is_operator(byte):
    """Whether the byte is one of + - * / ^ = %."""
    return byte in (PLUS, MINUS, STAR, SLASH, CARET, EQUALS, PERCENT)


@njit(**PARALLEL)
def text_evidence(offsets, data, counts_out):
    """Count letters, digits, operators and expressions of each text.

    Parameters
    ----------
    offsets : (n + 1,) int64
        Text i is `data[offsets[i] : offsets[i + 1]]`, UTF-8.
    data : (n_byte,) uint8
    counts_out : (n, 4) int32
        Columns LETTERS (bytes above 127 count as letters), DIGITS, OPERATORS, and EXPRESSIONS: a digit,
        an operator, a digit, with nothing but blanks and brackets between. Overwritten.
    """
    for i in prange(offsets.shape[0] - 1):
        counts_out[i, :] = 0
        stage = 0  # 1 after a digit, 2 after a digit and an operator
        for p in range(offsets[i], offsets[i + 1]):
            byte = data[p]
            if 48 <= byte <= 57:
                counts_out[i, DIGITS] += 1
                if stage == 2:
                    counts_out[i, EXPRESSIONS] += 1
                stage = 1
            elif is_operator(byte):
                counts_out[i, OPERATORS] += 1
                stage = 2 if stage >= 1 else 0
            elif 65 <= byte <= 90 or 97 <= byte <= 122 or byte > 127:
                counts_out[i, LETTERS] += 1
                stage = 0
            elif byte not in (BLANK, DOT, OPEN, CLOSE):
                stage = 0
