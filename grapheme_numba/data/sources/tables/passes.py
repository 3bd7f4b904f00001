"""A table read by all cores, its columns decided by all of their rows.

The first block shows what the columns seem to be, and the table is read as that while the facts of all blocks are
gathered. Where they say otherwise at the end, it is read a second time; so a column is never decided by a part of it,
and nearly all tables are read once (reading twice always cost 45 % more).
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from grapheme_numba.data.parquet.columns import string_views
from grapheme_numba.data.sources.tables.blocks import Block, Job, Refused, Table
from grapheme_numba.data.sources.tables.column_facts import ColumnFacts, Kind, number_facts, text_facts
from grapheme_numba.data.sources.tables.mapping import ID, Roles, TableMapping, roles_of
from grapheme_numba.data.sources.tables.readers import TextTable, open_table, unusable
from grapheme_numba.data.sources.tables.row_examples import Form, Made, examples_of
from grapheme_numba.data.sources.tables.typed import kind_of_numbers, kind_of_type
from grapheme_numba.data.splits import data_name
from grapheme_numba.data.threads import ahead
from grapheme_numba.errors import RecordError, UsageError

LEVEL = "__index_level_"
INDEX = ("Unnamed: 0", "index", f"{LEVEL}0__")  # what pandas calls an index; the last is one, whatever it holds
AHEAD = 2  # blocks that wait, for each thread
READ_AHEAD = 2  # blocks that are read before any thread waits for them
FEWEST = 10  # rows, most of them with another text of several words: words too
FREE_TEXT = 64  # more different texts than that in the only input column: its words count, it is no category
USUAL = "data"


def domain_of(path: Path) -> str:
    """The name of a table's examples where nothing else says it: the file's, or of a split what it is a split of."""
    own = data_name(path.name)
    if own is None:
        return path.name.split(".")[0] or USUAL
    return own or path.resolve().parent.name or USUAL


def usable_roles(table: Table, mapping: TableMapping, answers: bool, notes: list[str]) -> Roles:
    """The roles of a table's columns, without those whose type no input takes; named ones are a UsageError."""
    roles = roles_of(mapping, table.names, table.path, answers=answers)
    inputs = []
    for name in roles.inputs:
        kind = table.types.get(name)
        word = "text" if kind is None else kind_of_type(kind)
        alone = len(roles.inputs) == 1
        if kind is None or word in ("text", "number", "date", "bytes") or (word == "numbers" and alone):
            inputs.append(name)
        elif name in mapping.inputs:
            raise UsageError(
                f"{table.path}: column {name!r} is {unusable(kind)}"
                + ("; a list of numbers is taken as the only --input" if word == "numbers" else "")
            )
        else:
            notes.append(f"  {name}: left out, {unusable(kind)}")
    for name in dict.fromkeys([*inputs, *([] if roles.target is None else [roles.target])]):
        kind = table.types.get(name, pa.null())
        if pa.types.is_time(kind) or pa.types.is_duration(kind):
            notes.append(f"  {name}: {kind}, read as seconds")
        elif kind_of_type(kind) == "numbers":
            notes.append(f"  {name}: lists of numbers, read as a sequence")
    if not inputs:
        raise UsageError(f"{table.path} has no column whose type an input takes; it has {', '.join(table.names[:20])}")
    if roles.target is not None and kind_of_type(table.types.get(roles.target, pa.string())) not in (
        *("text", "number", "date", "bytes"),
    ):
        raise UsageError(f"{table.path}: the target {roles.target!r} is {str(table.types[roles.target])[:60]}")
    return roles._replace(inputs=tuple(inputs))


class TablePasses:
    """One table on its way to the sinks."""

    def __init__(self, path: Path, mapping: TableMapping, label: str, answers: bool):
        self.table = open_table(path, mapping)
        self.mapping, self.label, self.notes = mapping, label, list(self.table.notes)
        self.roles = usable_roles(self.table, mapping, answers, self.notes)
        self.facts: dict[str, ColumnFacts] = {}
        self._hashes: list[np.ndarray] = []
        self._many: set[str] = set()  # columns of too many different texts to count them
        self.auto_id = mapping.id is None and ID in self.table.names and ID not in mapping.inputs
        if self.auto_id and (ID in (self.roles.target, self.roles.domain, self.roles.weight, self.roles.split)):
            self.auto_id = False
        if self.auto_id and ID in self.roles.inputs and len(self.roles.inputs) > 1:
            rest = tuple(name for name in self.roles.inputs if name != ID)
            self.roles = self.roles._replace(id=ID, inputs=rest)
        else:
            self.auto_id = False

    def _leave_out(self, name: str, kind: pa.DataType) -> None:
        inputs = tuple(one for one in self.roles.inputs if one != name)
        if name in self.roles.inputs and inputs:
            self.roles = self.roles._replace(inputs=inputs)
            self.notes.append(f"  {name}: left out, {unusable(kind)}")

    def number_rows(self) -> None:
        """Take the column `id`, whose values repeat, as an input, and number the rows instead."""
        self.auto_id = False
        self.roles = self.roles._replace(id=None, inputs=(ID, *self.roles.inputs))
        self.notes.append(f"column {ID!r} repeats, so it is an input, and rows are numbered")

    def forced(self, name: str) -> Kind | None:
        """The kind that the user wants a column to be, None if none."""
        kinds = self.mapping.kinds
        return kinds.get(name) or next((kind for glob, kind in kinds.items() if fnmatchcase(name, glob)), None)

    def form(self, facts: dict[str, ColumnFacts], roles: Roles) -> Form:
        """What the facts say that the columns are."""
        kinds: dict[str, Kind] = {name: fact.kind(self.forced(name)) for name, fact in facts.items()}
        filled = tuple(name for name in roles.inputs if kinds[name] != "empty")
        inputs = tuple(name for name in filled if not self._counts_rows(name, facts[name]))
        if not filled:
            raise RecordError(f"{self.table.path}: every input column is empty")
        inputs = inputs or filled
        roles = roles._replace(inputs=inputs)
        listed = len(inputs) == 1 and inputs[0] in self.table.types
        if listed and kind_of_type(self.table.types[inputs[0]]) == "numbers":
            return Form(roles, kinds, "sequence")
        text = [name for name in inputs if kinds[name] == "text"]
        if self.mapping.layout == "values":
            return Form(roles, kinds, "text" if text else "sequence")
        if self.mapping.layout == "cells":
            return Form(roles, kinds, "tabular")
        if text and len(inputs) == 1 and _is_free(facts[inputs[0]]):
            return Form(roles, kinds, "text")
        return Form(roles, kinds, "tabular")

    def _counts_rows(self, name: str, fact: ColumnFacts) -> bool:
        """Whether a column that nobody named numbers or names the rows, as pandas writes its index.

        Where rows are sorted, it would give the answers away.
        """
        if self.mapping.inputs or name not in (*self.table.dialect.unnamed, *INDEX):
            return False
        if name.startswith(LEVEL) and fact.typed is None and fact.n > 1 and not fact.missing:
            return fact.distinct is None or len(fact.distinct) == fact.n
        return (
            fact.n > 1 and fact.low in (0.0, 1.0) and fact.whole and fact.numbers == fact.n == fact.high - fact.low + 1
        )

    def facts_of(self, block: Block) -> dict[str, ColumnFacts]:
        """The facts of the columns of a block."""
        found = {}
        for name, cells in block.columns.items():
            kind = self.table.types.get(name)
            if pa.types.is_floating(cells.type):
                typed = None if kind is None else kind_of_numbers(kind)
                found[name] = number_facts(name, cells.to_numpy(zero_copy_only=False), typed)
            elif pa.types.is_string(cells.type):
                found[name] = text_facts(name, cells, self.table.dialect, None, name in self._many)
                if found[name].distinct is None:
                    self._many.add(name)
            else:
                found[name] = ColumnFacts(name=name, typed="number", n=len(cells), missing=cells.null_count)
        if block.numbers is not None:
            n, plain = len(block.row), block.numbers
            for name, *facts in zip(plain.names, plain.missing, plain.low, plain.high, plain.fraction, plain.padded):
                missing, low, high, fraction, padded = (fact.item() for fact in facts)
                found[name] = ColumnFacts(
                    name=name, n=n, missing=missing, numbers=n - missing, low=low, high=high, whole=not fraction,
                    padded=padded, distinct=None,
                )  # fmt: skip
        return found

    def numeric(self, form: Form | None) -> set[str]:
        """The columns that may be read as doubles at once: an answer and a text keep how they are written."""
        if form is None or form.input_type == "text":
            return set()
        roles = form.roles
        return {name for name in roles.inputs if form.kinds[name] == "number"} - {roles.target, roles.id, roles.split}

    def exact(self, form: Form | None) -> set[str]:
        """The columns whose cells are needed as they are written."""
        roles = self.roles
        names = {name for name in (roles.target, roles.id, roles.domain, roles.split) if name is not None}
        if self.mapping.layout == "values" and (form is None or form.input_type == "text"):
            names |= set(roles.inputs)
        return names

    def work(self, job: Job, form: Form) -> tuple[Made, dict[str, ColumnFacts], int]:
        """Read one block and make its examples; runs in a thread."""
        block = job()
        for name, cells in block.columns.items():
            if not (pa.types.is_string(cells.type) or pa.types.is_floating(cells.type) or pa.types.is_list(cells.type)):
                if kind_of_type(cells.type) == "numbers":
                    block.columns[name] = pc.cast(cells, pa.list_(pa.float64()))
                else:
                    raise RecordError(
                        f"{self.table.path}: column {name!r} holds {unusable(cells.type)}; leave it out with --drop"
                    )
        facts = self.facts_of(block)
        return examples_of(block, form, self.table.dialect, self._domain()), facts, block.n

    def _domain(self) -> str:
        given = self.mapping.domain
        return domain_of(self.table.path) if given is None or given in self.table.names else given

    def first_facts(self) -> dict[str, ColumnFacts]:
        """What the first block shows."""
        exact = self.exact(None)
        likely = self.table.likely if isinstance(self.table, TextTable) else set()
        likely = {name for name in self.roles.inputs if name in likely and self.forced(name) != "text"} - exact
        for job, _ in self.table.jobs(self.roles.used, likely, exact):
            block = job()
            if not len(block.row) and block.refused:
                first = block.refused[0]
                raise RecordError(f"{self.table.path} is not a table: row {first.row}: {first.reason}")
            if not block.n:
                continue
            for name, cells in block.columns.items():
                if kind_of_type(cells.type) == "bytes" and name not in self.mapping.inputs:
                    self._leave_out(name, cells.type)
            used = {name: block.columns[name] for name in self.roles.used if name in block.columns}
            return self.facts_of(block._replace(columns=used))
        raise RecordError(f"{self.table.path} holds no row of cells; at least one is needed")

    def passes(self, form: Form, progress: Callable[[int], None] | None) -> Iterator[tuple[Made, int]]:
        """(examples of each block, rows before it), in order; meanwhile `facts` are gathered."""
        self.facts, self._hashes = {name: ColumnFacts(name=name) for name in self.roles.used}, []
        rows, threads = 0, len(os.sched_getaffinity(0))
        jobs = ahead(self.table.jobs(self.roles.used, self.numeric(form), self.exact(form)), READ_AHEAD)
        with ThreadPoolExecutor(threads, "grapheme-table") as pool:
            waiting: deque[tuple[Future[tuple[Made, dict[str, ColumnFacts], int]], int]] = deque()

            def next_made() -> tuple[Made, int]:
                nonlocal rows
                future, size = waiting.popleft()
                made, facts, n = future.result()
                for name, fact in facts.items():
                    self.facts[name].add(fact, rows)
                before, rows = rows, rows + n
                if progress is not None:
                    progress(size)
                return made, before

            try:
                for job, size in jobs:
                    while len(waiting) > AHEAD * threads:
                        yield next_made()
                    waiting.append((pool.submit(self.work, job, form), size))
                while waiting:
                    yield next_made()
            finally:
                jobs.close()
                for future, _ in waiting:
                    future.cancel()

    def note_ids(self, ids: pa.StringArray) -> None:
        """Remember a hash of each id."""
        from grapheme_numba.kernels.codec.table_text import hash_strings

        hashes = np.zeros(len(ids), np.uint64)
        offset, text = string_views(ids)
        hash_strings(offset.astype(np.int64), text, hashes)
        self._hashes.append(hashes)

    def ids_repeat(self) -> bool:
        """Whether an id came twice."""
        hashes = np.concatenate([np.zeros(0, np.uint64), *self._hashes])
        return len(np.unique(hashes)) < len(hashes)

    def sentence(self, name: str, fact: ColumnFacts, form: Form) -> str:
        """One line on a column that is used; `fact` is of it in all tables."""
        role = "target" if name == form.roles.target else "input" if name in form.roles.inputs else "left out"
        for key in ("id", "domain", "weight", "split"):
            role = key if getattr(form.roles, key) == name else role
        if role == "left out" and self._counts_rows(name, fact):
            role = f"left out, as it {'counts' if fact.numbers else 'names'} the rows (--input takes it)"
        return fact.sentence(role, self.forced(name))


def _is_free(fact: ColumnFacts) -> bool:
    """Whether the only input column is of texts of their own, whose words count, rather than of categories."""
    if fact.distinct is None or len(fact.distinct) > FREE_TEXT:
        return True
    spaced = sum(" " in text.strip() for text in fact.distinct)
    return 2 * len(fact.distinct) > fact.n >= FEWEST and 2 * spaced > len(fact.distinct)


def facts_together(given: Sequence[Mapping[str, ColumnFacts]]) -> dict[str, ColumnFacts]:
    """The facts of several tables' columns, as if the tables were one."""
    if len(given) == 1:
        return dict(given[0])
    found: dict[str, ColumnFacts] = {}
    for name in dict.fromkeys(name for facts in given for name in facts):
        several, rows = [facts[name] for facts in given if name in facts], 0
        whole = ColumnFacts(name=name)
        for one in several:
            whole.add(one, rows)
            rows += one.n
        if len({one.typed for one in several}) > 1:  # some files say types, others hold text
            kinds = {one.kind() for one in several} - {"empty"}
            whole.typed = None if not kinds else kinds.pop() if len(kinds) == 1 else "text"
        found[name] = whole
    return found


class Described(NamedTuple):
    """rows, refused : numbers of rows; first : the first that is refused; notes, columns : sentences."""

    rows: int
    refused: int
    first: Refused | None
    notes: list[str]
    columns: list[str]


def describe_table(path: Path, mapping: TableMapping, progress: Callable[[int, int], None] | None = None) -> Described:
    """Read all of a table once. Raises what opening and reading it raises.

    progress : called with bytes read and bytes of the file
    """
    done, size = 0, path.stat().st_size

    def read(n: int) -> None:
        nonlocal done
        done += n
        if progress is not None:
            progress(min(done, size), size)

    table = TablePasses(path, msgspec.structs.replace(mapping, split=None), "", answers=False)
    form = table.form(table.first_facts(), table.roles)
    rows, refused, first = 0, 0, None
    for made, before in table.passes(form, read):
        rows += len(made.row) + len(made.refused)
        refused += len(made.refused)
        if first is None and made.refused:
            first = made.refused[0]._replace(row=made.refused[0].row + before)
    form = table.form(table.facts, table.roles)
    columns = [table.sentence(name, fact, form) for name, fact in table.facts.items()]
    return Described(rows, refused, first, table.notes, columns)
