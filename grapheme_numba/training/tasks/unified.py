"""`grapheme-train unified`: a `SharedAGIModel`, one DAG in which every brain owns a slice of inputs and outputs.

Gradients of all examples of an epoch add up, each scaled by the structural loss of its answer, and are
applied once.
"""

from typing import Any

from grapheme_numba.training.tasks import Task


def layout(summary: Any, config: Any) -> Any:
    """Disjoint slices, one brain per domain."""
    from grapheme_numba.data.codec.layout import domain_needs
    from grapheme_numba.models.placement import place_brains

    needs = domain_needs(summary, config.embedding_dim, answer=config.answer)
    return place_brains(needs, config.brain, config.embedding_dim, config.unknown_domain)


def model(layout: Any, dag: Any, embedding: Any) -> Any:
    """A `SharedAGIModel` on this network."""
    from grapheme_numba.models.shared_agi_model import SharedAGIModel

    return SharedAGIModel(layout, dag=dag, embedding=embedding)


# One step an epoch wants many cheap epochs: a small graph, big batches, a high rate with warm-up and cosine.
# Found on generated data, held out. What lost, as mean squared error of math, timeseries and vision after 400
# epochs, against 0.127, 0.194 and 0.0025 for these: adam without decay and fan-in 32 0.169, 0.194, 0.0056;
# fan-in 32 0.163, 0.205, 0.0046; hidden 512,256 with fan-in 32 0.161, 0.197, 0.0033 at 1.5 times the edges.
DEFAULTS = {
    "accumulate": "epoch",
    "structural_weight": "sqrt1p",
    "epochs": 400,
    "batch_size": 256,
    "optimizer": "adamw",
    "lr": 0.05,
    "hidden": (256, 128),
    "fan_in": 64,
    "val_freq": 20,
    "save_every": 50,
}

TASK = Task(name="unified", defaults=DEFAULTS, layout=layout, model=model, own_brains=True, decay=1.0)
