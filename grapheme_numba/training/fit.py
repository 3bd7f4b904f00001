"""`gn.fit`: train a network of one's own on arrays."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from grapheme_numba import arguments, float_mode, randomness
from grapheme_numba.errors import NonFiniteError, ShapeError, UsageError
from grapheme_numba.network import losses
from grapheme_numba.network.dagnn import DagNN
from grapheme_numba.network.parameters import checked_network
from grapheme_numba.optim import optimizers, schedules
from grapheme_numba.optim.optimizers import Factored, Optimizer
from grapheme_numba.training import step as one_step
from grapheme_numba.training.callbacks import Callback, TrainingState

Array = npt.NDArray[Any]
Loss = Callable[[Array, Array], tuple[float, Array]]
Schedule = Callable[[int, int], float]
LOSSES = ("mse", "cross_entropy", "binary_cross_entropy", "huber")
KINDS = {"c": "complex numbers", "M": "dates", "m": "durations", "U": "text", "S": "text", "O": "Python objects"}
EVALUATED = 1024  # validation examples of one forward pass


class History(Mapping[str, npt.NDArray[np.float64]]):
    """Arrays (n_epoch,) by name: `loss`, and with validation `val_loss`, both means over examples.

    Attributes
    ----------
    best_epoch : int
        The epoch, from 1, whose weights are in the network now.
    n_step : int
        Optimiser steps taken.
    """

    def __init__(self, series: Mapping[str, Sequence[float]], best_epoch: int, n_step: int) -> None:
        self._series = {name: np.array(values, np.float64) for name, values in series.items()}
        self.best_epoch, self.n_step = best_epoch, n_step

    def __getitem__(self, name: str) -> npt.NDArray[np.float64]:
        return self._series[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._series)

    def __len__(self) -> int:
        return len(self._series)

    def __repr__(self) -> str:
        last = ", ".join(f"{name} {values[self.best_epoch - 1]:.6g}" for name, values in self._series.items())
        return f"History({len(self['loss'])} epochs, best {self.best_epoch}: {last})"


@float_mode.standard()
def fit(
    dag: DagNN,
    x: Any,
    y: Any,
    *,
    loss: str | Loss = "mse",
    optimizer: Optimizer | None = None,
    schedule: str | Schedule | None = None,
    epochs: int = 20,
    batch_size: int = 64,
    validation: float | tuple[Any, Any] | None = None,
    patience: int | None = None,
    callbacks: Sequence[Callback] = (),
    seed: int = 0,
    sample_weight: Any = None,
    max_norm: float = 0.0,
    edge_mask: Any = None,
    edge_lr: Any = None,
    shuffle: bool = True,
) -> History:
    """Train `dag` in place.

    Parameters
    ----------
    dag : DagNN
    x : (n_example, n_input)
        NumPy, pandas, polars, Arrow, a CPU tensor of PyTorch, or a SciPy sparse array.
    y : (n_example, n_output), or (n_example,) for one output
        For "cross_entropy" the whole number of each example's class, (n_example,).
    loss : {"mse", "cross_entropy", "binary_cross_entropy", "huber"} or callable
        A callable takes outputs and targets (batch, ...) and returns the loss summed over the examples, and
        dL/dy (batch, n_output).
    optimizer : Optimizer, optional
        One of `gn.optim`; Adam without it. Its `lr` is the highest rate.
    schedule : {"constant", "cosine", "step"} or callable, optional
        `(step, n_step) -> factor` of the highest rate; constant without it.
    epochs, batch_size : int
    validation : float or (x, y), optional
        The share of the examples that is held out, drawn with `seed`, or examples of their own. The weights of
        the epoch with the lowest `val_loss` are in `dag` at the end.
    patience : int, optional
        Stop after so many epochs without a lower `val_loss`.
    callbacks : sequence of callable
        Each is called with a `TrainingState` after every epoch: `epoch`, `step`, `history`, `dag`, `stop()`.
    seed : int
        Of the order of examples and of what is held out.
    sample_weight : (n_example,), optional
        Factor of each example's loss, at least 0.
    max_norm : float
        The mean gradient is scaled down to this norm; 0 does not clip.
    edge_mask : (n_edge,) bool, optional
        False freezes an edge. In the caller's edge order.
    edge_lr : (n_edge,) float, optional
        Factor of each edge's learning rate, at least 0. In the caller's edge order.
    shuffle : bool
        Draw a new order of the examples in every epoch.

    Returns
    -------
    History

    Raises
    ------
    ShapeError, UsageError
        Arrays that do not fit the network or each other, masked arrays, objects, NaN; options that cannot be.
    NonFiniteError
        The loss, a gradient or a weight is not finite; `dag` then has the weights from before.
    """
    settings = {"epochs": epochs, "batch_size": batch_size, "patience": 1 if patience is None else patience}
    for name, number in settings.items():
        arguments.whole(name, number, 1)
    if patience is not None and validation is None:
        raise UsageError("patience counts epochs without a lower val_loss; give validation too")
    checked_network(dag)
    randomness.checked(seed)
    arguments.flag("shuffle", shuffle)
    callbacks = arguments.listed("callbacks", callbacks, "a list of callables, which take the state")
    if not all(map(callable, callbacks)):
        raise UsageError(f"callbacks is {arguments.shown(callbacks)}; give callables, which take the state")
    if not arguments.is_number(max_norm, 0):
        raise UsageError(f"max_norm is {arguments.shown(max_norm)}; give a number of at least 0")
    function = _loss(loss)
    rule = optimizers.Adam() if optimizer is None else optimizer
    if not isinstance(rule, Optimizer):
        raise UsageError(f"optimizer is {arguments.shown(rule)}; give one of gn.optim, such as gn.optim.AdamW(lr=1e-3)")
    factor = _schedule(schedule)
    rows, targets, weight = _examples("", dag, x, y, loss, sample_weight)
    held, kept = _validation(dag, rows, targets, weight, validation, loss, seed)
    order = np.arange(rows.shape[0]) if kept is None else kept
    stepper, frozen = _with_factors(dag, rule, edge_mask, edge_lr)
    state, n_step = rule.init(dag.parameters), epochs * -(-len(order) // batch_size)
    first_weights, first_gradients = dag.parameters.copy(), dag.gradients.copy()
    learns, dag.requires_grad = dag.requires_grad, True
    measured_in_epochs: dict[str, list[float]] = {"loss": [], **({"val_loss": []} if held else {})}
    watched = TrainingState(0, epochs, 0, dag, measured_in_epochs)
    best, best_loss, best_epoch = None, math.inf, 0
    try:
        for epoch in range(epochs):
            if shuffle:
                order = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, epoch)))).permutation(order)
            total, counted = 0.0, 0.0
            for start in range(0, len(order), batch_size):
                chosen = order[start : start + batch_size]
                n = float(weight[chosen].sum())
                if n == 0:  # nothing here counts
                    watched.step += 1
                    continue
                dag.zero_grad()

                def of_chosen(out: Array, at: npt.NDArray[np.intp] = chosen) -> tuple[float, Array]:
                    return function(out, targets[at], weight[at])

                value = one_step.accumulate(dag, _dense(rows, chosen, dag), of_chosen)
                if not math.isfinite(value):
                    raise NonFiniteError(f"the loss is {value} in step {watched.step + 1}; lower lr or set max_norm")
                if frozen is not None:
                    dag.gradients[frozen] = 0
                lr = rule.lr * factor(watched.step, n_step)
                update = one_step.apply(dag, n, stepper, state, lr, max_norm)
                if not (update.applied and update.finite):
                    what = "the gradient" if not update.applied else "a weight"
                    raise NonFiniteError(f"{what} is not finite in step {watched.step + 1}; lower lr or set max_norm")
                dag.parameters_changed()
                state = update.state
                watched.step += 1
                total, counted = total + value, counted + n
            watched.epoch = epoch + 1
            watched.history["loss"].append(total / counted)
            if held:
                measured = _mean_loss(dag, *held, function)
                if not math.isfinite(measured):
                    raise NonFiniteError(f"val_loss is {measured} after epoch {epoch + 1}; lower lr or set max_norm")
                watched.history["val_loss"].append(measured)
                if measured < best_loss:
                    best, best_loss, best_epoch = dag.parameters.copy(), measured, epoch + 1
            else:
                best_epoch = epoch + 1
            for callback in callbacks:
                callback(watched)
            if watched.stopped or (patience is not None and epoch + 1 - best_epoch >= patience):
                break
    except NonFiniteError:
        best = first_weights
        raise
    finally:
        dag.requires_grad = learns
        dag.gradients[:] = first_gradients
        if best is not None:
            dag.parameters[:] = best
            dag.parameters_changed()
        for callback in callbacks:
            if callable(close := getattr(callback, "close", None)):
                close()
    return History(watched.history, best_epoch, watched.step)


def _loss(loss: str | Loss) -> Callable[[Array, Array, Array], tuple[float, Array]]:
    """(y, target, weight) -> (loss, dL/dy), summed over the examples."""
    if callable(loss):
        return _weighted(loss)
    if not arguments.is_name(loss, LOSSES):
        raise UsageError(
            f"unknown loss {arguments.shown(loss)}; choose one of {', '.join(LOSSES)}, or give a function (y, t)"
        )
    named: Callable[[Array, Array, Array], tuple[float, Array]] = (
        _weighted_mse if loss == "mse" else getattr(losses, loss)
    )
    return named


def _weighted_mse(y: Array, target: Array, weight: Array) -> tuple[float, Array]:
    if (weight == 1).all():
        return losses.mse(y, target)
    _, grad = losses.mse(y, target)
    each = ((y.astype(np.float64) - target) ** 2).mean(axis=1)
    return float((each * weight).sum()), grad * weight[:, None].astype(grad.dtype)


def _weighted(loss: Loss) -> Callable[[Array, Array, Array], tuple[float, Array]]:
    def weighted(y: Array, target: Array, weight: Array) -> tuple[float, Array]:
        if (weight == 1).all():
            value, grad = loss(y, target)
            return float(value), _gradient(grad, y)
        total, whole = 0.0, np.empty_like(y)
        for row in range(len(y)):  # a sum over the batch cannot be taken apart
            value, grad = loss(y[row : row + 1], target[row : row + 1])
            total += float(value) * float(weight[row])
            whole[row] = _gradient(grad, y[row : row + 1])[0] * weight[row]
        return total, whole

    return weighted


def _gradient(grad: Any, y: Array) -> Array:
    array = np.asarray(grad)
    if array.shape != y.shape:
        raise ShapeError(f"the loss returned a gradient of shape {array.shape}; wanted that of y, {y.shape}")
    return array.astype(y.dtype, copy=False)


def _schedule(schedule: str | Schedule | None) -> Schedule:
    if schedule is None:
        return schedules.constant()
    return schedule if callable(schedule) else schedules.Schedule(schedule)


def array_of(name: str, values: Any) -> Any:
    """`values` of any library as a NumPy array of numbers, or a SciPy sparse array in CSR form.

    Raises ShapeError for masked arrays, objects, text, and numbers that are missing or not finite.
    """
    if hasattr(values, "tocsr"):
        sparse = values.tocsr()
        if sparse.dtype.kind not in "fiub" or not np.isfinite(sparse.data).all():
            raise ShapeError(f"{name} is a sparse array with dtype {sparse.dtype} or NaN in it; give finite numbers")
        return sparse
    if isinstance(values, np.ma.MaskedArray):
        raise ShapeError(f"{name} is a masked array; fill the masked entries, or leave their examples out")
    try:
        if hasattr(values, "column_names"):  # a table of Arrow
            array = np.column_stack([_arrow(column) for column in values.columns])
        elif type(values).__module__.split(".")[0] == "pyarrow":
            array = _arrow(values)
        elif hasattr(values, "to_numpy"):
            array = values.to_numpy()
        elif hasattr(values, "detach"):  # PyTorch refuses to hand over what it differentiates
            array = np.asarray(values.detach())
        elif hasattr(values, "__dlpack__") and not hasattr(values, "__array__"):
            array = np.from_dlpack(values)
        else:
            array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError, BufferError) as error:
        raise ShapeError(f"{name} cannot be read as an array: {error}") from None
    if array.dtype.kind not in "fiub":
        what = KINDS.get(array.dtype.kind, "no numbers")
        raise ShapeError(f"{name} holds {what} (dtype {array.dtype}); give numbers, without missing values")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        place = ", ".join(map(str, np.argwhere(~np.isfinite(array))[0].tolist()))
        raise ShapeError(f"{name}[{place}] is not a finite number; fill or leave out what is missing")
    return array


def _arrow(values: Any) -> Array:
    chunked = hasattr(values, "chunks")
    array: Array = values.to_numpy() if chunked else values.to_numpy(zero_copy_only=False)
    return array


def _examples(
    which: str, dag: DagNN, x: Any, y: Any, loss: str | Loss, sample_weight: Any
) -> tuple[Any, Array, npt.NDArray[np.float64]]:
    """Inputs (dense or CSR), targets and weights that fit the network and each other."""
    rows, targets = array_of(f"{which}x", x), array_of(f"{which}y", y)
    if rows.ndim != 2 or rows.shape[1] != dag.n_input or not rows.shape[0]:
        raise ShapeError(
            f"{which}x has shape {rows.shape}; wanted (n_example, {dag.n_input}) with at least one example"
        )
    n = rows.shape[0]
    if hasattr(targets, "tocsr"):
        targets = targets.toarray()
    if loss == "cross_entropy":
        targets = targets[:, 0] if targets.ndim == 2 and targets.shape[1] == 1 else targets
        if targets.shape != (n,) or (targets != np.floor(targets)).any():
            raise ShapeError(
                f"{which}y has shape {targets.shape}; cross_entropy wants whole numbers of classes, ({n},)"
            )
        targets = targets.astype(np.int64)
        if targets.min() < 0 or targets.max() >= dag.n_output:
            raise ShapeError(f"{which}y runs from {targets.min()} to {targets.max()}; there are {dag.n_output} outputs")
    elif not callable(loss):
        targets = targets[:, None] if targets.ndim == 1 and dag.n_output == 1 else targets
        if targets.shape != (n, dag.n_output):
            raise ShapeError(f"{which}y has shape {targets.shape}; wanted ({n}, {dag.n_output})")
        targets = targets.astype(dag.dtype)
        if not np.isfinite(targets).all():
            raise ShapeError(f"{which}y holds numbers too large for {dag.dtype}; scale it, or use dtype='float64'")
    elif targets.ndim < 1 or len(targets) != n:
        raise ShapeError(f"{which}y has shape {targets.shape}; wanted one entry for each of {n} examples")
    if sample_weight is None:
        return rows, targets, np.ones(n)
    weight = array_of("sample_weight", sample_weight).astype(np.float64)
    if weight.shape != (n,) or weight.min() < 0 or not weight.any():
        raise ShapeError(
            f"sample_weight has shape {weight.shape}; wanted ({n},), numbers of at least 0 that are not all 0"
        )
    return rows, targets, weight


def _validation(
    dag: DagNN, rows: Any, targets: Array, weight: Array, validation: Any, loss: str | Loss, seed: int
) -> tuple[tuple[Any, Array, Array] | None, Array | None]:
    """The held-out examples, and the numbers of the others where they were drawn from the same arrays."""
    if validation is None:
        return None, None
    if isinstance(validation, tuple):
        if len(validation) != 2:
            raise UsageError(f"validation is a tuple of {len(validation)}; give (x, y) or a share between 0 and 1")
        return _examples("validation ", dag, *validation, loss, None), None
    if isinstance(validation, bool) or not isinstance(validation, int | float) or not 0 < validation < 1:
        raise UsageError(f"validation is {arguments.shown(validation)}; give (x, y) or a share between 0 and 1")
    n = rows.shape[0]
    n_held = max(1, round(validation * n))
    if n_held >= n:
        raise ShapeError(f"validation wants {n_held} of {n} examples, which leaves none to learn from")
    drawn = np.random.Generator(np.random.Philox(seed)).permutation(n)
    held, kept = np.sort(drawn[:n_held]), np.sort(drawn[n_held:])
    if not weight[held].any() or not weight[kept].any():
        raise ShapeError("all examples with a weight are held out, or none is; give validation=(x, y)")
    return (rows[held], targets[held], weight[held]), kept


def _with_factors(dag: DagNN, rule: Optimizer, edge_mask: Any, edge_lr: Any) -> tuple[Any, Array | None]:
    """The optimiser with a factor per parameter, and which parameters (bool) are frozen; None where none is."""
    if edge_mask is None and edge_lr is None:
        return rule, None
    factors = np.ones(dag.n_edge + dag.n_node)
    for name, values in (("edge_mask", edge_mask), ("edge_lr", edge_lr)):
        if values is None:
            continue
        array = array_of(name, values).astype(np.float64)
        if (
            array.shape != (dag.n_edge,)
            or array.min() < 0
            or (name == "edge_mask" and not np.isin(array, (0, 1)).all())
        ):
            wanted = "booleans, True where an edge is trained" if name == "edge_mask" else "factors of at least 0"
            raise ShapeError(f"{name} has shape {array.shape}; wanted ({dag.n_edge},), {wanted}")
        factors[: dag.n_edge] *= array
    internal = dag.from_caller_order(factors)
    return Factored(rule, internal), internal == 0


def _dense(rows: Any, chosen: Any, dag: DagNN) -> Array:
    part = rows[chosen]
    return np.asarray(part.toarray() if hasattr(part, "toarray") else part, dag.dtype)


def _mean_loss(dag: DagNN, rows: Any, targets: Array, weight: Array, function: Any) -> float:
    total = 0.0
    for start in range(0, rows.shape[0], EVALUATED):
        part = slice(start, start + EVALUATED)
        total += function(dag.forward(_dense(rows, part, dag)), targets[part], weight[part])[0]
    return total / float(weight.sum())
