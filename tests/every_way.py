"""Train the same small run in every way that must not matter, and print the digests that came out, by trainer.

    NUMBA_NUM_THREADS=16 python every_way.py DATA FOLDER

The ways: 1 to 16 kernel threads, whatever the number of cores; tiles or levels; batches prepared ahead or not.
"""

import itertools
import json
import sys
from pathlib import Path

from runs import digest, train

THREADS = (1, 2, 3, 4, 8, 16)
STRATEGIES = ("tiles", "levels")
AHEAD = (0, 3)


class Ahead:
    """A dataset that prepares so many batches ahead; 0 in the caller's thread."""

    def __init__(self, real, ahead):
        self.real, self.ahead, self.n_rows = real, ahead, real.n_rows

    def __getattr__(self, name):
        return getattr(self.real, name)

    def batches(self, *arguments, **options):
        """The real dataset's."""
        return self.real.batches(*arguments, **{**options, "prefetch": self.ahead})


def main(data: str, folder: str) -> None:
    """All ways, one after the other."""
    found = {}
    for task in ("agi", "unified"):
        digests = set()
        for number, (threads, strategy, ahead) in enumerate(itertools.product(THREADS, STRATEGIES, AHEAD)):

            def before(run, strategy=strategy, ahead=ahead):
                run.model.dag.strategy = strategy
                run.train, run.val = Ahead(run.train, ahead), Ahead(run.val, ahead)

            output = Path(folder) / f"{task}{number}"
            options = {"hidden": (300, 200), "threads": threads, "accumulate": "batch", "structural_weight": "sqrt1p"}
            train(data, output, task=task, before=before, **options)
            digests.add(digest(output))
        found[task] = sorted(digests)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
