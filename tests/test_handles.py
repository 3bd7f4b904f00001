"""`dag.weights` and `dag.biases`: what is named changes, all else is refused, and nothing is swallowed."""

import copy
import pickle

import numpy as np
import pytest

import grapheme_numba as gn
from grapheme_numba.errors import GraphError, ShapeError, UsageError


def network(dtype="float32"):
    """Its edges are not in internal order, so that a position taken for another shows."""
    rng = np.random.default_rng(3)
    dag = gn.DagNN.layered([4, 8, 3], 3, seed=1, activation="tanh", dtype=dtype)
    arrays, order = dag.topology(), rng.permutation(dag.n_edge)
    return gn.DagNN.from_edges(
        arrays["senders"][order], arrays["receivers"][order], inputs=arrays["inputs"],
        outputs=arrays["outputs"], weights=rng.normal(size=dag.n_edge), activation="tanh", dtype=dtype,
        biases=np.where(np.arange(dag.n_node) < 4, 0, rng.normal(size=dag.n_node)),
    )  # fmt: skip


def step(dag):
    x = np.random.default_rng(1).normal(size=(6, 4)).astype(dag.dtype)
    dag.zero_grad()
    dag.forward(x)
    dag.backward_accumulate(np.ones((6, 3), dag.dtype))
    dag.step(0.01)


MASK = np.arange(33) % 3 == 0


def assign(key, value):
    def change(array):
        array[key] = value

    return change


# Each as a function of any array: what it does to a plain copy is what it must do to the network, if it is taken.
FORMS = {
    "w[0] = v": assign(0, 9.0),
    "w[-1] = v": assign(-1, 9.0),
    "w[np.int64] = v": assign(np.int64(5), 9.0),
    "w[2:7] = v": assign(slice(2, 7), 9.0),
    "w[2:7] = array": assign(slice(2, 7), np.arange(5.0)),
    "w[::-2] = v": assign(slice(None, None, -2), 1.5),
    "w[mask] = v": assign(MASK, 0.0),
    "w[mask] = array": assign(MASK, np.arange(11.0)),
    "w[list] = list": assign([3, 1, 4], [1.0, 2.0, 3.0]),
    "w[...] = v": assign(..., 0.25),
    "w[:] = array": assign(slice(None), np.linspace(0, 1, 33)),
    "w += v": lambda w: w.__iadd__(1),
    "w -= array": lambda w: w.__isub__(np.arange(33.0)),
    "w *= v": lambda w: w.__imul__(0.5),
    "w /= v": lambda w: w.__itruediv__(3),
    "w //= v": lambda w: w.__ifloordiv__(0.3),
    "w %= v": lambda w: w.__imod__(0.3),
    "w **= v": lambda w: w.__ipow__(2),
    "w[0] += v": lambda w: w.__setitem__(0, w[0] + 1),
    "w[2:7] += v": lambda w: w[2:7].__iadd__(1),
    "w[2:9][::2] *= v": lambda w: w[2:9][::2].__imul__(2),
    "w[:3][0] = v": lambda w: w[:3].__setitem__(0, 9.0),
    "w.fill": lambda w: w.fill(0),
    "w.sort": lambda w: w.sort(),
    "w.partition": lambda w: w.partition(3),
    "w.put": lambda w: w.put([0], 5.0),
    "w.itemset": lambda w: np.ndarray.__setitem__(w, 0, 5.0),
    "w.byteswap": lambda w: w.byteswap(inplace=True),
    "w.resize": lambda w: w.resize(3, refcheck=False),
    "w.setflags": lambda w: (w.setflags(write=True), w.fill(0)),
    "w.flags": lambda w: (setattr(w.flags, "writeable", True), w.fill(0)),
    "w.flat[0] = v": lambda w: w.flat.__setitem__(0, 9.0),
    "w.data[0] = v": lambda w: memoryview(w).__setitem__(0, 9.0),
    "w.view()[0] = v": lambda w: w.view(np.ndarray).__setitem__(0, 9.0),
    "w.reshape()[0] = v": lambda w: w.reshape(3, 11).__setitem__((0, 0), 9.0),
    "w.T[0] = v": lambda w: w.T.__setitem__(0, 9.0),
    "w.real[0] = v": lambda w: w.real.__setitem__(0, 9.0),
    "asarray(w)[0] = v": lambda w: np.asarray(w).__setitem__(0, 9.0),
    "np.copyto": lambda w: np.copyto(w, 0),
    "np.put": lambda w: np.put(w, [0], 5.0),
    "np.putmask": lambda w: np.putmask(w, MASK, 5.0),
    "np.place": lambda w: np.place(w, MASK, [5.0]),
    "np.put_along_axis": lambda w: np.put_along_axis(w, np.array([0]), 5.0, 0),
    "np.fill_diagonal": lambda w: np.fill_diagonal(w.reshape(3, 11), 5.0),
    "np.add.at": lambda w: np.add.at(w, [0], 5.0),
    "np.multiply(out=)": lambda w: np.multiply(w, 2, out=w),
    "np.multiply(out=plain view)": lambda w: np.multiply(w, 2, out=np.asarray(w)),
    "np.clip(out=)": lambda w: np.clip(w, -0.1, 0.1, out=w),
    "np.cumsum(out=)": lambda w: np.cumsum(w, out=w),
    "np.take(out=)": lambda w: np.take(w, np.arange(33)[::-1], out=w, mode="clip"),
    "np.sort via random": lambda w: np.random.default_rng(3).shuffle(w),
    "np.nan_to_num": lambda w: np.nan_to_num(np.divide(w, 0, where=False, out=w), copy=False),
    "random(out=)": lambda w: np.random.default_rng(3).standard_normal(out=w, dtype=w.dtype),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_form_does_what_it_says_or_is_refused(form):
    dag, twin = network(), network()
    before = np.array(dag.weights, subok=False)
    wanted = before.copy()
    FORMS[form](wanted)
    handle = dag.weights
    try:
        FORMS[form](handle)
    except (gn.GraphemeError, ValueError, TypeError, BufferError, NotImplementedError):
        np.testing.assert_array_equal(dag.weights, before)
        np.testing.assert_array_equal(handle, before)
        return
    np.testing.assert_array_equal(dag.weights, wanted)
    np.testing.assert_array_equal(handle, wanted)
    twin.weights = wanted
    x = np.ones((2, 4), np.float32)
    assert dag.forward(x).tobytes() == twin.forward(x).tobytes()


@pytest.mark.parametrize("form", [form for form in FORMS if form.startswith("w") and "=" in form])
def test_a_handle_from_before_a_step_writes_nothing(form):
    dag = network()
    handle = dag.weights
    step(dag)
    trained = np.array(dag.weights)
    with pytest.raises((ValueError, TypeError), match=r"read before the network changed|read-only"):
        FORMS[form](handle)
    np.testing.assert_array_equal(dag.weights, trained)


@pytest.mark.parametrize(
    "change",
    [
        step,
        lambda dag: setattr(dag, "weights", np.zeros(33)),
        lambda dag: setattr(dag, "biases", np.zeros(15)),
        lambda dag: dag.weights.__setitem__(1, 7.0),
        lambda dag: (dag.parameters.fill(1), dag.parameters_changed()),
    ],
)
def test_whatever_changes_the_network_makes_a_handle_old(change):
    dag = network()
    weights, biases = dag.weights, dag.biases
    change(dag)
    after = np.array(dag.weights), np.array(dag.biases)
    for handle, name in ((weights, "weights"), (biases, "biases")):
        with pytest.raises(UsageError, match=f"these {name} were read before the network changed"):
            handle[5] = 1.0
    np.testing.assert_array_equal(dag.weights, after[0])
    np.testing.assert_array_equal(dag.biases, after[1])


def test_augmented_assignment_to_the_network_itself():
    dag = network("float64")
    wanted = np.array(dag.weights)
    dag.weights += 1
    dag.weights *= 2
    dag.weights[3:5] -= 1
    dag.weights[MASK] += 4
    dag.biases[5] += 2
    wanted = (wanted + 1) * 2
    wanted[3:5] -= 1
    wanted[MASK] += 4
    np.testing.assert_array_equal(dag.weights, wanted)


def test_one_handle_may_write_again_and_again():
    dag = network()
    handle = dag.weights
    for place in range(33):
        handle[place] = place
    np.testing.assert_array_equal(dag.weights, np.arange(33))
    np.testing.assert_array_equal(handle, np.arange(33))


def test_a_copy_belongs_to_nobody():
    dag = network()
    before = np.array(dag.weights)
    copies = [dag.weights.copy(), np.array(dag.weights), copy.deepcopy(dag.weights), dag.weights + 0]
    copies += [pickle.loads(pickle.dumps(dag.weights)), dag.weights[MASK], dag.weights.astype(np.float64)]
    for other in copies:
        other[0] = 99.0
        other += 1
    np.testing.assert_array_equal(dag.weights, before)


def test_values_that_cannot_be_are_refused():
    dag = network()
    before = np.array(dag.weights), np.array(dag.biases)
    with pytest.raises(ShapeError, match=r"weights\[4\] is nan; every value must be a finite number"):
        dag.weights[4] = np.nan
    with pytest.raises(ShapeError, match=r"weights\[...\] cannot be set to str: could not convert"):
        dag.weights[4] = "much"
    with pytest.raises(ShapeError, match=r"weights\[...\] cannot be set to list"):
        dag.weights[:2] = [1.0, 2.0, 3.0]
    with pytest.raises(IndexError, match="index 33 is out of bounds"):
        dag.weights[33] = 1.0
    with pytest.raises(GraphError, match="inputs have no bias"):
        dag.biases[0] = 1.0
    with pytest.raises(GraphError, match="inputs have no bias"):
        dag.biases += 1
    dag.biases[0] = 0.0
    np.testing.assert_array_equal(dag.weights, before[0])
    np.testing.assert_array_equal(dag.biases, before[1])


def test_input_biases_stay_0_whoever_writes_the_flat_vector():
    """Noise, an optimiser of one's own, an evolution strategy: what they write there is no parameter."""
    dag, twin = network(), network()
    rng = np.random.default_rng(4)
    noise = rng.normal(size=dag.parameters.size).astype(np.float32)
    dag.parameters += noise
    assert not np.array(dag.biases)[:4].any()
    dag.parameters_changed()
    flat = dag.to_caller_order(dag.parameters)
    assert not flat[33:37].any()
    twin.weights, twin.biases = flat[:33], flat[33:]
    x = rng.normal(size=(5, 4)).astype(np.float32)
    assert dag.forward(x).tobytes() == twin.forward(x).tobytes()
    for other in (copy.deepcopy(dag), copy.copy(dag), pickle.loads(pickle.dumps(dag))):
        assert other.forward(x).tobytes() == dag.forward(x).tobytes()
