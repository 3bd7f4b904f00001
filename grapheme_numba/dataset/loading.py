"""One line of JSON to Python values, with the reasons why it is none that we use."""

import json

import numpy as np

from grapheme_numba.errors import RecordError

# Values of a line besides those of `values` or `pixels`. `json.loads` makes up to 35 bytes of objects from one byte
# (`{},{},{},`): 550 MB from a line of 16 MB. (A reader that kept unknown values as text was tried: as fast, but as
# long as all other rules for lines together, for lines that nobody has.)
OTHER_VALUES = 1 << 20
BLOCK = 1 << 20
COSTS = np.zeros(256, np.int64)
COSTS[list(b",:[{")] = 1, 1, 3, 3


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


def _n_value(line: bytes, most: int) -> int:
    """How many values JSON text holds, a list or object counted as four: what it costs as Python objects.

    Exact where there are more than `most`, else not less than that. (Cutting the strings out by a regular
    expression took 500 MB for three million of them.)
    """
    signs = line.count(b",") + line.count(b":") + 3 * (line.count(b"[") + line.count(b"{"))
    if signs <= most:
        return signs
    data = np.frombuffer(line.replace(b"\\\\", b"__").replace(b'\\"', b"__"), np.uint8)  # no escaped quotes left
    n, inside = 0, np.uint8(0)
    for first in range(0, data.size, BLOCK):
        block = data[first : first + BLOCK]
        quoted = inside ^ (np.cumsum(block == 34, dtype=np.uint8) & 1)
        n, inside = n + int(COSTS[block[quoted == 0]].sum()), quoted[-1]
    return n


def load(line: bytes, limits):
    """The value of one line, objects as `Pairs`; RecordError when it is not JSON within the `Limits`."""
    if len(line) > limits.line_bytes:
        raise RecordError(f"the line has {len(line)} bytes, more than the limit of {limits.line_bytes}")
    brackets = line.count(b"[") + line.count(b"{")
    if brackets > limits.depth and _depth(line) > limits.depth:
        raise RecordError(f"the line is nested deeper than the limit of {limits.depth}")
    most = limits.numbers + OTHER_VALUES
    if (n := _n_value(line, most)) > most:
        raise RecordError(
            f"the line holds {n} values (a list or object counts as four), more than the limit of {most}; "
            "unknown fields and metadata are kept, but not of any size"
        )
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise RecordError(f"byte {error.start} of the line is not UTF-8") from None
    try:
        return json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise RecordError(f"not JSON: {error.msg[0].lower()}{error.msg[1:]} at character {error.pos}") from None
    except RecordError:
        raise
    except (ValueError, RecursionError) as error:  # an integer of more digits than Python converts
        raise RecordError(f"not usable JSON: {str(error)[:80]}") from None
