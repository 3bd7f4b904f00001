"""One JSONL line is one MixedExample: the schema, and the reference parser, which says why a line is refused.

`parse_example` is the authority. The compiled scanner of `convert` accepts only what this module
accepts and hands every line it is unsure of to it.

One line of JSON to Python values, with the reasons why it is none that we use.
"""

import json
from typing import Any, NoReturn

import msgspec
import numpy as np

from grapheme_numba.data.fields import EXACT, stored
from grapheme_numba.data.threads import exclusive_if_large
from grapheme_numba.errors import RecordError

# Values of a line besides those of `values` or `pixels`. `json.loads` makes up to 35 bytes of objects from one byte
# (`{},{},{},`): 550 MB from a line of 16 MB. (A reader that kept unknown values as text was tried: as fast, but as
# long as all other rules for lines together, for lines that nobody has.)
OTHER_VALUES = 1 << 20
BLOCK = 1 << 20
COSTS = np.zeros(256, np.int64)
COSTS[list(b",:[{")] = 1, 1, 3, 3


class Pairs(dict[str, Any]):
    """A JSON object that remembers whether a key came twice."""

    twice: str | None = None


def _pairs(items: list[tuple[str, Any]]) -> Pairs:
    pairs = Pairs(items)
    if len(pairs) != len(items):
        seen = set()
        for key, _ in items:
            if key in seen:
                pairs.twice = key
            seen.add(key)
        raise RecordError(f"key {pairs.twice!r} comes twice in one object")
    return pairs


def _constant(name: str) -> NoReturn:
    raise RecordError(f"{name} is not a number that JSON or training can use")


def _finite(text: str) -> float:
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


def load(line: bytes, limits: "Limits") -> Any:
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


INPUT_TYPES = ("text", "sequence", "image", "tabular")
INPUT_KINDS = {kind: code for code, kind in enumerate(INPUT_TYPES)}  # as kernels number them
LARGEST = 3.4028234663852886e38  # beyond it a number is infinite in float32
LARGEST_DOUBLE = 1.7976931348623157e308


class Limits(msgspec.Struct, frozen=True):
    """What one line may hold at most: bytes, numbers in `values` or `pixels`, nesting of brackets.

    nameless : it may also do without `domain`, when a router will choose one
    """

    line_bytes: int = 16 << 20
    numbers: int = 1 << 20
    depth: int = 64
    nameless: bool = False


DEFAULT_LIMITS = Limits()


class MixedExample(msgspec.Struct, frozen=True):
    """One example, flat. Fields of another input type are None.

    domain : None when the line has none
    metadata : JSON text of the metadata object, None when the line has none
    extra, input_extra : JSON text of an object with the unknown fields of the record and of its input; the
        latter also with `values`, `pixels` or `fields` whose whole numbers are beyond what a double holds
    fields, numbers, categories : a tabular input, as `fields.py` stores it
    """

    id: str
    domain: str | None
    input_type: str
    text: str | None = None
    values: list[float] | None = None
    width: int | None = None
    height: int | None = None
    pixels: list[float] | None = None
    expected_output: str | None = None
    metadata: str | None = None
    extra: str | None = None
    input_extra: str | None = None
    fields: str | None = None
    numbers: list[float] | None = None
    categories: list[str | None] | None = None


class _Metadata(msgspec.Struct):
    metadata: msgspec.Raw


def _kind(value: object) -> str:
    names: dict[type, str] = {dict: "an object", Pairs: "an object", list: "a list", str: "a string", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "a number")


def _text(holder: dict[str, Any], key: str, path: str) -> str:
    if key not in holder:
        raise RecordError(f"{path} is missing")
    value = holder.pop(key)
    if type(value) is not str:
        raise RecordError(f"{path} must be a string, got {_kind(value)}")
    _encodable(value, path)
    return value


def _encodable(value: str, path: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise RecordError(f"{path} holds a lone surrogate, which is not text") from None


def _numbers(holder: dict[str, Any], key: str, limits: Limits) -> list[float]:
    """Take the numbers out of `holder`; it keeps whole numbers that no double can hold, as they are written."""
    path = f"input.{key}"
    if key not in holder:
        raise RecordError(f"{path} is missing")
    values = holder.pop(key)
    if type(values) is not list:
        raise RecordError(f"{path} must be a list of numbers, got {_kind(values)}")
    if not values:
        raise RecordError(f"{path} is empty; at least one number is needed")
    if len(values) > limits.numbers:
        raise RecordError(f"{path} has {len(values)} numbers, more than the limit of {limits.numbers}")
    for position, value in enumerate(values):
        if type(value) is not float and type(value) is not int:
            raise RecordError(f"{path}[{position}] must be a number, got {_kind(value)}")
        if not -LARGEST <= value <= LARGEST:
            raise RecordError(f"{path}[{position}] is beyond the range of float32: {str(value)[:40]}")
    numbers = [float(value) for value in values]
    if any(type(value) is int and value != number for value, number in zip(values, numbers)):
        holder[key] = values
    return numbers


def _cells(holder: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """Take the fields out of `holder`; it keeps those whose whole numbers no double can hold."""
    if "fields" not in holder:
        raise RecordError("input.fields is missing")
    cells = holder.pop("fields")
    if type(cells) is not Pairs:
        raise RecordError(f"input.fields must be an object, got {_kind(cells)}")
    if not cells:
        raise RecordError("input.fields is empty; at least one field is needed")
    if len(cells) > limits.numbers:
        raise RecordError(f"input.fields has {len(cells)} fields, more than the limit of {limits.numbers}")
    beyond = {}
    for name, cell in cells.items():
        _encodable(name, "a name in input.fields")
        if type(cell) is str:
            _encodable(cell, f"input.fields.{name}")
        elif type(cell) is int and abs(cell) > EXACT:
            if abs(cell) > LARGEST_DOUBLE:
                raise RecordError(f"input.fields.{name} is beyond the range of a double: {str(cell)[:40]}")
            if float(cell) != cell:
                beyond[name] = cell
        elif cell is not None and type(cell) not in (int, float, bool):
            raise RecordError(f"input.fields.{name} must be a number, a string, true, false or null, got {_kind(cell)}")
    if beyond:
        holder["fields"] = beyond
    return stored(cells)._asdict()


def _size(holder: dict[str, Any], key: str) -> int:
    path = f"input.{key}"
    if key not in holder:
        raise RecordError(f"{path} is missing")
    value = holder.pop(key)
    if type(value) is not int:
        raise RecordError(f"{path} must be an integer, got {_kind(value)}")
    if not 1 <= value <= 65_535:
        raise RecordError(f"{path} must be from 1 to 65535, got {str(value)[:40]}")
    return value


def _rest(holder: dict[str, Any], path: str) -> str | None:
    """The JSON text of what is left of an object, None when nothing is."""
    if not holder:
        return None
    text = json.dumps(holder, ensure_ascii=False, separators=(",", ":"))
    _encodable(text, path)
    return text


def _as_written(line: bytes, metadata: dict[str, Any]) -> str:
    """The JSON text of the metadata as the line holds it; made anew where it cannot be cut out."""
    made = _rest(metadata, "metadata") or "{}"
    try:
        return bytes(msgspec.json.decode(line, type=_Metadata).metadata).decode()
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return made


def parse_example(line: bytes, limits: Limits = DEFAULT_LIMITS, *, question: bool = False) -> MixedExample:
    """Parse and check one line without its line end.

    question : allow `domain` and `expected_output` to be missing (input of `predict`); `limits.nameless`
        allows it of `domain` alone

    Raises RecordError that starts with the path of the wrong field.
    """
    with exclusive_if_large(len(line)):
        return _parsed(line, limits, question)


def _parsed(line: bytes, limits: Limits, question: bool) -> MixedExample:
    record = load(line, limits)
    if type(record) is not Pairs:
        raise RecordError(f"a line must hold one JSON object, got {_kind(record)}")
    fields: dict[str, Any] = {"id": _text(record, "id", "id")}
    nameless = (question or limits.nameless) and "domain" not in record
    fields["domain"] = None if nameless else _text(record, "domain", "domain")
    if fields["domain"] == "":
        raise RecordError("domain is empty; it names the kind of task")
    kind = fields["input_type"] = _text(record, "input_type", "input_type")
    if kind not in INPUT_TYPES:
        raise RecordError(f"input_type must be text, sequence, image or tabular, got {kind[:40]!r}")
    if "input" not in record:
        raise RecordError("input is missing")
    given = record.pop("input")
    if type(given) is not Pairs:
        raise RecordError(f"input must be an object, got {_kind(given)}")
    if kind == "text":
        fields["text"] = _text(given, "text", "input.text")
    elif kind == "sequence":
        fields["values"] = _numbers(given, "values", limits)
    elif kind == "tabular":
        fields.update(_cells(given, limits))
    else:
        width = fields["width"] = _size(given, "width")
        height = fields["height"] = _size(given, "height")
        pixels = fields["pixels"] = _numbers(given, "pixels", limits)
        if len(pixels) != width * height:
            raise RecordError(f"input.pixels has {len(pixels)} numbers, but width x height is {width * height}")
    if not question or "expected_output" in record:
        fields["expected_output"] = _text(record, "expected_output", "expected_output")
    if "metadata" in record:
        metadata = record.pop("metadata")
        if metadata is not None and type(metadata) is not Pairs:
            raise RecordError(f"metadata must be an object, got {_kind(metadata)}")
        fields["metadata"] = "null" if metadata is None else _as_written(line, metadata)
    return MixedExample(**fields, extra=_rest(record, "an unknown field"), input_extra=_rest(given, "input"))
