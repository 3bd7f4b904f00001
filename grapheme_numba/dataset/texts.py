"""Strings of Arrow arrays as sequences that make one at a time, when it is looked at."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa


class Texts(Sequence):
    """Some rows of Arrow arrays, between two positions of their concatenation. A missing string is empty.

    pieces : list of (array, rows of it in order), shared by all batches of a slab
    """

    def __init__(self, pieces: list[tuple[pa.StringArray, np.ndarray]], start: int, stop: int):
        self._pieces, self._start, self._stop = pieces, start, stop

    def __len__(self) -> int:
        return self._stop - self._start

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(self._start, self._stop)[index]
        for array, rows in self._pieces:
            if index < len(rows):
                return array[int(rows[index])].as_py() or ""
            index -= len(rows)
        raise IndexError(index)


class Chosen(Sequence):
    """Some strings of a sequence, in the order of `rows`."""

    def __init__(self, texts: Sequence[str], rows: np.ndarray):
        self._texts, self._rows = texts, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self._texts[int(row)] for row in self._rows[index]]
        return self._texts[int(self._rows[index])]
