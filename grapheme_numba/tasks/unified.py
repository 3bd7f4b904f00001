"""`grapheme-train unified`: one shared DAG in which every brain owns a slice of the inputs and outputs.

Gradients of all examples of an epoch add up, each scaled by the structural loss of its answer, and are
applied once.
"""

from grapheme_numba.training.task import Task


def build(summary, config):
    """A fresh model for the data that `summary` describes."""
    from grapheme_numba.brains.placing import place_brains
    from grapheme_numba.dataset.layout import domain_needs
    from grapheme_numba.training.building import build_model

    needs = domain_needs(summary, config.embedding_dim)
    return build_model(place_brains(needs, config.brain, config.embedding_dim, config.unknown_domain), config)


# One step an epoch wants many cheap epochs: a small graph, big batches, a high rate with warm-up and cosine.
DEFAULTS = {
    "accumulate": "epoch",
    "structural_weight": "sqrt1p",
    "epochs": 400,
    "batch_size": 256,
    "lr": 0.01,
    "hidden": [512, 256],
    "fan_in": 32,
    "val_freq": 20,
    "save_every": 50,
    "clip_grad_norm": 0.0,
}

TASK = Task(name="unified", defaults=DEFAULTS, build=build)
