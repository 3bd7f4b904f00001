"""`--input-noise`: numbers that enter a network while it trains are moved a little, anew in every epoch.

Noise on inputs is a penalty on how fast answers change with them (Bishop 1995, "Training with noise is equivalent to
Tikhonov regularization"); with series of rounded values it also gives back what rounding took.
"""

import numpy as np
import numpy.typing as npt

from grapheme_numba.data.codec.layout import SEQUENCE_SCALE, DomainLayout, Layout
from grapheme_numba.data.stream.batches import Batch
from grapheme_numba.randomness import STRIDE, mixed


class InputNoise:
    """Noise that is uniform within `width` times the spread of a sequence's values, a picture's range, a column's std.

    A function of seed, epoch, row and column alone, in whole numbers and one product: batches, shards, threads and
    processors change no bit. Places where nothing enters, which hold 0, stay 0; marks and categories of tables stay
    as they are, and so do the numbers of texts.

    Parameters
    ----------
    layout : Layout
    width : float
        Above 0.
    seed : int
        Of the run.
    """

    def __init__(self, layout: Layout, width: float, seed: int) -> None:
        reach = np.zeros((len(layout.domains), layout.value_width), np.float32)
        for row, domain in zip(reach, layout.domains, strict=True):
            row[: domain.n_input] = width * unit(domain)[: layout.value_width]
        self.reach, self.seed = reach, np.uint64(seed % (1 << 64))

    def __call__(self, batch: Batch, epoch: int) -> Batch:
        """The batch of this epoch with other values."""
        values = batch.values
        key = mixed(self.seed + STRIDE * np.array([epoch + 1], np.uint64))
        counter = mixed(key + STRIDE * batch.rows.astype(np.uint64))[:, None]
        columns: npt.NDArray[np.uint64] = np.arange(1, values.shape[1] + 1, dtype=np.uint64)
        bits = mixed(counter + STRIDE * columns)
        share = ((bits >> np.uint64(40)).astype(np.int32) - (1 << 23)).astype(np.float32) * np.float32(2.0**-23)
        return batch._replace(values=np.where(values == 0, values, values + share * self.reach[batch.domain]))


def unit(domain: DomainLayout) -> npt.NDArray[np.float32]:
    """What the spread of a domain's numbers became in its inputs, (n_input,); 0 where no number enters."""
    if domain.input_type == "sequence":
        return np.full(domain.n_input, SEQUENCE_SCALE, np.float32)
    if domain.input_type == "image":
        return np.ones(domain.n_input, np.float32)
    result, at = np.zeros(domain.n_input, np.float32), 0
    for field in domain.fields:  # of each column its number comes first
        if field.mean is not None:
            result[at] = 1
        at += field.n_input
    return result
