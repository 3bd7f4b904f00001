"""Graph files as bytes, text and columns of Parquet, with typed errors."""

import importlib
import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from grapheme_numba.errors import GraphError, MissingInputError, OutputError
from grapheme_numba.files.storage import write_file

_MOST_ROWS = np.iinfo(np.int32).max
# An archive larger than this that packs its arrays a hundredfold holds no graph: it is made to fill the memory.
MOST_BYTES, MOST_RATIO = 1 << 28, 100


def import_optional(name: str, what: str) -> Any:
    """The module `name`; MissingInputError says how to install it where `what` needs it and it is not there."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise MissingInputError(
            f"{what} need the package {name.split('.')[0]}, which is not installed: pip install '.[graph]' in a clone"
        ) from None


def read_whole(path: str | Path) -> bytes:
    """The bytes of a file. Raises MissingInputError when it cannot be opened."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise MissingInputError(f"could not read {path}: {error.strerror or error}; name a graph file") from None


def read_text(path: str | Path) -> str:
    """The text of a UTF-8 file without its byte-order mark. Raises GraphError at the first wrong byte."""
    data = read_whole(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise GraphError(
            f"byte {error.start} (0x{data[error.start]:02x}) is not UTF-8 text; save the file as UTF-8"
        ) from None


def refuse_large_archive(data: bytes) -> None:
    """GraphError for a zip archive that unfolds to far more than its size. Raises what `zipfile` does, too."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > MOST_BYTES and size > MOST_RATIO * len(data):
        raise GraphError(
            f"the archive of {len(data):,} bytes unfolds to {size:,}, more than {MOST_RATIO} times as much; "
            "save it again uncompressed if this is meant"
        )


def read_columns(path: str | Path) -> dict[str, list[Any]]:
    """Columns (name -> list) of a Parquet file, page checksums verified, row group by row group."""
    import pyarrow as pa
    from pyarrow import parquet

    data = read_whole(path)
    try:
        file = parquet.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        if file.metadata.num_rows > _MOST_ROWS:
            raise GraphError(f"the table has {file.metadata.num_rows} rows; at most {_MOST_ROWS} are supported")
        columns: dict[str, list[Any]] = {name: [] for name in file.schema_arrow.names}
        for batch in file.iter_batches():
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                columns[name].extend(column.to_pylist())
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError, RecursionError) as error:
        if isinstance(error, GraphError):
            raise
        reason = " ".join(str(error).split())[:200]
        raise GraphError(f"not a readable Parquet file: {reason}; write the table again") from None
    return columns


def write_columns(path: str | Path, columns: Mapping[str, Sequence[Any] | npt.NDArray[Any]]) -> None:
    """Write columns (name -> sequence) to a Parquet file with page checksums. Raises OutputError."""
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {"input": pa.int32(), "output": pa.int32(), "bias": pa.float64(), "activation": pa.string()}
    arrays = {name: pa.array(column, kinds.get(name)) for name, column in columns.items()}
    sink = pa.BufferOutputStream()
    try:
        parquet.write_table(pa.table(arrays), sink, compression="zstd", write_page_checksum=True)
    except pa.ArrowException as error:
        raise OutputError(f"cannot write {path}: {error}") from None
    write_file(Path(path), sink.getvalue())
