"""Write the tables of README.md's section "How accurate" from saved measurements.

    python benchmarks/accuracy.py accuracy.json
    flock -x quiet.lock python benchmarks/time_to_accuracy.py seconds.json
    python benchmarks/readme_accuracy.py accuracy.json seconds.json

What stands between the markers is replaced, the rest of README.md stays as it is.
"""

import functools
import itertools
import sys

import numpy as np
from readme_tables import README, between, markdown

from grapheme_numba.bench import machine, records

BEGIN, END = "<!-- accuracy: begin -->", "<!-- accuracy: end -->"
# Beyond this many standard errors a difference is called one.
CLEAR = 2.0
TASKS = {
    "digits, folds in order": "scikit-learn's digits, five folds in the order of the file, 5 seeds",
    "digits, folds shuffled": "the same, five stratified folds shuffled, 5 seeds",
    "wine": "wine, five stratified folds shuffled, 20 seeds",
    "breast cancer": "breast cancer, five stratified folds shuffled, 10 seeds",
    "make_classification": "`make_classification`, 500 features, 5 informative, 2,000 examples, 5 seeds",
    "make_classification as Madelon": "as in Madelon: 15 redundant, 16 clusters a class, `class_sep=2`, 5 seeds",
}


def difference(scores, reference):
    """Mean difference to the first model's scores of the same seeds, its standard error, and the verdict."""
    apart = np.subtract(scores, reference)
    mean, error = apart.mean(), apart.std(ddof=1) / np.sqrt(len(apart))
    verdict = "equal within noise" if abs(mean) <= CLEAR * error else "better" if mean > 0 else "worse"
    return f"{100 * mean:+.2f} ± {100 * error:.2f}", verdict


def table(rows):
    """One row per model of a task; the first is the one that the others are compared with."""
    lines = []
    for row in rows:
        scores = np.array(row["scores"])
        shown = f"{100 * scores.mean():.2f} ± {100 * scores.std(ddof=1):.2f}"
        apart = ("", "") if row is rows[0] else difference(scores, rows[0]["scores"])
        lines.append((row["model"], f"{row['edges']:,.0f}" if row["edges"] else "", shown, *apart))
    return markdown(("model", "edges", "accuracy, %", "against the first, points", "so it is"), lines)


def seconds_table(record):
    """One row per model: how long until 0.938."""
    lines = [
        (row["model"], f"{row['edges']:,.0f}", row["epochs"], f"{100 * row['accuracy']:.2f}", f"{row['seconds']:.2f}")
        for row in record["rows"]
    ]
    return markdown(("model", "edges", "epochs", "accuracy, %", "seconds a fit"), lines)


def section(loaded):
    """The text between the markers."""
    parts = []
    for record in loaded:
        if record["kind"] == "accuracy":
            by_task = {task: list(of) for task, of in itertools.groupby(record["rows"], key=lambda row: row["task"])}
            for task, text in TASKS.items():
                if task in by_task:
                    parts += [f"**{text[0].upper()}{text[1:]}.**", table(by_task[task])]
        else:
            where = machine.headline(record["machine"]).replace("\n", "; ")
            parts += [f"**Time to 0.938 on digits, folds in order.** {where}", seconds_table(record)]
    return "\n\n".join(parts)


replaced = functools.partial(between, BEGIN, END)


def main(paths):
    """Rewrite README.md from the records at `paths`."""
    README.write_text(replaced(README.read_text(), section([records.load(path) for path in paths])))


if __name__ == "__main__":
    main(sys.argv[1:])
