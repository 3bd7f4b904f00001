"""Pathways: genes feed the pathways they belong to, pathways feed their parents, the topmost feed a root.

Genes come from a GMT file (a line is a pathway: name, description, genes, separated by tabs) and the
hierarchy from a table of relations (parent, child). Every edge is kept as it is: a gene that belongs to
a pathway of any height feeds it directly, without copies of nodes in between.
"""

import numpy as np

from grapheme_numba.errors import GraphError
from grapheme_numba.graph.formats.edge_lists import parse_table
from grapheme_numba.graph.named import named_graph

PARENTS, CHILDREN = ("parent", "parents", "ancestor"), ("child", "children", "pathway")


def parse_gmt(text):
    """{pathway: (description, genes)} of a GMT file; empty fields and lines are passed over."""
    sets = {}
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
        sets[fields[0]] = (fields[1], list(dict.fromkeys(gene for gene in fields[2:] if gene)))
    if not sets:
        raise GraphError("the GMT file holds no pathway; a line is a name, a description and genes")
    return sets


def parse_relations(text):
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


def from_pathways(gmt, relations=(), *, root="root", **options):
    """A graph from gene sets and their hierarchy.

    Parameters
    ----------
    gmt : dict of pathway to (description, genes)
    relations : iterable of (parent, child)
        Of pathways by name or by description (where Reactome puts its identifiers). Pathways that no
        gene reaches are left out: relation tables hold those of all species.
    root : str or None
        Node that pathways without a parent feed; None leaves them as the outputs.
    **options
        As for `named_graph`; the inputs are the genes and the output is the root by default.
    """
    called = {description: name for name, (description, _) in gmt.items() if description} | {name: name for name in gmt}
    parents = {}
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
    position = {name: node for node, name in enumerate(names)}
    edges = [(position[gene], position[name]) for name, (_, members) in gmt.items() for gene in members]
    edges += [(position[name], position[parent]) for name in pathways for parent in parents.get(name, ())]
    tops = [position[name] for name in pathways if not parents.get(name)]
    if root is not None:
        edges += [(top, position[root]) for top in tops]
    ports = {"inputs": range(len(genes)), "outputs": tops if root is None else [position[root]]}
    ports.update({name: value for name, value in options.items() if value is not None})
    senders, receivers = np.array(edges, np.int32).reshape(-1, 2).T
    return named_graph(senders, receivers, names, **ports)


def format_pathways(graph, root="root"):
    """(GMT text, relations text) of a graph of genes, pathways and a root, the inverse of `from_pathways`.

    Raises GraphError where the graph has another shape or weights: the format holds neither.
    """
    is_gene = np.zeros(graph.n_node, bool)
    is_gene[graph.inputs] = True
    if graph.weights is not None or is_gene[graph.receivers].any() or graph.names[-1] != root:
        raise GraphError(
            f"a GMT file holds genes without senders, pathways and the last node {root!r}, and no weights; "
            "save this graph as an edge list"
        )
    genes, relations = {}, ["parent\tchild"]
    for sender, receiver in zip(graph.senders.tolist(), graph.receivers.tolist(), strict=True):
        if is_gene[sender]:
            genes.setdefault(graph.names[receiver], []).append(graph.names[sender])
        elif graph.names[receiver] != root:
            relations.append(f"{graph.names[receiver]}\t{graph.names[sender]}")
    gmt = "".join(f"{name}\t\t{chr(9).join(members)}\n" for name, members in genes.items())
    return gmt, "\n".join([*relations, ""])
