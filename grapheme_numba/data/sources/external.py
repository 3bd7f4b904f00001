"""Ready-made data: published layouts and tables into Parquet, and finding them in a folder."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from grapheme_numba.data.jsonl.convert import Converted, default_rejects_path
from grapheme_numba.data.parquet.row_groups import row_groups
from grapheme_numba.data.parquet.sinks import FileSink
from grapheme_numba.data.records import parse_example
from grapheme_numba.data.rejects import Reject, RejectSink
from grapheme_numba.data.schema import VERSION, to_arrow
from grapheme_numba.data.sources.hub_layouts import DOMAINS, ENDINGS, READERS, layout_of
from grapheme_numba.data.sources.tables import table_records
from grapheme_numba.data.stream.cache import content_digest, user_data_cache
from grapheme_numba.data.stream.dataset import Dataset
from grapheme_numba.errors import MissingInputError, RecordError
from grapheme_numba.files.overwriting import refuse_overwriting
from grapheme_numba.files.storage import mode_of

BATCH_ROWS = 1024


class Found(NamedTuple):
    """A file of a published layout."""

    layout: str
    path: Path


def _files(layout: str, names: Iterable[str | Path]) -> list[Path]:
    """The files that names mean for a layout: folders are searched."""
    files = []
    for path in map(Path, names):
        if path.is_dir():
            inside = sorted(path.rglob(f"*{ENDINGS.get(layout, '.csv')}"))
            if not inside:
                raise MissingInputError(f"folder {path} holds no {ENDINGS.get(layout, '.csv')} file")
            files += inside
        elif path.exists():
            files.append(path)
        else:
            raise MissingInputError(f"{path} does not exist; name the files or folders to import")
    return files


def _published(layout: str, path: Path, domain: str) -> Iterator[tuple]:
    """(place, record or None, reason) for each item of a published file."""
    for item in READERS[layout](path):
        record = {
            "id": f"{domain}-{path.stem}-{item.place}"
            if layout != "math"
            else f"{domain}-{path.parent.name}-{path.stem}",
            "domain": domain,
            "input_type": "text",
            "input": {"text": item.question},
            "expected_output": item.answer,
            "metadata": item.metadata,
        }
        yield item.place, None if item.reason else record, item.reason


def _judged(records: Iterable[tuple], path: Path) -> Iterator:
    """A MixedExample or a Reject for each record."""
    for number, (place, record, reason) in enumerate(records, 1):
        if record is not None:
            try:
                yield parse_example(json.dumps(record).encode())
                continue
            except RecordError as error:
                reason = str(error)
        yield Reject(str(path), number, 0, reason, str(place)[:80])


def import_files(
    layout: str,
    names: Iterable[str | Path],
    output: str | Path,
    *,
    columns: Sequence[str] = (),
    target: str | None = None,
    domain: str | None = None,
    most: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Converted:
    """Write the examples of published files (gsm8k, squad, math) or tables (csv) as Parquet.

    columns, target : of a table; domain : name for the examples; most : at most so many examples
    Items that cannot be used are skipped, counted and written beside the output with their reason.
    Raises RecordError when nothing could be used.
    """

    files = _files(layout, names)
    refuse_overwriting([output, default_rejects_path(Path(output))], files)

    def items():
        for path in files:
            if layout == "csv":
                yield from _judged(table_records(path, columns, target, domain or path.stem), path)
            else:
                yield from _judged(_published(layout, path, domain or DOMAINS[layout]), path)

    return write_items(items(), Path(output), most, progress, mode_of(files))


def write_items(items: Iterator, output: Path, most: int | None, progress=None, mode: int = 0o666) -> Converted:
    """Write MixedExamples to a Parquet file and Rejects beside it, at most `most` examples."""
    refused, sink, rows = RejectSink(default_rejects_path(output), mode), FileSink(output, mode), 0

    def batches():
        nonlocal rows
        held = []
        for item in items:
            if isinstance(item, Reject):
                refused.write([item])
                continue
            held.append(item)
            rows += 1
            if len(held) == BATCH_ROWS:
                yield to_arrow(held)
                held = []
                if progress is not None:
                    progress(rows, most or 0)
            if rows == most:
                break
        if held:
            yield to_arrow(held)

    try:
        for group in row_groups(batches()):
            sink.write(group)
        if rows == 0:
            why = f": {refused.first.file}: {refused.first.reason}" if refused.first else ""
            raise RecordError(f"no example could be imported{why}")
        refused.finish()
        outputs = sink.finish()
    except BaseException:
        refused.abandon()
        sink.abandon()
        raise
    return Converted(rows + refused.count, rows, refused.count, refused.first, outputs, refused.path)


def find_external(folder: str | Path) -> list[Found]:
    """The files of published layouts in a folder and below, sorted; nothing is written there."""
    folder = Path(folder)
    if not folder.is_dir():
        raise MissingInputError(f"{folder} is not a folder; --external wants one with GSM8K, SQuAD or MATH files")
    found = [Found(layout_of(path) or "", path) for path in sorted(folder.rglob("*")) if path.is_file()]
    found = [file for file in found if file.layout]
    if not found:
        raise MissingInputError(f"{folder} holds no GSM8K .jsonl, SQuAD .json or MATH .json file")
    return found


def with_external(
    dataset: Dataset, folder: str | Path, most: int | None = None, progress: Callable[[str], None] | None = None
) -> Dataset:
    """A Dataset of the given examples and then those found in `folder`, at most `most` of each layout.

    The imported Parquet files go to the user's cache folder, by the content of what they came from.
    """
    found = find_external(folder)
    files = list(dataset.files)
    for layout in READERS:
        paths = [file.path for file in found if file.layout == layout]
        if not paths:
            continue
        digest = hashlib.blake2b(f"{layout} {most} {VERSION}".encode(), digest_size=12)
        for path in paths:
            digest.update(f"{path.name} {content_digest(path)} ".encode())
        target = user_data_cache() / f"{layout}-{digest.hexdigest()}.parquet"
        if not target.exists():
            done = import_files(layout, paths, target, most=most)
            if progress is not None:
                skipped = f" ({done.rejects} could not be used)" if done.rejects else ""
                progress(f"imported {done.rows_out} {layout} examples from {folder}{skipped}")
        files.append(target)
    return Dataset(dataset.path, files)
