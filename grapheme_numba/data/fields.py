"""The fields of a tabular input: named cells, and how they stand in Arrow columns.

A tabular input is an object of cells: `{"rooms": 3, "city": "Oslo", "garden": true, "area": null}`. A row holds
them in three columns, which only files with tabular rows have (version 2 of the schema):

    fields      dictionary of strings   the row's shape: JSON list of names in their order, each after one letter for
                                        its kind, `["nrooms", "scity", "bgarden", "narea"]`
    numbers     list of double          the cells of kind n (number), b (boolean, 1 or 0) and d (date, in days since
                                        1970-01-01); NaN where null
    categories  list of string          the cells of kind s (string), null where null

So a reader gets one array of numbers and one of strings for a whole row group, with the same offsets for every row
of one shape, and the shapes come once each. A null whose kind nothing says is of kind n.

Two other ways were weighed. JSON text in one column: exact and simple, but every epoch would parse it again. One
Parquet column a field: smaller by a fifth where columns repeat, but a file could hold one table only, its columns
would have to be known before the first row (JSONL does not say them), and 5,000 columns cost 5,000 pages a row group.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec

NUMBER, STRING, BOOLEAN, DATE = "n", "s", "b", "d"
EXACT = 2**53  # whole numbers up to it are exact as doubles

Cell = float | int | str | bool | None


class Field(NamedTuple):
    """One field of a shape: its name and the letter of its kind."""

    name: str
    kind: str


def shape_text(fields: Sequence[Field]) -> str:
    """A shape as it is stored."""
    return msgspec.json.encode([kind + name for name, kind in fields]).decode()


@lru_cache(256)
def shape_of(text: str) -> tuple[Field, ...]:
    """The fields of a stored shape. ValueError for text that is none."""
    names = json.loads(text)
    fields = tuple(Field(name[1:], name[:1]) for name in names)
    if any(field.kind not in (NUMBER, STRING, BOOLEAN, DATE) or not field.kind for field in fields):
        raise ValueError(f"{text[:80]!r} is not a shape of fields")
    return fields


class Cells(NamedTuple):
    """The cells of one input as they are stored: shape, numbers (NaN where null), strings (None where null)."""

    fields: str
    numbers: list[float]
    categories: list[str | None]


def stored(cells: Mapping[str, Cell]) -> Cells:
    """Cells of known types as they are stored; whole numbers become doubles."""
    fields: list[Field] = []
    numbers: list[float] = []
    categories: list[str | None] = []
    for name, cell in cells.items():
        if isinstance(cell, str):
            fields.append(Field(name, STRING))
            categories.append(cell)
        else:
            fields.append(Field(name, BOOLEAN if isinstance(cell, bool) else NUMBER))
            numbers.append(float("nan") if cell is None else float(cell))
    return Cells(shape_text(fields), numbers, categories)


def cells_of(row: Cells) -> dict[str, Cell]:
    """The cells of a stored input, whole numbers without a fraction."""
    numbers, categories = iter(row.numbers), iter(row.categories)
    cells: dict[str, Cell] = {}
    for name, kind in shape_of(row.fields):
        if kind == STRING:
            cells[name] = next(categories)
            continue
        number = next(numbers)
        if number != number:
            cells[name] = None
        elif kind == BOOLEAN:
            cells[name] = bool(number)
        else:
            whole = number.is_integer() and abs(number) < EXACT and str(number) != "-0.0"
            cells[name] = int(number) if whole else number
    return cells
