"""Graphs as files of arrays: SciPy's sparse `.npz`, and a square matrix as `.npy`. Nothing is ever unpickled.

The `.npz` that we write is one that `scipy.sparse.load_npz` reads; names, ports, activations and biases stand
beside the matrix under names of their own.
"""

import io
import struct
import tokenize
import zipfile
import zlib

import numpy as np

from grapheme_numba.errors import GraphError
from grapheme_numba.graph.named import named_graph

# What NumPy and zipfile raise for bytes that are no such file.
BROKEN = (ValueError, OSError, EOFError, KeyError, NotImplementedError, RuntimeError, SyntaxError, TypeError)
BROKEN += (struct.error, zipfile.BadZipFile, zlib.error, MemoryError, tokenize.TokenError, OverflowError, IndexError)
MOST_BYTES = 1 << 36  # an archive that unfolds to more is not read


def parse_matrix(data, **options):
    """A graph from the bytes of a `.npy` file: entry [i, j] is the weight of the edge from i to j."""
    from grapheme_numba.graph.formats.matrices import from_matrix

    try:
        matrix = np.load(io.BytesIO(data), allow_pickle=False)
    except BROKEN as error:
        raise _unreadable("NumPy .npy file", error) from None
    if not isinstance(matrix, np.ndarray):
        matrix.close()
        raise GraphError("it holds an archive of arrays, not one matrix; call it .npz")
    return from_matrix(matrix, **options)


def parse_sparse(data, **options):
    """A graph from the bytes of a `.npz` file as `scipy.sparse.save_npz` writes it: CSR, CSC or COO."""
    try:
        arrays = _members(data)
        rows, columns, values, shape = _entries(arrays)
    except BROKEN as error:
        if isinstance(error, GraphError):
            raise
        raise _unreadable("SciPy sparse .npz file", error) from None
    names = arrays.get("names")
    stated = {
        "weights": None if values.dtype.kind == "b" else values,
        "inputs": arrays.get("inputs"),
        "outputs": arrays.get("outputs"),
        "activations": _texts(arrays.get("activations")),
        "biases": arrays.get("biases"),
    }
    stated.update({name: value for name, value in options.items() if value is not None})
    names = list(map(str, range(shape))) if names is None else _texts(names)
    return named_graph(rows, columns, names, **stated)


def format_sparse(graph):
    """The bytes of an uncompressed `.npz` that `parse_sparse` and `scipy.sparse.load_npz` read."""
    order = np.lexsort((graph.receivers, graph.senders))
    indptr = np.concatenate([[0], np.bincount(graph.senders, minlength=graph.n_node).cumsum()]).astype(np.int64)
    arrays = {
        "format": np.array(b"csr"),
        "shape": np.array([graph.n_node, graph.n_node]),
        "indptr": indptr,
        "indices": graph.receivers[order].astype(np.int64),
        "data": np.ones(graph.n_edge, bool) if graph.weights is None else graph.weights[order],
        "names": _bytes(graph.names),
        "inputs": graph.inputs,
        "outputs": graph.outputs,
    }
    if graph.activations is not None:
        arrays["activations"] = _bytes(graph.activations)
    if graph.biases is not None:
        arrays["biases"] = graph.biases
    sink = io.BytesIO()
    np.savez(sink, **arrays)
    return sink.getvalue()


def _members(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > MOST_BYTES:
        raise GraphError(f"the archive unfolds to {size} bytes; at most {MOST_BYTES} are read")
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _entries(arrays):
    """(rows, columns, values, n_node) of a CSR, CSC or COO matrix."""
    kind = arrays["format"].item()
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    shape, values = arrays["shape"], arrays["data"]
    if kind not in ("csr", "csc", "coo"):
        raise GraphError(f"the matrix is in the format {kind!r}; save it as csr, csc or coo")
    if shape.shape != (2,) or shape[0] != shape[1] or values.ndim != 1 or values.dtype.kind not in "fiub":
        raise GraphError(
            f"the matrix has the shape {shape.tolist()} and {values.dtype} values; give numbers in (n_node, n_node), "
            "where [i, j] is the weight of the edge from i to j"
        )
    n_node = int(shape[0])
    if kind == "coo":
        return arrays["row"], arrays["col"], values, n_node
    indptr, indices = arrays["indptr"], arrays["indices"]
    fits = indptr.ndim == indices.ndim == 1 and indptr.dtype.kind in "iu" and len(indptr) == n_node + 1
    if not fits or indptr[0] != 0 or indptr[-1] != len(indices) or np.any(np.diff(indptr.astype(np.int64)) < 0):
        raise GraphError(f"the {kind} matrix has rows that do not fit its entries; save it again")
    lines = np.repeat(np.arange(n_node), np.diff(indptr.astype(np.int64)))
    return (lines, indices, values, n_node) if kind == "csr" else (indices, lines, values, n_node)


def _bytes(texts):
    """Texts as one array of bytes: a text may end in zeros, which NumPy's own strings lose."""
    return np.frombuffer(b"".join(text.encode("utf-8", "surrogatepass") + b"\xff" for text in texts), np.uint8)


def _texts(array):
    if array is None:
        return None
    if array.dtype.kind in "US":
        return [text.decode() if isinstance(text, bytes) else text for text in array.tolist()]
    if array.dtype != np.uint8 or array.ndim != 1:
        raise GraphError(f"the names have dtype {array.dtype} and shape {array.shape}; give strings")
    try:
        return [part.decode("utf-8", "surrogatepass") for part in array.tobytes().split(b"\xff")[:-1]]
    except UnicodeDecodeError as error:
        raise GraphError(f"the names are not UTF-8: {error}") from None


def _unreadable(what, error):
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return GraphError(f"not a readable {what}: {reason}; save it again")
