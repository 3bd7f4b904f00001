"""Graphs as matrices: arrays of NumPy and SciPy, and their files `.npy` and `.npz`. Nothing is ever unpickled.

Entry [i, j] is the weight of the edge from i to j. The `.npz` that we write is one that `scipy.sparse.load_npz`
reads; names, ports, activations, aggregations and biases stand in it beside the matrix. Those of an `.npy` stand in a
table of nodes beside it.
"""

import io
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from grapheme_numba.errors import GraphError
from grapheme_numba.graph.formats.files import import_optional, refuse_large_archive
from grapheme_numba.graph.named import NamedGraph, named_graph

# What NumPy, SciPy and zipfile raise for bytes that are no such file.
BROKEN: tuple[type[Exception], ...] = (
    ValueError, OSError, EOFError, KeyError, NotImplementedError, RuntimeError, SyntaxError, TypeError, struct.error,
    zipfile.BadZipFile, zlib.error, MemoryError, tokenize.TokenError, OverflowError, IndexError, AttributeError,
)  # fmt: skip
BESIDE = ("names", "inputs", "outputs", "activations", "aggregations", "biases")
MOST_DENSE = 1 << 28  # entries of a matrix that is written as `.npy`: 2 GiB of float64
MOST_NODES = 1 << 27  # rows of a sparse matrix that is read; a header can claim any number


def from_matrix(
    matrix: Any, names: Sequence[str] | None = None, *, is_network: bool = False, **options: Any
) -> NamedGraph:
    """A graph from a square matrix: entry [i, j] is the weight of the edge from i to j.

    Parameters
    ----------
    matrix : (n_node, n_node) NumPy array or SciPy sparse array
        Of an array every nonzero entry that is not masked is an edge, of a sparse one every stored entry; of truth
        values those that are true, and they are no weights. Where two or more weights are all the same they say
        which edges there are and no more: with a warning, the graph states none.
    names : sequence of str, optional
        The node numbers without it.
    is_network : bool
        More is known of the nodes, so the weights are those of a network, also where they are all the same.
    **options
        As for `named_graph`.
    """
    rows, columns, weights = _entries(matrix)
    if not is_network and weights is not None and len(weights) > 1 and (weights == weights[0]).all():
        warnings.warn(
            f"all {len(weights):,} weights of the matrix are {weights[0]:g}, with which all hidden nodes alike would "
            "learn alike; they are taken for a mask, and a network draws its own by init",
            stacklevel=4,
        )
        weights = None
    names = list(map(str, range(matrix.shape[0]))) if names is None else names
    return named_graph(rows, columns, names, weights=weights, **options)


def _entries(matrix: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[np.float64] | None]:
    """(rows, columns, weights or None) of the edges of a matrix."""
    if not hasattr(matrix, "tocoo"):
        # A masked entry is one that is not there.
        matrix = np.ma.filled(matrix, 0) if isinstance(matrix, np.ma.MaskedArray) else np.asarray(matrix)
    shape = matrix.shape
    if len(shape) != 2 or shape[0] != shape[1] or matrix.dtype.kind not in "fiub":
        raise GraphError(
            f"the matrix has shape {shape} and dtype {matrix.dtype}; give numbers in (n_node, n_node), "
            "where [i, j] is the weight of the edge from i to j"
        )
    if shape[0] > MOST_NODES:
        raise GraphError(f"the matrix has {shape[0]:,} rows; at most {MOST_NODES:,} are read")
    if hasattr(matrix, "tocoo"):
        entries = matrix.tocoo()
        rows, columns, values = entries.row, entries.col, entries.data
        if values.dtype.kind == "b":
            rows, columns = rows[values], columns[values]
    else:
        rows, columns = np.nonzero(matrix)
        values = matrix[rows, columns]
    # A mask says which edges there are; True is no weight.
    return rows, columns, None if values.dtype.kind == "b" else np.asarray(values, np.float64)


def parse_dense(data: bytes) -> npt.NDArray[Any]:
    """The array of the bytes of a `.npy` file."""
    try:
        matrix = np.load(io.BytesIO(data), allow_pickle=False)
    except BROKEN as error:
        raise _unreadable("NumPy .npy file", error) from None
    if not isinstance(matrix, np.ndarray):
        matrix.close()
        raise GraphError("it holds an archive of arrays, not one matrix; call it .npz")
    return matrix


def format_dense(graph: NamedGraph) -> bytes:
    """The bytes of a `.npy` file: a matrix of weights, or of truth values where the graph states none.

    Raises GraphError for a weight of 0, which would be no edge, and for a graph too large for a dense matrix.
    """
    if graph.n_node**2 > MOST_DENSE:
        raise GraphError(f"a dense matrix of {graph.n_node:,} nodes has {graph.n_node**2:,} entries; save it as .npz")
    matrix = np.zeros((graph.n_node, graph.n_node), bool if graph.weights is None else np.float64)
    matrix[graph.senders, graph.receivers] = True if graph.weights is None else graph.weights
    if np.count_nonzero(matrix) != graph.n_edge:
        raise GraphError("an edge has the weight 0, which in a dense matrix is no edge; save the graph as .npz")
    sink = io.BytesIO()
    np.save(sink, matrix, allow_pickle=False)
    return sink.getvalue()


def parse_sparse(data: bytes, *, names: Sequence[str] | None = None, **options: Any) -> NamedGraph:
    """A graph from the bytes of a `.npz` file as `scipy.sparse.save_npz` writes it. Options as of `from_matrix`."""
    sparse = import_optional("scipy.sparse", "SciPy sparse .npz files")
    try:
        refuse_large_archive(data)
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            if "format" not in archive.files:
                raise GraphError(
                    f"the .npz file holds {', '.join(archive.files[:5]) or 'nothing'}, no sparse matrix; write one "
                    "with scipy.sparse.save_npz, or a dense one with numpy.save"
                )
        matrix = sparse.load_npz(io.BytesIO(data))
        if hasattr(matrix, "check_format"):
            matrix.check_format(full_check=True)  # before compiled code follows its row pointers
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            more = {name: archive[name] for name in BESIDE if name in archive.files}
        if "names" not in more:
            return from_matrix(matrix, names, **options)
        rows, columns, weights = _entries(matrix)
    except BROKEN as error:
        if isinstance(error, GraphError):
            raise
        raise _unreadable("SciPy sparse .npz file", error) from None
    stated: dict[str, Any] = {
        "inputs": more.get("inputs"),
        "outputs": more.get("outputs"),
        "activations": _texts(more.get("activations")),
        "aggregations": _texts(more.get("aggregations")),
        "biases": more.get("biases"),
    }
    stated.update({name: value for name, value in options.items() if value is not None})
    own = _texts(more["names"]) if names is None else names
    return named_graph(rows, columns, own or (), weights=weights, **stated)


def format_sparse(graph: NamedGraph) -> bytes:
    """The bytes of an uncompressed `.npz` that `parse_sparse` and `scipy.sparse.load_npz` read."""
    sparse = import_optional("scipy.sparse", "SciPy sparse .npz files")
    values = np.ones(graph.n_edge, bool) if graph.weights is None else graph.weights
    matrix = sparse.coo_array((values, (graph.senders, graph.receivers)), shape=(graph.n_node, graph.n_node)).tocsr()
    matrix.sort_indices()
    more: dict[str, npt.NDArray[Any]] = {"names": _bytes(graph.names), "inputs": graph.inputs, "outputs": graph.outputs}
    for name, texts in (("activations", graph.activations), ("aggregations", graph.aggregations)):
        if texts is not None:
            more[name] = _bytes(texts)
    if graph.biases is not None:
        more["biases"] = graph.biases
    sink = io.BytesIO()
    sparse.save_npz(sink, matrix, compressed=False)
    with zipfile.ZipFile(sink, "a") as archive:
        for name, array in more.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
    return sink.getvalue()


def _bytes(texts: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Texts as one array of bytes: a text may end in zeros, which NumPy's own strings lose."""
    return np.frombuffer(b"".join(text.encode("utf-8", "surrogatepass") + b"\xff" for text in texts), np.uint8)


def _texts(array: npt.NDArray[Any] | None) -> list[str] | None:
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


def _unreadable(what: str, error: BaseException) -> GraphError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return GraphError(f"not a readable {what}: {reason}; save it again")
