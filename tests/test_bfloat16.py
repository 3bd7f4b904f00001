"""Networks whose activations and deltas are stored as bfloat16, against float64 sums of what is stored."""

import copy
import json
import pickle

import naive
import numpy as np
import pytest
from numba import njit

import grapheme_numba as gn
from grapheme_numba import jit
from grapheme_numba.errors import StoppedEarly
from grapheme_numba.kernels.engine import simd, simd_reference
from grapheme_numba.kernels.engine.simd import FOUR, ONE, TWO

KINDS = ("leaky_relu", "tanh", "gelu", "linear")


def nearest(x):
    """Numbers as bfloat16 (uint16), by comparing distances in float64: independent of the kernels' arithmetic."""
    bits = np.asarray(x, np.float32).view(np.uint32)
    low = (bits >> 16).astype(np.uint32)
    values = [(code << 16).astype(np.uint32).view(np.float32).astype(np.float64) for code in (low, low + 1)]
    values[1] = np.where(np.isinf(values[1]), np.copysign(2.0**128, values[1]), values[1])
    exact = np.asarray(x, np.float32).astype(np.float64)
    below, above = np.abs(exact - values[0]), np.abs(values[1] - exact)
    up = (above < below) | ((above == below) & (low % 2 == 1))
    return np.where(np.isinf(exact), low, low + up).astype(np.uint16)


def widened(codes):
    return (codes.astype(np.uint32) << 16).view(np.float32)


def stored(x):
    return widened(nearest(np.asarray(x, np.float32))).astype(np.float64)


def every_pattern():
    """All upper halves with the lower halves at which rounding changes."""
    upper = np.arange(1 << 16, dtype=np.uint32) << 16
    lower = np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
    return (upper[:, None] | lower).ravel().view(np.float32)


@pytest.mark.filterwarnings("ignore:invalid value")
def test_rounding_is_exact_for_every_upper_half_and_keeps_nan():
    @njit
    def written(x, scalar_out, one_out, two_out, four_out):
        for i in range(x.size):
            simd.put(scalar_out, i, simd.at(x, i))
        for i in range(0, x.size, 16):
            simd.vstore(one_out, i, simd.vload(x, i, ONE))
        for i in range(0, x.size, 32):
            simd.vstore(two_out, i, simd.vpaired(two_out, simd.vload(x, i, TWO)))
        for i in range(0, x.size, 64):
            simd.vstore(four_out, i, simd.vpaired(four_out, simd.vload(x, i, FOUR)))

    x = every_pattern()
    got = np.zeros((4, x.size), np.uint16)
    written(x, *got)
    is_nan = np.isnan(x)
    wanted = nearest(np.where(is_nan, np.float32(0), x))
    for one in (*got, simd_reference.rounded(x)):
        np.testing.assert_array_equal(one[~is_nan], wanted[~is_nan])
        assert np.isnan(widened(one[is_nan])).all()
        np.testing.assert_array_equal(np.signbit(widened(one[is_nan])), np.signbit(x[is_nan]))


def test_reading_widens_and_orders_lanes_as_the_plain_operations_do():
    @njit
    def read(codes, start, numbers_out, out):
        simd.vstore(out, 0, simd.vload(codes, start, ONE))
        simd.vstore(out, 16, simd.vload(codes, start, TWO))
        simd.vstore(out, 48, simd.vload(codes, start, FOUR))
        simd.vstore(out, 112, simd.vnatural(codes, simd.vload(codes, start, FOUR)))
        for i in range(numbers_out.size):
            numbers_out[i] = simd.at(codes, i)

    codes = np.random.default_rng(1).permutation(1 << 16).astype(np.uint16)
    numbers, out = np.zeros(codes.size, np.float32), np.zeros(176, np.float32)
    for start in (0, 64, 77):
        read(codes, start, numbers, out)
        tokens = [simd_reference.vload(codes, start, token) for token in (ONE, TWO, FOUR)]
        wanted = np.concatenate([*tokens, widened(codes[start : start + 64])])
        np.testing.assert_array_equal(out.view(np.uint32), wanted.view(np.uint32))
    np.testing.assert_array_equal(numbers.view(np.uint32), codes.astype(np.uint32) << 16)


def mixed_network(dtype="bfloat16", n_node=120, n_edge=1500, aggregation="sum", kinds=KINDS):
    activation = ["linear"] * 9 + [kinds[i % len(kinds)] for i in range(n_node - 9)]
    return gn.DagNN.random(n_node, n_edge, 9, 11, seed=5, activation=activation, dtype=dtype, aggregation=aggregation)


def batch_for(dag, n, seed=2):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, dag.n_input)).astype(np.float32)
    return x, rng.standard_normal((n, dag.n_output)).astype(np.float32)


def by_node(dag, tiles, n):
    """What an array of tiles holds as (n, n_node) numbers, by the caller's ids."""
    rows = widened(np.ascontiguousarray(tiles)).transpose(0, 2, 1).reshape(-1, tiles.shape[1])[:n, : dag.n_node]
    result = np.empty_like(rows)
    result[:, dag.dag.node_order] = rows
    with np.errstate(invalid="ignore"):  # an input has no pre-activation: anything may stand there
        return result.astype(np.float64)


def ulp_apart(got, wanted):
    """Distances in steps of bfloat16 between stored numbers and float64 ones that are to be rounded."""
    a, b = (np.asarray(v, np.float32).view(np.uint32) >> 16 for v in (got, stored(wanted)))
    a, b = (np.where(v >> 15, -(v & 0x7FFF).astype(np.int64), v.astype(np.int64)) for v in (a, b))
    return np.abs(a - b)


@pytest.mark.parametrize("batch", [1, 20, 50, 150])
def test_each_node_holds_the_rounded_sum_of_what_its_neighbours_hold(batch):
    dag = mixed_network()
    dag.biases = np.where(np.arange(dag.n_node) < 9, 0, np.random.default_rng(3).standard_normal(dag.n_node))
    dag.keeps_deltas = True
    x, gy = batch_for(dag, batch)
    y = dag.forward(x)
    gx = dag.backward_accumulate(gy)
    tiles, graph = dag.latest_tiles(), dag.topology()
    act, delta, pre = (by_node(dag, part, batch) for part in (tiles.activations, tiles.deltas, tiles.pre))
    weights, biases = np.asarray(dag.weights, np.float64), np.asarray(dag.biases, np.float64)
    senders, receivers = graph["senders"], graph["receivers"]
    external, upstream = np.zeros((2, batch, dag.n_node))
    external[:, graph["inputs"]], upstream[:, graph["outputs"]] = x, gy
    off, n_checked = 0, 0
    for node in range(dag.n_node):
        into, out = receivers == node, senders == node
        kind = "linear" if node < 9 else KINDS[(node - 9) % len(KINDS)]
        function, derivative = naive.ACTIVATIONS[kind]
        total = biases[node] + external[:, node] + act[:, senders[into]] @ weights[into]
        value = np.vectorize(function)(total)
        apart = ulp_apart(act[:, node], value)
        if kind == "gelu":
            slope = np.vectorize(derivative)(pre[:, node])
        elif kind == "tanh":
            slope = 1 - act[:, node] ** 2
        else:
            slope = np.where(act[:, node] > 0, 1.0, 0.01) if kind == "leaky_relu" else 1.0
        exact = (upstream[:, node] + delta[:, receivers[out]] @ weights[out]) * slope
        np.testing.assert_allclose(delta[:, node], exact, rtol=2.0**-8, atol=1e-5 * np.abs(exact).max())
        if node in graph["outputs"]:
            np.testing.assert_allclose(y[:, list(graph["outputs"]).index(node)], value, rtol=1e-4, atol=1e-5)
        if node in graph["inputs"]:
            np.testing.assert_allclose(gx[:, node], exact, rtol=1e-4, atol=1e-5)
        else:
            np.testing.assert_allclose(dag.bias_grads[node], exact.sum(), rtol=1e-4, atol=1e-4 * batch)
        big = np.abs(value) > 1e-3  # next to 0 a float32 sum differs by more than a step
        assert apart[big].max(initial=0) <= 1
        off, n_checked = off + int((apart[big] > 0).sum()), n_checked + int(big.sum())
    assert off <= max(2, 0.002 * n_checked)  # only where a sum is next to the middle of two
    wanted = (act[:, senders] * delta[:, receivers]).sum(axis=0)
    np.testing.assert_allclose(dag.edge_grads, wanted, rtol=1e-4, atol=1e-5 * batch)


def test_outputs_leave_in_float32_and_activations_hold_them():
    dag = mixed_network()
    x, _ = batch_for(dag, 70)
    y, all_nodes = dag.forward(x), dag.activations()
    assert y.dtype == np.float32 and (y != stored(y)).any()
    np.testing.assert_array_equal(all_nodes[:, -11:], y)
    np.testing.assert_array_equal(all_nodes[:, :9], stored(x))
    np.testing.assert_array_equal(all_nodes[:, :-11], stored(all_nodes[:, :-11]))


def test_an_output_that_is_an_input_gives_what_is_stored():
    dag = gn.DagNN.from_edges([0, 1], [2, 2], inputs=[0, 1], outputs=[1, 2], dtype="bfloat16")
    x = np.random.default_rng(4).standard_normal((70, 2)).astype(np.float32)
    np.testing.assert_array_equal(dag.forward(x)[:, 0], stored(x[:, 1]))


@pytest.mark.parametrize("aggregation", ["sum", "mixed"])
def test_bits_depend_on_neither_threads_nor_strategy_nor_the_rest_of_the_batch(aggregation):
    kinds = ("sum", "mean", "max", "min")
    mixed = ["sum"] * 9 + [kinds[i % 4] for i in range(111)]
    dag = mixed_network(aggregation="sum" if aggregation == "sum" else mixed)
    x, gy = batch_for(dag, 150)
    found = []
    before = jit.n_threads()
    try:
        for threads in (1, 2):
            for strategy in ("tiles", "levels"):
                jit.set_threads(threads)
                dag.strategy = strategy
                dag.zero_grad()
                y = dag.forward(x)
                found.append((y, dag.backward_accumulate(gy), dag.gradients.copy()))
    finally:
        jit.set_threads(before)
    for other in found[1:]:
        for one, same in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, same)
    np.testing.assert_array_equal(dag.forward(x[:3]), found[0][0][:3])
    y, tape = dag.record(x)
    dag.forward(-x)
    dag.zero_grad()
    np.testing.assert_array_equal(y, found[0][0])
    np.testing.assert_array_equal(tape.backward(gy), found[0][1])
    np.testing.assert_array_equal(dag.gradients, found[0][2])


@pytest.mark.parametrize("aggregation", ["sum", "mean", "product", "max"])
def test_gradients_are_those_of_float32_but_for_rounding(aggregation):
    n = 40
    kinds = ["sum"] * 9 + [aggregation if i % 5 == 0 else "sum" for i in range(n - 9)]
    pair = [mixed_network(dtype, n, 150, kinds, kinds=("tanh", "gelu")) for dtype in ("float32", "bfloat16")]
    x, gy = batch_for(pair[0], 64)
    results = []
    for dag in pair:
        y = dag.forward(x)
        results.append((y, dag.backward_accumulate(gy), dag.gradients))
    # A maximum may be another sender's where two are nearly equal.
    bound = 0.15 if aggregation == "max" else 0.03
    for wanted, got in zip(*results, strict=True):
        assert 0 < np.linalg.norm(got - wanted) < bound * np.linalg.norm(wanted)


def test_precision_stays_with_copies_files_and_changes_of_topology(tmp_path):
    dag = mixed_network()
    assert (dag.precision, dag.dtype) == ("bfloat16", np.float32) and "bfloat16" in repr(dag)
    assert f"{dag.n_node * 2} B activations per example" in dag.summary()
    x, gy = batch_for(dag, 70)
    y = dag.forward(x)
    dag.save(tmp_path / "net.safetensors")
    same = copy.deepcopy(dag), pickle.loads(pickle.dumps(dag)), gn.load(tmp_path / "net.safetensors")
    for one in same:
        assert one.precision == "bfloat16" and one.parameters.dtype == np.float32
        np.testing.assert_array_equal(one.forward(x), y)
    dag.keeps_deltas = True
    dag.forward(x)
    dag.backward_accumulate(gy)
    for one in (gn.prune(dag, 0.5), gn.evolve(dag, "set"), gn.evolve(dag, "rigl")):
        assert one.precision == "bfloat16"
    found = gn.attribute(dag, x, 0)
    assert np.isfinite(found.edges).all() and found.edges.any()


def test_files_of_other_networks_stay_readable_for_older_releases(tmp_path):
    for dtype, version in (("float32", 1), ("float64", 1), ("bfloat16", 3)):
        path = tmp_path / f"{dtype}.safetensors"
        mixed_network(dtype).save(path)
        assert f'"version":"{version}"'.encode() in path.read_bytes()[:2000]
        assert gn.load(path).precision == dtype


def test_it_learns_as_float32_does():
    rng = np.random.default_rng(6)
    x = rng.standard_normal((256, 8)).astype(np.float32)
    t = np.sin(x[:, :2]) + x[:, 2:4] * x[:, 4:6]
    losses = []
    for dtype in ("float32", "bfloat16"):
        dag = gn.DagNN.layered([8, 48, 48, 2], 8, seed=1, activation="tanh", dtype=dtype)
        history = gn.fit(dag, x, t, epochs=60, batch_size=32, optimizer=gn.optim.AdamW(lr=5e-3), seed=0)
        losses.append(history["loss"])
    assert losses[0][-1] < 0.3 * losses[0][0]
    assert losses[1][-1] < 1.3 * losses[0][-1] + 0.01


def test_an_unknown_dtype_names_those_there_are():
    for dtype in ("float16", None, "bf16", np.int32):
        with pytest.raises(gn.ShapeError, match="choose 'float32', 'float64' or 'bfloat16'"):
            gn.DagNN.layered([2, 2], 1, dtype=dtype)


def last_weights(folder):
    return gn.load(folder).dag.weights.copy()


@pytest.mark.parametrize("trainer", ["agi", "unified"])
def test_a_run_stores_what_its_precision_says_and_resumes_to_the_same_bits(trainer, tmp_path):
    records(tmp_path / "train.jsonl")
    keys = {"data": str(tmp_path / "train.jsonl"), "split": "none", "epochs": 4, "hidden": (16,), "fan_in": 4}
    runs = {
        name: gn.train(trainer, output=str(tmp_path / name), precision=precision, **keys).folder
        for name, precision in (("whole", "bf16"), ("single", "float32"))
    }
    model = gn.load(runs["whole"])
    assert (model.dag.precision, gn.load(runs["single"]).dag.precision) == ("bfloat16", "float32")
    assert model.dag.weights.dtype == np.float32
    assert not np.array_equal(last_weights(runs["whole"]), last_weights(runs["single"]))
    stopped = tmp_path / "stopped"
    with pytest.raises(StoppedEarly):
        gn.train(trainer, output=str(stopped), precision="bf16", max_steps=2, **keys)
    with pytest.raises(gn.GraphemeError, match="a resumed run keeps its network, but these differ: precision"):
        gn.train(trainer, resume=str(stopped), precision="float32")
    gn.train(trainer, resume=str(stopped))
    assert np.array_equal(last_weights(stopped), last_weights(runs["whole"]))


def records(path):
    lines = [
        {
            "id": f"{n}",
            "domain": "math",
            "input_type": "text",
            "input": {"text": f"{n} + 5"},
            "expected_output": f"{n + 5}",
        }
        for n in range(130)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
