"""A graph as an ONNX model of plain operators, level by level. `onnx` is imported only here.

A level is Gather, Mul and ScatterND with addition (or with mul, max or min, where nodes aggregate so): exact up to the
order of float32 sums. The runtime holds batch * edges of a level in memory; nothing is padded and no dense matrix is
made.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from grapheme_numba.errors import GraphError
from grapheme_numba.files.storage import write_file
from grapheme_numba.graph.dag import Aggregate, level_plan

if TYPE_CHECKING:
    from grapheme_numba.graph.named import NamedGraph

OPSET = 18
# How ScatterND combines, and what it begins with.
REDUCTIONS = {"mean": ("add", 0.0), "product": ("mul", 1.0), "max": ("max", -math.inf), "min": ("min", math.inf)}


def to_onnx(graph: "NamedGraph", path: str | Path | None = None) -> onnx.ModelProto:
    """An `onnx.ModelProto` with input `x` (batch, n_input) and output `y` (batch, n_output), float32.

    Parameters
    ----------
    graph : NamedGraph
        With weights and activations.
    path : path, optional
        File to write.

    Raises
    ------
    GraphError
        The graph has no weights or activations.
    """
    plan, outputs = level_plan(graph)
    make, weights = _Maker(), np.asarray(graph.weights)
    biases = np.zeros(graph.n_node) if graph.biases is None else graph.biases
    rows = make.node("Transpose", "x", perm=[1, 0])
    batch = make.node("Slice", make.node("Shape", rows), make.ints([1]), make.ints([2]))
    done = ""  # the values of all levels so far
    for level in plan:
        shape = make.node("Concat", make.ints([level.n_node]), batch, axis=0)
        pre = make.node("Expand", make.floats(biases[level.nodes][:, None]), shape)
        if level.fed.size:
            external = make.node("Gather", rows, make.ints(level.columns), axis=0)
            pre = make.node("ScatterND", pre, make.ints(level.fed[:, None]), external, reduction="add")
        if level.edges.size:
            sent = make.node("Gather", done, make.ints(level.senders), axis=0)
            sent = make.node("Mul", sent, make.floats(weights[level.edges][:, None]))
            pre = make.node("ScatterND", pre, make.ints(level.receivers[:, None]), sent, reduction="add")
        for aggregate in level.aggregates:
            pre = _aggregated(make, aggregate, (pre, done, batch), weights)
        parts = [done] if done else []
        for name, start, stop in level.groups:
            whole = (start, stop) == (0, level.n_node)
            part = pre if whole else make.node("Slice", pre, make.ints([start]), make.ints([stop]), make.ints([0]))
            parts.append(activation(make, name, part))
        done = parts[0] if len(parts) == 1 else make.node("Concat", *parts, axis=0)
    make.nodes.append(
        helper.make_node("Transpose", [make.node("Gather", done, make.ints(outputs), axis=0)], ["y"], perm=[1, 0])
    )
    model = helper.make_model(
        helper.make_graph(
            make.nodes,
            "grapheme_numba",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", len(graph.inputs)])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", len(graph.outputs)])],
            make.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="grapheme_numba",
    )
    model.ir_version = 8  # the one that came with opset 18: older runtimes refuse newer ones
    onnx.checker.check_model(model)
    if path is not None:
        write_file(Path(path), model.SerializeToString())
    return model


class _Maker:
    """Collects nodes and constants under running names."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, array: npt.NDArray[Any]) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def ints(self, values: npt.ArrayLike) -> str:
        return self.constant(np.asarray(values, np.int64))

    def floats(self, values: npt.ArrayLike) -> str:
        return self.constant(np.asarray(values, np.float32))


def _aggregated(make: _Maker, aggregate: Aggregate, values: tuple[str, str, str], weights: npt.NDArray[Any]) -> str:
    """The pre-activations of a level, with the aggregates of some of its nodes added.

    values : names of the pre-activations, of the values of all levels so far, and of the batch size
    """
    pre, done, batch = values
    reduction, neutral = REDUCTIONS[aggregate.kind]
    shape = make.node("Concat", make.ints([len(aggregate.places)]), batch, axis=0)
    total = make.node("Expand", make.floats([[neutral]]), shape)
    if aggregate.edges.size:
        sent = make.node("Gather", done, make.ints(aggregate.senders), axis=0)
        sent = make.node("Mul", sent, make.floats(weights[aggregate.edges][:, None]))
        total = make.node("ScatterND", total, make.ints(aggregate.receivers[:, None]), sent, reduction=reduction)
    if aggregate.kind == "mean":
        total = make.node("Div", total, make.floats(aggregate.counts[:, None]))
    return make.node("ScatterND", pre, make.ints(aggregate.places[:, None]), total, reduction="add")


def activation(make: _Maker, name: str, x: str) -> str:
    """The name of the value `name(x)`, with the nodes that compute it added to `make`."""
    number, node = make.floats, make.node
    plain = {"relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh", "softplus": "Softplus", "elu": "Elu", "sin": "Sin"}
    plain |= {"abs": "Abs", "selu": "Selu"}
    if name == "linear":
        return x
    if name in plain:
        return node(plain[name], x)
    if name in ("leaky_relu", "lelu"):
        return node("LeakyRelu", x, alpha=0.01 if name == "leaky_relu" else 0.005)
    if name == "gelu":
        erf = node("Erf", node("Mul", x, number(math.sqrt(0.5))))
        return node("Mul", node("Mul", x, number(0.5)), node("Add", erf, number(1.0)))
    if name == "silu":
        return node("Mul", x, node("Sigmoid", x))
    if name == "square":
        return node("Mul", x, x)
    if name == "cube":
        return node("Mul", node("Mul", x, x), x)
    if name == "gaussian":
        return node("Exp", node("Neg", node("Mul", x, x)))
    if name == "exp":
        return node("Exp", node("Clip", x, number(-60.0), number(60.0)))
    if name == "log":
        return node("Log", node("Max", x, number(1e-7)))
    if name == "inverse":
        zero = node("Equal", x, number(0.0))
        return node("Where", zero, number(0.0), node("Div", number(1.0), node("Where", zero, number(1.0), x)))
    if name == "clamped":
        return node("Clip", x, number(-1.0), number(1.0))
    if name == "hat":
        return node("Relu", node("Sub", number(1.0), node("Abs", x)))
    if name == "sin_60":
        return node("Sin", node("Clip", x, number(-60.0), number(60.0)))
    if name == "softplus_5":
        steep = node("Mul", node("Clip", x, number(-12.0), number(12.0)), number(5.0))
        return node("Mul", node("Softplus", steep), number(0.2))
    raise GraphError(f"the activation {name!r} has no form in plain ONNX operators")
