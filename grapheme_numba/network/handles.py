"""What `dag.weights` and `dag.biases` give: the values as they are, through which exactly what is named can be written.

An array that looks writable and is a copy would swallow writes; a live one would let a handle from before a
step write old values back. So the memory is read-only, and what can be meant (`w[i] = v`, `w[mask] = v`,
`w[:3] *= 2`, `w += 1`) writes those elements into the network and no others. Whatever else writes in place
(`fill`, `sort`, `out=`, `np.put`, a shuffle) is refused by NumPy, since the memory is read-only.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from grapheme_numba.errors import ShapeError, UsageError

if TYPE_CHECKING:
    from grapheme_numba.network.parameters import GraphParameters


class Link:
    """Where a handle and its slices come from.

    network : GraphParameters; name : "weights" or "biases"; values : (n,) the memory that all of them show
    version : of the parameters that are in it
    """

    def __init__(self, network: "GraphParameters", name: str, values: npt.NDArray[Any]) -> None:
        self.network, self.name, self.values, self.version = network, name, values, network.parameters_version

    def write(self, places: npt.NDArray[np.intp], values: npt.NDArray[Any]) -> None:
        """Put `values` (k,) into the elements `places` (k,) of the network, and show them."""
        if self.version != self.network.parameters_version:
            raise UsageError(
                f"these {self.name} were read before the network changed; write network.{self.name}[...] = value, "
                f"which reads them anew"
            )
        self.network.write_parameters(self.name, places, values)
        self.version = self.network.parameters_version
        self.values.flags.writeable = True
        self.values[places] = values
        self.values.flags.writeable = False


class ParameterView(np.ndarray[Any, Any]):
    """A read-only array whose element assignment writes into the network it was read from."""

    _link: Link | None = None
    _places: npt.NDArray[np.intp]

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if self._link is not None and isinstance(found, ParameterView) and np.may_share_memory(found, self):
            found._link, found._places = self._link, self._places[key]
        return found

    def __setitem__(self, key: Any, value: Any) -> None:
        if self._link is None:
            super().__setitem__(key, value)
            return
        new, places = np.array(self, subok=False), self._places[key]
        try:
            new[key] = value
        except (TypeError, ValueError) as error:
            raise ShapeError(f"{self._link.name}[...] cannot be set to {type(value).__name__}: {error}") from None
        self._link.write(np.atleast_1d(places).ravel(), np.atleast_1d(new[key]).ravel())

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """Compute with plain arrays; nothing may be written to a handle, and `ufunc.at` would (NumPy lets it)."""
        written = [*options.get("out", ()), *(inputs[:1] if method == "at" else ())]
        for target in written:
            if isinstance(target, ParameterView) and not target.flags.writeable:
                raise UsageError(
                    f"a read-only handle cannot take what {ufunc.__name__} writes; "
                    "assign the result, as in network.weights = values"
                )
        plain = [one.view(np.ndarray) if isinstance(one, ParameterView) else one for one in inputs]
        if "out" in options:
            options["out"] = tuple(
                one.view(np.ndarray) if isinstance(one, ParameterView) else one for one in options["out"]
            )
        return getattr(ufunc, method)(*plain, **options)


def _in_place(operation: np.ufunc, name: str) -> Callable[[ParameterView, Any], ParameterView]:
    plain = getattr(np.ndarray, name)

    def method(self: ParameterView, other: Any) -> ParameterView:
        if self._link is None:
            plain(self, other)  # raises where the memory is read-only
        else:
            self[...] = operation(np.asarray(self), other)
        return self

    method.__name__ = name
    return method


for _operation, _name in (
    (np.add, "__iadd__"), (np.subtract, "__isub__"), (np.multiply, "__imul__"), (np.true_divide, "__itruediv__"),
    (np.floor_divide, "__ifloordiv__"), (np.remainder, "__imod__"), (np.power, "__ipow__"),
):  # fmt: skip
    setattr(ParameterView, _name, _in_place(_operation, _name))


def parameter_view(network: "GraphParameters", name: str, values: npt.NDArray[Any]) -> ParameterView:
    """A handle on `values` (n,), the present weights or biases of `network` in the caller's order."""
    values.flags.writeable = False
    view = values.view(ParameterView)
    view._link, view._places = Link(network, name, values), np.arange(len(values))
    return view
