"""A classifier on a graph of pathways, and which genes and pathways it answers from, by name.

    pip install '.[sklearn]' pandas
    python examples/pathways.py

Genes feed the pathways they belong to, pathways their parents. The data are made up, so that the truth is known:
of 400 genes, the activity of one pathway's genes decides who is ill. The classifier sees names and expression only.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from grapheme_numba import load_graph
from grapheme_numba.estimators import DagClassifier

CAUSE = "Pathway 17"


def write_pathways(folder, rng, genes):
    """A GMT file of 40 pathways of 10 to 30 genes, and beside it a table of their parents."""
    members = {f"Pathway {number}": rng.choice(genes, rng.integers(10, 31), replace=False) for number in range(40)}
    lines = [f"{name}\tmade up\t" + "\t".join(of) for name, of in members.items()]
    (folder / "made_up.gmt").write_text("\n".join(lines) + "\n")
    parents = [f"System {number % 6}\t{name}" for number, name in enumerate(members)]
    (folder / "made_up.relations.tsv").write_text("\n".join(["parent\tchild", *parents]) + "\n")
    return members


def main():
    """Write the graph, train on it, and print accuracy and what the answers come from."""
    rng = np.random.default_rng(7)
    genes = np.array([f"GENE{number}" for number in range(400)])
    with tempfile.TemporaryDirectory() as folder:
        members = write_pathways(Path(folder), rng, genes)
        graph = load_graph(Path(folder) / "made_up.gmt")

    X = pd.DataFrame(rng.normal(size=(2000, 400)), columns=genes)
    activity = X[members[CAUSE]].sum(axis=1) + rng.normal(size=len(X))
    y = np.where(activity > 0, "ill", "well")
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, random_state=0)

    # Genes are found by column name, because the graph names its inputs. A fifth of the edges stays in the end.
    model = DagClassifier(graph, activation="tanh", density=0.2, max_iter=100, random_state=0)
    model.fit(X, y)
    forest = RandomForestClassifier(random_state=0).fit(X, y)
    print(
        f"{graph.n_edge} edges from {len(graph.inputs)} genes: {model.score(X_test, y_test):.1%} of held-out patients"
    )
    print(f"random forest: {forest.score(X_test, y_test):.1%}")

    found = model.attribute(X_test)
    by_gene = pd.Series(np.abs(found.inputs).mean(axis=0), index=[found.graph.names[n] for n in found.graph.inputs])
    by_node = pd.Series(found.nodes, index=found.graph.names)
    top = by_gene.nlargest(len(members[CAUSE])).index
    print(f"{CAUSE} has {len(top)} genes; {len(set(top) & set(members[CAUSE]))} of them are the {len(top)} strongest")
    print("strongest pathways:", by_node[by_node.index.str.startswith("Pathway")].nlargest(3).round(3).to_dict())


if __name__ == "__main__":
    main()
