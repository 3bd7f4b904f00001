"""A table of rows on its way to a Parquet file: written part by part, and there only when it is whole."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import parquet as pq

from grapheme_numba.files.storage import WholeFile

KINDS = {"text": pa.string(), "int": pa.int32(), "float": pa.float32()}


class RowTable:
    """Takes columns part by part; the file appears at the end of the `with` body, unless that raises.

    Parameters
    ----------
    path : path
    columns : dict of str to "text", "int" or "float"
    mode : int
        Permissions, of which the umask takes its bits.

    Raises
    ------
    OutputError
        The folder or the disk does not take the file.
    """

    def __init__(self, path: str | Path, columns: Mapping[str, str], mode: int = 0o666) -> None:
        self.n_row = 0
        self._schema = pa.schema([(name, KINDS[kind]) for name, kind in columns.items()])
        self._file = WholeFile(Path(path), mode=mode)
        self._writer = pq.ParquetWriter(
            pa.PythonFile(self._file, mode="w"), self._schema, compression="zstd", write_page_checksum=True
        )

    def write(self, columns: Mapping[str, Sequence[Any] | npt.NDArray[Any] | pa.Array]) -> None:
        """Append rows: name -> sequence, all of one length."""
        arrays = [pa.array(columns[field.name], field.type, from_pandas=False) for field in self._schema]
        if len(arrays[0]):
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
            self.n_row += len(arrays[0])

    def __enter__(self) -> "RowTable":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._writer.close()
            self._file.finish()
        else:
            self._file.abandon()
            with contextlib.suppress(pa.ArrowException, OSError, ValueError):
                self._writer.close()  # else its destructor complains that the file is gone


def repeated(values: Sequence[str], counts: npt.NDArray[np.integer]) -> pa.Array:
    """The texts `values`, each as often as `counts` says, stored once each."""
    index = np.repeat(np.arange(len(values), dtype=np.int32), counts)
    return pa.array(list(values), pa.string()).take(pa.array(index))
