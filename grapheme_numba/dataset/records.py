"""One JSONL line is one MixedExample: the schema, and the judge that says why a line is refused.

`parse_example` is the authority. The compiled scanner of `convert` accepts only what this module
accepts and hands every line it is unsure of to it.
"""

import json

import msgspec

from grapheme_numba.dataset.large_work import large_work
from grapheme_numba.dataset.loading import Pairs, load
from grapheme_numba.errors import RecordError

INPUT_TYPES = ("text", "sequence", "image")
LARGEST = 3.4028234663852886e38  # beyond it a number is infinite in float32


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
        latter also with `values` or `pixels` whose whole numbers are beyond what a double holds
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


class _Metadata(msgspec.Struct):
    metadata: msgspec.Raw


def _kind(value) -> str:
    names = {dict: "an object", Pairs: "an object", list: "a list", str: "a string", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "a number")


def _text(holder: dict, key: str, path: str) -> str:
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


def _numbers(holder: dict, key: str, limits: Limits) -> list[float]:
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
    found = [float(value) for value in values]
    if any(type(value) is int and value != number for value, number in zip(values, found)):
        holder[key] = values
    return found


def _size(holder: dict, key: str) -> int:
    path = f"input.{key}"
    if key not in holder:
        raise RecordError(f"{path} is missing")
    value = holder.pop(key)
    if type(value) is not int:
        raise RecordError(f"{path} must be an integer, got {_kind(value)}")
    if not 1 <= value <= 65_535:
        raise RecordError(f"{path} must be from 1 to 65535, got {str(value)[:40]}")
    return value


def _rest(holder: dict, path: str) -> str | None:
    """The JSON text of what is left of an object, None when nothing is."""
    if not holder:
        return None
    text = json.dumps(holder, ensure_ascii=False, separators=(",", ":"))
    _encodable(text, path)
    return text


def _as_written(line: bytes, metadata: dict) -> str:
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
    with large_work(len(line)):
        return _parsed(line, limits, question)


def _parsed(line: bytes, limits: Limits, question: bool) -> MixedExample:
    record = load(line, limits)
    if type(record) is not Pairs:
        raise RecordError(f"a line must hold one JSON object, got {_kind(record)}")
    fields = {"id": _text(record, "id", "id")}
    nameless = (question or limits.nameless) and "domain" not in record
    fields["domain"] = None if nameless else _text(record, "domain", "domain")
    if fields["domain"] == "":
        raise RecordError("domain is empty; it names the kind of task")
    kind = fields["input_type"] = _text(record, "input_type", "input_type")
    if kind not in INPUT_TYPES:
        raise RecordError(f"input_type must be text, sequence or image, got {kind[:40]!r}")
    if "input" not in record:
        raise RecordError("input is missing")
    given = record.pop("input")
    if type(given) is not Pairs:
        raise RecordError(f"input must be an object, got {_kind(given)}")
    if kind == "text":
        fields["text"] = _text(given, "text", "input.text")
    elif kind == "sequence":
        fields["values"] = _numbers(given, "values", limits)
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
