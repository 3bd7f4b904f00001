"""Ready-made data: published layouts and tables into Parquet, and finding them in a folder."""

import glob
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pyarrow as pa

from grapheme_numba.data.file_kinds import TABLES, TEXT, bare_name, files_in, packed
from grapheme_numba.data.jsonl.convert import Converted, default_rejects_path
from grapheme_numba.data.parquet.row_groups import row_groups
from grapheme_numba.data.parquet.sinks import FileSink
from grapheme_numba.data.records import MixedExample, parse_example
from grapheme_numba.data.rejects import NO_OFFSET, Reject, RejectSink
from grapheme_numba.data.schema import TABULAR_SCHEMA, VERSION, to_arrow, to_plain
from grapheme_numba.data.sources.hub_layouts import ENDINGS, READERS, Item, competition_math, layout_of, squad
from grapheme_numba.data.sources.pictures import folder_examples, label_sentence, looks_of, picture_files, row_examples
from grapheme_numba.data.sources.row_layouts import LAYOUTS, detect, items_of, rows_of
from grapheme_numba.data.sources.tables.blocks import opened
from grapheme_numba.data.sources.tables.import_table import TableConverted, import_tables, labels_of
from grapheme_numba.data.sources.tables.mapping import TableMapping, roles_of
from grapheme_numba.data.sources.tables.readers import open_table
from grapheme_numba.data.stream.cache import content_digest, user_data_cache
from grapheme_numba.data.stream.dataset import Dataset
from grapheme_numba.errors import MissingInputError, RecordError, UsageError, few
from grapheme_numba.files.storage import mode_of, refuse_overwriting

FLAT = tuple(TABULAR_SCHEMA.names)
BATCH_ROWS = 1024


class Found(NamedTuple):
    """A file of a published layout."""

    layout: str
    path: Path


def _files(layout: str | None, names: Iterable[str | Path]) -> list[Path]:
    """The files that names mean for a layout: folders are searched, globs expanded."""
    endings = ENDINGS.get(layout or "", (".csv",) if layout == "csv" else TABLES)
    wanted = packed(endings)
    files: list[Path] = []
    for path in map(Path, names):
        if path.is_dir():
            inside = files_in(path, lambda name: name.endswith(wanted))
            if not inside:
                raise MissingInputError(
                    f"folder {path} holds no {endings[0]} file (nor {', '.join(endings[1:]) or 'packed one'})"
                )
            files += inside
        elif path.exists():
            files.append(path)
        else:
            matching = sorted(map(Path, glob.glob(str(path), recursive=True)))
            if not matching:
                raise MissingInputError(f"{path} does not exist; name the files or folders to import")
            files += matching
    return files


Row: TypeAlias = tuple[str, dict[str, Any] | None, str | None]  # place, record or None, reason


def _published(layout: str, path: Path, domain: str, label: str) -> Iterator[Row]:
    """(place, record or None, reason) for each item of a file."""
    for item in _items(layout, path):
        record = {
            "id": f"{domain}-{label}-{item.place}" if item.place != path.name else f"{domain}-{label}",
            "domain": domain,
            "input_type": "text",
            "input": {"text": item.question},
            "expected_output": item.answer,
            "metadata": item.metadata,
        }
        yield item.place, None if item.reason else record, item.reason


def _items(layout: str, path: Path) -> Iterator[Item]:
    """The items of a file: of a published document, or row by row."""
    if layout == "math" and _is_problem(path):
        return competition_math(path)
    if layout == "squad" and bare_name(path).endswith(".json") and not _is_list(path):
        return squad(path)
    return items_of(layout, path)


def _is_problem(path: Path) -> bool:
    """Whether a file of MATH is one problem, as the data set itself has them."""
    return bare_name(path).endswith(".json") and not _is_list(path)


def _is_list(path: Path) -> bool:
    """Whether a JSON document starts with a list of objects."""
    with opened(path) as stream:
        return re.match(rb"(\xef\xbb\xbf)?\s*\[\s*\{", stream.read(4096)) is not None


def _checked(records: Iterable[Row], path: Path) -> Iterator[MixedExample | Reject]:
    """A MixedExample or a Reject for each record."""
    for number, (place, record, reason) in enumerate(records, 1):
        if record is not None:
            try:
                yield parse_example(json.dumps(record).encode())
                continue
            except RecordError as error:
                reason = str(error)
        yield Reject(str(path), number, NO_OFFSET, reason or "", str(place)[:80])


def own_rows(path: Path) -> Iterator[Row]:
    """Records of our own in another file: nested as in JSONL, or flat as in our Parquet."""
    for number, row in enumerate(rows_of(path), 1):
        if isinstance(row, str):
            yield str(number), None, row
        elif "input" in row:
            yield str(row.get("id", number)), {k: v for k, v in row.items() if v is not None or k == "metadata"}, None
        else:
            try:
                flat: dict[str, Any] = {k: row.get(k) for k in FLAT if k in row}
                yield str(row.get("id")), to_plain(MixedExample(**flat)), None
            except (TypeError, ValueError, AttributeError) as error:
                yield str(row.get("id")), None, str(error)[:120]


def import_data(
    layout: str | None,
    names: Iterable[str | Path],
    output: str | Path,
    mapping: TableMapping | None = None,
    *,
    rejects: str | Path | None = None,
    image_size: str | None = None,
    most: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TableConverted:
    """Write examples of tables, of published or common layouts, or of pictures as Parquet.

    layout : one of LAYOUTS, `table`, `csv` (a table, its inputs joined as `mapping.layout` says), or None to find out
        by the columns: a table where the mapping names a target
    rejects : where refused rows go; None for `<output>.rejects.jsonl`
    image_size : as `pictures.looks_of` reads it; most : at most so many examples

    Items that cannot be used are counted and written to the rejects with their reason; the caller compares their
    number with what it tolerates. Raises UsageError, MissingInputError, RecordError when nothing could be used.
    """
    mapping, output = mapping or TableMapping(), Path(output)
    image_size = image_size or mapping.image_size
    rejects = Path(rejects or default_rejects_path(output))
    names = [names] if isinstance(names, str | Path) else list(names)
    if layout == "images" or (layout is None and mapping.target is None and _is_pictures(names)):
        folders = [Path(name) for name in names]
        if all(folder.is_dir() for folder in folders):
            return _pictures(folders, output, rejects, mapping, image_size, most, progress)
    files = _files(layout, names)
    refuse_overwriting([output, rejects], files)
    if layout in ("csv", "table") or (mapping.target is not None and layout != "images"):
        return import_tables(files, output, mapping, rejects=rejects, most=most, progress=progress)
    for path in files:
        if bare_name(path).endswith(TEXT) and layout is None:
            open_table(path, mapping)  # what is wrong with the file itself comes first
            roles_of(mapping, open_table(path, mapping).names, path)
    found = {path: layout_of(path) or detect(path) if layout is None else detect(path, layout) for path in files}
    labels = dict(zip(files, _labels(files)))
    notes = [f"{path}: read as {one}" for path, one in found.items()] if layout is None else []
    looks = looks_of(image_size)
    if "images" in found.values():
        notes.append(looks.sentence())
        pictures = [path for path, one in found.items() if one == "images"]
        notes += filter(None, (label_sentence(path, mapping.target) for path in pictures))

    def items() -> Iterator[MixedExample | Reject]:
        for path, one in found.items():
            if one == "records":
                yield from _checked(own_rows(path), path)
            elif one == "images":
                yield from row_examples(path, mapping.domain or "images", looks, mapping.target)
            else:
                yield from _checked(_published(one, path, mapping.domain or LAYOUTS[one].domain, labels[path]), path)

    written = write_items(items(), output, most, progress, rejects, mode_of(files), files)
    return TableConverted(written, [], notes)


def _labels(files: list[Path]) -> list[str]:
    """A name for each file: its stem, of files of one problem and of equal stems with their folder."""
    if len(files) > 1 or bare_name(files[0]).endswith(".json"):
        return labels_of(files, 2 if _in_folders(files) else 1)
    return labels_of(files)


def _in_folders(files: list[Path]) -> bool:
    return all(bare_name(path).endswith(".json") for path in files) and layout_of(files[0]) == "math"


def _is_pictures(names: list[str | Path]) -> bool:
    """Whether every name is a folder that holds pictures by class, and more of them than files of data."""
    folders = [Path(name) for name in names]
    return bool(folders) and all(
        folder.is_dir() and len(picture_files(folder)) > len(_data_files(folder)) for folder in folders
    )


def _data_files(folder: Path) -> list[Path]:
    return files_in(folder, lambda name: name.endswith(TABLES))


def _pictures(
    folders: Iterable[Path], output: Path, rejects: Path | None, mapping: TableMapping, image_size: str | None,
    most: int | None, progress: Callable[[int, int], None] | None,
) -> TableConverted:  # fmt: skip
    looks, folders = looks_of(image_size), list(folders)
    unused = [str(file) for folder in folders for file in _data_files(folder)]
    notes = [looks.sentence(), *([f"not used beside the pictures: {few(unused)}"] if unused else [])]

    def items() -> Iterator[MixedExample | Reject]:
        for folder in folders:
            yield from folder_examples(folder, mapping.domain or "images", looks)

    return TableConverted(write_items(items(), output, most, progress, rejects), [], notes)


def joined_columns(
    names: Iterable[str | Path], columns: Sequence[str], target: str | None
) -> tuple[tuple[str, ...], str]:
    """The input columns and the target of a table whose inputs are joined. UsageError where one is not given."""
    if not columns or target is None:
        seen = open_table(_files("csv", names)[0], TableMapping()).names
        raise UsageError(f"name the columns: --input-column and --target-column, of {', '.join(seen)}")
    return tuple(columns), target


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
    """`import_data` of one named layout; a table (csv) wants its `columns` and `target`.

    Input columns of numbers make a sequence, others a text.
    """
    mapping = TableMapping(domain=domain)
    if layout == "csv":
        inputs, target = joined_columns(names, columns, target)
        mapping = TableMapping(domain=domain, inputs=inputs, target=target, layout="values")
    return import_data(layout, names, output, mapping, most=most, progress=progress).converted


def write_items(
    items: Iterator[MixedExample | Reject],
    output: Path,
    most: int | None,
    progress: Callable[[int, int], None] | None = None,
    rejects: Path | None = None,
    mode: int = 0o666,
    sources: Sequence[Path] = (),
) -> Converted:
    """Write MixedExamples to a Parquet file and Rejects beside it, at most `most` examples."""
    refused, sink, rows = RejectSink(rejects or default_rejects_path(output), mode), FileSink(output, mode, sources), 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal rows
        held: list[MixedExample] = []
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
