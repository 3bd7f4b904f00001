"""Optimisers as values: `init` makes the state, `update` takes one step.

    SGD       p -= lr g
    Momentum  mu = m mu + g;                                  p -= lr mu
    Adam      mu = b1 mu + (1-b1) g; nu = b2 nu + (1-b2) g^2; p -= lr mu^ / (sqrt(nu^) + eps)
    AdamW     Adam, with p -= lr decay p instead of g += decay p
    RMSprop   nu = rho nu + (1-rho) g^2;                      p -= lr g / (sqrt(nu) + eps)

where g is the mean gradient, clipped, and ^ undoes the zero start of the averages.

The length of a gradient, and the factor that brings a long one down to a limit.
"""

import math
import sys
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from grapheme_numba import float_mode
from grapheme_numba.arguments import array, is_number, shown
from grapheme_numba.errors import CheckpointError, NonFiniteError, ShapeError, UsageError
from grapheme_numba.kernels.engine import updates

LARGEST, LEAST, BELOW_1 = sys.float_info.max, math.ulp(0.0), math.nextafter(1.0, 0.0)
Vector = npt.NDArray[Any]  # (n,) float32 or float64


class OptimizerState(NamedTuple):
    """What an optimiser remembers.

    Attributes
    ----------
    count : int
        Steps taken.
    moments : dict of str to (n,) arrays of the parameters' dtype
        `mu`, `nu`, both or none, as the rule has them.
    made_by : str
        Name of the optimiser whose state this is; no other takes it. Empty: unknown, then its moments decide.
    """

    count: int  # type: ignore[assignment]  # hides the method `count` of tuples
    moments: dict[str, Vector]
    made_by: str = ""


@dataclass(frozen=True)
class Optimizer:
    """A rule and its constants. Use one of its children."""

    lr: float = 0.01
    weight_decay: float = 0.0

    name: ClassVar[str] = ""
    rule: ClassVar[int] = updates.SGD  # what the kernels call it
    moments: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        self._require("lr", self.lr, is_number(self.lr, 0, LARGEST), "a finite number of at least 0")
        self._require(
            "weight_decay", self.weight_decay, is_number(self.weight_decay, 0, LARGEST),
            "a finite number of at least 0",
        )  # fmt: skip

    def _require(self, name: str, value: object, holds: bool, wanted: str) -> None:
        if not holds:
            raise UsageError(f"{name} of {type(self).__name__} is {shown(value)}; give {wanted}")

    def init(self, parameters: Vector) -> OptimizerState:
        """The state before the first step. Raises ShapeError where `parameters` is no float32 or float64 array."""
        parameters = _floats("parameters", parameters)
        return OptimizerState(0, {moment: np.zeros_like(parameters) for moment in self.moments}, self.name)

    @float_mode.standard()
    def update(
        self, parameters: Vector, gradients: Vector, state: OptimizerState, lr: float | None = None
    ) -> tuple[Vector, OptimizerState]:
        """The parameters and the state after one step. What is given stays as it is.

        Parameters
        ----------
        parameters, gradients : float32 or float64 arrays of one shape and dtype
            Gradients of the mean loss.
        state : OptimizerState
            From `init` or from the step before.
        lr : float, optional
            The rate of this step, by default the optimiser's own.

        Raises
        ------
        ShapeError
            The arrays do not fit each other.
        UsageError
            The state was made by another optimiser, or for other parameters; or `lr` is no finite number.
        NonFiniteError
            A parameter after the step is not finite.
        """
        parameters, gradients = _floats("parameters", parameters), array("gradients", gradients)
        if gradients.dtype.kind not in "fiu" or gradients.shape != parameters.shape:
            raise ShapeError(
                f"parameters are {parameters.dtype}{parameters.shape} and gradients {gradients.dtype}"
                f"{gradients.shape}; give float32 or float64 arrays of one shape"
            )
        if not isinstance(state, OptimizerState):
            raise UsageError(f"state is {shown(state)}; give what init(parameters) or the step before returned")
        if lr is not None and not is_number(lr, -LARGEST, LARGEST):
            raise UsageError(f"lr is {shown(lr)}; give a finite learning rate")
        flat, slope = parameters.flatten(), gradients.astype(parameters.dtype).ravel()
        copied = {name: np.array(moment, parameters.dtype).ravel() for name, moment in state.moments.items()}
        after = self.step(flat, slope, state._replace(moments=copied), self.lr if lr is None else float(lr))
        if not updates.all_finite(flat):
            raise NonFiniteError(f"a parameter is not finite after this step of {self.name}; give a smaller lr")
        shaped = {name: moment.reshape(parameters.shape) for name, moment in after.moments.items()}
        return flat.reshape(parameters.shape), after._replace(moments=shaped)

    def rates(self, count: int, lr: float, scale: float) -> updates.StepRates:
        """The numbers of step `count`, from 1; `scale` multiplies the gradient first."""
        return updates.StepRates(scale=float(scale), lr=float(lr), l2=float(self.weight_decay))

    def step(
        self, parameters: Vector, gradient: Vector, state: OptimizerState, lr: float, scale: float = 1.0
    ) -> OptimizerState:
        """One step in place: overwrites `parameters` and the moments, all flat (n,)."""
        count, moments = state.count + 1, self.own_moments(state, parameters)
        updates.step(self.rule, gradient, self.rates(count, lr, scale), moments, parameters)
        return OptimizerState(count, state.moments, self.name)

    def update_and_clear(
        self, parameters: Vector, gradient: Vector, state: OptimizerState, lr: float, scale: float
    ) -> tuple[OptimizerState, bool]:
        """As `step`, and `gradient` becomes 0; the state, and whether all parameters are finite."""
        count, squares = state.count + 1, np.empty(-(-parameters.size // updates.CHUNK))
        moments = self.own_moments(state, parameters)
        updates.step_and_clear(self.rule, self.rates(count, lr, scale), moments, squares, gradient, parameters)
        return OptimizerState(count, state.moments, self.name), math.isfinite(updates.in_order(squares))

    def own_moments(self, state: OptimizerState, parameters: Vector) -> tuple[Vector, Vector]:
        """(mu, nu) as the kernels take them. Raises UsageError for the state of another optimiser or vector."""
        if (state.made_by and state.made_by != self.name) or set(state.moments) != set(self.moments):
            raise UsageError(
                f"the state was made by {state.made_by or 'an optimizer with moments ' + str(sorted(state.moments))}, "
                f"but the optimizer is {self.name}; begin with init(parameters), or keep the optimizer"
            )
        for name, moment in state.moments.items():
            if moment.shape != parameters.shape or moment.dtype != parameters.dtype:
                raise UsageError(
                    f"{name} of the state is {moment.dtype}{moment.shape}, but the parameters are "
                    f"{parameters.dtype}{parameters.shape}; begin with init(parameters)"
                )
        return both_moments(state.moments, parameters)


@dataclass(frozen=True)
class SGD(Optimizer):
    """Plain gradient descent (Robbins and Monro 1951).

    Parameters
    ----------
    lr : float
        The highest rate; a schedule scales it.
    weight_decay : float
        Times the parameter, added to the gradient.
    """

    name: ClassVar[str] = "sgd"


@dataclass(frozen=True)
class Momentum(Optimizer):
    """The heavy-ball method (Polyak 1964): the steps are a running sum of gradients.

    Parameters
    ----------
    lr : float
    weight_decay : float
        Times the parameter, added to the gradient.
    momentum : float
        Share of the sum that remains at each step, in [0, 1).
    """

    momentum: float = 0.9

    name: ClassVar[str] = "momentum"
    rule: ClassVar[int] = updates.MOMENTUM
    moments: ClassVar[tuple[str, ...]] = ("mu",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("momentum", self.momentum, is_number(self.momentum, 0, BELOW_1), "a number from 0 to below 1")

    def rates(self, count: int, lr: float, scale: float) -> updates.StepRates:
        """The numbers of step `count`."""
        return super().rates(count, lr, scale)._replace(beta1=self.momentum)


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015): each step is divided by the root of the mean squared gradient.

    Parameters
    ----------
    lr : float
    weight_decay : float
        Times the parameter, added to the gradient.
    betas : (float, float)
        What remains of the mean gradient, and of the mean squared gradient, at each step.
    eps : float
        Added to the root.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    name: ClassVar[str] = "adam"
    rule: ClassVar[int] = updates.ADAM
    moments: ClassVar[tuple[str, ...]] = ("mu", "nu")

    def __post_init__(self) -> None:
        super().__post_init__()
        pair = isinstance(self.betas, tuple | list) and len(self.betas) == 2
        fits = pair and all(is_number(beta, 0, BELOW_1) for beta in self.betas)
        self._require("betas", self.betas, fits, "two numbers from 0 to below 1")
        self._require("eps", self.eps, is_number(self.eps, LEAST, LARGEST), "a number above 0")

    def rates(self, count: int, lr: float, scale: float) -> updates.StepRates:
        """The numbers of step `count`."""
        (beta1, beta2), undone = self.betas, super().rates(count, lr, scale)
        return undone._replace(
            beta1=beta1, beta2=beta2, eps=self.eps, correction1=1.0 / (1.0 - power(beta1, count)),
            correction2=1.0 / math.sqrt(1.0 - power(beta2, count)),
        )  # fmt: skip


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    Parameters
    ----------
    lr : float
    weight_decay : float
        Times `lr` and the parameter, taken off the parameter.
    betas : (float, float)
    eps : float
        As for `Adam`.
    """

    weight_decay: float = 0.01

    name: ClassVar[str] = "adamw"

    def rates(self, count: int, lr: float, scale: float) -> updates.StepRates:
        """The numbers of step `count`."""
        return super().rates(count, lr, scale)._replace(l2=0.0, decay=float(lr * self.weight_decay))


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton 2012): the gradient over the root of its mean square.

    Parameters
    ----------
    lr : float
    weight_decay : float
        Times the parameter, added to the gradient.
    rho : float
        What remains of the mean squared gradient at each step.
    eps : float
        Added to the root.
    """

    lr: float = 1e-3
    rho: float = 0.9
    eps: float = 1e-8

    name: ClassVar[str] = "rmsprop"
    rule: ClassVar[int] = updates.RMSPROP
    moments: ClassVar[tuple[str, ...]] = ("nu",)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require("rho", self.rho, is_number(self.rho, 0, BELOW_1), "a number from 0 to below 1")
        self._require("eps", self.eps, is_number(self.eps, LEAST, LARGEST), "a number above 0")

    def rates(self, count: int, lr: float, scale: float) -> updates.StepRates:
        """The numbers of step `count`."""
        return super().rates(count, lr, scale)._replace(beta2=self.rho, eps=self.eps)


def _floats(name: str, values: Any) -> Vector:
    found = array(name, values)
    if found.dtype not in (np.float32, np.float64):
        raise ShapeError(f"{name} are {found.dtype}; give a float32 or float64 array")
    return found


def both_moments(moments: dict[str, Vector], like: Vector) -> tuple[Vector, Vector]:
    """(mu, nu) as the kernels take them: empty where the rule has none."""
    return moments.get("mu", like[:0]), moments.get("nu", like[:0])


OPTIMIZERS: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
}
MOMENTS = {name: optimizer.moments for name, optimizer in OPTIMIZERS.items()}


def build(name: str, weight_decay: float = 0.0) -> Optimizer:
    """The optimiser called `name`. Raises UsageError for an unknown name."""
    if name not in OPTIMIZERS:
        raise UsageError(f"unknown optimizer {name!r}; choose one of {', '.join(OPTIMIZERS)}")
    return OPTIMIZERS[name](weight_decay=weight_decay)


def restore(name: str, count: int, moments: dict[str, Vector], like: Vector) -> OptimizerState:
    """State from a checkpoint's arrays. Raises CheckpointError where they do not fit `name` and `like`."""
    if set(moments) != set(MOMENTS[name]):
        raise CheckpointError(
            f"the checkpoint holds optimizer moments {sorted(moments)}, but {name} needs {sorted(MOMENTS[name])}"
        )
    for moment, values in moments.items():
        if values.shape != like.shape or values.dtype != like.dtype:
            raise CheckpointError(
                f"optimizer.{moment} is {values.dtype}{values.shape}, but the parameters are {like.dtype}{like.shape}"
            )
    return OptimizerState(count, {moment: np.ascontiguousarray(moments[moment]) for moment in MOMENTS[name]}, name)


def gradient_norm(gradient: npt.NDArray[Any]) -> float:
    """L2 norm of a flat gradient; NaN or infinite as soon as one element is."""
    return math.sqrt(total) if (total := float(updates.sum_of_squares(gradient))) >= 0 else math.nan


def clip_scale(norm: float, max_norm: float) -> float:
    """Factor that brings a gradient of `norm` down to `max_norm` (Pascanu et al. 2013).

    It is 1 when the norm is below, or `max_norm` is 0.
    """
    return max_norm / norm if max_norm > 0 and norm > max_norm else 1.0


@dataclass(frozen=True)
class Factored:
    """An optimiser whose change of each parameter is multiplied by that parameter's factor.

    Every rule's change is proportional to the learning rate (decoupled decay too), so this is a rate of its
    own for each parameter. A parameter with the factor 0 keeps its bits.

    Parameters
    ----------
    inner : Optimizer
    factors : (n,) array
        In the order of the parameters.
    """

    inner: Optimizer
    factors: npt.NDArray[Any] = field(repr=False)

    @property
    def name(self) -> str:
        return self.inner.name

    def init(self, parameters: npt.NDArray[Any]) -> OptimizerState:
        """The state before the first step."""
        return self.inner.init(parameters)

    def update_and_clear(
        self,
        parameters: npt.NDArray[Any],
        gradient: npt.NDArray[Any],
        state: OptimizerState,
        lr: float,
        scale: float,
    ) -> tuple[OptimizerState, bool]:
        """One step in place; `gradient` becomes 0. The state, and whether all parameters are finite."""
        before = parameters.copy()
        state, finite = self.inner.update_and_clear(parameters, gradient, state, lr, scale)
        parameters -= before
        parameters *= self.factors.astype(parameters.dtype)
        parameters += before
        np.copyto(parameters, before, where=self.factors == 0)
        return state, finite


def power(base: float, exponent: int) -> float:
    """`base ** exponent` of a whole exponent from 0 on, by squaring: C libraries differ in the last bit."""
    result = 1.0
    while exponent:
        if exponent & 1:
            result *= base
        base *= base
        exponent >>= 1
    return result
