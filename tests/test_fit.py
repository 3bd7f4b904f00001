"""`gn.fit`: the same steps as by hand, what it takes, what it keeps, and what it refuses."""

import numpy as np
import pandas
import pyarrow
import pytest
import scipy.sparse
import torch

import grapheme_numba as gn
from grapheme_numba.errors import NonFiniteError, ShapeError, UsageError

ADAM = gn.optim.Adam(lr=0.02)


def network(dtype="float64", n_out=2):
    return gn.DagNN.layered([3, 12, n_out], 3, seed=1, activation=["tanh"] * 15 + ["linear"] * n_out, dtype=dtype)


def examples(n=100, seed=0, n_out=2):
    x = np.random.default_rng(seed).normal(size=(n, 3))
    return x, np.stack([x[:, 0] * x[:, 1], np.sin(x[:, 2])], axis=1)[:, :n_out]


def test_it_takes_the_steps_that_one_would_take_by_hand():
    x, y = examples(50)
    dag, twin = network(), network()
    schedule = gn.optim.cosine(warmup=0.1)
    history = gn.fit(dag, x, y, optimizer=ADAM, schedule=schedule, epochs=3, batch_size=16, shuffle=False, max_norm=0.5)
    parameters, state, losses = twin.parameters.copy(), ADAM.init(twin.parameters), []
    for epoch in range(3):
        total = 0.0
        for batch in range(4):
            rows = slice(16 * batch, 16 * batch + 16)
            loss, grad = gn.mse(twin.forward(x[rows]), y[rows])
            twin.zero_grad()
            twin.backward_accumulate(grad)
            mean = twin.gradients / len(x[rows])
            mean *= min(1.0, 0.5 / np.linalg.norm(mean))
            rate = ADAM.lr * schedule(4 * epoch + batch, 12)
            parameters, state = ADAM.update(parameters, mean, state, rate)
            twin.parameters[:] = parameters
            twin.parameters_changed()
            total += loss
        losses.append(total / 50)
    np.testing.assert_allclose(dag.parameters, parameters, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-9)
    assert (history.n_step, history.best_epoch, list(history), len(history)) == (12, 3, ["loss"], 1)
    assert repr(history).startswith("History(3 epochs, best 3: loss ")
    assert not dag.gradients.any()


@pytest.mark.parametrize("optimizer", [gn.optim.SGD(0.1), gn.optim.Momentum(0.02), ADAM, gn.optim.AdamW(0.02)])
def test_every_optimizer_learns(optimizer):
    history = gn.fit(network("float32"), *examples(200), optimizer=optimizer, epochs=40, batch_size=20)
    assert history["loss"][-1] < 0.5 * history["loss"][0]


def test_validation_brings_back_the_best_weights():
    x, y = examples(60)
    dag, seen = network(), []
    history = gn.fit(
        dag, x, y, optimizer=gn.optim.Adam(lr=0.3), epochs=15, validation=examples(30, seed=9), batch_size=10,
        callbacks=[lambda state: seen.append(state.dag.parameters.copy())],
    )  # fmt: skip
    best = int(np.argmin(history["val_loss"]))
    assert best < 14
    assert history.best_epoch == best + 1
    np.testing.assert_array_equal(dag.parameters, seen[best])
    xv, yv = examples(30, seed=9)
    assert history["val_loss"][best] == pytest.approx(gn.mse(dag.forward(xv), yv)[0] / 30)
    assert history["loss"].shape == history["val_loss"].shape == (15,)


def test_patience_ends_it():
    history = gn.fit(
        network(), *examples(60), optimizer=gn.optim.Adam(lr=0.3), epochs=100, validation=0.3, patience=4, batch_size=10
    )
    assert len(history["val_loss"]) == history.best_epoch + 4 < 100


def test_a_seed_decides_all():
    runs = {}
    for seed in (1, 1, 2):
        dag = network("float32")
        gn.fit(dag, *examples(), optimizer=ADAM, epochs=2, validation=0.2, seed=seed)
        runs.setdefault(seed, set()).add(dag.parameters.tobytes())
    assert len(runs[1]) == 1
    assert runs[1] != runs[2]


def test_callbacks_see_and_stop():
    seen = []

    class Watcher:
        closed = False

        def __call__(self, state):
            seen.append((state.epoch, state.n_epoch, state.step, len(state.history["loss"]), state.dag))
            if state.epoch == 3:
                state.stop()

        def close(self):
            self.closed = True

    dag, watcher = network(), Watcher()
    history = gn.fit(dag, *examples(64), epochs=9, batch_size=32, callbacks=[watcher])
    assert seen == [(1, 9, 2, 1, dag), (2, 9, 4, 2, dag), (3, 9, 6, 3, dag)]
    assert len(history["loss"]) == 3
    assert watcher.closed


def sources(x):
    yield "list", x.tolist()
    yield "float32", x.astype(np.float32)
    yield "Fortran order", np.asfortranarray(x)
    yield "read-only", np.frombuffer(x.tobytes()).reshape(x.shape)
    yield "pandas", pandas.DataFrame(x, columns=list("abc"))
    yield "Arrow", pyarrow.table({name: x[:, at] for at, name in enumerate("abc")})
    halves = [pyarrow.table({name: part[:, at] for at, name in enumerate("abc")}) for part in (x[:50], x[50:])]
    yield "Arrow in chunks", pyarrow.concat_tables(halves)
    yield "torch", torch.from_numpy(x)
    yield "torch with grad", torch.from_numpy(x).requires_grad_()
    yield "CSR", scipy.sparse.csr_array(x)
    yield "CSC matrix", scipy.sparse.csc_matrix(x)
    yield "COO", scipy.sparse.coo_array(x)


def test_every_source_gives_the_same_bits():
    x, y = examples()
    x = x.astype(np.float32).astype(np.float64)
    found = {}
    for name, source in sources(x):
        dag = network("float32")
        gn.fit(dag, source, y, optimizer=ADAM, epochs=1, batch_size=30)
        found[name] = dag.parameters.tobytes()
    for target in (pandas.DataFrame(y), torch.from_numpy(y), pyarrow.table({"a": y[:, 0], "b": y[:, 1]}), y.tolist()):
        dag = network("float32")
        gn.fit(dag, x, target, optimizer=ADAM, epochs=1, batch_size=30)
        found[type(target).__name__] = dag.parameters.tobytes()
    assert len(set(found.values())) == 1, list(found)


class OnlyDlpack:
    """What a library without the array interface offers."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_dlpack_and_one_column_targets():
    x, y = examples(n_out=1)
    dags = [network(n_out=1) for _ in range(4)]
    for dag, rows, target in zip(
        dags, (OnlyDlpack(x), x, x, x), (y, y[:, 0], pandas.Series(y[:, 0]), pyarrow.array(y[:, 0])), strict=True
    ):
        gn.fit(dag, rows, target, epochs=1)
    assert len({dag.parameters.tobytes() for dag in dags}) == 1


@pytest.mark.parametrize("loss", ["mse", "cross_entropy", "binary_cross_entropy", "huber", "own"])
def test_losses_and_weights(loss):
    """An example of weight 2 counts as two, of weight 0 as none, under every loss."""
    x, y = examples(30)
    y = {"cross_entropy": (y[:, 0] > 0).astype(int), "binary_cross_entropy": y > 0}.get(loss, y)
    weight = np.tile([0.0, 1.0, 2.0], 10)
    repeated = np.repeat(np.arange(30), weight.astype(int))
    function = (lambda y, t: (float(((y - t) ** 4).sum()), 4 * (y - t) ** 3)) if loss == "own" else loss
    options = {"loss": function, "optimizer": gn.optim.SGD(0.05), "epochs": 20, "batch_size": 100, "shuffle": False}
    dag, twin = network(), network()
    history = gn.fit(dag, x, y, sample_weight=weight, **options)
    other = gn.fit(twin, x[repeated], y[repeated], **options)
    np.testing.assert_allclose(dag.parameters, twin.parameters, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(history["loss"], other["loss"], rtol=1e-9)
    assert history["loss"][-1] < history["loss"][0]


def test_masks_freeze_and_factors_slow_edges_in_the_callers_order():
    made = network()
    arrays, order = made.topology(), np.random.default_rng(3).permutation(made.n_edge)
    dag = gn.DagNN.from_edges(
        arrays["senders"][order], arrays["receivers"][order], inputs=arrays["inputs"], outputs=arrays["outputs"],
        activation="tanh", dtype="float64",
    )  # fmt: skip
    assert not np.array_equal(dag.dag.edge_order, np.arange(dag.n_edge))
    before, mask = np.array(dag.weights), np.arange(dag.n_edge) % 2 == 0
    gn.fit(dag, *examples(), optimizer=gn.optim.AdamW(lr=0.1), epochs=2, edge_mask=mask)
    np.testing.assert_array_equal(np.array(dag.weights) == before, ~mask)
    x, y = examples(20)
    whole, half, start = network(), network(), np.array(network().weights)
    one = {"optimizer": gn.optim.SGD(0.1), "epochs": 1, "batch_size": 20}
    gn.fit(whole, x, y, **one)
    gn.fit(half, x, y, **one, edge_lr=np.full(whole.n_edge, 0.5))
    np.testing.assert_allclose(np.array(half.weights) - start, 0.5 * (np.array(whole.weights) - start), rtol=1e-9)


def test_the_network_keeps_its_gradients_and_flags():
    dag = network()
    dag.forward(examples()[0])
    dag.backward_accumulate(np.ones((100, 2)))
    kept, dag.requires_grad = dag.gradients.copy(), False
    gn.fit(dag, *examples(), epochs=1)
    np.testing.assert_array_equal(dag.gradients, kept)
    assert not dag.requires_grad


def test_a_diverging_run_says_so_and_leaves_the_network_as_it_was():
    dag = network("float32")
    before = dag.parameters.copy()
    with pytest.raises(NonFiniteError, match=r"not finite in step|the loss is|val_loss is"):
        gn.fit(dag, *examples(), optimizer=gn.optim.SGD(1e30), epochs=50)
    np.testing.assert_array_equal(dag.parameters, before)


X, Y = examples()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"x": np.ma.masked_greater(X, 1)}, ShapeError, "x is a masked array; fill the masked entries"),
        ({"y": np.ma.masked_greater(Y, 1)}, ShapeError, "y is a masked array"),
        ({"x": np.where(X[7, 1] == X, np.nan, X)}, ShapeError, r"x\[7, 1\] is not a finite number"),
        ({"y": np.where(Y[3, 0] == Y, np.inf, Y)}, ShapeError, r"y\[3, 0\] is not a finite number"),
        ({"x": X.astype(object)}, ShapeError, r"x holds Python objects \(dtype object\)"),
        ({"x": X.astype(str)}, ShapeError, "x holds text"),
        ({"x": X + 1j}, ShapeError, "x holds complex numbers"),
        ({"x": pandas.DataFrame({"a": [1, None], "b": ["u", "v"], "c": 0})}, ShapeError, "x holds Python objects"),
        ({"x": pyarrow.table({"a": [1.0, None]})}, ShapeError, r"x\[1, 0\] is not a finite number"),
        ({"x": scipy.sparse.csr_array(np.full((100, 3), np.nan))}, ShapeError, "x is a sparse array"),
        ({"x": [[1.0, 2.0, 3.0], [1.0]]}, ShapeError, "x cannot be read as an array"),
        ({"x": X[:, :2]}, ShapeError, r"x has shape \(100, 2\); wanted \(n_example, 3\)"),
        ({"x": X[:0]}, ShapeError, "at least one example"),
        ({"y": Y[:50]}, ShapeError, r"y has shape \(50, 2\); wanted \(100, 2\)"),
        ({"y": Y[:, 0]}, ShapeError, r"y has shape \(100,\); wanted \(100, 2\)"),
        ({"y": Y[:, 0], "loss": "cross_entropy"}, ShapeError, "cross_entropy wants whole numbers"),
        ({"y": np.full(100, 2), "loss": "cross_entropy"}, ShapeError, "y runs from 2 to 2; there are 2 outputs"),
        ({"loss": "hinge"}, UsageError, "unknown loss 'hinge'; choose one of mse, cross_entropy"),
        ({"loss": lambda y, t: (0.0, y[:1])}, ShapeError, "the loss returned a gradient of shape"),
        ({"optimizer": "adam"}, UsageError, "optimizer is 'adam'; give one of gn.optim"),
        ({"schedule": "poly"}, UsageError, "unknown lr schedule 'poly'"),
        ({"epochs": 0}, UsageError, "epochs is 0; give a whole number of at least 1"),
        ({"batch_size": 1.5}, UsageError, "batch_size is 1.5"),
        ({"patience": 3}, UsageError, "patience counts epochs without a lower val_loss; give validation too"),
        ({"validation": 1.0}, UsageError, r"validation is 1.0; give \(x, y\) or a share between 0 and 1"),
        ({"validation": (X,)}, UsageError, "validation is a tuple of 1"),
        ({"validation": (X[:, :2], Y)}, ShapeError, r"validation x has shape \(100, 2\)"),
        ({"validation": 0.999}, ShapeError, "validation wants 100 of 100 examples"),
        ({"max_norm": -1}, UsageError, "max_norm is -1"),
        ({"sample_weight": np.zeros(100)}, ShapeError, "numbers of at least 0 that are not all 0"),
        ({"sample_weight": np.ones(3)}, ShapeError, r"sample_weight has shape \(3,\)"),
        ({"edge_mask": np.ones(3)}, ShapeError, r"edge_mask has shape \(3,\); wanted \(42,\), booleans"),
        ({"edge_mask": np.full(42, 0.5)}, ShapeError, "booleans, True where an edge is trained"),
        ({"edge_lr": np.full(42, -1.0)}, ShapeError, "factors of at least 0"),
    ],
)
def test_what_cannot_be_meant_is_refused(changes, error, message):
    arguments = {"x": X, "y": Y, **changes}
    dag = network()
    before = dag.parameters.copy()
    with pytest.raises(error, match=message):
        gn.fit(dag, arguments.pop("x"), arguments.pop("y"), **arguments)
    np.testing.assert_array_equal(dag.parameters, before)
