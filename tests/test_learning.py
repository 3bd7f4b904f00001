"""Networks that must learn: a regression with a closed form, XOR from every seed, handwritten digits."""

import numpy as np
import scipy.linalg
import sklearn.datasets
import sklearn.model_selection

import grapheme_numba as gn


def test_linear_regression_is_recovered():
    """Two levels of linear nodes, full-batch gradient descent: the weights and biases that lstsq finds."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 5))
    target = x @ rng.normal(size=(5, 2)) + rng.normal(size=2) + 0.1 * rng.normal(size=(200, 2))
    exact = scipy.linalg.lstsq(np.column_stack([x, np.ones(200)]), target)[0]

    senders, receivers = np.repeat(np.arange(5), 2), 5 + np.tile(np.arange(2), 5)
    dag = gn.DagNN.from_edges(
        senders, receivers, inputs=range(5), outputs=[5, 6], activation="linear", dtype="float64", seed=2
    )
    for _ in range(500):
        dag.zero_grad()
        _, grad = gn.mse(dag.forward(x), target)
        dag.backward_accumulate(grad)
        dag.step(0.3 / len(x))
    np.testing.assert_allclose(dag.weights.reshape(5, 2), exact[:5], atol=1e-4)
    np.testing.assert_allclose(dag.biases[5:], exact[5], atol=1e-4)


def test_xor_is_learned_from_100_of_100_seeds():
    """2 inputs, 8 tanh nodes, 1 linear output and two skip edges, trained by plain gradient descent."""
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32)
    target = np.array([[0], [1], [1], [0]], dtype=np.float32)
    senders = [0] * 8 + [1] * 8 + list(range(2, 10)) + [0, 1]
    receivers = list(range(2, 10)) * 2 + [10] * 8 + [10, 10]
    activation = ["linear"] * 2 + ["tanh"] * 8 + ["linear"]
    failed = []
    for seed in range(100):
        dag = gn.DagNN.from_edges(senders, receivers, inputs=[0, 1], outputs=[10], activation=activation, seed=seed)
        for _ in range(2000):
            y = dag.forward(x)
            loss, grad = gn.mse(y, target)
            if loss < 0.01:
                break
            dag.zero_grad()
            dag.backward_accumulate(grad)
            dag.step(0.04)
        if not np.array_equal(y > 0.5, target > 0.5) or loss >= 0.01:
            failed.append(seed)
    assert failed == []


def digits():
    images, labels = sklearn.datasets.load_digits(return_X_y=True)
    x = (images / 16).astype(np.float32)
    return sklearn.model_selection.train_test_split(x, labels, test_size=0.2, random_state=0, stratify=labels)


def held_out_accuracy(dag, epochs, lr):
    """Minibatch gradient descent on one-hot targets; accuracy on a held-out fifth."""
    x, x_test, labels, labels_test = digits()
    target = np.eye(10, dtype=np.float32)[labels]
    for epoch in range(epochs):
        order = np.random.default_rng([3, epoch]).permutation(len(x))
        for start in range(0, len(x), 32):
            rows = order[start : start + 32]
            _, grad = gn.mse(dag.forward(x[rows]), target[rows])
            dag.zero_grad()
            dag.backward_accumulate(grad)
            dag.step(lr / len(rows))
    return float(np.mean(dag.forward(x_test).argmax(axis=1) == labels_test))


def test_digits_with_a_dense_classifier():
    assert held_out_accuracy(gn.DagNN.classifier(64, 64, 10, seed=1), epochs=30, lr=0.5) >= 0.93


def test_digits_with_a_sparse_layered_network():
    """About 1,700 edges where the dense network above has 4,736."""
    activation = ["linear"] * 64 + ["leaky_relu"] * 96 + ["linear"] * 10
    dag = gn.DagNN.layered([64, 64, 32, 10], fan_in=16, skip=0.2, seed=2, activation=activation)
    assert dag.n_edge < 1700
    assert held_out_accuracy(dag, epochs=60, lr=1.0) >= 0.93
