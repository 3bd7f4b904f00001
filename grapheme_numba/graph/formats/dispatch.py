"""Any graph in, any graph out: one function each way, by the suffix of a file or the kind of an object."""

from pathlib import Path

import numpy as np

from grapheme_numba.errors import GraphError, OutputError
from grapheme_numba.files.storage import write_file
from grapheme_numba.graph.formats import array_files, edge_lists, graphml, matrices, neat, pathways
from grapheme_numba.graph.formats.files import read_text, read_whole
from grapheme_numba.graph.named import NamedGraph, named_graph

SUFFIXES = (".csv", ".tsv", ".parquet", ".graphml", ".json", ".gmt", ".npz", ".npy")
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_MOST_ROWS = np.iinfo(np.int32).max


def load_graph(source, *, inputs=None, outputs=None, names=None, relations=None, columns=None, break_cycles="error"):
    """A graph from a file or from an object of another library.

    Parameters
    ----------
    source : path or object
        `.csv`, `.tsv`, `.parquet`: an edge list, with `NAME.nodes.SUFFIX` beside it where there is one;
        `.graphml`; `.json`: neat-python's export; `.gmt`: gene sets, with their hierarchy in `relations`
        or in `NAME.relations.tsv` beside it; `.npz`: a SciPy sparse matrix; `.npy`: a square one. Objects: a
        SciPy sparse array or square NumPy array, a NetworkX `DiGraph`, a pair (senders, receivers), a
        `NamedGraph`, or a `DagNN`.
    inputs, outputs : sequences of names or ids, optional
        Instead of those the source states; where it states none, the nodes without incoming, or without
        outgoing, edges.
    names : sequence of str, optional
        Names of the nodes of a matrix or of a pair.
    relations : path, optional
        Table of (parent, child) for a `.gmt` file.
    columns : tuple of str, optional
        (sender, receiver) or (sender, receiver, weight) columns of an edge list.
    break_cycles : "error" or "feedback-arc"
        A cycle raises CycleError, or loses edges, with a warning that names them.

    Returns
    -------
    NamedGraph

    Raises
    ------
    MissingInputError
        There is no such file.
    GraphError, CycleError
        The source does not hold a usable graph; the message begins with the file's name.
    """
    options = {"inputs": inputs, "outputs": outputs, "break_cycles": break_cycles}
    if not isinstance(source, str | Path):
        return _from_object(source, names, options)
    path = Path(source)
    try:
        return _from_file(path, relations, columns, options)
    except GraphError as error:
        error.args = (f"{path}: {error}",)
        raise


def save_graph(graph, path):
    """Write a graph in the format of the suffix of `path`, so that `load_graph` gives it back.

    `graph` is a `NamedGraph`, a `DagNN`, or another object that `load_graph` takes. An edge list gets its
    node table beside it, a GMT file its relations. Raises GraphError where the format cannot hold the
    graph, OutputError where the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if not isinstance(graph, NamedGraph):
        graph = load_graph(graph)
    if suffix in _DELIMITERS:
        for target, columns in zip((path, _beside(path, "nodes")), edge_lists.to_columns(graph), strict=True):
            write_file(target, edge_lists.format_table(columns, _DELIMITERS[suffix]).encode())
    elif suffix == ".parquet":
        for target, columns in zip((path, _beside(path, "nodes")), edge_lists.to_columns(graph), strict=True):
            write_columns(target, columns)
    elif suffix == ".graphml":
        write_file(path, graphml.format_graph(graph).encode())
    elif suffix == ".json":
        write_file(path, neat.format_export(graph))
    elif suffix == ".npz":
        write_file(path, array_files.format_sparse(graph))
    elif suffix == ".gmt":
        gmt, relations = pathways.format_pathways(graph)
        write_file(path, gmt.encode())
        write_file(_relations_beside(path), relations.encode())
    else:
        raise _unknown_suffix(path)


def written_files(path):
    """The files that `save_graph` writes for `path`: itself, and a node table or a table of relations beside it."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".gmt":
        return [path, _relations_beside(path)]
    return [path, _beside(path, "nodes")] if suffix in (*_DELIMITERS, ".parquet") else [path]


def _from_object(source, names, options):
    if isinstance(source, NamedGraph):
        return source
    if hasattr(source, "topology") and hasattr(source, "weights"):
        return NamedGraph.of(source, names)
    if hasattr(source, "is_directed") and hasattr(source, "nodes"):
        return matrices.from_networkx(source, **options)
    if isinstance(source, tuple) and len(source) == 2:
        senders, receivers = (np.asarray(ids) for ids in source)
        if names is None and senders.size and senders.dtype.kind in "iu" and receivers.dtype.kind in "iu":
            names = list(map(str, range(int(max(senders.max(), receivers.max())) + 1)))
        return named_graph(senders, receivers, names or (), **options)
    if hasattr(source, "tocoo") or isinstance(source, np.ndarray):
        return matrices.from_matrix(source, names, **options)
    raise GraphError(
        f"a {type(source).__name__} is no graph that can be read; give a path, a SciPy sparse or NumPy array, "
        "a NetworkX DiGraph, or (senders, receivers)"
    )


def _from_file(path, relations, columns, options):
    suffix = path.suffix.lower()
    if suffix in (*_DELIMITERS, ".parquet"):
        read = read_columns if suffix == ".parquet" else lambda file: _read_table(file, _DELIMITERS[suffix])
        edges, beside = read(path), _beside(path, "nodes")
        return edge_lists.from_columns(edges, read(beside) if beside.exists() else None, columns=columns, **options)
    if suffix == ".graphml":
        return graphml.parse(read_whole(path), **options)
    if suffix == ".json":
        return neat.parse(read_whole(path), **options)
    if suffix in (".npz", ".npy"):
        parse = array_files.parse_sparse if suffix == ".npz" else array_files.parse_matrix
        return parse(read_whole(path), **options)
    if suffix == ".gmt":
        gmt = pathways.parse_gmt(read_text(path))
        relations = _relations_beside(path) if relations is None else Path(relations)
        pairs = pathways.parse_relations(read_text(relations))
        return pathways.from_pathways(gmt, pairs, **options)
    read_whole(path)
    raise _unknown_suffix(path)


def _read_table(path, delimiter):
    return edge_lists.parse_table(read_text(path), delimiter)


def _beside(path, what):
    return path.with_name(f"{path.stem}.{what}{path.suffix}")


def _relations_beside(path):
    return path.with_name(f"{path.stem}.relations.tsv")


def _unknown_suffix(path):
    return GraphError(f"{path.name} has the suffix {path.suffix!r}; graph files end in {', '.join(SUFFIXES)}")


def read_columns(path):
    """Columns (name -> list) of a Parquet file, page checksums verified, row group by row group."""
    import pyarrow as pa
    from pyarrow import parquet

    data = read_whole(path)
    try:
        file = parquet.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        if file.metadata.num_rows > _MOST_ROWS:
            raise GraphError(f"the table has {file.metadata.num_rows} rows; at most {_MOST_ROWS} are supported")
        columns = {name: [] for name in file.schema_arrow.names}
        for batch in file.iter_batches():
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                columns[name].extend(column.to_pylist())
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError, RecursionError) as error:
        if isinstance(error, GraphError):
            raise
        reason = " ".join(str(error).split())[:200]
        raise GraphError(f"not a readable Parquet file: {reason}; write the table again") from None
    return columns


def write_columns(path, columns):
    """Write columns (name -> sequence) to a Parquet file with page checksums. Raises OutputError."""
    import pyarrow as pa
    from pyarrow import parquet

    kinds = {"input": pa.int32(), "output": pa.int32(), "bias": pa.float64(), "activation": pa.string()}
    arrays = {name: pa.array(column, kinds.get(name)) for name, column in columns.items()}
    sink = pa.BufferOutputStream()
    try:
        parquet.write_table(pa.table(arrays), sink, compression="zstd", write_page_checksum=True)
    except pa.ArrowException as error:
        raise OutputError(f"could not write {path}: {error}") from None
    write_file(path, sink.getvalue())
