"""Any graph in, any graph out: one function each way, by the suffix of a file or the kind of an object."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from grapheme_numba import arguments
from grapheme_numba.arguments import array, is_name, listed, shown
from grapheme_numba.errors import GraphError, UsageError
from grapheme_numba.files.storage import write_file
from grapheme_numba.graph.checks import node_ids
from grapheme_numba.graph.formats import edge_lists, graphml, matrices, neat, pathways
from grapheme_numba.graph.formats.edge_lists import Columns
from grapheme_numba.graph.formats.files import read_columns, read_text, read_whole, write_columns
from grapheme_numba.graph.formats.node_attributes import node_options, refuse_ambiguous, resolved
from grapheme_numba.graph.named import BREAKS, NamedGraph, named_graph


def from_networkx(source: Any, *, inputs: Any = None, outputs: Any = None, break_cycles: str = "error") -> NamedGraph:
    """A graph from a NetworkX `DiGraph`.

    Read are the edge attribute `weight` and the node attributes `activation`, `aggregation`, `bias`, `input` and
    `output` (positions or flags); nodes are called by `str` of themselves. `inputs` and `outputs` name nodes, as
    objects of the graph or by `str` of them.
    """
    if not source.is_directed():
        raise GraphError("the NetworkX graph is not directed; give a DiGraph, whose edges say which end sends")
    position = {node: number for number, node in enumerate(source.nodes)}
    names = [_name_of(node) for node in source.nodes]
    edges = list(source.edges(data="weight"))
    with_weight = sum(weight is not None for *_, weight in edges)
    if 0 < with_weight < len(edges):
        sender, receiver, _ = next(edge for edge in edges if edge[2] is None)
        raise GraphError(f"the edge {sender!r} -> {receiver!r} has no weight but others have; give all or none")
    options = node_options([source.nodes[node] for node in source.nodes])
    for what, wanted in (("inputs", inputs), ("outputs", outputs)):
        if wanted is not None:
            options[what] = resolved(what, wanted, names, position)
    return named_graph(
        [position[sender] for sender, *_ in edges],
        [position[receiver] for _, receiver, _ in edges],
        names,
        weights=[weight for *_, weight in edges] if with_weight else None,
        break_cycles=break_cycles,
        **options,
    )


def _name_of(node: Any) -> str:
    """`str` of a node; tables with gaps keep whole numbers as floats, which are no other names than the numbers."""
    return str(int(node) if isinstance(node, float) and node.is_integer() else node)


SUFFIXES = (".csv", ".tsv", ".parquet", ".graphml", ".json", ".gmt", ".npz", ".npy")
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_TABLES = (*_DELIMITERS, ".parquet")


def load_graph(
    source: Any, *, inputs: Any = None, outputs: Any = None, names: Sequence[str] | None = None,
    relations: str | Path | None = None, columns: Sequence[str] | None = None, break_cycles: str = "error",
) -> NamedGraph:  # fmt: skip
    """A graph from a file or from an object of another library.

    Parameters
    ----------
    source : path or object
        `.csv`, `.tsv`, `.parquet`: an edge list, with `NAME.nodes.SUFFIX` beside it where there is one;
        `.graphml`; `.json`: neat-python's export; `.gmt`: gene sets, with their hierarchy in `relations`
        or in `NAME.relations.tsv` beside it where there is one; `.npz`: a SciPy sparse matrix; `.npy`: a square
        one, with `NAME.nodes.csv` beside it where there is one. Objects: a SciPy sparse array or square NumPy
        array, a NetworkX `DiGraph`, a pair (senders, receivers), a `NamedGraph`, or a `DagNN`; a data frame with the
        columns of an edge list, or one of pandas that is a square matrix with the same names on both sides.
    inputs, outputs : sequences of names or ids, optional
        Instead of those the source states; where it states none, the nodes without incoming, or without
        outgoing, edges. Where the source calls its nodes itself (edge lists, GraphML, neat-python, gene sets,
        NetworkX) a number is such a name; of a matrix, a pair, a `NamedGraph` or a `DagNN` it is a position.
    names : sequence of str, optional
        Names of the nodes of a matrix or of a pair, new ones for a `NamedGraph` or a `DagNN`.
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
        There is no such file, or the library that reads it is not installed.
    UsageError
        An option that means nothing for this source.
    GraphError, CycleError
        The source does not hold a usable graph; the message begins with the file's name.
    """
    if not is_name(break_cycles, BREAKS):
        raise GraphError(f"break_cycles is {shown(break_cycles)}; choose one of {', '.join(BREAKS)}")
    ports = {"inputs": inputs, "outputs": outputs}
    for name, given in ports.items():
        if given is not None:
            ports[name] = listed(name, given, "a list of names or ids", GraphError)
    options = {**ports, "break_cycles": break_cycles}
    if not isinstance(source, str | Path):
        return _from_object(source, options, names, relations, columns)
    path = arguments.path("source", source)
    try:
        return _from_file(path, options, names, relations, columns)
    except GraphError as error:
        error.args = (f"{path}: {error}",)
        raise


def checked_options(options: Any) -> dict[str, Any]:
    """The options of `load_graph` in a dict, none for None. Raises UsageError for anything else."""
    known = inspect.signature(load_graph).parameters.keys() - {"source"}
    if options is None:
        return {}
    if not isinstance(options, dict) or not options.keys() <= known:
        raise UsageError(f"graph_options is {shown(options)}; give a dict with some of {', '.join(sorted(known))}")
    return options


def save_graph(graph: Any, path: str | Path) -> None:
    """Write a graph in the format of the suffix of `path`, so that `load_graph` gives it back.

    `graph` is a `NamedGraph`, a `DagNN`, or another object that `load_graph` takes. An edge list and a `.npy` get
    a table of nodes beside them, a GMT file its relations. Raises GraphError where the format cannot hold the
    graph, OutputError where the file cannot be written.
    """
    path = arguments.path("path", path)
    suffix = path.suffix.lower()
    if not isinstance(graph, NamedGraph):
        graph = load_graph(graph)
    if suffix in _TABLES:
        for target, columns in zip(written_files(path), edge_lists.to_columns(graph), strict=True):
            _write_table(target, columns)
    elif suffix == ".graphml":
        write_file(path, graphml.format_graph(graph).encode())
    elif suffix == ".json":
        write_file(path, neat.format_export(graph))
    elif suffix == ".npz":
        write_file(path, matrices.format_sparse(graph))
    elif suffix == ".npy":
        write_file(path, matrices.format_dense(graph))
        _write_table(_nodes_beside(path), edge_lists.to_columns(graph)[1])
    elif suffix == ".gmt":
        for target, text in zip(written_files(path), pathways.format_pathways(graph), strict=True):
            write_file(target, text.encode())
    else:
        raise _unknown_suffix(path)


def written_files(path: str | Path) -> list[Path]:
    """The files that `save_graph` writes for `path`: itself, and a table of nodes or of relations beside it."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".gmt":
        return [path, _relations_beside(path)]
    return [path, _nodes_beside(path)] if suffix in (*_TABLES, ".npy") else [path]


def _refuse(what: str, **options: Any) -> None:
    """UsageError for the first option that is given and means nothing for this kind of source."""
    for name, value in options.items():
        if value is not None:
            raise UsageError(f"{name}= means nothing for {what}; leave it out")


def _from_object(
    source: Any, options: dict[str, Any], names: Sequence[str] | None, relations: str | Path | None,
    columns: Sequence[str] | None,
) -> NamedGraph:  # fmt: skip
    _refuse("an object that is no file", relations=relations)
    if hasattr(source, "columns") and hasattr(source, "__arrow_c_stream__"):
        return _from_frame(source, options, names, columns)
    _refuse("an object that is no table", columns=columns)
    if isinstance(source, NamedGraph):
        return _changed(source, options, names)
    if hasattr(source, "topology") and hasattr(source, "weights"):
        return _changed(NamedGraph.of(source), options, names)
    if hasattr(source, "is_directed") and hasattr(source, "nodes"):
        _refuse("a NetworkX graph, whose nodes have names", names=names)
        return from_networkx(source, **options)
    if isinstance(source, tuple) and len(source) == 2:
        return _from_pair(*source, options, names)
    if hasattr(source, "tocoo") or isinstance(source, np.ndarray):
        return _positional(lambda **more: matrices.from_matrix(source, names, **more), options, names)
    raise GraphError(
        f"a {type(source).__name__} is no graph that can be read; give a path, a SciPy sparse or NumPy array, "
        "a NetworkX DiGraph, (senders, receivers), or a data frame of edges"
    )


def _from_frame(
    frame: Any, options: dict[str, Any], names: Sequence[str] | None, columns: Sequence[str] | None
) -> NamedGraph:
    import pyarrow as pa

    index = getattr(frame, "index", ())  # only pandas names rows
    rows, labels = ([str(name) for name in side] for side in (() if callable(index) else index, frame.columns))
    if columns is None and sorted(rows) == sorted(labels):
        if rows != labels:
            raise GraphError("the rows and the columns of the matrix have other orders; order them alike")
        matrix = frame.to_numpy()
        return _positional(lambda **more: matrices.from_matrix(matrix, names or labels, **more), options, names or rows)
    _refuse("a data frame, whose nodes have names", names=names)
    try:
        table = pa.table(frame)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise GraphError(f"the data frame does not go into columns: {' '.join(str(error).split())[:160]}") from None
    edges = {name: table[name].to_pylist() for name in table.column_names if not name.startswith("__index_level_")}
    return edge_lists.from_columns(edges, None, columns=columns, **options)


def _positional(make: Any, options: dict[str, Any], names: Sequence[str] | None) -> NamedGraph:
    """`make(**options)` where numbers are positions, unless `names` makes them mean two nodes."""
    for what in ("inputs", "outputs"):
        if names is not None:
            refuse_ambiguous(what, options[what], names)
    graph: NamedGraph = make(**options)
    return graph


def _from_pair(senders: Any, receivers: Any, options: dict[str, Any], names: Sequence[str] | None) -> NamedGraph:
    for ids in (senders, receivers):
        if isinstance(ids, np.ma.MaskedArray) and np.ma.is_masked(ids):
            raise GraphError("the ids of a pair are masked in places; give the edges that there are")
    senders, receivers = array("senders", senders), array("receivers", receivers)
    if names is None and senders.size and senders.dtype.kind in "iu" and receivers.dtype.kind in "iu":
        names = list(map(str, range(int(max(senders.max(), receivers.max())) + 1)))
    return _positional(lambda **more: named_graph(senders, receivers, names or (), **more), options, names)


def _changed(graph: NamedGraph, options: dict[str, Any], names: Sequence[str] | None) -> NamedGraph:
    """A graph with other names, inputs or outputs, where any are given."""
    if names is None and options["inputs"] is None and options["outputs"] is None:
        return graph
    ports = {"inputs": graph.inputs, "outputs": graph.outputs}
    for what in ports:
        if options[what] is not None:
            refuse_ambiguous(what, options[what], graph.names if names is None else names)
            ports[what] = node_ids(what, options[what], tuple(graph.names if names is None else names))
    return named_graph(
        graph.senders, graph.receivers, graph.names if names is None else names, weights=graph.weights,
        activations=graph.activations, biases=graph.biases, aggregations=graph.aggregations,
        break_cycles=options["break_cycles"], **ports,
    )  # fmt: skip


def _from_file(
    path: Path, options: dict[str, Any], names: Sequence[str] | None, relations: str | Path | None,
    columns: Sequence[str] | None,
) -> NamedGraph:  # fmt: skip
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        read_whole(path)
        raise _unknown_suffix(path)
    if suffix not in (".npz", ".npy"):
        _refuse(f"a {suffix} file, whose nodes have names", names=names)
    if suffix not in _TABLES:
        _refuse(f"a {suffix} file", columns=columns)
    if suffix != ".gmt":
        _refuse(f"a {suffix} file", relations=relations)
    if suffix in _TABLES:
        edges, beside = _read_table(path), _nodes_beside(path)
        return edge_lists.from_columns(
            edges, _read_table(beside) if beside.exists() else None, columns=columns, **options
        )
    if suffix == ".graphml":
        return graphml.parse(read_whole(path), **options)
    if suffix == ".json":
        return neat.parse(read_whole(path), **options)
    if suffix == ".npz":
        data = read_whole(path)
        return _positional(lambda **more: matrices.parse_sparse(data, names=names, **more), options, names)
    if suffix == ".npy":
        return _from_dense(path, options, names)
    gmt = pathways.parse_gmt(read_text(path))
    if relations is None and not _relations_beside(path).exists():
        return pathways.from_pathways(gmt, **options)
    table = _relations_beside(path) if relations is None else Path(relations)
    return pathways.from_pathways(gmt, pathways.parse_relations(read_text(table)), **options)


def _from_dense(path: Path, options: dict[str, Any], names: Sequence[str] | None) -> NamedGraph:
    matrix, beside = matrices.parse_dense(read_whole(path)), _nodes_beside(path)
    if not beside.exists():
        return _positional(lambda **more: matrices.from_matrix(matrix, names, **more), options, names)
    own, stated = edge_lists.node_table(_read_table(beside))
    names = own if names is None else names
    stated = {"inputs": None, "outputs": None} | stated

    def make(**given: Any) -> NamedGraph:
        chosen = stated | {name: value for name, value in given.items() if value is not None}
        return matrices.from_matrix(matrix, names, is_network=True, **chosen)

    return _positional(make, options, names)


def _read_table(path: Path) -> Columns:
    if path.suffix.lower() == ".parquet":
        return read_columns(path)
    return edge_lists.parse_table(read_text(path), _DELIMITERS[path.suffix.lower()])


def _write_table(path: Path, columns: Columns) -> None:
    if path.suffix.lower() == ".parquet":
        write_columns(path, columns)
    else:
        write_file(path, edge_lists.format_table(columns, _DELIMITERS[path.suffix.lower()]).encode())


def _nodes_beside(path: Path) -> Path:
    suffix = ".csv" if path.suffix.lower() == ".npy" else path.suffix
    return path.with_name(f"{path.stem}.nodes{suffix}")


def _relations_beside(path: Path) -> Path:
    return path.with_name(f"{path.stem}.relations.tsv")


def _unknown_suffix(path: Path) -> GraphError:
    return GraphError(f"{path.name} has the suffix {path.suffix!r}; graph files end in {', '.join(SUFFIXES)}")
