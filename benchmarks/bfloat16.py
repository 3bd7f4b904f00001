"""Networks stored in bfloat16 beside float32: `python benchmarks/bfloat16.py rates|accuracy`.

`rates`: each pass on both, in turn in one process, processor time of one thread, after both gave the same outputs but
for rounding. `accuracy`: held-out accuracy on scikit-learn's digits, a network of three levels and one of thirteen.
"""

import sys

import numpy as np
from sklearn.datasets import load_digits

import grapheme_numba as gn
from grapheme_numba import jit
from grapheme_numba.bench import cases, kernels, records, timing

CASES = ("layered-10x1000x32", "irregular-20k-400k")
PRECISIONS = ("float32", "bfloat16")
BATCH, REPEAT, CLOSE = 256, 21, 0.02
DEPTHS = {"one hidden layer": [64, 64, 10], "twelve hidden layers": [64, *[48] * 12, 10]}


def rates():
    """A line for each case and pass: 10^9 edges x examples a second in both, and the median of their ratios."""
    jit.set_threads(1)
    print(records.headline(records.as_record("kernels", [])["machine"]))
    for name in CASES:
        senders, receivers, inputs, outputs, n_node = cases.find_case(name).edges()
        calls, first = {}, []
        for precision in PRECISIONS:
            dag = gn.DagNN.from_edges(
                senders, receivers, inputs=inputs, outputs=outputs, n_node=n_node, init="he", seed=1, dtype=precision
            )
            first.append(dag.forward(np.random.default_rng(0).standard_normal((BATCH, dag.n_input)).astype("float32")))
            calls |= {(precision, step): call for step, call in kernels.step_calls(dag, BATCH).items()}
        apart = np.linalg.norm(first[1] - first[0]) / np.linalg.norm(first[0])
        assert apart < CLOSE, apart
        measured = timing.interleave(calls, REPEAT, "cpu")
        for step in kernels.PASSES:
            (single, singles), (half, halves) = (measured[precision, step] for precision in PRECISIONS)
            work, ratio = len(senders) * BATCH / 1e9, timing.ratio_of(halves, singles).median
            both = f"{work / single.median:.1f} and {work / half.median:.1f} G"
            print(f"{name} {step}: {both}, {ratio:.2f} times; outputs differ by {apart:.4f}", flush=True)


def accuracy(seeds=3):
    """A line for each network and seed: the accuracy on the last fifth of the digits, in both precisions."""
    jit.set_threads(1)
    digits = load_digits()
    x = (digits.data / 8 - 1).astype("float32")
    order = np.random.default_rng(0).permutation(len(x))
    train, test = order[len(x) // 5 :], order[: len(x) // 5]
    for name, widths in DEPTHS.items():
        found = {precision: [] for precision in PRECISIONS}
        for seed in range(seeds):
            for precision in PRECISIONS:
                dag = gn.DagNN.layered(widths, 24, seed=seed, skip=0.2 if len(widths) > 3 else 0.0, dtype=precision)
                gn.fit(
                    dag, x[train], digits.target[train], loss="cross_entropy", epochs=30, batch_size=64, seed=seed,
                    optimizer=gn.optim.AdamW(lr=3e-3),
                )  # fmt: skip
                found[precision].append(float((dag.forward(x[test]).argmax(1) == digits.target[test]).mean()))
        for precision in PRECISIONS:
            print(f"{name}, {precision}: {', '.join(f'{100 * share:.1f}' for share in found[precision])} %", flush=True)


if __name__ == "__main__":
    {"rates": rates, "accuracy": accuracy}[sys.argv[1]]()
