"""Checks of the arrays that cross the public boundary, each with its message."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grapheme_numba.arguments import array as as_array
from grapheme_numba.arguments import shown
from grapheme_numba.errors import NonFiniteError, ShapeError, UsageError
from grapheme_numba.kernels.engine import updates
from grapheme_numba.optim.optimizers import gradient_norm

Array = npt.NDArray[Any]
# So many numbers are looked at in 3 us by one thread. Several threads, which the norm takes, need 10 to 20 us to begin
# with: that was a tenth of a whole step of 10,000 edges at batch 1.
FEW = 1 << 15
LARGEST = {np.dtype(kind): float(np.finfo(kind).max) for kind in (np.float32, np.float64)}


def float_dtype(dtype: npt.DTypeLike) -> np.dtype[Any]:
    """float32 or float64 as a NumPy dtype, or a ShapeError."""
    try:
        found: np.dtype[Any] = np.dtype(dtype)
    except (TypeError, ValueError):
        found = np.dtype(object)  # not None: NumPy takes None for float64
    if dtype is None or found not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ShapeError(f"dtype is {shown(dtype)}; choose 'float32' or 'float64'")
    return found


class Precision(NamedTuple):
    """What a network computes in.

    name : what the constructors of networks take as `dtype`
    dtype : of parameters, gradients, and of arrays that users give and get
    stored : of activations and deltas in the engine's memory; a uint16 stands for a bfloat16
    """

    name: str
    dtype: np.dtype[Any]
    stored: np.dtype[Any]


PRECISIONS = {
    name: Precision(name, np.dtype(dtype), np.dtype(stored))
    for name, dtype, stored in (
        ("float32", np.float32, np.float32),
        ("float64", np.float64, np.float64),
        ("bfloat16", np.float32, np.uint16),
    )
}


def precision(dtype: npt.DTypeLike) -> Precision:
    """The `Precision` of a network whose `dtype` was given, or a ShapeError."""
    try:
        name = dtype if isinstance(dtype, str) else "" if dtype is None else np.dtype(dtype).name
        return PRECISIONS[name if name in PRECISIONS else np.dtype(name).name]
    except (TypeError, ValueError, KeyError):
        raise ShapeError(f"dtype is {shown(dtype)}; choose 'float32', 'float64' or 'bfloat16'") from None


def _convert(name: str, values: npt.ArrayLike, dtype: np.dtype[Any]) -> Array:
    array = as_array(name, values)
    if array.dtype.kind not in "fiub":
        raise ShapeError(f"{name} has dtype {array.dtype}; give numbers, {dtype} is wanted")
    flags = array.flags
    if array.dtype == dtype and flags.c_contiguous and flags.aligned and flags.writeable:
        return array
    # Kernels are compiled for writable arrays only: a read-only one would compile them once more.
    return np.require(array, dtype, ["C", "A", "W"])


def matrix(name: str, values: npt.ArrayLike, n_column: int, dtype: np.dtype[Any]) -> Array:
    """`values` as a C-contiguous (batch, n_column) array of `dtype`, with at least one row."""
    array = _convert(name, values, dtype)
    if array.ndim != 2 or array.shape[1] != n_column:
        hint = f"; a single example needs {name}[None, :]" if array.shape == (n_column,) else ""
        raise ShapeError(f"{name} has shape {array.shape}; wanted (batch, {n_column}){hint}")
    if not len(array):
        raise ShapeError(f"{name} has batch 0; give at least one example")
    return array


def vector(name: str, values: npt.ArrayLike, size: int, dtype: np.dtype[Any]) -> Array:
    """`values` as a C-contiguous finite (size,) array of `dtype`."""
    array = _convert(name, values, dtype)
    if array.shape != (size,):
        raise ShapeError(f"{name} has shape {array.shape}; wanted ({size},)")
    refuse_non_finite(name, array)
    return array


def rate(lr: float, dtype: np.dtype[Any]) -> float:
    """`lr` if a step can be made with it in `dtype`, else a NonFiniteError."""
    try:
        number = float(lr)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"lr is {shown(lr)}; give a finite learning rate") from None
    if not abs(number) <= LARGEST[dtype]:
        raise NonFiniteError(f"lr is {lr}; give a finite learning rate, one that {dtype} can hold")
    return number


def plain_step(gradients: Array, lr: Any, parameters: Array) -> None:
    """`parameters -= lr * gradients`, all (n,), or NonFiniteError before anything is changed."""
    number, most = rate(lr, parameters.dtype), LARGEST[parameters.dtype]
    if gradients.size <= FEW:
        held = updates.all_within(gradients, min(most, most / 4 / abs(number)) if number else most)
    else:
        held = abs(number) * gradient_norm(gradients) < most / 4
    if not held:  # seldom: look at each
        with np.errstate(all="ignore"):
            after = parameters - parameters.dtype.type(number) * gradients
        if not np.isfinite(after).all():
            raise NonFiniteError(
                f"a step at lr={number:g} along a gradient of norm {gradient_norm(gradients):.3g} leaves the range of "
                f"{parameters.dtype}; make lr smaller, or clip the gradient"
            )
    updates.sgd(gradients, updates.StepRates(lr=number), parameters)


def refuse_overflow(y: Array) -> None:
    """Raise NonFiniteError at the first output (batch, n_output) that is not finite, of inputs that are."""
    bad = np.argwhere(~np.isfinite(y))
    if len(bad):
        row, column = bad[0].tolist()
        raise NonFiniteError(
            f"output {column} of example {row} is {y[row, column]}: the numbers went beyond the range of {y.dtype}; "
            "make weights, inputs or the learning rate smaller"
        )


def refuse_non_finite(name: str, array: Array) -> None:
    """Raise ShapeError at the first NaN or infinity of a float32 or float64 array that can be written to."""
    if updates.all_finite(array.reshape(-1)):  # a sum of NumPy's, with its warnings kept quiet, takes ten times as long
        return
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        place = ", ".join(map(str, bad[0].tolist()))
        raise ShapeError(f"{name}[{place}] is {array[tuple(bad[0])]}; every value must be a finite number")
