"""Pathways: genes feed the pathways they belong to, pathways feed their parents, the topmost feed a root.

Genes come from a GMT file (a line is a pathway: name, description, genes, separated by tabs) and the
hierarchy from a table of relations (parent, child). Every edge is kept as it is: a gene that belongs to
a pathway of any height feeds it directly, without copies of nodes in between. Without a hierarchy every
pathway feeds the root.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from grapheme_numba.errors import GraphError
from grapheme_numba.graph.formats.edge_lists import parse_table
from grapheme_numba.graph.formats.node_attributes import is_missing, refuse_twins, resolved
from grapheme_numba.graph.named import NamedGraph, named_graph

GeneSets: TypeAlias = Mapping[str, tuple[str, Sequence[str]]]

PARENTS, CHILDREN = ("parent", "parents", "ancestor"), ("child", "children", "pathway")


def parse_gmt(text: str) -> dict[str, tuple[str, list[str]]]:
    """{pathway: (description, genes)} of a GMT file; empty fields and lines are passed over.

    A gene may have a membership behind a comma, as Enrichr writes it: `GENE,1.0`. Raises GraphError for one other
    than 1, which a graph of pathways cannot hold.
    """
    sets: dict[str, tuple[str, list[str]]] = {}
    for number, line in enumerate(text.split("\n"), 1):
        fields = line.rstrip("\r").split("\t")
        if fields == [""]:
            continue
        if len(fields) < 3 or not fields[0]:
            raise GraphError(
                f"line {number} has {len(fields)} fields; a GMT line is a name, a description and genes, "
                "separated by tabs"
            )
        if fields[0] in sets:
            raise GraphError(f"line {number} repeats the pathway {fields[0]!r}; join its lines")
        genes = [_gene(gene, number) for gene in fields[2:] if gene.strip()]
        sets[fields[0]] = (fields[1], list(dict.fromkeys(genes)))
    if not sets:
        raise GraphError("the GMT file holds no pathway; a line is a name, a description and genes")
    return sets


def _gene(field: str, line: int) -> str:
    """The gene of a field `GENE` or `GENE,1.0`."""
    gene, comma, membership = field.rpartition(",")
    try:
        value = float(membership)
    except ValueError:
        return field
    if not comma or not gene or is_missing(membership):
        return field
    if value != 1.0:
        raise GraphError(
            f"line {line} gives {gene!r} the membership {membership}; only whole membership can be read, "
            "so drop the numbers behind the commas, or the genes that do not belong"
        )
    return gene


def parse_relations(text: str) -> list[tuple[str, str]]:
    """List of (parent, child): by the names of the columns, or the first two columns, as Reactome orders them."""
    first = text.split("\n", 1)[0]
    delimiter = "\t" if "\t" in first else ","
    fields = [field.strip().lower() for field in first.rstrip("\r").split(delimiter)]
    if len(fields) < 2:
        raise GraphError(f"the relations begin with {first[:60]!r}; two columns are wanted, parent and child")
    parent = next((number for number, name in enumerate(fields) if name in PARENTS), None)
    child = next((number for number, name in enumerate(fields) if name in CHILDREN), None)
    if parent is None or child is None:
        header = delimiter.join(["parent", "child", *(f"column {number}" for number in range(2, len(fields)))])
        text, parent, child = f"{header}\n{text}", 0, 1
    columns = list(parse_table(text, delimiter).values())
    return list(dict.fromkeys(zip(columns[parent], columns[child], strict=True)))


def from_pathways(
    gmt: GeneSets, relations: Iterable[tuple[str, str]] = (), *, root: str | None = "root", inputs: Any = None,
    outputs: Any = None, break_cycles: str = "error",
) -> NamedGraph:  # fmt: skip
    """A graph from gene sets and their hierarchy.

    Parameters
    ----------
    gmt : dict of pathway to (description, genes)
    relations : iterable of (parent, child)
        Of pathways by name or by description (where Reactome puts its identifiers). Pathways that no
        gene reaches are left out: relation tables hold those of all species.
    root : str or None
        Node that pathways without a parent feed; None leaves them as the outputs.
    inputs, outputs : sequences of names, optional
        By default the genes, and the root.
    break_cycles : str
        As for `named_graph`.
    """
    called = {description: name for name, (description, _) in gmt.items() if description} | {name: name for name in gmt}
    parents: dict[str, list[str]] = {}
    for parent, child in relations:
        parents.setdefault(called.get(child, child), []).append(called.get(parent, parent))
    pathways = list(gmt)
    known = set(pathways)
    for name in pathways:  # grows while it is walked: the ancestors of what has genes
        for parent in parents.get(name, ()):
            if parent not in known:
                known.add(parent)
                pathways.append(parent)
    genes = list(dict.fromkeys(gene for _, members in gmt.values() for gene in members))
    both = known.intersection(genes)
    if both or root in known or root in genes:
        raise GraphError(f"{min(both, default=root)!r} is the name of two nodes; rename the gene, pathway or root")
    names = [*genes, *pathways, *([] if root is None else [root])]
    refuse_twins(names)
    position = {name: node for node, name in enumerate(names)}
    edges = [(position[gene], position[name]) for name, (_, members) in gmt.items() for gene in members]
    edges += [(position[name], position[parent]) for name in pathways for parent in parents.get(name, ())]
    tops = [position[name] for name in pathways if not parents.get(name)]
    if root is not None:
        edges += [(top, position[root]) for top in tops]
    inputs, outputs = resolved("inputs", inputs, names), resolved("outputs", outputs, names)
    senders, receivers = np.array(edges, np.int32).reshape(-1, 2).T
    return named_graph(
        senders,
        receivers,
        names,
        inputs=range(len(genes)) if inputs is None else inputs,
        outputs=outputs if outputs is not None else tops if root is None else [position[root]],
        break_cycles=break_cycles,
    )


def format_pathways(graph: NamedGraph, root: str = "root") -> tuple[str, str]:
    """(GMT text, relations text) of a graph of genes, pathways and a root, the inverse of `from_pathways`.

    Raises GraphError where the graph has another shape or weights: the format holds neither.
    """
    if graph.aggregations is not None:
        node = next(node for node, kind in enumerate(graph.aggregations) if kind != "sum")
        raise GraphError(
            f"node {graph.names[node]!r} aggregates by {graph.aggregations[node]}, and a GMT file has no word for "
            "that; save this graph as an edge list"
        )
    is_gene = np.zeros(graph.n_node, bool)
    is_gene[graph.inputs] = True
    if graph.weights is not None or is_gene[graph.receivers].any() or graph.names[-1] != root:
        raise GraphError(
            f"a GMT file holds genes without senders, pathways and the last node {root!r}, and no weights; "
            "save this graph as an edge list"
        )
    genes: dict[str, list[str]] = {}
    relations = ["parent\tchild"]
    for sender, receiver in zip(graph.senders.tolist(), graph.receivers.tolist(), strict=True):
        if is_gene[sender]:
            genes.setdefault(graph.names[receiver], []).append(graph.names[sender])
        elif graph.names[receiver] != root:
            relations.append(f"{graph.names[receiver]}\t{graph.names[sender]}")
    gmt = "".join(f"{name}\t\t{chr(9).join(members)}\n" for name, members in genes.items())
    return gmt, "\n".join([*relations, ""])
