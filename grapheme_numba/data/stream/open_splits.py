"""From what a user names as data to its training, validation and test examples, and a sentence on each."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from grapheme_numba.data.parquet.row_groups import GROUP_ROWS, row_groups
from grapheme_numba.data.parquet.sinks import FileSink
from grapheme_numba.data.sources.tables.mapping import TableMapping, shares_of
from grapheme_numba.data.splits import find_splits, input_hashes, shares_cut
from grapheme_numba.data.stream.cache import cache_folder
from grapheme_numba.data.stream.dataset import Dataset
from grapheme_numba.data.stream.open_dataset import of_cache, open_dataset
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
    max_unfit: float = 1.0,
) -> OpenSplits:
    """Open the splits of a folder, or those that one file is cut into.

    path : as `splits.find_splits` takes it; None for the shipped data
    split : shares of train, val and test for one file, by the hash of each input, so that equal inputs share a split;
        a column of a table that names the split; or `none`
    mapping : of a table's columns; cache, progress, nameless, max_unfit : as `open_dataset` takes them. The other
        splits of a table are read as its training split is

    Raises what `find_splits` and `open_dataset` raise; UsageError for a `split` that is neither.
    """
    found = find_splits(path)
    given: dict[str, Any] = {"cache": cache, "progress": progress, "nameless": nameless, "max_unfit": max_unfit}
    shares = None if split == "none" else shares_of(split)
    column = split if split != "none" and shares is None else None

    def opened(name: str, where: Path | None, reading: TableMapping | None) -> Dataset | None:
        if where is None:
            return None
        return open_dataset(where, parts=found.parts.get(name, ()), mapping=reading, **given)

    if column is not None and found.val is None and found.test is None:
        if mapping is None or mapping.target is None or not found.train.is_file():
            raise UsageError(f"--split {split}: wants shares as {USUAL}, or none; a column goes with --target")
        return by_column(found.train, column, mapping, cache, progress, max_unfit)
    train = opened("train", found.train, mapping)
    if train is None:
        raise RecordError(f"{path} holds no training examples")
    one = found.train.is_file() or train.decisions is not None
    if found.val is not None or found.test is not None or split == "none" or not one:
        reading = mapping
        if mapping is not None and mapping.target is not None and train.decisions is not None:
            reading = train.decisions.mapping(mapping)
        val, test = opened("val", found.val, reading), opened("test", found.test, reading)
        for other in (val, test):
            if other is not None and train.decisions is not None and other.decisions is not None:
                refuse_lacking(train, other, train.decisions.lacking(other.decisions))
        return OpenSplits(train, val, test, found.sentence())
    cut = hold_out(train, shares or (1.0, 0.0, 0.0), cache)
    n = [0 if one is None else one.n_rows for one in cut]
    if cut[0] is None or cut[1] is None:
        return OpenSplits(train, None, None, found.sentence())
    sentence = (
        f"data: {found.named('train')}{found.left_out()}, split by the hash of each input into {n[0]} train, "
        f"{n[1]} val and {n[2]} test examples (--split)"
    )
    return OpenSplits(cut[0], cut[1], cut[2], sentence)


def by_column(
    path: Path, column: str, mapping: TableMapping, cache: bool, progress: Callable[[str], None] | None,
    max_unfit: float,
) -> OpenSplits:  # fmt: skip
    """The splits of a table that a column of it names."""
    from grapheme_numba.data.stream.open_dataset import cached_splits

    reading = msgspec.structs.replace(mapping, split=column)
    parts = cached_splits(path, reading, cache, progress, max_unfit)
    cut = [of_cache(path, *part) if part[2].split_rows[index] else None for index, part in enumerate(parts)]
    if cut[0] is None:
        raise RecordError(f"{path}: column {column!r} names no row train, so there is nothing to learn from")
    n = parts[0][2].split_rows
    sentence = f"data: {path}, split by column {column!r} into {n[0]} train, {n[1]} val and {n[2]} test examples"
    return OpenSplits(cut[0], cut[1], cut[2], sentence)


def refuse_lacking(train: Dataset, other: Dataset, lacking: Sequence[str]) -> None:
    """RecordError where a split lacks columns that the training split has."""
    if lacking:
        shown = ", ".join(map(repr, lacking[:6]))
        raise RecordError(
            f"{other.path} has no column {shown}, which {train.path} has; add it, or leave it out of both with --drop"
        )


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
