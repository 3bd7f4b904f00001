"""`gn.torch.DagLayer`: exact gradients, one memory with the network, and what PyTorch does to modules."""

import copy
import io

import numpy as np
import pytest
import strategies
import torch

import grapheme_numba as gn
from grapheme_numba.errors import ShapeError, UsageError


def network(dtype="float64", seed=1, activation="tanh"):
    """Its edges are not in internal order, so that an order taken for another shows."""
    made = gn.DagNN.layered([4, 9, 3], 3, seed=seed)
    arrays, order = made.topology(), np.random.default_rng(seed).permutation(made.n_edge)
    dag = gn.DagNN.from_edges(
        arrays["senders"][order], arrays["receivers"][order], inputs=arrays["inputs"], outputs=arrays["outputs"],
        activation=activation, dtype=dtype, seed=seed,
    )  # fmt: skip
    dag.biases = np.where(np.arange(16) < 4, 0, np.random.default_rng(seed).normal(size=16))
    return dag


def inputs(batch=5, dtype=torch.float64, seed=2):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(batch, 4))).to(dtype)


@pytest.mark.parametrize("seed", range(6))
def test_gradcheck(seed):
    dag = gn.DagNN.from_edges(**{**strategies.random_dag(seed, max_node=12), "activation": "tanh"}, dtype="float64")
    layer = gn.torch.DagLayer(dag)
    x = torch.from_numpy(np.random.default_rng(seed).normal(size=(3, dag.n_input))).requires_grad_()
    assert torch.autograd.gradcheck(layer, x)
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, layer.weights, layer.biases))
    assert torch.autograd.gradcheck(
        lambda x, w, b: torch.func.functional_call(layer, {"weights": w, "biases": b}, (x,)),
        (x, layer.weights.detach().clone().requires_grad_(), layer.biases.detach().clone().requires_grad_()),
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_passes_and_gradients_are_the_networks(dtype):
    dag = network(dtype)
    layer, x = gn.torch.DagLayer(dag), inputs(dtype=getattr(torch, dtype)).requires_grad_()
    y = layer(x)
    gy = torch.ones_like(y)
    y.backward(gy)
    other = network(dtype)
    np.testing.assert_array_equal(y.detach().numpy(), other.forward(x.detach().numpy()))
    np.testing.assert_array_equal(x.grad.numpy(), other.backward_accumulate(gy.numpy()))
    np.testing.assert_array_equal(layer.weights.grad.numpy(), other.gradients[: dag.n_edge])
    np.testing.assert_array_equal(layer.biases.grad.numpy(), other.gradients[dag.n_edge :])
    assert not dag.gradients.any()


def test_parameters_and_network_are_one_memory():
    dag = network()
    layer = gn.torch.DagLayer(dag)
    assert np.shares_memory(layer.weights.detach().numpy(), dag.parameters)
    assert np.shares_memory(layer.biases.detach().numpy(), dag.parameters)
    before, x = np.array(dag.weights), inputs()
    with torch.no_grad():
        layer.weights.mul_(2)
    np.testing.assert_array_equal(dag.weights, 2 * before)
    np.testing.assert_array_equal(dag.forward(x.numpy()), layer(x).detach().numpy())
    dag.weights = before
    np.testing.assert_array_equal(layer(x).detach().numpy(), dag.forward(x.numpy()))
    layer.weights.data.mul_(3)  # unseen by PyTorch's own version counter
    twin = network()
    twin.weights = 3 * before
    np.testing.assert_array_equal(dag.forward(x.numpy()), twin.forward(x.numpy()))
    torch.nn.utils.vector_to_parameters(torch.ones(dag.n_edge + dag.n_node, dtype=torch.float64), layer.parameters())
    layer(x)
    assert (np.array(dag.weights) == 1).all()
    assert np.array(dag.biases).tolist() == [0.0] * 4 + [1.0] * 12


@pytest.mark.parametrize(("optimizer", "rate"), [("SGD", 0.2), ("AdamW", 0.02)])
def test_torch_optimizers_train_the_network(optimizer, rate):
    dag = network("float32")
    model = torch.nn.Sequential(torch.nn.Linear(2, 4), gn.torch.DagLayer(dag), torch.nn.Linear(3, 1))
    with torch.no_grad():
        for number, parameter in enumerate(model[0].parameters()):
            parameter.copy_(torch.linspace(-0.5, 0.5 + number, parameter.numel()).reshape(parameter.shape))
        for parameter in model[2].parameters():
            parameter.fill_(0.3)
    x = torch.linspace(-1, 1, 64).reshape(32, 2)
    t = x[:, :1] * x[:, 1:]
    steps = getattr(torch.optim, optimizer)(model.parameters(), lr=rate, weight_decay=1e-4)
    before, losses = np.array(dag.weights), []
    for _ in range(200):
        loss = torch.nn.functional.mse_loss(model(x), t)
        steps.zero_grad()
        loss.backward()
        steps.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
    assert not np.array_equal(dag.weights, before)
    assert not np.array(dag.biases)[:4].any()
    np.testing.assert_array_equal(model[1](x.repeat(1, 2)).detach(), dag.forward(x.repeat(1, 2).numpy()))


def test_several_calls_before_one_backward():
    layer, twin = gn.torch.DagLayer(network()), network()
    first, second = inputs(3, seed=5), inputs(40, seed=6)
    (layer(first).sum() + (2 * layer(second)).sum() - layer(first).pow(2).sum()).backward()
    y = twin.forward(first.numpy())
    twin.backward_accumulate(1 - 2 * y)
    twin.forward(second.numpy())
    twin.backward_accumulate(np.full((40, 3), 2.0))
    np.testing.assert_allclose(layer.weights.grad.numpy(), twin.gradients[: twin.n_edge], rtol=1e-12, atol=1e-13)


def test_a_retained_graph_goes_back_twice_and_a_stale_one_never():
    layer = gn.torch.DagLayer(network())
    y = layer(inputs()).sum()
    y.backward(retain_graph=True)
    once = layer.weights.grad.clone()
    y.backward(retain_graph=True)
    torch.testing.assert_close(layer.weights.grad, 2 * once)
    with torch.no_grad():
        layer.weights.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()
    y = layer(inputs()).sum()
    layer.dag.weights[0] = 3.0
    with pytest.raises(UsageError, match="have changed since this pass was recorded"):
        y.backward()


def test_no_grad_frozen_parameters_and_frozen_inputs():
    layer = gn.torch.DagLayer(network())
    with torch.no_grad():
        assert not layer(inputs()).requires_grad
    layer.requires_grad_(False)
    x = inputs().requires_grad_()
    layer(x).sum().backward()
    assert layer.weights.grad is None
    assert x.grad.abs().sum() > 0
    assert not layer(inputs()).requires_grad


def test_state_dicts_are_in_the_callers_order():
    one, other = gn.torch.DagLayer(network(seed=1)), gn.torch.DagLayer(network(seed=1))
    other.dag.weights = np.zeros(one.dag.n_edge)
    state = one.state_dict()
    assert list(state) == ["weights", "biases"]
    np.testing.assert_array_equal(state["weights"], one.dag.weights)
    np.testing.assert_array_equal(state["biases"], one.dag.biases)
    assert str(other.load_state_dict(state)) == "<All keys matched successfully>"
    np.testing.assert_array_equal(other.dag.parameters, one.dag.parameters)
    assert np.shares_memory(other.weights.detach().numpy(), other.dag.parameters)
    whole = torch.nn.Sequential(other)
    buffer = io.BytesIO()
    torch.save(whole.state_dict(), buffer)
    buffer.seek(0)
    whole.load_state_dict(torch.load(buffer, weights_only=True), assign=True)
    assert np.shares_memory(other.weights.detach().numpy(), other.dag.parameters)
    with pytest.raises(RuntimeError, match=r"weights: weights has shape \(3,\); wanted \(36,\)"):
        other.load_state_dict({**state, "weights": torch.zeros(3)})
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict({"weights": state["weights"]})
    with pytest.raises(RuntimeError, match="Unexpected key"):
        other.load_state_dict({**state, "more": state["weights"]})
    with pytest.raises(RuntimeError, match="inputs have no bias"):
        other.load_state_dict({**state, "biases": torch.ones(16)})


@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
def test_a_copy_has_a_network_of_its_own(way):
    layer = gn.torch.DagLayer(network())
    layer.biases.requires_grad_(False)
    model = torch.nn.Sequential(layer).eval()
    if way == "deepcopy":
        other = copy.deepcopy(model)
    else:
        buffer = io.BytesIO()
        torch.save(model, buffer)
        buffer.seek(0)
        other = torch.load(buffer, weights_only=False)
    x = inputs()
    torch.testing.assert_close(other(x), model(x), rtol=0, atol=0)
    with torch.no_grad():
        other[0].weights.zero_()
    assert not other[0].dag.weights.any()
    assert np.array(layer.dag.weights).all()
    assert not other[0].training
    assert (other[0].weights.requires_grad, other[0].biases.requires_grad) == (True, False)


def test_leading_dimensions_are_kept():
    layer = gn.torch.DagLayer(network())
    x = inputs(24)
    torch.testing.assert_close(layer(x.reshape(2, 3, 4, 4)).reshape(24, 3), layer(x), rtol=0, atol=0)
    assert layer(x[0]).shape == (3,)
    assert layer(x.T.contiguous().T).equal(layer(x))


def test_what_is_refused():
    layer = gn.torch.DagLayer(network())
    with pytest.raises(ShapeError, match=r"x is torch.float32 on cpu; give a CPU tensor of float64"):
        layer(inputs(dtype=torch.float32))
    with pytest.raises(ShapeError, match=r"x is ndarray"):
        layer(np.zeros((2, 4)))
    with pytest.raises(ShapeError, match=r"x has shape \(2, 5\); wanted \(..., 4\)"):
        layer(torch.zeros(2, 5, dtype=torch.float64))
    with pytest.raises(ShapeError, match=r"x\[0, 0\] is nan"):
        layer(torch.full((2, 4), torch.nan, dtype=torch.float64))
    with pytest.raises(UsageError, match="dag is a Linear; give a DagNN"):
        gn.torch.DagLayer(torch.nn.Linear(2, 2))
    layer.float()
    with pytest.raises(UsageError, match="computes on the CPU in float64, but its parameters were made torch.float32"):
        layer(inputs())


class Examples(torch.utils.data.Dataset):
    """Rows of inputs, each from a worker process."""

    def __len__(self):
        return 40

    def __getitem__(self, place):
        return inputs(40)[place]


def test_data_loaders_whose_workers_fork():
    layer = gn.torch.DagLayer(network())
    whole = layer(inputs(40))
    loader = torch.utils.data.DataLoader(Examples(), 8, num_workers=2, multiprocessing_context="fork")
    found = torch.cat([layer(x) for x in loader])
    torch.testing.assert_close(found, whole, rtol=1e-12, atol=0)
    found.sum().backward()
    assert layer.weights.grad.abs().sum() > 0
