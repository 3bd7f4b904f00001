"""What `predict` does: every question of a file or of standard input with its answer, in order."""

import contextlib
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from grapheme_numba.cli.checkpoint_commands import load
from grapheme_numba.cli.output import answer, answer_bytes, as_json, check_input, is_terminal, warn
from grapheme_numba.data.sources.tables.given_rows import (
    ANSWER,
    CONFIDENCE,
    AnswerWriter,
    Written,
    format_of,
    free_names,
)
from grapheme_numba.data.sources.tables.mapping import TableMapping
from grapheme_numba.errors import RecordError, UsageError
from grapheme_numba.files import storage
from grapheme_numba.files.storage import refuse_overwriting
from grapheme_numba.runs import run_folder
from grapheme_numba.runs.answer_sources import Source, record_answers, source_of
from grapheme_numba.runs.checkpoint import restore_model
from grapheme_numba.runs.evaluate import of_the_model
from grapheme_numba.runs.predict import Answer, Answerer, Refusal
from grapheme_numba.runs.predict_rows import RowsAnswerer
from grapheme_numba.runs.predict_table import TableAnswerer

BLOCK = 1024  # records that are written together, where their file is a table


def answer_questions(
    path: str, source: str, target: str | None, rejects: str | None, choice: dict[str, Any], threads: int | None
) -> None:
    """Answer every question of `source`; what cannot be answered is refused, each with its reason.

    choice : threshold, route_all, batch_size and nodes of the Answerer
    """
    check_input(source)
    checkpoint, _ = load(path, threads)
    written = [name for name in (target, rejects) if name is not None]
    refuse_overwriting(written, [source, *run_folder.files_of(Path(path))])
    model = restore_model(checkpoint)
    mapping = of_the_model(checkpoint.config.table(), model)
    answerer = Answerer(model, **choice)
    with source_of(source, mapping, model.layout) as found:
        if found.kind in ("table", "layout"):
            if choice["route_all"]:
                raise UsageError("--route chooses by the input of a record; the domain of a table's rows is known")
            reader = TableAnswerer if found.kind == "table" else RowsAnswerer
            counts = answer_table(reader(answerer, found.path, mapping, found.name), target, rejects)
            where, unit = "these rows stand in the output without an answer", "rows"
        else:
            counts = answer_records(answerer, found, mapping, target, rejects)
            where, unit = "all other lines were answered", "lines"
    if counts[1]:
        raise RecordError(
            f"{counts[1]} of {sum(counts)} {unit} have no answer; the reasons stand "
            f"{f'in {rejects}' if rejects else 'above'}, {where}"
        )


def answer_table(table: TableAnswerer | RowsAnswerer, target: str | None, rejects: str | None) -> tuple[int, int]:
    """The rows of a table with their answers, as `target` says; returns how many have one, and how many none."""
    given, nodes = table.table, list(table.answerer.nodes)
    kind = format_of(target, given)
    names = free_names([ANSWER, CONFIDENCE, *nodes], given.names)
    for wanted, name in zip([ANSWER, CONFIDENCE, *nodes], names, strict=True):
        if wanted != name:
            warn(f"note: the table has a column {wanted!r}, so the new one is called {name!r}")
    for note in given.notes:
        warn(f"note: {note.replace(str(given.path), 'standard input' if table.name == '-' else table.name)}")
    numbers = names if table.numbers else names[1:]
    n_answered = n_refused = 0
    mode = storage.mode_of([str(given.path)])
    with binary_sink(target, mode) as file, sink(rejects, True, mode) as refuse:
        writer = AnswerWriter(file, kind, given, names, numbers)
        for block in table.blocks():
            writer.write(block.rows, added_columns(names, block.answers, nodes))
            for one in block.answers:
                if isinstance(one, Refusal):
                    n_refused += 1
                    refuse(as_json({"file": one.file, "row": one.line, "reason": one.reason}))
                else:
                    n_answered += 1
        writer.close()
    for note in table.notes():
        warn(f"note: {note}")
    return n_answered, n_refused


def added_columns(names: list[str], answers: list[Answer | Refusal], nodes: list[str]) -> dict[str, list[Any]]:
    """The cells of the columns that are added, None for a row without an answer."""
    columns: list[list[Any]] = [[] for _ in names]
    for one in answers:
        cells: list[Any] = [None] * len(names)
        if isinstance(one, Answer):
            cells = [one.answer, one.confidence, *((one.nodes or {})[node] for node in nodes)]
        for column, cell in zip(columns, cells, strict=True):
            column.append(cell)
    return dict(zip(names, columns, strict=True))


def answer_records(
    answerer: Answerer, source: Source, mapping: TableMapping, target: str | None, rejects: str | None
) -> tuple[int, int]:
    """The answers to records, without those that have none; returns how many have one, and how many none."""
    kind = format_of(target, None)
    answers = record_answers(source, answerer, mapping)
    n_answered = n_refused = 0
    mode = storage.mode_of([str(source.path)])
    with record_sink(target, kind, mode, list(answerer.nodes)) as write, sink(rejects, True, mode) as refuse:
        for one in answers:
            if isinstance(one, Answer):
                n_answered += 1
                write(one)
            else:
                n_refused += 1
                refuse(as_json(one._asdict()))
        if not n_answered + n_refused:
            raise RecordError(f"{source.name} holds no line; there is nothing to answer")
    return n_answered, n_refused


@contextlib.contextmanager
def record_sink(target: str | None, kind: Written, mode: int, nodes: list[str]) -> Iterator[Callable[[Answer], None]]:
    """A function that writes the answer to one record: a line of JSON, or a row of id, domain, answer, confidence."""
    if kind == "jsonl":
        with sink(target, False, mode) as write:
            yield lambda one: write(as_json({k: v for k, v in one._asdict().items() if v is not None}))
        return
    names = free_names(["id", "domain", ANSWER, CONFIDENCE, *nodes], [])
    held: list[Answer] = []

    def write_held() -> None:
        cells = added_columns(names[2:], list(held), nodes)
        own = {"id": [one.id for one in held], "domain": [one.domain for one in held]}
        writer.write([None] * len(held), {**own, **cells})
        held.clear()

    def add(one: Answer) -> None:
        held.append(one)
        if len(held) == BLOCK:
            write_held()

    with binary_sink(target, mode) as file:
        writer = AnswerWriter(file, kind, None, names, names[3:])
        yield add
        write_held()
        writer.close()


class _Shown(io.RawIOBase):
    """Bytes for a terminal: lines without control characters."""

    def write(self, data: Any) -> int:
        answer(*bytes(data).decode(errors="backslashreplace").splitlines())
        return len(data)


@contextlib.contextmanager
def binary_sink(target: str | None, mode: int) -> Iterator[BinaryIO | Any]:
    """A binary file that appears when it is whole, or standard output."""
    if target is not None and target != "-":
        with storage.WholeFile(Path(target), mode=mode) as file:
            yield file
    elif is_terminal(sys.stdout):
        yield _Shown()
    else:
        with answer_bytes() as stream:
            yield stream


@contextlib.contextmanager
def sink(target: str | None, err: bool, mode: int) -> Iterator[Callable[[str], Any]]:
    """A function that writes a line to a file (which appears when it is whole) or to stdout or stderr."""
    if target is None or target == "-":
        yield warn if err else answer
        return
    with storage.WholeFile(Path(target), mode=mode) as file:
        yield lambda text: file.write(text.encode() + b"\n")
