"""grapheme-train in which one shard of one batch holds a NaN: `spoiled_shard.py FIELD SHARD BATCH ARGUMENTS...`.

FIELD is `values` (what the engine then refuses), `targets` (a loss that is not finite), or `error`: nothing is spoilt,
and the rank of that shard fails there as if its disk had.
"""

import sys

import numpy as np

from grapheme_numba.cli.train import main
from grapheme_numba.distributed.team import Team
from grapheme_numba.errors import OutputError

field, shard, number = sys.argv.pop(1), int(sys.argv.pop(1)), int(sys.argv.pop(1))
whole = Team.batches
count = 0


def batches(team, *arguments, **place):
    """The team's batches; in the run's batch `number` the shard's first example with such numbers is spoilt."""
    global count
    for parts in whole(team, *arguments, **place):
        count += 1
        if count == number and shard in team._own:
            if field == "error":
                raise OutputError("the disk of this rank has failed")
            index = shard - team._own.start
            numbers = getattr(parts[index], field).copy()
            numbers[np.flatnonzero(numbers.any(axis=1))[0], 0] = np.nan
            parts = (*parts[:index], parts[index]._replace(**{field: numbers}), *parts[index + 1 :])
        yield parts


Team.batches = batches
main()
