"""Tables of users' own through `grapheme-train agi` as it comes, beside estimators that know tables.

    python benchmarks/own_tables.py                 # every set, five seeds; a quarter of an hour on two cores
    python benchmarks/own_tables.py --seeds 2 wine  # some sets

Each seed holds out a fifth of the rows (of every class alike). The other four fifths are a CSV that the command
line trains on with `--target` and nothing else, so it takes its validation rows from among them; the baselines get
all of them. `TABLE_DEFAULTS` in `training/tasks.py` are the settings of `DagClassifier`, not searched; of a run the
checkpoint that is best on its validation rows is measured. Nothing is chosen on the held-out fifth.
The cars are of the package vega_datasets: mixed columns with missing cells.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from grapheme_numba.estimators import DagClassifier, DagRegressor

TARGET = "target"


class Table(NamedTuple):
    """A set: its rows with the answers in the column TARGET, and whether these are classes."""

    rows: pd.DataFrame
    classes: bool


def of_scikit_learn(load: Callable[..., Any], classes: bool) -> Table:
    """One of scikit-learn's sets."""
    return Table(load(as_frame=True).frame, classes)


def cars() -> Table:
    """Miles per gallon of 398 cars; six have no horsepower. The names are left out: each says what car it is."""
    from vega_datasets import local_data

    rows = local_data.cars().dropna(subset=["Miles_per_Gallon"]).drop(columns="Name")
    rows["Year"] = rows["Year"].dt.year
    return Table(rows.rename(columns={"Miles_per_Gallon": TARGET}).reset_index(drop=True), False)


SETS: dict[str, Callable[[], Table]] = {
    "breast cancer": lambda: of_scikit_learn(load_breast_cancer, True),
    "wine": lambda: of_scikit_learn(load_wine, True),
    "digits": lambda: of_scikit_learn(load_digits, True),
    "diabetes": lambda: of_scikit_learn(load_diabetes, False),
    "cars": cars,
}


def by_agi(train: pd.DataFrame, test: pd.DataFrame, classes: bool, seed: int) -> float:
    """Accuracy or R² of a run of the command line, from CSV to what `evaluate` says of another CSV."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        train.to_csv(place / "rows.csv", index=False)
        test.to_csv(place / "held_out.csv", index=False)
        run = [sys.executable, "-m", "grapheme_numba.cli.train"]
        options = ["--data", "rows.csv", "--target", TARGET, "--output", "run", "--seed", str(seed), "--quiet"]
        subprocess.run([*run, "agi", *options], cwd=place, check=True)
        asked = [*run, "evaluate", "run", "--data", "held_out.csv", "--log-format", "json", "--quiet"]
        said = subprocess.run(asked, cwd=place, check=True, capture_output=True, text=True).stdout
        figures = json.loads(said.splitlines()[0])
        return float(figures["accuracy"] if classes else figures["r2"])


def prepared(model: Any) -> Any:
    """The model behind what makes numbers of mixed columns."""
    numbers, others = make_column_selector(dtype_include="number"), make_column_selector(dtype_exclude="number")
    filled = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    return make_pipeline(
        make_column_transformer((filled, numbers), (OneHotEncoder(sparse_output=False), others)), model
    )


def baselines(classes: bool, seed: int) -> dict[str, Any]:
    """The estimators beside it, each as it comes."""
    import lightgbm

    if classes:
        return {
            "DagClassifier": prepared(DagClassifier(random_state=seed)),
            "MLPClassifier": prepared(MLPClassifier(random_state=seed)),
            "random forest": prepared(RandomForestClassifier(random_state=seed)),
            "LightGBM": lightgbm.LGBMClassifier(verbose=-1, random_state=seed),
        }
    return {
        "DagRegressor": prepared(DagRegressor(random_state=seed)),
        "MLPRegressor": prepared(MLPRegressor(random_state=seed)),
        "random forest": prepared(RandomForestRegressor(random_state=seed)),
        "LightGBM": lightgbm.LGBMRegressor(verbose=-1, random_state=seed),
    }


def scores(table: Table, seed: int) -> dict[str, float]:
    """Accuracy in per cent or R² of every model on the fifth that a seed holds out."""
    rows = table.rows
    kinds = rows[TARGET] if table.classes else None
    train, test = train_test_split(rows, test_size=0.2, random_state=seed, stratify=kinds)
    true = test[TARGET].to_numpy()

    def score(guess: np.ndarray) -> float:
        return 100 * accuracy_score(true, guess) if table.classes else r2_score(true, guess)

    found = {"agi": by_agi(train, test, table.classes, seed) * (100 if table.classes else 1)}
    for name, model in baselines(table.classes, seed).items():
        x, new = (part.drop(columns=TARGET) for part in (train, test))
        if name == "LightGBM":
            x, new = (part.astype(dict.fromkeys(x.select_dtypes(exclude="number"), "category")) for part in (x, new))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # networks that have not converged, as they come
            found[name] = score(model.fit(x, train[TARGET]).predict(new))
    return found


def main() -> None:
    """Measure and print a table: means over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", choices=[[], *SETS], help="Which sets; all without.")
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    sys.stdout.write("| set | agi | our estimator | MLP | random forest | LightGBM |\n|---|---|---|---|---|---|\n")
    for name in given.sets or SETS:
        table = SETS[name]()
        found = [scores(table, seed) for seed in range(given.seeds)]
        means = [float(np.mean([one[model] for one in found])) for model in found[0]]
        cells = " | ".join(f"{mean:.1f}" if table.classes else f"{mean:.3f}" for mean in means)
        sys.stdout.write(f"| {name}, {'%' if table.classes else 'R²'} | {cells} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
