"""Every public entry, handed one wrong value at a time: it works, or it says so with an error of ours."""

import copy
import datetime
import os
import warnings

import numpy as np
import pytest
import scipy.sparse

import grapheme_numba as gn
from grapheme_numba.estimators import DagClassifier, DagRegressor

HUGE = 10**30
WRONG = {
    "None": None, "text": "x", "empty text": "", "bytes": b"x", "texts": ["a", "b"], "mixed": [1, "a"], "class": dict,
    "object": object(), "dict": {"a": 1}, "set": {1, 2}, "function": len, "objects": np.array([1, None, "a"], object),
    "complex": 1 + 2j, "complex array": np.ones((6, 3), complex), "nan": float("nan"), "inf": float("inf"),
    "-inf": -np.inf, "nan array": np.full((6, 3), np.nan), "inf array": np.full(3, np.inf), "bool": True, "-1": -1,
    "masked": np.ma.masked_array(np.ones((6, 3)), np.eye(6, 3, dtype=bool)), "half": np.ones((6, 3), np.float16),
    "bools": np.ones((6, 3), bool), "0": 0, "2.5": 2.5, "huge": HUGE, "huge list": [HUGE, HUGE], "empty": [],
    "empty array": np.empty((0, 3)), "3-D": np.ones((2, 3, 3)), "0-D": np.array(1.0), "ragged": [[1], [1, 2]],
    "date": datetime.date(2020, 1, 1), "dates": np.array(["2020-01-01"] * 3, "datetime64[D]"), "range": range(3),
    "records": np.zeros(3, [("a", int)]), "sparse": scipy.sparse.eye_array(6, 3, format="csr"),
    "strings": np.array([["a"] * 3] * 6), "long double": np.ones((6, 3), np.longdouble), "generator": (i for i in ()),
    "big-endian": np.ones((6, 3), ">f8"), "read-only": np.broadcast_to(np.float32(1), (6, 3)),
    "unsigned": np.ones(3, np.uint64), "half a pair": "a\ud800", "zero byte": "a\0b",
}  # fmt: skip


def network():
    return gn.DagNN.layered([3, 4, 2], 2, seed=1, activation="tanh")


X = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(6, 2)).astype(np.float32)
LABELS = np.array([0, 1, 0, 1, 0, 1])
PAIR = np.array([0, 1]), np.array([1, 2])
EDGES = {"senders": [0, 1, 2], "receivers": [1, 2, 3], "inputs": [0], "outputs": [3]}


def after_forward(network_=network):
    dag = network_()
    dag.forward(X)
    return dag


def shared_model():
    return gn.SharedAGIModel([("a", 3, 2), ("b", 2, 1)], hidden=[4], seed=0)


def assign(name):
    def assign_to(value):
        setattr(network(), name, value)

    return assign_to


def assign_item(name):
    def assign_to(index, value):
        getattr(network(), name)[index] = value

    return assign_to


def backward_of_tape(gy):
    network().record(X)[1].backward(gy)


def accumulate(**given):
    model = shared_model()
    model.forward("a", X)
    model.accumulate_gradients(**given)


# Name: (function, its arguments as they should be).
CALLS = {
    "from_edges": (
        gn.DagNN.from_edges,
        {**EDGES, "n_node": 4, "weights": [1.0, 1.0, 1.0], "biases": [0.0] * 4, "activation": "tanh", "init": "he",
         "seed": 0, "dtype": "float32", "aggregation": "sum"},
    ),
    "from_text": (gn.DagNN.from_text, {"text": "abc"}),
    "from_image": (gn.DagNN.from_image, {"height": 2, "width": 2}),
    "classifier": (gn.DagNN.classifier, {"n_in": 3, "n_hidden": 4, "n_out": 2}),
    "layered": (gn.DagNN.layered, {"widths": [3, 4, 2], "fan_in": 2, "skip": 0.1, "seed": 0}),
    "random": (gn.DagNN.random, {"n_node": 9, "n_edge": 12, "n_in": 2, "n_out": 2, "seed": 0}),
    "small_world": (
        gn.DagNN.small_world, {"n_node": 12, "n_neighbor": 2, "rewire": 0.1, "n_in": 2, "n_out": 2, "seed": 0}
    ),
    "scale_free": (gn.DagNN.scale_free, {"n_node": 12, "fan_in": 2, "n_in": 2, "n_out": 2, "seed": 0}),
    "block_modular": (
        gn.DagNN.block_modular,
        {"n_block": 2, "block_size": 4, "fan_in": 2, "between": 0.1, "n_in": 2, "n_out": 2, "seed": 0},
    ),
    "radixnet": (gn.DagNN.radixnet, {"n_neuron": 1024, "n_layer": 2, "seed": 0}),
    "from_graph": (
        gn.DagNN.from_graph,
        {"source": PAIR, "activation": "tanh", "aggregation": "sum", "graph_options": {}},
    ),
    "load_graph": (gn.load_graph, {"source": PAIR, "inputs": [0], "outputs": [2]}),
    "forward": (lambda x: network().forward(x), {"x": X}),
    "record": (lambda x: network().record(x), {"x": X}),
    "tape.backward": (backward_of_tape, {"gy": Y}),
    "backward_accumulate": (lambda gy: after_forward().backward_accumulate(gy), {"gy": Y}),
    "step": (lambda lr: after_forward().step(lr), {"lr": 0.1}),
    "clip_grad_norm": (lambda max_norm: network().clip_grad_norm(max_norm), {"max_norm": 1.0}),
    "weights =": (assign("weights"), {"value": np.ones(network().n_edge)}),
    "biases =": (assign("biases"), {"value": np.zeros(9)}),
    "strategy =": (assign("strategy"), {"value": "tiles"}),
    "weights[i] =": (assign_item("weights"), {"index": 0, "value": 1.0}),
    "biases[i] =": (assign_item("biases"), {"index": 5, "value": 1.0}),
    "mse": (gn.mse, {"y": Y, "target": Y, "mask": np.ones((6, 2), bool)}),
    "cross_entropy": (gn.cross_entropy, {"y": Y, "labels": LABELS, "weight": np.ones(6)}),
    "binary_cross_entropy": (gn.binary_cross_entropy, {"y": Y, "target": np.ones((6, 2)), "weight": np.ones(6)}),
    "huber": (gn.huber, {"y": Y, "target": Y, "weight": np.ones(6), "delta": 1.0}),
    "structural_loss": (
        gn.structural_loss,
        {"n_nodes_pred": 3, "n_edges_pred": 2, "n_nodes_true": 4, "n_edges_true": 3, "alpha": 1.0, "beta": 0.5},
    ),
    "allocate_brain_slices": (gn.allocate_brain_slices, {"requests": [("a", 3, 2)]}),
    "BrainSlice": (gn.BrainSlice, {"input_range": range(3), "output_range": range(2), "brain": "a"}),
    "SharedAGIModel": (gn.SharedAGIModel, {"requests": [("a", 3, 2)], "hidden": [4], "seed": 0}),
    "shared.forward": (lambda brain, x: shared_model().forward(brain, x), {"brain": "a", "x": X}),
    "shared.accumulate": (accumulate, {"brain": "a", "structural": np.ones(6), "target": Y}),
    "shared.apply": (lambda lr: shared_model().apply_gradients(lr), {"lr": 0.1}),
    "Embedding": (gn.Embedding, {"vocab_size": 5, "dim": 3, "init": "xavier", "seed": 0, "dtype": "float32"}),
    "embedding.forward": (lambda ids: gn.Embedding(5, 3).forward(ids), {"ids": [[1, 2]]}),
    "embedding.backward": (
        lambda ids, grad: gn.Embedding(5, 3).backward_accumulate(ids, grad),
        {"ids": [[1, 2]], "grad": np.ones((1, 2, 3))},
    ),
    "embedding.step": (lambda lr: gn.Embedding(5, 3).step(lr), {"lr": 0.1}),
    "embedding.weights =": (lambda value: setattr(gn.Embedding(5, 3), "weights", value), {"value": np.ones((5, 3))}),
    "fit": (
        lambda **options: gn.fit(network(), **options),
        {"x": X, "y": Y, "loss": "mse", "optimizer": gn.optim.SGD(lr=0.1), "schedule": "cosine", "epochs": 1,
         "batch_size": 4, "validation": 0.3, "patience": 2, "callbacks": [], "seed": 0, "sample_weight": np.ones(6),
         "max_norm": 1.0, "edge_mask": np.ones(network().n_edge, bool), "edge_lr": np.ones(network().n_edge),
         "shuffle": True},
    ),
    "fit.dag": (lambda dag: gn.fit(dag, X, Y, epochs=1), {"dag": network()}),
    "evolve": (
        lambda **options: gn.evolve(**options), {"dag": network(), "method": "set", "fraction": 0.3, "seed": 0}
    ),
    "prune": (gn.prune, {"dag": network(), "density": 0.5}),
    "attribute": (gn.attribute, {"dag": network(), "x": X, "output": 0}),
    "rewire": (gn.rewire, {"source": network(), "seed": 0}),
    "SGD": (gn.optim.SGD, {"lr": 0.1, "weight_decay": 0.0}),
    "Momentum": (gn.optim.Momentum, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0}),
    "Adam": (gn.optim.Adam, {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.0}),
    "AdamW": (gn.optim.AdamW, {"lr": 0.1, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.0}),
    "RMSprop": (gn.optim.RMSprop, {"lr": 0.1, "eps": 1e-8, "weight_decay": 0.0}),
    "cosine": (gn.optim.cosine, {"warmup": 0.1}),
    "constant": (gn.optim.constant, {"warmup": 0.1}),
    "step schedule": (gn.optim.step, {"warmup": 0.1}),
    "schedule()": (lambda step, n_step: gn.optim.cosine(warmup=0.1)(step, n_step), {"step": 3, "n_step": 10}),
    "init": (lambda parameters: gn.optim.Adam().init(parameters), {"parameters": np.ones(3, np.float32)}),
    **{
        f"{kind}.update": (
            lambda kind=kind, **given: getattr(gn.optim, kind)().update(**given),
            {"parameters": np.ones(3), "gradients": np.ones(3), "state": getattr(gn.optim, kind)().init(np.ones(3)),
             "lr": 0.1},
        )
        for kind in ("SGD", "Momentum", "Adam", "AdamW", "RMSprop")
    },
    "NamedGraph.of": (gn.NamedGraph.of, {"dag": network()}),
    "save_graph": (gn.save_graph, {"graph": network(), "path": "/proc/nowhere/graph.csv"}),
    "DagNN.load": (gn.DagNN.load, {"path": "/proc/nowhere.safetensors"}),
    "load": (gn.load, {"path": "/proc/nowhere"}),
    "train": (
        gn.train,
        {"task": "agi", "data": "/proc/nowhere", "output": "/proc/nowhere/run", "resume": "never", "epochs": 1},
    ),
    "open_dataset": (gn.open_dataset, {"path": "/proc/nowhere.parquet"}),
    "convert": (
        gn.convert,
        {"inputs": "/proc/nowhere.jsonl", "output": "/proc/nowhere/a.parquet", "shards": 1, "rows_per_file": None,
         "threads": 1, "max_rejects": 0, "rejects": None},
    ),
    "save": (lambda path: network().save(path), {"path": "/proc/nowhere/net.safetensors"}),
    "DagLayer": (gn.torch.DagLayer, {"dag": network()}),
}  # fmt: skip
# What Python or the caller's own function says is not ours to say otherwise: an index, a loss, a callback.
OF_THE_CALLER = {
    ("weights[i] =", "index"): (IndexError, ValueError),
    ("biases[i] =", "index"): (IndexError, ValueError),
    ("fit", "loss"): (TypeError,),
    ("fit", "callbacks"): (TypeError,),
    ("fit", "schedule"): (TypeError,),
}
CASES = [(call, argument) for call, (_, arguments) in CALLS.items() for argument in arguments]


def outcome(function, *arguments, allowed=(gn.GraphemeError,), **named):
    """None where the call works or is refused as it should be, else what went wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            function(*arguments, **named)
        except allowed as error:
            sentence = str(error)
            ours = isinstance(error, gn.GraphemeError)
            return f"no sentence: {sentence!r}" if ours and (not sentence or "\n" in sentence) else None
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return None


@pytest.mark.parametrize(("call", "argument"), CASES)
def test_a_wrong_value_is_refused_by_an_error_of_ours(call, argument, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    function, arguments = CALLS[call]
    allowed = (gn.GraphemeError, *OF_THE_CALLER.get((call, argument), ()))
    found = {
        name: outcome(function, allowed=allowed, **{**copy.deepcopy(arguments), argument: value})
        for name, value in WRONG.items()
    }
    assert {name: wrong for name, wrong in found.items() if wrong} == {}
    assert [name for name in os.listdir(tmp_path) if name != "x"] == []


def test_the_calls_are_right_as_they_stand():
    """Without which every refusal would be worth nothing."""
    wrong = {}
    for call, (function, arguments) in CALLS.items():
        if "/proc/nowhere" not in str(arguments):
            try:
                function(**copy.deepcopy(arguments))
            except Exception as error:
                wrong[call] = error
    assert wrong == {}


ESTIMATORS = {
    DagClassifier: (LABELS, {"class_weight": None}),
    DagRegressor: (Y, {"loss": "huber", "delta": 1.0}),
}
PARAMETERS = {
    "topology": "layered", "hidden": (3,), "fan_in": 2, "skip": 0.0, "activation": "tanh", "init": "he",
    "optimizer": "sgd", "learning_rate": 0.01, "lr_schedule": "cosine", "max_iter": 1, "batch_size": 4,
    "weight_decay": 0.0, "clip_grad_norm": 0.0, "standardize": True, "early_stopping": False,
    "validation_fraction": 0.3, "n_iter_no_change": 2, "tol": 1e-4, "warm_start": False, "density": 1.0,
    "select_inputs": None, "evolve": None, "evolve_fraction": 0.3, "evolve_every": 1, "callback": None, "n_jobs": 1,
    "verbose": 0, "random_state": 0,
}  # fmt: skip
# scikit-learn checks these itself, and its own callers know its errors.
OF_SKLEARN = ("class_weight", "random_state")


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind in ESTIMATORS for name in PARAMETERS | ESTIMATORS[kind][1]]
)
def test_a_wrong_parameter_of_an_estimator_is_refused_at_fit(kind, name, capsys):
    y, more = ESTIMATORS[kind]
    parameters = PARAMETERS | more
    allowed = (gn.GraphemeError, ValueError, TypeError) if name in OF_SKLEARN else (gn.GraphemeError,)
    if name == "callback":
        allowed = (*allowed, TypeError)  # what the caller's own function says
    found = {
        what: outcome(kind(**{**parameters, name: value}).fit, X, y, allowed=allowed) for what, value in WRONG.items()
    }
    assert {what: wrong for what, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_wrong_data_of_an_estimator_is_refused_as_scikit_learn_does(kind):
    y, more = ESTIMATORS[kind]
    made = kind(**PARAMETERS, **more).fit(X, y)
    wrong = {}
    for what, value in WRONG.items():
        for name in ("X", "y", "sample_weight"):
            given = {"X": X, "y": y, "sample_weight": np.ones(6), name: value}
            wrong[name, what] = outcome(made.fit, **given, allowed=(ValueError, TypeError))
        wrong["predict", what] = outcome(made.predict, value, allowed=(ValueError, TypeError))
    assert {key: found for key, found in wrong.items() if found} == {}
