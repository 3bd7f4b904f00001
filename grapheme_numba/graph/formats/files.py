"""Graph files as bytes and text, with typed errors."""

from pathlib import Path

from grapheme_numba.errors import GraphError, MissingInputError


def read_whole(path):
    """The bytes of a file. Raises MissingInputError when it cannot be opened."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise MissingInputError(f"could not read {path}: {error.strerror or error}; name a graph file") from None


def read_text(path):
    """The text of a UTF-8 file without its byte-order mark. Raises GraphError at the first wrong byte."""
    data = read_whole(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise GraphError(
            f"byte {error.start} (0x{data[error.start]:02x}) is not UTF-8 text; save the file as UTF-8"
        ) from None
