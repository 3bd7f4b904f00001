"""From what a user names as data to its training, validation and test examples, and a sentence on each."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from grapheme_numba.data.parquet.row_groups import GROUP_ROWS, row_groups
from grapheme_numba.data.parquet.sinks import FileSink
from grapheme_numba.data.sources.tables.mapping import TableMapping, shares_of
from grapheme_numba.data.splits import find_splits, input_hashes, shares_cut
from grapheme_numba.data.stream.cache import cache_folder
from grapheme_numba.data.stream.dataset import Dataset, open_dataset
from grapheme_numba.errors import GraphemeError, RecordError, UsageError
from grapheme_numba.files.storage import mode_of

SPLIT_NAMES = ("train", "val", "test")
USUAL = "0.8,0.1,0.1"


class OpenSplits(NamedTuple):
    """The splits of the data; `val` and `test` are None where there are none. `sentence` says where they are from."""

    train: Dataset
    val: Dataset | None
    test: Dataset | None
    sentence: str


def open_splits(
    path: str | None,
    *,
    split: str = USUAL,
    mapping: TableMapping | None = None,
    cache: bool = True,
    progress: Callable[[str], None] | None = None,
    nameless: bool = False,
) -> OpenSplits:
    """Open the splits of a folder, or those that one file is cut into.

    path : as `splits.find_splits` takes it; None for the shipped data
    split : shares of train, val and test for one file, by the hash of each input, so that equal inputs share a split;
        a column of a table that names the split; or `none`
    mapping : of a table's columns; cache, progress, nameless : as `open_dataset` takes them

    Raises what `find_splits` and `open_dataset` raise; UsageError for a `split` that is neither.
    """
    found = find_splits(path)
    given: dict[str, Any] = {"cache": cache, "progress": progress, "nameless": nameless, "mapping": mapping}

    def opened(name: str, where: Path | None) -> Dataset | None:
        if where is None:
            return None
        parts = [open_dataset(part, **given) for part in found.parts.get(name, (where,))]
        return parts[0] if len(parts) == 1 else joined(where, parts)

    train = opened("train", found.train)
    if train is None:
        raise RecordError(f"{path} holds no training examples")
    if found.val is not None or found.test is not None or split == "none" or not found.train.is_file():
        return OpenSplits(train, opened("val", found.val), opened("test", found.test), found.sentence())
    shares = shares_of(split)
    if shares is None:
        raise UsageError(
            f"--split {split}: wants shares as {USUAL}, or none; a column of a table is taken by "
            "`grapheme-data convert --split COLUMN`"
        )
    cut = hold_out(train, shares, cache)
    n = [0 if one is None else one.n_rows for one in cut]
    if cut[0] is None or cut[1] is None:
        return OpenSplits(train, None, None, found.sentence())
    sentence = (
        f"data: {found.train}, split by the hash of each input into {n[0]} train, {n[1]} val and {n[2]} test examples "
        "(--split)"
    )
    return OpenSplits(cut[0], cut[1], cut[2], sentence)


def joined(path: Path, parts: list[Dataset]) -> Dataset:
    """One dataset of several, in order."""
    whole = Dataset(path, [file for part in parts for file in part.files])
    whole.kept_open = parts
    return whole


def hold_out(dataset: Dataset, shares: tuple[float, float, float], cache: bool = True) -> list[Dataset | None]:
    """The dataset cut into three by the hash of each input; None where a part has no example.

    The parts are Parquet files beside the data, in its cache, under the digest of the content and the shares.
    """
    key = hashlib.blake2b(f"{dataset.fingerprint} {shares}".encode(), digest_size=12).hexdigest()
    folder = cache_folder(dataset.path) if cache else Path(tempfile.mkdtemp(prefix="grapheme-data-"))
    files = [folder / f"{dataset.path.name[:100]}-split-{key}-{name}.parquet" for name in SPLIT_NAMES]
    try:
        cut = [_opened(file, dataset.path) for file in files]
        if sum(one.n_rows for one in cut if one is not None) != dataset.n_rows:
            _cut(dataset, shares, files)
            cut = [_opened(file, dataset.path) for file in files]
    except BaseException:
        if not cache:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    if not cache:
        held = next(one for one in cut if one is not None)
        held.goes_with(folder)
    return cut


def _opened(file: Path, path: Path) -> Dataset | None:
    if not file.exists():
        return None
    try:
        dataset = Dataset(path, [file])
    except GraphemeError:
        return None
    return dataset


def _cut(dataset: Dataset, shares: tuple[float, float, float], files: list[Path]) -> None:
    held: list[list[pa.RecordBatch]] = [[], [], []]
    mode = mode_of([dataset.path])
    sinks: list[FileSink | None] = [None, None, None]

    def write(part: int, last: bool) -> None:
        groups = list(row_groups(held[part]))
        rest = [] if last or not groups else [groups.pop()]
        for group in groups:
            sink = sinks[part] = sinks[part] or FileSink(files[part], mode)
            sink.write(group)
        held[part] = [batch for table in rest for batch in table.to_batches()]

    try:
        for table in dataset.tables():
            place = shares_cut(input_hashes(table), shares)
            for part in range(3):
                rows = np.flatnonzero(place == part)
                if len(rows):
                    held[part] += table.take(pa.array(rows)).combine_chunks().to_batches()
                if sum(batch.num_rows for batch in held[part]) >= 2 * GROUP_ROWS:
                    write(part, False)
        for part in range(3):
            write(part, True)
        for sink in sinks:
            if sink is not None:
                sink.finish()
    except BaseException:
        for sink in sinks:
            if sink is not None:
                sink.abandon()
        raise
