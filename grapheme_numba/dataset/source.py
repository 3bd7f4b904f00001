"""`open_dataset`: from a path that a user names to a Dataset that streams batches."""

from collections.abc import Callable, Iterator
from pathlib import Path

from grapheme_numba.dataset.batches import Batch
from grapheme_numba.dataset.layout import Layout
from grapheme_numba.dataset.summary import DatasetSummary


class Dataset:
    """Examples in Parquet, one file or a folder of them.

    path : Path, what the user named
    n_rows : number of examples
    fingerprint : hex digest of the content
    """

    path: Path
    n_rows: int
    fingerprint: str

    def summary(self) -> DatasetSummary:
        """What the dataset holds, domain by domain (one streaming pass, then remembered)."""
        raise NotImplementedError

    def batches(
        self,
        layout: Layout,
        batch_size: int,
        *,
        seed: int | None = None,
        epoch: int = 0,
        start: int = 0,
        prefetch: int = 2,
        shard: tuple[int, int] = (0, 1),
    ) -> Iterator[Batch]:
        """Stream batches; the last one of an epoch may be smaller.

        seed : None for file order; else the order is a function of (seed, epoch) alone
        start : number of batches to leave out, without reading them
        prefetch : windows prepared ahead in a thread; 0 prepares them in the caller's thread
        shard : (i, n): of every batch only its i-th of n contiguous parts
        """
        raise NotImplementedError


def open_dataset(
    path: str | Path, *, cache: bool = True, progress: Callable[[str], None] | None = None
) -> Dataset:
    """Open .jsonl[.gz|.zst] (converted once into a cache), .parquet, or a folder of .parquet.

    progress : called with one plain sentence when something takes time (a conversion)

    Raises MissingInputError when there is nothing at `path`, RecordError for lines or files that
    do not hold examples.
    """
    raise NotImplementedError
