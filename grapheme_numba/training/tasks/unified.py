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
    requests = dict(config.brain)
    if config.select_inputs is not None:  # nobody knows beforehand how many inputs the columns that stay will have
        tables = {need.name: need.n_input for need in needs if need.input_type == "tabular"}
        requests = {name: (tables.get(name, sizes[0]), sizes[1]) for name, sizes in requests.items()}
    return place_brains(needs, requests, config.embedding_dim, config.unknown_domain)


def model(layout: Any, dag: Any, embedding: Any) -> Any:
    """A `SharedAGIModel` on this network."""
    from grapheme_numba.models.shared_agi_model import SharedAGIModel

    return SharedAGIModel(layout, dag=dag, embedding=embedding)


# One step an epoch wants many cheap epochs: a small graph, big batches, a high rate with warm-up and cosine.
# Found as the defaults of `agi`. What lost, as exact answers of math, text and timeseries in per cent, with a decay of
# 0.05 where not said:
#     rate 0.05: 92.6 88.2 55.3    <- kept; rate 0.02: 83.3 85.3 52.4; decay 0.02 84.3 79.4 53.1
#     rate 0.02, fan-in 128: 94.4 64.7 52.5; hidden 512,256: 88.9 70.6 52.0; rate 0.03, 800 epochs 92.6 88.2 55.5
#     rate 0.01, a step every 1,024 examples, 200 epochs: 81.5 88.2 53.1; every batch, 100 epochs: 93.5 94.1 53.9
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
