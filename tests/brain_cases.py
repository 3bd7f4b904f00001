"""Small models of several brains and mixed batches for them, made without any file."""

import numpy as np

from grapheme_numba.data.codec.answers import LabelAnswer, NumberAnswer, TextAnswer
from grapheme_numba.data.codec.layout import DomainNeeds, Layout
from grapheme_numba.data.records import MixedExample
from grapheme_numba.data.stream.batches import encode_examples
from grapheme_numba.models.brain_model import BrainModel
from grapheme_numba.models.hidden_graph import layered_topology, layout_slices
from grapheme_numba.models.slices import allocate_brain_slices
from grapheme_numba.network.dagnn import DagNN
from grapheme_numba.network.embedding import Embedding
from grapheme_numba.training import step

DIM = 3
NEEDS = [
    DomainNeeds(
        "math", "text", 8 * DIM, NumberAnswer(0, 100).n_output, NumberAnswer(0, 100), 25.0, 0.06, n_token=8, knee=60.0
    ),
    DomainNeeds("text", "text", 10 * DIM, 32, TextAnswer(4), n_token=8, n_bag=2, n_word=8, knee=1.0),
    DomainNeeds("timeseries", "sequence", 5, NumberAnswer(1, 500).n_output, NumberAnswer(1, 500), 0.0, 0.1),
    DomainNeeds("vision", "image", 9, 3, LabelAnswer(("bar", "dot", "ring"))),
]
WORDS = ("red", "blue", "no", "é", "")


def layout(needs=NEEDS, dim=DIM):
    """A layout in which every domain owns its slices."""
    slices = allocate_brain_slices((need.name, need.n_input, need.n_output) for need in needs)
    places = [slices[need.name] for need in needs]
    return Layout.of(
        [need.at(one.input_range.start, one.output_range.start) for need, one in zip(needs, places, strict=True)], dim
    )


def model(dtype="float32", hidden=(16, 12), seed=1, activation="tanh"):
    """A model of the four brains with random parameters (biases and embedding included)."""
    places = layout()
    graph = layered_topology(layout_slices(places), hidden, 6, 0.2, seed)
    dag = DagNN.from_edges(
        graph.senders,
        graph.receivers,
        inputs=graph.inputs,
        outputs=graph.outputs,
        n_node=graph.n_node,
        activation=graph.activations(activation),
        seed=seed,
        dtype=dtype,
    )
    rng = np.random.default_rng(seed)
    biases = rng.normal(size=dag.n_node) * 0.2
    biases[graph.inputs] = 0.0
    dag.biases = biases
    return BrainModel(places, dag, Embedding(places.vocab_size, DIM, seed=seed, dtype=dtype))


def examples(rng, n, names=("math", "text", "timeseries", "vision")):
    """`n` random examples of the four domains, shuffled; some answers do not fit their code."""
    found = []
    for i in range(n):
        name = names[int(rng.integers(len(names)))]
        if name == "math":
            left, right = rng.integers(0, 50, 2)
            one = dict(input_type="text", text=f"{left}+{right}", expected_output=str(left + right))
        elif name == "text":
            one = dict(input_type="text", text=f"ask{rng.integers(99)}?", expected_output=WORDS[rng.integers(5)])
        elif name == "timeseries":
            values = rng.integers(-20, 20, int(rng.integers(1, 6))).astype(float).tolist()
            one = dict(input_type="sequence", values=values, expected_output=f"{values[-1] / 4:.1f}".replace(".0", ""))
        else:
            pixels = rng.random(9).tolist()
            label = ("bar", "dot", "ring", "none of them")[rng.integers(4)]
            one = dict(input_type="image", width=3, height=3, pixels=pixels, expected_output=label)
        found.append(MixedExample(id=str(i), domain=name, **one))
    return found


def batch(rng, n, names=("math", "text", "timeseries", "vision")):
    """A mixed batch of `n` random examples."""
    return encode_examples(examples(rng, n, names), layout())


def embedding_rows(batch):
    """The rows of the embedding that a batch makes use of, sorted."""
    rows = set()
    for tokens, domain in zip(batch.tokens, batch.domain):
        need = NEEDS[domain]
        rows.update(tokens[: need.n_token].tolist())
        for bucket in tokens[need.n_token :].tolist() if need.n_bag else []:
            rows.update(range(258 + (bucket - 1) * need.n_bag, 258 + bucket * need.n_bag) if bucket else [])
    return np.array(sorted(rows - {0}))


def accumulate(model, batch, kind="none"):
    """Forward and backward of a batch, as the trainers do it; its `StepResult`."""
    return step.accumulate(model, batch, model.loss(batch, kind))
