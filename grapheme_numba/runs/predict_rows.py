"""Answers to rows of a published or common layout, with answers of their own or without, in the order of the file."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from grapheme_numba.data.codec.answers import NumberAnswer, RealAnswer
from grapheme_numba.data.codec.layout import DomainLayout
from grapheme_numba.data.records import MixedExample
from grapheme_numba.data.rejects import NO_OFFSET
from grapheme_numba.data.sources.pictures import looks_for, picture_bytes, pixels_of
from grapheme_numba.data.sources.row_layouts import LAYOUTS, question_layout
from grapheme_numba.data.sources.tables.given_rows import GivenTable, cell_text
from grapheme_numba.data.sources.tables.mapping import ID, TableMapping
from grapheme_numba.data.stream.batches import misfit
from grapheme_numba.errors import RecordError
from grapheme_numba.runs.predict import Answer, Answerer, Refusal
from grapheme_numba.runs.predict_table import SHOWN, AnsweredRows


class RowsAnswerer:
    """A model beside one file of rows, whose questions are read as a layout says.

    table : as it is given; numbers : whether every answer of the model is a number

    Raises RecordError where the model has no domain for them.
    """

    def __init__(self, answerer: Answerer, path: Path, mapping: TableMapping, name: str | None = None):
        self.answerer, self.name = answerer, name or str(path)
        self.layout = answerer.model.layout
        self.table = GivenTable(path, mapping)
        self.numbers = all(isinstance(one.answer, RealAnswer | NumberAnswer) for one in self.layout.domains)
        self.kind = question_layout(set(self.table.names)) or ""
        self.domain = self._domain(mapping)
        pictures = self.domain.input_type == "image"
        self._looks = looks_for(self.domain.n_input, mapping.image_size) if pictures else None

    def _domain(self, mapping: TableMapping) -> DomainLayout:
        names = self.layout.names
        for name in (mapping.domain, LAYOUTS[self.kind].domain, names[0] if len(names) == 1 else None):
            if name in names:
                return self.layout.domains[self.layout.index(str(name))]
        raise RecordError(
            f"{self.name} holds rows of the layout {self.kind}, but none of the model's domains "
            f"{', '.join(names[:SHOWN])} is that of them ({LAYOUTS[self.kind].domain})"
        )

    def blocks(self) -> Iterator[AnsweredRows]:
        """The rows with their answers, block by block. Raises RecordError."""
        n = 0
        for rows in self.table.given_rows():
            objects = rows if isinstance(rows, list) else rows.to_pylist()
            asked = [self._question(row, n + number) for number, row in enumerate(objects, 1)]
            n += len(objects)
            yield AnsweredRows(rows, list(self.answerer.batched(asked)))
        if not n:
            raise RecordError(f"{self.name} holds no row; there is nothing to answer")

    def answers(self) -> Iterator[Answer | Refusal]:
        """The answer to each row, or why there is none, in order."""
        for block in self.blocks():
            yield from block.answers

    def notes(self) -> list[str]:
        """What a user should know about the file after it was answered."""
        found = [f"{self.name}: rows read as the layout {self.kind}"]
        return [*found, self._looks.sentence()] if self._looks is not None else found

    def _question(self, row: Any, number: int) -> MixedExample | Refusal:
        try:
            if not isinstance(row, Mapping):
                raise RecordError(str(row) if isinstance(row, str) else "the row is not a JSON object")
            example = self._example(row, number)
            if reason := misfit(example, self.domain, self.layout):
                raise RecordError(reason)
            return example
        except (RecordError, OSError, ValueError, RecursionError) as error:
            return Refusal(self.name, number, NO_OFFSET, str(error)[:160])

    def _example(self, row: Mapping[str, Any], number: int) -> MixedExample:
        own = row.get(ID)
        name, domain = str(number) if own is None else cell_text(own), self.domain.name
        if self._looks is None:
            return MixedExample(name, domain, "text", text=LAYOUTS[self.kind].ask(row))
        width, height, pixels = pixels_of(picture_bytes(row, self.table.path.parent), self._looks)
        return MixedExample(name, domain, "image", width=width, height=height, pixels=pixels)
