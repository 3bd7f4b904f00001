"""Tables to Parquet of examples: every row ends up in the rows or, with its number and reason, in the rejects."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from grapheme_numba.data.jsonl.convert import Converted, default_rejects_path
from grapheme_numba.data.parquet.row_groups import GROUP_ROWS, row_groups
from grapheme_numba.data.parquet.sinks import FileSink
from grapheme_numba.data.rejects import NO_OFFSET, Reject, RejectSink
from grapheme_numba.data.sources.tables.column_facts import ColumnFacts
from grapheme_numba.data.sources.tables.mapping import TableMapping, shares_of
from grapheme_numba.data.sources.tables.passes import TablePasses, facts_together
from grapheme_numba.data.sources.tables.row_examples import Form, Made
from grapheme_numba.data.splits import input_hashes, shares_cut
from grapheme_numba.errors import GraphemeError, RecordError, UsageError
from grapheme_numba.files.storage import mode_of, refuse_overwriting

SPLITS = ("train", "val", "test")


class TableConverted(NamedTuple):
    """What a conversion of tables did.

    converted : counts, outputs, first reject; columns, notes : sentences on what was decided, to be printed
    form : what the first table's rows were taken for, None where there is no table
    split_rows : rows of each output, where there are several
    """

    converted: Converted
    columns: list[str]
    notes: list[str]
    form: Form | None = None
    split_rows: tuple[int, ...] = ()


class _Cutter:
    """Gathers batches into row groups, and writes them in a thread; the cuts depend on the rows alone."""

    def __init__(self, path: Path, mode: int, sources: Sequence[Path]) -> None:
        self.sink, self._rows = FileSink(path, mode, sources), 0
        self._held: list[pa.RecordBatch] = []
        self._pool = ThreadPoolExecutor(1, "grapheme-write")
        self._writing: Future[None] | None = None

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in a batch; whole row groups are written."""
        if not batch.num_rows:
            return
        self._held.append(batch)
        self._rows += batch.num_rows
        if self._rows >= 4 * GROUP_ROWS:
            *groups, last = row_groups(self._held)
            for group in groups:
                self._write(group)
            self._held, self._rows = last.to_batches(), last.num_rows

    def finish(self) -> None:
        """Write what is left; the file waits for `sink.finish`."""
        for group in row_groups(self._held):
            self._write(group)
        self._held = []
        self._wait()

    def abandon(self) -> None:
        """Remove what was written."""
        if self._writing is not None:
            wait([self._writing])
        self._pool.shutdown()
        self.sink.abandon()

    def _write(self, group: pa.Table) -> None:
        self._wait()
        self._writing = self._pool.submit(self.sink.write, group)

    def _wait(self) -> None:
        if self._writing is not None:
            self._writing.result()


def labels_of(paths: Sequence[Path], depth: int = 1) -> list[str]:
    """A name for each file that no other has: its stem, with the folders that tell it from others of that stem."""
    parts = [(*path.resolve().parts[:-1], path.name.split(".")[0]) for path in paths]
    while len({part[-depth:] for part in parts}) < len(parts) and depth < max(map(len, parts)):
        depth += 1
    return ["-".join(part[-depth:]).replace("/", "") for part in parts]


def import_tables(
    paths: Sequence[Path],
    output: Path,
    mapping: TableMapping,
    *,
    rejects: Path | None = None,
    answers: bool = True,
    most: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TableConverted:
    """Write the rows of tables as Parquet of examples, and rows that cannot be used as rejects beside it.

    output : a .parquet file; with `mapping.split`, a folder for train.parquet, val.parquet and test.parquet
    answers : rows need an answer; most : at most so many examples
    progress : called with bytes read and bytes of all files

    Raises UsageError for a mapping that does not fit, RecordError where no row can be used, MissingInputError,
    OutputError. The caller compares the number of rejects with what it tolerates.
    """
    output, split = Path(output), mapping.split not in (None, "none")
    if mapping.split is not None and split:
        shares_of(mapping.split)
    if split and output.suffix == ".parquet":
        raise UsageError(
            f"--split makes a folder with train.parquet, val.parquet and test.parquet; name one instead of {output}"
        )
    targets = [output / f"{name}.parquet" for name in SPLITS] if split else [output]
    rejects = rejects or default_rejects_path(output)
    refuse_overwriting([*targets, rejects], paths)
    tables = [
        TablePasses(path, mapping, label, answers)
        for path, label in zip(paths, labels_of(paths) if len(paths) > 1 else [""])
    ]
    forms = forms_of(tables, [table.first_facts() for table in tables])
    if split:
        output.mkdir(parents=True, exist_ok=True)
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
    total = sum(path.stat().st_size for path in paths)
    for _ in range(4):  # at most: kinds, then ids, of several tables
        try:
            return _one_pass(tables, forms, targets, rejects, mapping, most, progress, total)
        except _Again:
            continue
    raise GraphemeError(f"the columns of {paths[0]} were decided differently each time; please report it")


def forms_of(tables: Sequence[TablePasses], facts: Sequence[Mapping[str, ColumnFacts]]) -> list[Form]:
    """The forms of tables, in each of which a column is what it is in all of them together."""
    whole = facts_together(facts)
    return [table.form({name: whole[name] for name in own}, table.roles) for table, own in zip(tables, facts)]


def _differ(one: Form, other: Form) -> bool:
    return (one.roles.inputs, one.input_type) != (other.roles.inputs, other.input_type) or any(
        one.kinds[name] != other.kinds[name] for name in other.roles.used
    )


class _Again(Exception):
    """The tables have to be read once more, in the forms that were found."""


def _one_pass(
    tables: list[TablePasses], forms: list[Form], targets: list[Path], rejects: Path, mapping: TableMapping,
    most: int | None, progress: Callable[[int, int], None] | None, total: int,
) -> TableConverted:  # fmt: skip
    paths = [table.table.path for table in tables]
    mode = mode_of(paths)
    refused, cutters = RejectSink(rejects, mode), [_Cutter(path, mode, paths) for path in targets]
    shares = shares_of(mapping.split) if mapping.split is not None and len(targets) > 1 else None
    n_in = n_out = done = 0
    repeating = False
    try:
        for index, table in enumerate(tables):
            if most is not None and n_out >= most:
                break

            def read(size: int) -> None:
                nonlocal done
                done += size
                if progress is not None:
                    progress(min(done, total), total)

            form = forms[index]
            for made, before in table.passes(form, read):
                batch = _with_ids(made, before, table, form)
                last = None  # number of the last row that counts, in the block
                if most is not None and batch.num_rows >= most - n_out:
                    batch = batch.slice(0, most - n_out)
                    last = int(made.row[batch.num_rows - 1]) + 1
                rejected = [
                    Reject(str(table.table.path), before + one.row, NO_OFFSET, one.reason, one.start)
                    for one in made.refused
                    if last is None or one.row < last
                ]
                refused.write(rejected)
                n_in, n_out = n_in + batch.num_rows + len(rejected), n_out + batch.num_rows
                _deal(batch, made, shares, cutters)
                if most is not None and n_out >= most:
                    break
            if form.roles.id is not None and table.ids_repeat():
                if not table.auto_id:
                    raise RecordError(
                        f"{table.table.path}: column {form.roles.id!r} holds an id twice; leave --id out, and rows are "
                        "numbered"
                    )
                repeating = True
        read_tables = [table for table in tables if table.facts]
        if repeating:
            for table in tables:
                if table.auto_id:
                    table.number_rows()
        found = forms_of(read_tables, [table.facts for table in read_tables])
        again = repeating or any(_differ(one, other) for one, other in zip(found, forms))
        forms[: len(found)] = found
        if again:
            raise _Again
        if not n_out:
            first = refused.first
            why = f": {first.file}, row {first.line}: {first.reason}" if first else ""
            raise RecordError(f"no row of {tables[0].table.path} could be used{why}")
        for cutter in cutters:
            cutter.finish()
        if n_out != sum(cutter.sink.rows for cutter in cutters):
            raise GraphemeError(
                f"{n_out} rows were made, but {[c.sink.rows for c in cutters]} written; please report it"
            )
        refused.finish()
        outputs = [path for cutter in cutters for path in cutter.sink.finish()]
    except BaseException:
        refused.abandon()
        for cutter in cutters:
            cutter.abandon()
        raise
    whole = facts_together([table.facts for table in read_tables])
    columns: dict[str, str] = {}
    for table, form in zip(read_tables, forms):
        for name in table.roles.used:
            if name not in columns:
                columns[name] = table.sentence(name, whole[name], form)
    converted = Converted(n_in, n_out, refused.count, refused.first, outputs, refused.path)
    notes = [note for table in tables for note in table.notes]
    rows = tuple(cutter.sink.rows for cutter in cutters)
    return TableConverted(converted, list(columns.values()), notes, forms[0], rows)


def _with_ids(made: Made, before: int, table: TablePasses, form: Form) -> pa.RecordBatch:
    batch = made.batch
    if form.roles.id is not None:
        table.note_ids(batch.column("id"))
        if not table.label:
            return batch
        ids = pc.binary_join_element_wise(table.label, batch.column("id"), "-")
    else:
        number = pc.cast(pa.array(made.row + before + 1), pa.string())
        domain = pc.cast(batch.column("domain"), pa.string())
        parts = [domain, *([table.label] if table.label else []), number]
        ids = pc.binary_join_element_wise(*parts, "-")
    return batch.set_column(0, batch.schema.field(0), ids)


def _deal(batch: pa.RecordBatch, made: Made, shares: tuple[float, float, float] | None, cutters: list[_Cutter]) -> None:
    if len(cutters) == 1:
        cutters[0].add(batch)
        return
    by_column = cast("npt.NDArray[np.int64]", made.split)  # where there are no shares
    split = by_column[: batch.num_rows] if shares is None else shares_cut(input_hashes(batch), shares)
    for index, cutter in enumerate(cutters):
        rows = np.flatnonzero(split == index)
        cutter.add(batch if len(rows) == batch.num_rows else batch.take(pa.array(rows)))
