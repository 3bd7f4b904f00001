"""Layouts of rows that people have, by their columns: question sets, chats, instructions, labelled texts, pictures.

A layout is a reading of one row (an object of JSON, or a row of Parquet or Arrow) as a question and its answer.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from grapheme_numba.data.file_kinds import ARROW, JSON_LINES, PARQUET, bare_name
from grapheme_numba.data.sources.hub_layouts import Item, boxed, load_json
from grapheme_numba.data.sources.tables.blocks import BLOCK_BYTES, opened, read, seekable
from grapheme_numba.data.sources.tables.typed import arrow_batches
from grapheme_numba.errors import RecordError, UsageError

ROWS = 1024
ASSISTANTS = ("assistant", "gpt", "model")
PEEKED = 20  # rows whose columns are looked at

Row = Mapping[str, Any]
Found = tuple[str, str, dict[str, Any]]  # question, answer, metadata


def _text(row: Row, *names: str) -> str:
    """The first of the named cells that is there, as text. Raises ValueError."""
    for name in names:
        value = row.get(name)
        if isinstance(value, str):
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float) and value == value:
            return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(value)
    raise ValueError(f"field {' or '.join(names)} is missing or not a string")


def _string(row: Row, name: str) -> str:
    """A cell that has to be a string. Raises ValueError."""
    if not isinstance(value := row.get(name), str):
        raise ValueError(f"field {name} is missing or not a string")
    return value


def gsm8k(row: Row) -> Found:
    """`question`, and `answer` that ends in `#### number`."""
    solution = _string(row, "answer")
    if "####" not in solution:
        raise ValueError("the answer has no final `#### number`")
    return _string(row, "question"), solution.rpartition("####")[2].strip().replace(",", ""), {"solution": solution}


def competition_math(row: Row) -> Found:
    r"""`problem`, and `solution` whose last `\boxed{}` is the answer."""
    more = {key: row[key] for key in ("level", "type") if isinstance(row.get(key), str)}
    return _string(row, "problem"), boxed(_string(row, "solution")), more


def squad(row: Row) -> Found:
    """`question`, `context` and `answers` with lists `text` and `answer_start`; without any it is impossible."""
    answers = row.get("answers")
    texts = answers.get("text") if isinstance(answers, Mapping) else answers
    if not isinstance(texts, list):
        raise ValueError("field answers is missing or holds no list `text`")
    if texts and isinstance(texts[0], Mapping):
        texts = [_text(texts[0], "text")]
    answer = texts[0] if texts else ""
    if not isinstance(answer, str):
        raise ValueError("the answer is not a string")
    more = {"squad_id": row["id"]} if isinstance(row.get("id"), str) else {}
    return f"{_string(row, 'question')}\n{_string(row, 'context')}", answer, more


def _turns(row: Row) -> list[tuple[str, str]]:
    """(role, content) of each message. Raises ValueError."""
    messages = row.get("messages") or row.get("conversations")
    if isinstance(messages, str):
        messages = json.loads(messages)
    if not isinstance(messages, list) or not messages:
        raise ValueError("field messages is missing or no list of messages")
    turns = []
    for message in messages:
        if not isinstance(message, Mapping):
            raise ValueError("a message is not an object")
        turns.append((_text(message, "role", "from"), _text(message, "content", "value")))
    return turns


def _spoken(turns: list[tuple[str, str]]) -> str:
    alone = len(turns) == 1
    return turns[0][1] if alone else "\n".join(f"{role}: {content}" for role, content in turns)


def chat(row: Row) -> Found:
    """`messages` of `role` and `content` (or `conversations` of `from` and `value`): the last answer, all before it."""
    turns = _turns(row)
    answers = [i for i, (role, _) in enumerate(turns) if role in ASSISTANTS]
    if not answers or answers[-1] == 0:
        raise ValueError("no message of the assistant follows another one")
    return _spoken(turns[: answers[-1]]), turns[answers[-1]][1], {}


def chat_question(row: Row) -> str:
    """What stands before the last answer, or all messages where the last one is not the assistant's."""
    turns = _turns(row)
    if turns[-1][0] in ASSISTANTS and len(turns) > 1:
        turns = turns[:-1]
    return _spoken(turns)


def instruction(row: Row) -> str:
    """`instruction`, and below it `input`, if there is one."""
    more, first = row.get("input"), _text(row, "instruction")
    return f"{first}\n{more}" if isinstance(more, str) and more else first


def alpaca(row: Row) -> Found:
    """`instruction`, perhaps `input`, and `output`."""
    return instruction(row), _text(row, "output"), {}


def completion(row: Row) -> Found:
    """`prompt` and `completion` (or `response`)."""
    return _text(row, "prompt"), _text(row, "completion", "response"), {}


def text_label(row: Row) -> Found:
    """`text` and `label`."""
    return _text(row, "text"), _text(row, "label"), {}


def asked(*names: str) -> Callable[[Row], str]:
    """A reader of questions that are the strings in these columns, one below the other."""
    return lambda row: "\n".join(_string(row, name) for name in names)


class Layout(NamedTuple):
    """How rows are read.

    columns : each one of them, or of the alternatives in a tuple, has to be there; the first `n_asked` of a question
    ask : the question of a row, with an answer or without
    """

    read: Callable[[Row], Found]
    columns: tuple[str | tuple[str, ...], ...]
    domain: str
    ask: Callable[[Row], str]
    n_asked: int = 1


PICTURE = ("image", "img")
LAYOUTS = {
    "chat": Layout(chat, (("messages", "conversations"),), "chat", chat_question),
    "squad": Layout(squad, ("question", "context", "answers"), "squad", asked("question", "context"), 2),
    "gsm8k": Layout(gsm8k, ("question", "answer"), "gsm8k", asked("question")),
    "math": Layout(competition_math, ("problem", "solution"), "competition_math", asked("problem")),
    "alpaca": Layout(alpaca, ("instruction", "output"), "instructions", instruction),
    "completion": Layout(completion, ("prompt", ("completion", "response")), "completions", asked("prompt")),
    "text-label": Layout(text_label, ("text", "label"), "texts", asked("text")),
    "images": Layout(lambda row: ("", "", {}), (PICTURE, ("label", "labels", "fine_label")), "images", asked()),
}
RECORD = {"id", "input_type", "input"}  # what every record of our own has
RECORD_MARK, PEEKED_BYTES = b'"input_type"', 1 << 16  # stands in the first record, and hardly in a table
FLAT_RECORD = {"id", "domain", "input_type", "text", "values", "expected_output"}  # and each row of our Parquet


def layout_of_columns(names: set[str], rows: list[Row]) -> str | None:
    """The layout of rows with these columns; `records` for our own, None for none."""
    if names >= RECORD or names >= FLAT_RECORD:
        return "records"
    for name, layout in LAYOUTS.items():
        if all(bool(names & set(one)) if isinstance(one, tuple) else one in names for one in layout.columns):
            if name == "gsm8k" and not any("####" in str(row.get("answer")) for row in rows):
                continue
            return name
    return None


def question_layout(names: set[str]) -> str | None:
    """The layout of rows that have at least the columns of its questions; None for none, and for our own records."""
    if names >= RECORD or names >= FLAT_RECORD:
        return None
    for name, layout in LAYOUTS.items():
        asked_in = layout.columns[: layout.n_asked]
        if all(bool(names & set(one)) if isinstance(one, tuple) else one in names for one in asked_in):
            return name
    return None


def refusal(path: Path, names: set[str]) -> str:
    """Why rows with these columns are of no layout, and what to do."""
    shown = ", ".join(sorted(names)[:12]) or "no columns"
    tried = "; ".join(
        f"{name} ({' and '.join('/'.join(c) if isinstance(c, tuple) else c for c in layout.columns)})"
        for name, layout in LAYOUTS.items()
    )
    return (
        f"{path} has the columns {shown}, which fit no known layout: tried records (id, input_type, input); {tried}. "
        "Name the column of the answers with --target, or the layout with --layout"
    )


def rows_of(path: Path) -> Iterator[Row | str]:
    """The rows of a file of JSON lines, a JSON list, Parquet or Arrow; a string says why one is none."""
    name = bare_name(path)
    if name.endswith((*PARQUET, *ARROW)):
        try:
            with seekable(path) as file:
                whole = pq.ParquetFile(file).iter_batches(ROWS) if name.endswith(PARQUET) else arrow_batches(file)[1]
                for batch in whole:
                    yield from batch.to_pylist()
        except (pa.ArrowException, OSError, ValueError) as error:
            raise RecordError(f"{path} cannot be read: {str(error)[:120]}; is it damaged or cut?") from None
        return
    if name.endswith(JSON_LINES):
        yield from _json_lines(path)
        return
    document = load_json(path)
    if isinstance(document, dict):
        lists = [value for value in document.values() if isinstance(value, list)]
        document = lists[0] if len(lists) == 1 and lists[0] and isinstance(lists[0][0], dict) else [document]
    if not isinstance(document, list):
        raise RecordError(f"{path} holds no list of objects")
    for row in document:
        yield row if isinstance(row, dict) else "the item is not a JSON object"


def _json_lines(path: Path) -> Iterator[Row | str]:
    first = True
    with opened(path) as stream:
        rest = b""
        while data := read(stream, BLOCK_BYTES, path):
            *lines, rest = (rest + data).split(b"\n")
            if first and lines:
                lines[0], first = lines[0].removeprefix(b"\xef\xbb\xbf"), False
            for line in lines:
                if line.strip():
                    yield _row(line)
        if rest.strip():
            yield _row(rest.removeprefix(b"\xef\xbb\xbf"))


def _row(line: bytes) -> Row | str:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return str(error)[:120]
    return row if isinstance(row, dict) else "the line is not a JSON object"


def detect(path: Path, forced: str | None = None) -> str:
    """The layout of a file by its first rows. Raises RecordError where it is none, UsageError for an unknown name."""
    if forced is not None:
        if forced not in (*LAYOUTS, "records"):
            raise UsageError(f"--layout {forced}: unknown; known are {', '.join(LAYOUTS)}, records")
        return forced
    rows: list[Row] = []
    names: set[str] = set()
    for row in rows_of(path):
        if isinstance(row, Mapping):
            rows.append(row)
            names |= set(row)
        if len(rows) == PEEKED:
            break
    if (layout := layout_of_columns(names, rows)) is None:
        raise RecordError(refusal(path, names))
    return layout


def items_of(layout: str, path: Path) -> Iterator[Item]:
    """One Item a row, with its reason where the layout does not fit it."""
    read = LAYOUTS[layout].read
    for number, row in enumerate(rows_of(path), 1):
        if isinstance(row, str):
            yield Item(str(number), "", "", {}, row)
            continue
        try:
            question, answer, metadata = read(row)
            yield Item(str(number), question, answer, metadata)
        except (ValueError, RecursionError, msgspec.DecodeError) as error:
            yield Item(str(number), "", "", {}, str(error)[:120])


def has_records(path: Path) -> bool:
    """Whether JSON starts with records of our own."""
    try:
        with opened(path) as stream:
            return RECORD_MARK in stream.read(PEEKED_BYTES)
    except (OSError, EOFError, ValueError):
        return True  # what is wrong with it is said where it is read


def is_of_records(path: Path) -> bool:
    """Whether JSON lines hold records of our own, or nothing that could be of another layout.

    Raises RecordError where the rows have fields, but of no layout.
    """
    try:
        with opened(path) as stream:
            if RECORD_MARK in stream.read(PEEKED_BYTES):
                return True
        names: set[str] = set()
        rows = []
        for row in rows_of(path):
            if isinstance(row, Mapping):
                rows.append(row)
                names |= set(row)
            if len(rows) == PEEKED:
                break
    except (OSError, EOFError, ValueError):
        return True  # what is wrong with it is said where it is read
    layout = layout_of_columns(names, rows)
    if layout is None and names and not names & RECORD:
        raise RecordError(refusal(path, names))
    return layout in (None, "records")


def first_layout(path: Path) -> str | None:
    """The layout of a file by its first rows, None for none or for a file that cannot be read so."""
    try:
        return detect(path)
    except (RecordError, OSError, ValueError):
        return None
