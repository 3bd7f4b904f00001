"""JSON of millions of small values, read without an object for each: what nobody asks for becomes text at once.

`json.loads` makes up to 35 bytes of objects from one byte (`{},{},{},`), 550 MB from a line. This reader is about
as fast there and ten times slower on a list of numbers, so only lines that need it come here. It raises what
`json.loads` raises, at the same position: `test_dense.py` compares the two.
"""

import json
import re
from array import array
from collections.abc import Callable
from json.decoder import WHITESPACE, scanstring
from json.encoder import encode_basestring
from typing import NamedTuple

import numpy as np

from grapheme_numba.errors import RecordError

NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][-+]?[0-9]+)?")
JOINED = 1 << 14  # pieces of text that are joined at a time
NUMBERS = "numbers"  # of a known field: its items are wanted
FEW = 64  # keys that are compared as they are; of more only hashes are kept
_WORDS = {"n": ("null", None), "t": ("true", True), "f": ("false", False)}
_CONSTANTS = {"N": "NaN", "I": "Infinity", "-": "-Infinity"}


class HashTwiceError(Exception):
    """Two keys of a large object have one hash: most likely a key comes twice, but only the keys can tell."""


class Written(NamedTuple):
    """An object or a list as compact JSON text, or as pieces of it: a copy of 60 MB at every level would be much.

    n : items of a list; head : the first of them, up to one that is no number or to the limit of numbers
    """

    kind: str
    text: str | list[str]
    n: int = 0
    head: tuple | list = ()


NO_ITEM, NO_FIELD = Written("a list", "[]"), Written("an object", "{}")


class Kept(dict):
    """An object whose known fields are values.

    fields : all fields in their order: the name of a known one, or the text of several others
    """

    fields: list[tuple[str | None, str | list[str] | None]]

    def pop(self, name: str):
        """Take a known field out; set again, it comes after all others."""
        self.fields = [field for field in self.fields if field[0] != name]
        return super().pop(name)

    def rest(self) -> str:
        """The JSON text of all fields that were not taken out."""
        texts, late = [], dict(self)
        for name, text in self.fields:
            if text is not None:
                texts += [",", text] if type(text) is str else [",", *text]
            elif name in late:
                texts += [",", encode_basestring(name), ":", joined(written(late.pop(name)))]
        for name, value in late.items():
            texts += [",", encode_basestring(name), ":", joined(written(value))]
        return "".join(["{", *texts[1:], "}"]) if texts else ""


def joined(text: str | list[str]) -> str:
    """A text in one piece. (`"".join` of a string makes a list of its characters.)"""
    return text if type(text) is str else "".join(text)


def written(value) -> str | list[str]:
    """A value as compact JSON text; as a list of pieces where it is a long `Written`."""
    if type(value) is Written:
        return value.text
    if type(value) is str:
        return encode_basestring(value)
    if type(value) is int or type(value) is float:
        return repr(value)
    if type(value) is Kept:
        return value.rest() or "{}"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class _Text:
    """Items of text with commas between, joined now and then: a short string takes 50 bytes more than it holds."""

    def __init__(self):
        self._joined, self._few, self._size = [], [], 0

    def add(self, *pieces: str | list[str]) -> None:
        """An item, in one or more pieces."""
        if self._size:
            self._few.append(",")
        for piece in pieces:
            if type(piece) is list:  # long already
                self._join()
                self._joined += piece
            else:
                self._few.append(piece)
        self._size += 1
        if len(self._few) >= JOINED:
            self._join()

    def _join(self) -> None:
        self._joined.append("".join(self._few))
        self._few = []

    def take(self, before: str = "", after: str = "") -> str | list[str]:
        """All items between two brackets, as one string, or as a list of pieces where they are many; then none."""
        self._few.append(after)
        self._join()
        joined = [before, *self._joined]
        self.__init__()
        return "".join(joined) if len(joined) < 3 else joined


class _Keys:
    """Whether a key came twice."""

    def __init__(self):
        self._seen, self._hashes, self._twice = set(), array("q"), None

    def add(self, key: str) -> None:
        if len(self._seen) < FEW:
            if key in self._seen:
                self._twice = key
            self._seen.add(key)
        self._hashes.append(hash(key))

    def check(self) -> None:
        if len(self._hashes) > len(self._seen) >= FEW:
            ordered = np.sort(np.frombuffer(self._hashes, np.int64))
            if np.any(ordered[1:] == ordered[:-1]):
                raise HashTwiceError
        elif self._twice is not None:
            raise RecordError(f"key {self._twice!r} comes twice in one object")


class Dense:
    """Reads one text.

    known : fields of the object that are wanted: None, NUMBERS, or what is known of an object inside
    """

    def __init__(self, text: str, most: int, finite: Callable, constant: Callable):
        self._text, self._most, self._finite, self._constant = text, most, finite, constant

    def load(self, known: dict):
        """The value, as `json.loads` gives it but for `Kept` and `Written`."""
        text = self._text
        if text.startswith("\ufeff"):
            raise json.JSONDecodeError("Unexpected UTF-8 BOM (decode using utf-8-sig)", text, 0)
        value, end = self._value(WHITESPACE.match(text, 0).end(), known)
        end = WHITESPACE.match(text, end).end()
        if end != len(text):
            raise json.JSONDecodeError("Extra data", text, end)
        return value

    def _value(self, at: int, known: dict | str | None):
        text = self._text
        first = text[at : at + 1]
        if first == '"':
            return scanstring(text, at + 1, True)
        if first == "{":
            return self._object(at + 1, known if type(known) is dict else None)
        if first == "[":
            return self._list(at + 1, known == NUMBERS)
        if first in _WORDS and first:
            word, value = _WORDS[first]
            if text.startswith(word, at):
                return value, at + len(word)
        number = NUMBER.match(text, at)
        if number is not None:
            whole, fraction, power = number.groups()
            if fraction or power:
                return self._finite(whole + (fraction or "") + (power or "")), number.end()
            return int(whole), number.end()
        word = _CONSTANTS.get(first)
        if word is not None and text.startswith(word, at):
            return self._constant(word), at + len(word)
        raise json.JSONDecodeError("Expecting value", text, at)

    def _space(self, at: int) -> int:
        return WHITESPACE.match(self._text, at).end() if self._text[at : at + 1] in " \t\n\r" else at

    def _list(self, at: int, wanted: bool):
        text, at = self._text, self._space(at)
        if text[at : at + 1] == "]":
            return NO_ITEM, at + 1
        parts, head, n, numbers = _Text(), [], 0, wanted
        while True:
            value, at = self._value(at, None)
            parts.add(written(value))
            n += 1
            if numbers and n <= self._most:
                head.append(value)
                numbers = type(value) in (int, float)
            at = self._space(at)
            if text[at : at + 1] == "]":
                return Written("a list", parts.take("[", "]"), n, head), at + 1
            if text[at : at + 1] != ",":
                raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
            at = self._space(at + 1)

    def _object(self, at: int, known: dict | None):
        text, at = self._text, self._space(at)
        if known is None and text[at : at + 1] == "}":
            return NO_FIELD, at + 1
        parts, keys, found, fields = _Text(), _Keys(), Kept(), []
        if text[at : at + 1] == "}":
            at += 1
        else:
            while True:
                if text[at : at + 1] != '"':
                    raise json.JSONDecodeError("Expecting property name enclosed in double quotes", text, at)
                key, at = scanstring(text, at + 1, True)
                at = self._space(at)
                if text[at : at + 1] != ":":
                    raise json.JSONDecodeError("Expecting ':' delimiter", text, at)
                value, at = self._value(self._space(at + 1), known.get(key) if known else None)
                keys.add(key)
                if known is not None and key in known:
                    fields += [(None, before)] if (before := parts.take()) else []
                    fields.append((key, None))
                    found[key] = value
                else:
                    parts.add(encode_basestring(key), ":", written(value))
                at = self._space(at)
                end, at = text[at : at + 1], at + 1
                if end == "}":
                    break
                if end != ",":
                    raise json.JSONDecodeError("Expecting ',' delimiter", text, at - 1)
                at = self._space(at)
            keys.check()
        if known is None:
            return Written("an object", parts.take("{", "}")), at
        last = parts.take()
        found.fields = fields + ([(None, last)] if last else [])
        return found, at
