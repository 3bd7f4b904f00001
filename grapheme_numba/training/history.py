"""The course of a run, epoch by epoch, from its rows of metrics."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

OF_EPOCH = ("loss", "exact", "structural")
OF_VALIDATION = {"val_loss": "mse", "val_exact": "exact", "val_mae": "mae", "val_structural": "structural"}
OF_RUN = ("lr", "grad_norm", "n_edge", "n_moved")


def history_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[float]]:
    """A list per quantity with one number per epoch; NaN where it was not measured.

    `loss`, `exact`, `structural` and the same with `/NAME` are of the training examples of all domains and of
    one; `val_loss`, `val_exact`, `val_mae`, `val_structural` of the validation; `lr`, `grad_norm` of the epoch's
    last step. `epoch` counts from 1.
    """
    history: dict[str, list[float]] = {"epoch": []}

    def put(key: str, value: float | None) -> None:
        n = len(history["epoch"])
        series = history.setdefault(key, [])
        series.extend([math.nan] * (n - len(series)))
        if n and value is not None:
            series[-1] = float(value)

    for row in rows:
        brains = {"": row, **{f"/{name}": one for name, one in row.get("domains", {}).items()}}
        if row.get("kind") == "epoch":
            history["epoch"].append(float(row["epoch"]))
            for key in OF_RUN:
                if key in row:
                    put(key, row[key])
            for suffix, one in brains.items():
                for key in OF_EPOCH:
                    put(key + suffix, one.get(key))
        elif row.get("kind") == "validation":
            for suffix, one in brains.items():
                for key, field in OF_VALIDATION.items():
                    put(key + suffix, one.get(field))
    for key in history:  # what the last epochs did not measure
        put(key, None)
    return history


def as_arrays(history: Mapping[str, list[float]]) -> dict[str, npt.NDArray[np.float64]]:
    """The same with arrays (n_epoch,)."""
    return {key: np.array(series, np.float64) for key, series in history.items()}
