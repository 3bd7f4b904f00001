"""Exports to other frameworks compute the same outputs, for every activation and odd graphs."""

import named_graphs
import numpy as np
import onnx
import onnxruntime
import pytest
import strategies

from grapheme_numba import DagNN
from grapheme_numba.errors import GraphError
from grapheme_numba.graph.build import ACTIVATIONS
from grapheme_numba.graph.named import NamedGraph


def networks():
    """Random networks, odd ones, and one with every activation there is."""
    yield from (DagNN.from_graph(named_graphs.random_named(seed)) for seed in range(25))
    yield from (DagNN.from_edges(**strategies.odd(name)) for name in strategies.ODD)
    hidden = list(range(1, len(ACTIVATIONS) + 1))
    yield DagNN.from_edges(
        [0] * len(hidden), hidden, inputs=[0], outputs=hidden, activation=["linear", *ACTIVATIONS],
        weights=np.linspace(0.3, 0.8, len(hidden)), biases=[0.0, *np.linspace(-0.5, 0.5, len(hidden))],
    )  # fmt: skip


def test_onnx_computes_the_same(rng, tmp_path):
    for dag in networks():
        x = rng.normal(size=(5, dag.n_input)).astype(np.float32)
        model = NamedGraph.of(dag).to_onnx(tmp_path / "model.onnx")
        assert model == onnx.load(tmp_path / "model.onnx")
        session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
        np.testing.assert_allclose(session.run(None, {"x": x})[0], dag.forward(x), rtol=1e-5, atol=1e-5)


@pytest.mark.long
def test_torch_computes_the_same_with_the_same_gradients(rng):
    """Under `long` because PyTorch is a peer, not a dependency."""
    import torch

    for dag in networks():
        x = rng.normal(size=(5, dag.n_input)).astype(np.float32)
        gy = rng.normal(size=(5, dag.n_output)).astype(np.float32)
        module = NamedGraph.of(dag).to_torch()
        moved = torch.tensor(x, requires_grad=True)
        y = module(moved)
        np.testing.assert_allclose(y.detach().numpy(), dag.forward(x), rtol=1e-5, atol=1e-5)
        y.backward(torch.tensor(gy))
        gx = dag.backward_accumulate(gy)
        np.testing.assert_allclose(moved.grad.numpy(), gx, rtol=1e-4, atol=1e-4)
        if dag.n_edge:
            np.testing.assert_allclose(module.weights.grad.numpy(), dag.edge_grads, rtol=1e-4, atol=1e-4)


@pytest.mark.long
def test_what_torch_trains_goes_back_into_the_network(rng):
    """Any optimiser of PyTorch moves whatever is a parameter; inputs have no bias, so none of theirs is one."""
    import torch

    moved = 0
    for number, dag in enumerate(networks()):
        module = NamedGraph.of(dag).to_torch()
        size = sum(parameter.numel() for parameter in module.parameters())
        assert size == dag.n_edge + dag.n_node - dag.n_input
        build = (torch.optim.SGD, torch.optim.AdamW, torch.optim.RMSprop)[number % 3]
        optimizer, x = build(module.parameters(), lr=0.05), rng.normal(size=(5, dag.n_input)).astype(np.float32)
        for _ in range(2):
            optimizer.zero_grad()
            module(torch.tensor(x)).sum().backward()
            optimizer.step()
        before = np.array(dag.weights)
        dag.weights, dag.biases = module.weights.detach().numpy(), module.biases.detach().numpy()
        moved += not np.array_equal(dag.weights, before)
        np.testing.assert_allclose(module(torch.tensor(x)).detach().numpy(), dag.forward(x), rtol=1e-4, atol=1e-4)
        again = NamedGraph.of(dag).to_torch()
        again.load_state_dict(module.state_dict())
    assert moved > number / 2


def test_a_graph_without_weights_is_no_model():
    graph = named_graphs.random_named(1, weighted=False)
    with pytest.raises(GraphError, match="states no weights or no activations; build a network"):
        graph.to_onnx()
