"""Answers to the rows of a table, in the order and with the columns of the table, as the saved mapping reads it."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from grapheme_numba.data.codec.answers import NumberAnswer, RealAnswer
from grapheme_numba.data.codec.inputs import column_kind, unseen_sentence
from grapheme_numba.data.codec.layout import DomainLayout
from grapheme_numba.data.rejects import NO_OFFSET
from grapheme_numba.data.schema import from_arrow
from grapheme_numba.data.sources.tables.column_facts import Kind
from grapheme_numba.data.sources.tables.given_rows import (
    Given,
    GivenTable,
    Rows,
    cell_text,
    missing_cells,
    unseen_categories,
)
from grapheme_numba.data.sources.tables.mapping import ID, Roles, TableMapping, roles_of
from grapheme_numba.data.sources.tables.row_examples import Form
from grapheme_numba.data.sources.tables.typed import kind_of_numbers, refuse_numbers_for_dates
from grapheme_numba.data.stream.batches import encode_rows_of, misfit
from grapheme_numba.errors import RecordError
from grapheme_numba.runs.predict import Answer, Answerer, Refusal

SHOWN = 12  # names of columns in a message


class AnsweredRows(NamedTuple):
    """A block of a table: its rows as given, and for each of them an answer or why there is none."""

    rows: Rows
    answers: list[Answer | Refusal]


class TableAnswerer:
    """A model beside one table.

    table : as it is given; unseen : column -> (cells of categories that training did not have, the first)
    gaps : column -> missing cells, of columns that had none in training
    numbers : whether every answer of the model is a number

    Raises RecordError where the table lacks a column that the model reads, or a domain for its rows.
    """

    def __init__(self, answerer: Answerer, path: Path, mapping: TableMapping, name: str | None = None):
        self.answerer, self.layout, self.name = answerer, answerer.model.layout, name or str(path)
        self.table = GivenTable(path, mapping)
        self.unseen: dict[str, tuple[int, str]] = {}
        self.gaps: dict[str, int] = {}
        self.numbers = all(isinstance(one.answer, RealAnswer | NumberAnswer) for one in self.layout.domains)
        self.form, self.domain = self._form(mapping)
        names = self.table.names
        given_id = mapping.id if mapping.id is not None else ID
        self.id = given_id if given_id in names else None
        fields = [field for domain in self._domains() for field in domain.fields]
        self._known = {field.name: field.values for field in fields}
        self._full = {field.name for field in fields if not field.missing}

    def _domains(self) -> list[DomainLayout]:
        one = self.domain
        return [domain for domain in self.layout.domains if not one or domain.name == one]

    def _form(self, mapping: TableMapping) -> tuple[Form, str]:
        """What examples are made of the rows, and the domain of all of them (empty: a column names it)."""
        names, layout = self.table.names, self.layout
        column = mapping.domain if mapping.domain in names else None
        if column is not None:
            domains, domain = list(layout.domains), ""
        elif mapping.domain in layout.names or len(layout.names) == 1:
            domain = mapping.domain if mapping.domain in layout.names else layout.names[0]
            domains = [layout.domains[layout.index(domain)]]
        else:
            known = f"the model knows the domains {', '.join(layout.names[:SHOWN])}"
            wanted = f"column {mapping.domain!r}, which names" if mapping.domain else "column that names"
            raise RecordError(f"{self.name} has no {wanted} the domain of each row; {known}")
        kinds_of_input = {one.input_type for one in domains}
        if kinds_of_input == {"image"}:
            raise RecordError(f"{self.name} is a table, but the model answers pictures; give them as JSONL records")
        if "tabular" in kinds_of_input:
            kinds = self._columns([one for one in domains if one.input_type == "tabular"])
            return Form(Roles(None, tuple(kinds), None, column, None, None), kinds, "tabular"), domain
        kind = "text" if "text" in kinds_of_input else "sequence"
        inputs = self._only_inputs(mapping, column)
        if len(inputs) != 1:
            raise RecordError(
                f"{self.name} has the columns {', '.join(names[:SHOWN])}, but the model reads one, of "
                f"{'texts' if kind == 'text' else 'lists of numbers'}; leave only that one (and `id`, if you want)"
            )
        own: dict[str, Kind] = dict.fromkeys(inputs, "text" if kind == "text" else "number")
        return Form(Roles(None, inputs, None, column, None, None), own, kind), domain

    def _columns(self, domains: list[DomainLayout]) -> dict[str, Kind]:
        """The columns that the model reads, each with its kind. Raises RecordError where one is missing."""
        fields = {field.name: field for domain in domains for field in domain.fields if field.n_input}
        lacking = [name for name in fields if name not in self.table.names]
        if lacking:
            shown = ", ".join(map(repr, lacking[:SHOWN]))
            own = ", ".join(self.table.names[:SHOWN])
            raise RecordError(f"{self.name} has no column {shown}, which the model reads; it has {own}")
        kinds: dict[str, Kind] = {name: column_kind(field) for name, field in fields.items()}
        refuse_numbers_for_dates(self.name, self.table.table.types, kinds)
        return kinds

    def _only_inputs(self, mapping: TableMapping, column: str | None) -> tuple[str, ...]:
        names = self.table.names
        drop = tuple(name for name in mapping.drop if name in names)
        plain = msgspec.structs.replace(mapping, weight=None, split=None, id=None, drop=drop, domain=column)
        inputs = roles_of(plain, names, self.table.path, answers=False).inputs
        aside = {mapping.id or ID, mapping.weight, mapping.split}
        return tuple(name for name in inputs if name not in aside) or inputs

    def blocks(self) -> Iterator[AnsweredRows]:
        """The rows of the table with their answers, block by block. Raises RecordError."""
        n = 0
        for given in self.table.blocks(self.form, self.domain):
            for name, (count, first) in unseen_categories(given, self.form, self._known).items():
                before, earliest = self.unseen.get(name, (0, first))
                self.unseen[name] = before + count, earliest
            for name, count in missing_cells(given, self.form).items():
                if name in self._full:
                    self.gaps[name] = self.gaps.get(name, 0) + count
            answers = self._answers(given)
            n += len(answers)
            yield AnsweredRows(given.rows, answers)
        if not n:
            raise RecordError(f"{self.name} holds no row; there is nothing to answer")

    def answers(self) -> Iterator[Answer | Refusal]:
        """The answer to each row, or why there is none, in order."""
        for block in self.blocks():
            yield from block.answers

    def _answers(self, given: Given) -> list[Answer | Refusal]:
        made, refused = given.made, given.made.refused
        n = len(made.row) + len(refused)
        found: list[Answer | Refusal | None] = [None] * n
        for one in refused:
            found[one.row - 1] = self._refusal(given.before + one.row, one.reason)
        batch, rows = made.batch, made.row
        reasons = self._misfits(given)
        for place, reason in reasons.items():
            found[rows[place]] = self._refusal(given.before + int(rows[place]) + 1, reason)
        fitting = np.array([place for place in range(len(rows)) if place not in reasons], np.int64)
        if reasons:
            batch, rows = batch.take(fitting), rows[fitting]
        ids = self._ids(given)
        size = self.answerer.batch_size
        for start in range(0, len(rows), size):
            answers = self.answerer.run(encode_rows_of(batch.slice(start, size), self.layout))
            for row, answer in zip(rows[start : start + size].tolist(), answers, strict=True):
                found[row] = answer._replace(id=ids[row])
        return [one if one is not None else self._refusal(0, "the row was not read") for one in found]

    def _misfits(self, given: Given) -> dict[int, str]:
        """Place in the batch -> why the model cannot take the example."""
        layout, names = self.layout, given.made.batch.column("domain").to_pylist()
        tabular = self.form.input_type == "tabular"
        strange = {name for name in set(names) if name not in layout.names}
        if tabular and not strange and all(one.input_type == "tabular" for one in self._domains()):
            return {}
        reasons: dict[int, str] = {}
        for place, example in enumerate(from_arrow(given.made.batch)):
            if example.domain in strange:
                known = ", ".join(layout.names[:SHOWN])
                reasons[place] = f"domain {example.domain!r} is unknown to this model, which knows {known}"
            elif reason := misfit(example, layout.domains[layout.index(names[place])], layout):
                reasons[place] = reason
        return reasons

    def _ids(self, given: Given) -> list[str]:
        """The id of every row of a block: the cell of its column, else its number from 1."""
        n = len(given.made.row) + len(given.made.refused)
        numbers = [str(given.before + row + 1) for row in range(n)]
        if self.id is None:
            return numbers
        if isinstance(given.rows, list):
            cells = [row.get(self.id) if isinstance(row, dict) else None for row in given.rows]
        else:
            cells = given.rows.column(self.table.names.index(self.id)).to_pylist()
        return [number if cell is None else cell_text(cell) for cell, number in zip(cells, numbers, strict=True)]

    def _refusal(self, row: int, reason: str) -> Refusal:
        return Refusal(self.name, row, NO_OFFSET, reason)

    def notes(self) -> list[str]:
        """What a user should know about the table after it was answered."""
        types = self.table.table.types
        found = [
            f"column {name!r} is {types[name]}, but held numbers in training; its cells count as days since 1970-01-01"
            for name, kind in self.form.kinds.items()
            if kind == "number" and name in types and kind_of_numbers(types[name]) == "date"
        ]
        for name, count in self.gaps.items():
            how = "the mean of training" if self.form.kinds[name] != "text" else "none of the known categories"
            found.append(f"column {name!r}: {count:,} cells are missing, as none was in training; they count as {how}")
        for name, (count, first) in self.unseen.items():
            other = any(field.other for domain in self._domains() for field in domain.fields if field.name == name)
            found.append(unseen_sentence(name, count, first, other))
        return found
