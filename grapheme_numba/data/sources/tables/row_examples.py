"""Blocks of a table's columns as rows of examples: one array of numbers and one of texts, no object per row."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from grapheme_numba.data.fields import DATE, NUMBER, STRING, Field, shape_text
from grapheme_numba.data.parquet.columns import WEIGHT
from grapheme_numba.data.schema import SCHEMA, TABULAR_SCHEMA
from grapheme_numba.data.sources.tables.blocks import Block, PlainNumbers, Refused
from grapheme_numba.data.sources.tables.cells import days_of, numbers_of, plain_numerals
from grapheme_numba.data.sources.tables.column_facts import NUMERIC, Kind
from grapheme_numba.data.sources.tables.dialect import Dialect
from grapheme_numba.data.sources.tables.mapping import Roles
from grapheme_numba.data.sources.tables.typed import answer_text

SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), 0),
    **dict.fromkeys(("val", "validation", "valid", "dev"), 1),
    **dict.fromkeys(("test", "testing"), 2),
}


class Form(NamedTuple):
    """What examples are made of a table's rows.

    roles : of the columns; kinds : of the columns that are used; input_type : `tabular`, `text` or `sequence`
    """

    roles: Roles
    kinds: Mapping[str, Kind]
    input_type: str

    @property
    def numbers(self) -> list[str]:
        """The inputs whose cells become numbers, in the order of the columns."""
        return [name for name in self.roles.inputs if self.kinds[name] in NUMERIC]

    @property
    def categories(self) -> list[str]:
        """The other inputs, in the order of the columns."""
        return [name for name in self.roles.inputs if self.kinds[name] not in NUMERIC]


class Made(NamedTuple):
    """Examples of a block: a batch whose `id` is empty where no column holds it, and what was refused.

    row : (n,) number of each row in the block, from 0; split : (n,) 0, 1, 2 as a column says, or None
    """

    batch: pa.RecordBatch
    row: npt.NDArray[np.int64]
    split: npt.NDArray[np.int64] | None
    refused: list[Refused]


class _Refusals:
    """Which rows of a block cannot be used, each for the first reason."""

    def __init__(self, block: Block):
        self.bad = np.zeros(len(block.row), bool)
        self.refused = list(block.refused)
        self._row = block.row

    def add(self, bad: npt.NDArray[np.bool_], reason: str, cells: pa.Array | None = None) -> None:
        """Refuse rows; `cells` are shown with the reason."""
        for i in np.flatnonzero(bad & ~self.bad).tolist():
            shown = "" if cells is None else str(cells[i].as_py())[:160]
            self.refused.append(Refused(int(self._row[i]) + 1, reason, shown))
        self.bad |= bad


def _null(array: pa.Array) -> npt.NDArray[np.bool_]:
    return pc.is_null(array, nan_is_null=True).to_numpy(zero_copy_only=False)


def _numbers(
    name: str, cells: pa.Array, dialect: Dialect, refusals: _Refusals, dates: bool = False
) -> npt.NDArray[np.float64]:
    """Cells as doubles, NaN where missing; rows with a cell that is no number, or of dates no date, are refused."""
    if pa.types.is_floating(cells.type):
        numbers = cells.to_numpy(zero_copy_only=False)
        beyond = np.isinf(numbers)
        if beyond.any():
            refusals.add(beyond, f"column {name} holds no finite number", cells)
        return numbers
    text = pc.utf8_trim_whitespace(cells)
    missing = _null(cells) | pc.is_in(
        text, pa.array([*dialect.missing, *dialect.missing_number], pa.string())
    ).to_numpy(zero_copy_only=False)
    numbers, readable = days_of(text) if dates else numbers_of(text, dialect.decimal)
    if dialect.sentinels:
        numbers[np.isin(numbers, dialect.sentinels)] = np.nan
    strange = ~readable & ~missing
    if strange.any():
        refusals.add(strange, f"column {name} holds no {'date' if dates else 'finite number'}", cells)
    return numbers


def _answers(name: str, cells: pa.Array, kind: Kind, dialect: Dialect, refusals: _Refusals) -> pa.StringArray:
    """The answers as text; rows without one are refused."""
    if kind == "date":
        days = _numbers(name, cells, dialect, refusals, dates=True)
        text = answer_text(pa.array(days, pa.float64()))
        refusals.add(np.isnan(days), f"the answer is missing (column {name})")
        return text
    if not pa.types.is_string(cells.type):
        text = answer_text(cells)
        refusals.add(_null(text), f"the answer is missing (column {name})")
        refusals.add(
            pc.is_in(text, pa.array(["inf", "-inf"])).to_numpy(zero_copy_only=False),
            f"column {name} holds no finite number",
        )
        return text
    missing = _null(cells)
    if kind == "number" and dialect.missing_number:
        marks = pa.array(dialect.missing_number, pa.string())
        missing |= pc.is_in(pc.utf8_trim_whitespace(cells), marks).to_numpy(zero_copy_only=False)
    refusals.add(missing, f"the answer is missing (column {name})")
    if kind != "number":
        return pc.utf8_trim_whitespace(cells)
    numbers, readable = numbers_of(cells, dialect.decimal)
    refusals.add(np.isin(numbers, dialect.sentinels), f"the answer is missing (column {name})")
    refusals.add(~readable & ~missing, f"column {name} holds no finite number", cells)
    plain = plain_numerals(cells, dialect.decimal)
    return plain if plain is cells else pc.replace_substring_regex(plain, r"^\+", "")


def _as_text(cells: pa.Array) -> pa.StringArray:
    return cells if pa.types.is_string(cells.type) else answer_text(cells)


def _category(cells: pa.Array) -> pa.StringArray:
    """Cells as categories: without the blanks around them, and booleans as Parquet and JSON have them."""
    text = _as_text(cells)
    trimmed = pc.utf8_trim_whitespace(text)
    for written, meant in ((("True", "TRUE"), "true"), (("False", "FALSE"), "false")):
        found = pc.is_in(trimmed, pa.array(written))
        if pc.any(found, min_count=0).as_py():
            trimmed = pc.if_else(found, meant, trimmed)
    return trimmed


def _beyond(cells: pa.ListArray) -> npt.NDArray[np.bool_]:
    """(n,) bool: which lists hold a number that is missing, NaN, or beyond float32."""
    bad = np.zeros(len(cells), bool)
    numbers = pc.cast(pc.list_flatten(cells), pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):
        finite = np.isfinite(numbers.astype(np.float32))
    bad[pc.list_parent_indices(cells).to_numpy(zero_copy_only=False)[~finite]] = True
    return bad


def _repeated(text: str, n: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(np.zeros(n, np.int32), pa.array([text], pa.string()))


def _lists(values: pa.Array, n: int, width: int, kind: pa.DataType) -> pa.ListArray:
    offsets = pa.py_buffer(np.arange(n + 1, dtype=np.int32) * np.int32(width))
    return pa.Array.from_buffers(kind, n, [None, offsets], children=[values])


def examples_of(block: Block, form: Form, dialect: Dialect, domain: str) -> Made:
    """The examples of a block's rows. `domain` : for rows without a column that names it."""
    roles, kinds, refusals = form.roles, form.kinds, _Refusals(block)
    answers = None
    if roles.target is not None:
        given = block.columns[roles.target]
        answers = _answers(roles.target, given, kinds[roles.target], dialect, refusals)
    columns: dict[str, pa.Array | npt.NDArray[np.float64]] = {}
    plain = block.numbers
    place = {} if plain is None else {name: index for index, name in enumerate(plain.names)}
    for name in roles.inputs:
        if plain is not None and name in place:
            columns[name] = plain.values[:, place[name]]
            if form.input_type == "sequence":
                refusals.add(np.isnan(columns[name]), "a cell is empty")
            continue
        cells = block.columns[name]
        if form.input_type == "text":
            columns[name] = _as_text(cells)
            refusals.add(_null(columns[name]), "a cell is empty")
        elif pa.types.is_list(cells.type):
            columns[name] = cells
            refusals.add(_null(cells), "a cell is empty")
            refusals.add(
                _beyond(cells), f"column {name} holds a list with a number that is missing or not finite", cells
            )
        elif kinds[name] in NUMERIC:
            columns[name] = _numbers(name, cells, dialect, refusals, kinds[name] == "date")
            if form.input_type == "sequence":
                refusals.add(np.isnan(columns[name]), "a cell is empty")
        else:
            columns[name] = _category(cells)
    weights = None if roles.weight is None else _numbers(roles.weight, block.columns[roles.weight], dialect, refusals)
    if weights is not None:
        refusals.add(np.isnan(weights) | (weights < 0), f"column {roles.weight} holds no weight of 0 or more")
    others = {name: _as_text(block.columns[name]) for name in (roles.id, roles.domain, roles.split) if name is not None}
    for name, cells in others.items():
        refusals.add(_null(cells), f"column {name} is empty")
    split = None
    if roles.split is not None:
        split = _split(roles.split, others[roles.split], refusals)
    kept = np.flatnonzero(~refusals.bad)
    whole = len(kept) == len(block.row)

    def left(cells: pa.Array) -> pa.Array:
        return cells if whole else cells.take(pa.array(kept))

    n = len(kept)
    matrix = _matrix(plain, form, kept if not whole else None)
    inputs = {k: v if whole else _taken(v, kept) for k, v in columns.items()}
    found: dict[str, pa.Array] = _inputs(form, inputs, n, matrix)
    found["id"] = left(others[roles.id]) if roles.id else pa.nulls(n, pa.string())
    names = left(others[roles.domain]).dictionary_encode() if roles.domain else _repeated(domain, n)
    found["domain"] = names.cast(SCHEMA.field("domain").type)
    found["input_type"] = _repeated(form.input_type, n)
    if answers is not None:
        found["expected_output"] = left(answers)
    if weights is not None:
        text = pc.cast(pa.array(weights[kept]), pa.string())
        found["extra"] = pc.binary_join_element_wise(f'{{"{WEIGHT}":', text, "}", "")
    schema = TABULAR_SCHEMA if form.input_type == "tabular" else SCHEMA
    arrays = [found[field.name] if field.name in found else pa.nulls(n, field.type) for field in schema]
    # The ids are filled in later; only then is the batch of its schema.
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
    return Made(batch, block.row[kept], None if split is None else split[kept], sorted(refusals.refused))


def _matrix(
    plain: PlainNumbers | None, form: Form, kept: npt.NDArray[np.int64] | None
) -> npt.NDArray[np.float64] | None:
    """The numbers of the inputs, (n, n_number), where they stand side by side as the inputs do; None where not."""
    if plain is None or plain.names != tuple(form.numbers):
        return None
    return plain.values if kept is None else plain.values[kept]


def _taken(column: pa.Array | npt.NDArray[np.float64], kept: npt.NDArray[np.int64]) -> pa.Array | np.ndarray:
    return column[kept] if isinstance(column, np.ndarray) else column.take(pa.array(kept))


def _split(name: str, cells: pa.StringArray, refusals: _Refusals) -> npt.NDArray[np.int64]:
    coded = pc.utf8_lower(pc.utf8_trim_whitespace(cells)).dictionary_encode()
    codes = np.array([SPLIT_NAMES.get(one, -1) for one in coded.dictionary.to_pylist()] or [-1], np.int64)
    split = codes[coded.indices.fill_null(0).to_numpy(zero_copy_only=False)]
    refusals.add(split < 0, f"column {name} is none of train, val and test", cells)
    return split


def _inputs(
    form: Form,
    columns: Mapping[str, pa.Array | npt.NDArray[np.float64]],
    n: int,
    matrix: npt.NDArray[np.float64] | None,
) -> dict[str, pa.Array]:
    """The columns of the schema that hold the inputs. `matrix` : all numbers, where they stand side by side."""
    if form.input_type == "text":
        texts = list(columns.values())
        return {"text": texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, " ")}
    lists = [
        column for column in columns.values() if not isinstance(column, np.ndarray) and pa.types.is_list(column.type)
    ]
    if lists:
        return {"values": lists[0].cast(SCHEMA.field("values").type)}
    numbers = [column for column in columns.values() if isinstance(column, np.ndarray)]
    if matrix is None:
        matrix = np.empty((n, len(numbers)))
        for index, column in enumerate(numbers):
            matrix[:, index] = column
    flat = pa.array(matrix.ravel(), from_pandas=False)
    if form.input_type == "sequence":
        return {"values": _lists(flat, n, len(numbers), SCHEMA.field("values").type)}
    texts = [column for column in columns.values() if not isinstance(column, np.ndarray)]
    strings = pa.array([], pa.string())
    if texts:
        place = (np.arange(n)[:, None] + n * np.arange(len(texts))).ravel()
        strings = pa.concat_arrays(texts).take(pa.array(place))
    letters = {"number": NUMBER, "date": DATE}
    fields = [Field(name, letters.get(form.kinds[name], STRING)) for name in columns]
    return {
        "fields": _repeated(shape_text(fields), n),
        "numbers": _lists(flat, n, len(numbers), TABULAR_SCHEMA.field("numbers").type),
        "categories": _lists(strings, n, len(texts), TABULAR_SCHEMA.field("categories").type),
    }
