"""Examples that a layout has no room for: counted and named, never silently cut."""

from collections.abc import Iterable

import msgspec
import numpy as np

from grapheme_numba.dataset.batches import Batch


class Misfits(msgspec.Struct):
    """Of one domain: how many inputs or answers do not fit, and the ids of the first few."""

    n: int = 0
    ids: list[str] = msgspec.field(default_factory=list)


def count_misfits(batches: Iterable[Batch], names: tuple[str, ...], shown: int = 3) -> dict[str, Misfits]:
    """Misfits of all batches per domain name; domains without any are left out."""
    found: dict[str, Misfits] = {}
    for batch in batches:
        for row in np.flatnonzero(batch.n_active == 0).tolist():
            misfits = found.setdefault(names[batch.domain[row]], Misfits())
            misfits.n += 1
            if len(misfits.ids) < shown:
                misfits.ids.append(batch.ids[row])
        del batch  # before the next is made: of long texts each may be 100 MB
    return found
