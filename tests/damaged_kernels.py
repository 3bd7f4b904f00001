"""Processes that use kernels whose cached files are damaged, each forked from one that has loaded none.

`python damaged_kernels.py N SEED` with an empty NUMBA_CACHE_DIR prints one JSON object: how many of N processes gave
the right answer, how many another, how many ended with an error, how many by a signal.
"""

import collections
import hashlib
import json
import os
import random
import sys
import traceback
import warnings
from pathlib import Path

import numpy as np
from mutants import mutants

import grapheme_numba as gn
from grapheme_numba.kernels.engine.losses import chunked_sum
from grapheme_numba.kernels.engine.updates import sum_of_squares
from grapheme_numba.kernels.graph.topology import rows_of


def work() -> str:
    """The digest of what four kernels answer: two that threads share, two that one runs."""
    values = np.random.default_rng(1).normal(size=(40, 7))
    rows = np.empty(9, np.int32)
    rows_of(np.array([0, 4, 4, 9]), rows)
    loss, gradient = gn.mse(values, values[::-1].copy())
    found = [rows.tobytes(), gradient.tobytes(), repr((loss, sum_of_squares(values.ravel()), chunked_sum(values[0])))]
    return hashlib.sha256(b"".join(part if isinstance(part, bytes) else part.encode() for part in found)).hexdigest()


def in_a_process(wanted: str | None) -> tuple[str, str]:
    """(right, another, error or signal; the digest) of `work` in a forked process."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        code = 2
        try:
            warnings.simplefilter("ignore")
            os.write(into, work().encode())
            code = 0
        except BaseException:
            traceback.print_exc()
        os._exit(code)
    os.close(into)
    with os.fdopen(out) as pipe:
        digest = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        return "signal" if code < 0 else "error", digest
    return "right" if digest == wanted or wanted is None else "another", digest


def main(n: int, seed: int) -> None:
    """Damage one file of the cache after the other, each time in a new way."""
    _, wanted = in_a_process(None)
    files = sorted(path for path in Path(os.environ["NUMBA_CACHE_DIR"]).rglob("*.nb*"))
    whole = {path: path.read_bytes() for path in files}
    draw, counts = random.Random(seed), collections.Counter()
    for number in range(n):
        path = draw.choice(files)
        others = [whole[other] for other in files if other != path]
        damaged = {0: b"", 1: b"\0" * len(whole[path]), 2: draw.choice(others)}.get(draw.randrange(12))
        path.write_bytes(next(mutants(whole[path], 1, seed + number)) if damaged is None else damaged)
        counts[in_a_process(wanted)[0]] += 1
        for one, content in whole.items():
            one.write_bytes(content)
    sys.stdout.write(json.dumps({"files": len(files), **counts}) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
