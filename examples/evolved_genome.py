"""A network that neat-python evolved, imported and fine-tuned by gradients.

    pip install '.[sklearn]' neat-python
    python examples/evolved_genome.py [--short]

Evolution finds a small graph with weights, from mutation and crossover alone; gradient descent on the same edges
then gets more out of it.
"""

import sys
import tempfile
from pathlib import Path

import neat
import numpy as np
from neat.export import export_network_json
from scipy.special import log_softmax
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from grapheme_numba import load_graph
from grapheme_numba.estimators import DagClassifier


def accuracy(network, X, y):
    """Share of rows whose largest output is the right class, by neat-python's own activation."""
    return np.mean([np.argmax(network.activate(row)) == label for row, label in zip(X.tolist(), y, strict=True)])


def evolved(X, y, generations, seed):
    """The fittest network of a population after some generations; fitness is the mean log-probability of the truth."""
    rng = np.random.default_rng(seed)

    def evaluate(genomes, config):
        rows = rng.choice(len(X), 100, replace=False)  # another part of the data in each generation
        for _, genome in genomes:
            network = neat.nn.FeedForwardNetwork.create(genome, config)
            outputs = np.array([network.activate(row) for row in X[rows].tolist()])
            genome.fitness = np.mean(log_softmax(3 * outputs, axis=1)[np.arange(100), y[rows]])

    parts = (neat.DefaultGenome, neat.DefaultReproduction, neat.DefaultSpeciesSet, neat.DefaultStagnation)
    config = neat.Config(*parts, str(Path(__file__).with_suffix(".ini")))
    winner = neat.Population(config, seed=seed).run(evaluate, generations)
    return neat.nn.FeedForwardNetwork.create(winner, config)


def main(short=False):
    """Evolve, export, import, fine-tune; prints the accuracy on held-out digits before and after."""
    X, y = load_digits(return_X_y=True)
    X = X.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16) / 16  # 4 x 4 pixels: evolution is slow
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)

    network = evolved(X, y, generations=3 if short else 60, seed=1)
    before = accuracy(network, X_test, y_test)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "genome.json"
        export_network_json(network, str(path))
        graph = load_graph(path)
    # Evolved weights are large, so the learning rate is, too; they are where gradient descent starts.
    tuned = DagClassifier(graph, standardize=False, learning_rate=0.05, weight_decay=0.0, random_state=0).fit(X, y)

    print(f"evolved: {graph.n_edge} edges, {before:.1%} of the held-out digits read rightly")
    print(f"fine-tuned: the same {tuned.network_.n_edge} edges, {tuned.score(X_test, y_test):.1%}")


if __name__ == "__main__":
    main(short="--short" in sys.argv)
