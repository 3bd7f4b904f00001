"""Single arguments of public functions: whether they are what is wanted, whatever type they have.

Comparing or iterating over an argument of another type fails with an error of Python or NumPy that names neither the
argument nor what was wanted. What is looked at here fails nowhere; the callers say what they want.
"""

import math
import os
from collections.abc import Container, Iterable
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grapheme_numba.errors import GraphemeError, ShapeError, UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

MOST = (1 << 31) - 1  # nodes, examples, widths: all are counted by 32 bits somewhere
SHOWN = 80  # characters of a value in a message


def shown(value: object) -> str:
    """A value as a message shows it: on one line, and not all of a long one."""
    text = " ".join(repr(value).split())
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def is_whole(value: Any, least: int, most: int = MOST) -> bool:
    """Whether a value is a whole number in these limits; a truth value is none."""
    fits = isinstance(value, Integral) and not isinstance(value, bool)
    return fits and bool(least <= value <= most)


def is_number(value: Any, least: float = -math.inf, most: float = math.inf) -> bool:
    """Whether a value is a single real number in these limits; NaN and truth values are none."""
    fits = isinstance(value, Real) and not isinstance(value, bool)
    return fits and bool(least <= value <= most)


def is_name(value: object, known: Container[str]) -> bool:
    """Whether a value is one of the `known` names."""
    return isinstance(value, str) and value in known


def whole(name: str, value: Any, least: int, error: type[GraphemeError] = UsageError) -> int:
    """A whole number of at least `least`, or `error`."""
    if is_whole(value, least):
        return int(value)
    most = f" and at most {MOST:,}" if is_whole(value, MOST, value) else ""
    raise error(f"{name} is {shown(value)}; give a whole number of at least {least}{most}")


def flag(name: str, value: object) -> None:
    """Raise UsageError where a value is not True or False: whether an array is true cannot be meant."""
    # NumPy's own is no child of Python's; importing NumPy to say so would cost every command 0.1 s.
    if not isinstance(value, bool) and type(value).__name__ not in ("bool", "bool_"):
        raise UsageError(f"{name} is {shown(value)}; give True or False")


def listed(name: str, values: Any, wanted: str, error: type[GraphemeError] = UsageError) -> list[Any]:
    """The entries of a list, tuple, array or other iterable that is no text, or `error`."""
    if not isinstance(values, Iterable) or isinstance(values, str | bytes | dict) or getattr(values, "ndim", 1) == 0:
        raise error(f"{name} is {shown(values)}; give {wanted}")
    try:
        return list(values)
    except TypeError:  # a class, which only its own instances can be iterated over
        raise error(f"{name} is {shown(values)}; give {wanted}") from None


def array(name: str, values: Any) -> "npt.NDArray[Any]":
    """`values` as a NumPy array, without a look at its type and shape. ShapeError where it cannot be one.

    A masked entry has a value that nobody meant, so a masked array is none.
    """
    import numpy as np

    if isinstance(values, np.ma.MaskedArray):
        raise ShapeError(f"{name} is a masked array; fill the masked entries, or leave them out")
    try:
        return np.asarray(values)
    except ValueError:
        raise ShapeError(f"{name} is a sequence of rows of different lengths; give a rectangular array") from None
    except TypeError as error:
        raise ShapeError(f"{name} cannot be read as an array: {error}") from None


def path(name: str, value: Any) -> Path:
    """A path, or UsageError: bytes, numbers and empty text name no file."""
    try:
        text = os.fspath(value)
        os.fsencode(text)  # half of a surrogate pair is no character, and names no file
    except (TypeError, UnicodeEncodeError):
        text = b""
    if not isinstance(text, str) or not text or "\0" in text:
        raise UsageError(f"{name} is {shown(value)}; give the path of a file or folder")
    return Path(text)
