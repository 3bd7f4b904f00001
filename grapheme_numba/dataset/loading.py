"""One line of JSON to Python values, with the reasons why it is none that we use."""

import json

from grapheme_numba.dataset.dense import NUMBERS, Dense, HashTwiceError
from grapheme_numba.errors import RecordError

MOST_OBJECTS = 96 << 20  # bytes of them; a line that could need more is read by `dense`. A million numbers need 63 MB
MOST_DENSE_DEPTH = 128  # its calls nest, in Python; deeper limits have to be asked for
KNOWN = {
    **dict.fromkeys(("id", "domain", "input_type", "expected_output", "metadata")),
    "input": {**dict.fromkeys(("text", "width", "height")), **dict.fromkeys(("values", "pixels"), NUMBERS)},
}


class Pairs(dict):
    """A JSON object that remembers whether a key came twice."""

    twice: str | None = None


def _pairs(items):
    found = Pairs(items)
    if len(found) != len(items):
        seen = set()
        for key, _ in items:
            if key in seen:
                found.twice = key
            seen.add(key)
        raise RecordError(f"key {found.twice!r} comes twice in one object")
    return found


def _constant(name):
    raise RecordError(f"{name} is not a number that JSON or training can use")


def _finite(text):
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise RecordError(f"number {text[:40]} is beyond the range of float32")
    return value


def _depth(line: bytes) -> int:
    """Deepest nesting of brackets outside of strings."""
    depth = deepest = 0
    quoted = escaped = False
    for byte in line:
        if quoted:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                quoted = False
        elif byte == 0x22:
            quoted = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _cost(line: bytes, brackets: int) -> int:
    """About how many bytes of objects `json.loads` makes of a line, at most."""
    return 200 * brackets + 100 * line.count(b":") + 60 * line.count(b",")


def load(line: bytes, limits):
    """The value of one line, objects as `Pairs` or `Kept`; RecordError when it is not JSON within the limits."""
    if len(line) > limits.line_bytes:
        raise RecordError(f"the line has {len(line)} bytes, more than the limit of {limits.line_bytes}")
    brackets = line.count(b"[") + line.count(b"{")
    if brackets > limits.depth and _depth(line) > limits.depth:
        raise RecordError(f"the line is nested deeper than the limit of {limits.depth}")
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise RecordError(f"byte {error.start} of the line is not UTF-8") from None
    try:
        if _cost(line, brackets) > MOST_OBJECTS and limits.depth <= MOST_DENSE_DEPTH:
            try:
                return Dense(text, limits.numbers, _finite, _constant).load(KNOWN)
            except HashTwiceError:
                pass  # the keys themselves have to be compared, and all have to be in memory for that
        return json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise RecordError(f"not JSON: {error.msg[0].lower()}{error.msg[1:]} at character {error.pos}") from None
    except RecordError:
        raise
    except (ValueError, RecursionError) as error:  # an integer of more digits than Python converts
        raise RecordError(f"not usable JSON: {str(error)[:80]}") from None
