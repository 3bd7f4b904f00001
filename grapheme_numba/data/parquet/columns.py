"""Arrow columns as the plain arrays that kernels read, without a copy.

Strings of Arrow arrays as sequences that make one at a time, when it is looked at.

A weight scales the gradient of its example. Weights are divided by their mean over the training data, so that the
mean gradient of all examples is that of data in which each row stands as often as its weight says.
"""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from grapheme_numba.data.codec.answers import read_only
from grapheme_numba.data.fields import STRING, shape_of
from grapheme_numba.data.records import INPUT_KINDS
from grapheme_numba.errors import RecordError
from grapheme_numba.kernels.codec.tables import Columns
from grapheme_numba.kernels.codec.tabular import Cells

NEEDED = ("id", "domain", "input_type", "text", "values", "pixels", "expected_output")
CELLS = ("fields", "numbers", "categories")  # only of tables with tabular rows
WEIGHT = "example_weight"  # a field of a record, which `--weight COLUMN` of a table fills
EXTRA = "extra"  # the column of a record's own fields, as JSON
ALONE = rf'^\{{"{WEIGHT}":([-+.0-9eE]+)\}}$'


class Window(NamedTuple):
    """Rows that are shuffled and encoded together.

    table : the needed columns, each of one chunk; the row groups they were joined from are not held
    columns : Columns, views of the Arrow arrays, which `table` keeps alive
    row : (n,) int64, row numbers in the dataset
    ids, answers : Arrow string arrays
    weight : (n,) float64, of each example's gradient; None where all are 1
    """

    table: pa.Table
    columns: Columns
    row: npt.NDArray[np.int64]
    ids: pa.StringArray
    answers: pa.StringArray
    weight: npt.NDArray[np.float64] | None = None


def _view(buffer: pa.Buffer | None, dtype: type[np.generic], start: int, stop: int) -> npt.NDArray[Any]:
    if buffer is None or stop == start:
        return read_only(np.zeros(0, dtype))
    return read_only(np.frombuffer(buffer, dtype)[start:stop])


def _offsets(array: pa.Array) -> npt.NDArray[np.int32]:
    if len(array) == 0:
        return read_only(np.zeros(1, np.int32))
    return _view(array.buffers()[1], np.int32, array.offset, array.offset + len(array) + 1)


def string_views(array: pa.StringArray) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """(offset (n + 1,) int32, bytes uint8) of a string array."""
    offset = _offsets(array)
    return offset, _view(array.buffers()[2], np.uint8, 0, int(offset[-1]))


def list_offsets(array: pa.ListArray) -> npt.NDArray[np.int32]:
    """(n + 1,) int32: where each list starts in `array.values`, and where the last ends."""
    return _offsets(array)


def number_views(array: pa.ListArray) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """(offset (n + 1,) int32, numbers float64) of a list array."""
    offset, flat = _offsets(array), array.values
    return offset, _view(flat.buffers()[1], np.float64, flat.offset, flat.offset + int(offset[-1]))


def codes_of(array: pa.DictionaryArray, known: dict[str, int]) -> npt.NDArray[np.int32]:
    """(n,) int32: the number of each value of a dictionary array, -1 for an unknown one."""
    numbers = np.array([known.get(value, -1) for value in array.dictionary.to_pylist()] or [-1], np.int32)
    return read_only(numbers[array.indices.to_numpy(zero_copy_only=False)])


def whole(column: pa.ChunkedArray) -> pa.Array:
    """One array of a column of several chunks."""
    if column.num_chunks == 1:
        return column.chunk(0)
    joined = column.unify_dictionaries().combine_chunks()
    return joined.chunk(0) if isinstance(joined, pa.ChunkedArray) else joined


def cells_of(array: Mapping[str, pa.Array], n: int, numbers: Mapping[str, int]) -> Cells:
    """The cells of n rows whose columns these are; `numbers` numbers the fields that are known."""
    if CELLS[0] not in array:
        return _no_cells(n)
    fields, strings = array["fields"], array["categories"].values
    shapes = [shape_of(text) for text in fields.dictionary.to_pylist()]
    of_number = [[numbers.get(name, -1) for name, kind in shape if kind != STRING] for shape in shapes]
    of_string = [[numbers.get(name, -1) for name, kind in shape if kind == STRING] for shape in shapes]
    number_offset, flat = number_views(array["numbers"])
    text_offset, text = string_views(strings)
    return Cells(
        shape=fields.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32),
        number_start=np.array([0, *itertools.accumulate(map(len, of_number))], np.int32),
        number_field=np.array([*itertools.chain.from_iterable(of_number)], np.int32),
        string_start=np.array([0, *itertools.accumulate(map(len, of_string))], np.int32),
        string_field=np.array([*itertools.chain.from_iterable(of_string)], np.int32),
        number_offset=number_offset,
        numbers=flat,
        string_offset=list_offsets(array["categories"]),
        text_offset=text_offset,
        text=text,
        valid=strings.is_valid().to_numpy(zero_copy_only=False).astype(np.bool_),
    )


def _no_cells(n: int) -> Cells:
    """The cells of n rows of which none is tabular."""
    bounds, none = np.zeros(1, np.int32), np.zeros(0, np.int32)
    offset, shape = read_only(np.zeros(n + 1, np.int32)), np.full(n, -1, np.int32)
    numbers, text = read_only(np.zeros(0, np.float64)), read_only(np.zeros(0, np.uint8))
    strings = offset, read_only(bounds), text, np.zeros(0, np.bool_)
    return Cells(shape, bounds, none, bounds, none, offset, numbers, *strings)


def window_of(
    table: pa.Table, row: npt.NDArray[np.int64], domains: dict[str, int], fields: Mapping[str, int] | None = None
) -> Window:
    """The window of a table; `domains` and `fields` number the domains and the fields that the layout knows."""
    names = [*NEEDED, *(name for name in CELLS if name in table.column_names)]
    array = {name: whole(table.column(name)) for name in names}
    text, answer = string_views(array["text"]), string_views(array["expected_output"])
    values, pixels = number_views(array["values"]), number_views(array["pixels"])
    kinds = codes_of(array["input_type"], INPUT_KINDS)
    cells = cells_of(array, table.num_rows, fields or {})
    columns = Columns(codes_of(array["domain"], domains), kinds, *text, *values, *pixels, *answer, cells)
    return Window(pa.table(array), columns, row, array["id"], array["expected_output"])


def missing_answers(window: Window) -> npt.NDArray[np.bool_]:
    """(n,) bool: rows without an expected answer."""
    return pc.is_null(window.answers).to_numpy(zero_copy_only=False)


class Texts(Sequence[str]):
    """Some rows of Arrow arrays, between two positions of their concatenation. A missing string is empty.

    pieces : list of (array, rows of it in order), shared by all batches of a slab
    """

    def __init__(self, pieces: list[tuple[pa.StringArray, npt.NDArray[np.int64]]], start: int, stop: int) -> None:
        self._pieces, self._start, self._stop = pieces, start, stop

    def __len__(self) -> int:
        return self._stop - self._start

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(self._start, self._stop)[index]
        for array, rows in self._pieces:
            if index < len(rows):
                text: str | None = array[int(rows[index])].as_py()
                return text or ""
            index -= len(rows)
        raise IndexError(index)


class Chosen(Sequence[str]):
    """Some strings of a sequence, in the order of `rows`."""

    def __init__(self, texts: Sequence[str], rows: npt.NDArray[np.int64]) -> None:
        self._texts, self._rows = texts, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> list[str]: ...

    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self._texts[int(row)] for row in self._rows[index]]
        return self._texts[int(self._rows[index])]


class Weights(NamedTuple):
    """The weights of all examples: least, mean and largest."""

    least: float
    mean: float
    largest: float


def weights_of(extra: pa.StringArray) -> npt.NDArray[np.float64] | None:
    """(n,) float64, 1 where a row has no weight; None where no row has one. Raises RecordError for what is none."""
    if extra.null_count == len(extra):
        return None
    holds = pc.fill_null(pc.match_substring(extra, f'"{WEIGHT}"'), False)
    rows = np.flatnonzero(holds.to_numpy(zero_copy_only=False))
    if not len(rows):
        return None
    weights, texts = np.ones(len(extra)), extra.take(pa.array(rows))
    if pc.all(pc.match_substring_regex(texts, ALONE)).as_py():
        numbers = pc.cast(pc.replace_substring_regex(texts, ALONE, "\\1"), pa.float64())
        weights[rows] = numbers.to_numpy(zero_copy_only=False)
    else:  # beside other fields
        for row, text in zip(rows.tolist(), texts.to_pylist(), strict=True):
            found = json.loads(text).get(WEIGHT, 1.0)
            weights[row] = found if isinstance(found, int | float) else np.nan
    if not np.all(np.isfinite(weights) & (weights >= 0)):
        raise RecordError(f"field {WEIGHT} has to be a number of 0 or more; remove it from the other examples")
    return weights


def weights_in(tables: Iterable[pa.Table]) -> Weights | None:
    """The weights of tables with the column `extra`; None where no row has one.

    Raises RecordError where all are 0.
    """
    total, n, least, largest, some = 0.0, 0, np.inf, -np.inf, False
    for table in tables:
        weights = weights_of(whole(table.column(EXTRA)))
        some |= weights is not None
        held = np.ones(table.num_rows) if weights is None else weights
        total, n = total + float(held.sum()), n + len(held)
        least, largest = min(least, float(held.min())), max(largest, float(held.max()))
    if some and not total:
        raise RecordError("every example has the weight 0, so there is nothing to learn from")
    return Weights(least, total / n, largest) if some else None
