"""Published layouts as records: GSM8K, SQuAD v1 and v2, and MATH."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from grapheme_numba.errors import MissingInputError, RecordError

MOST_JSON = 512 << 20  # bytes of one JSON document, which has to be read whole


Kind = TypeVar("Kind")


class Item(NamedTuple):
    """One example, or the reason why there is none: where it stands, question, answer, metadata."""

    place: str
    question: str
    answer: str
    metadata: dict[str, Any]
    reason: str | None = None


def load_json(path: Path) -> Any:
    """A whole JSON document. RecordError when it is none."""
    try:
        if path.stat().st_size > MOST_JSON:
            raise RecordError(f"{path} has more than {MOST_JSON} bytes; split it first")
        return json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise MissingInputError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path} is not JSON: {str(error)[:100]}") from None


def _field(record: object, key: str, kind: type[Kind]) -> Kind:
    value = record.get(key) if isinstance(record, dict) else None
    if not isinstance(value, kind):
        raise ValueError(f"field {key} is missing or not {'a string' if kind is str else 'a list'}")
    return value


def squad(path: Path) -> Iterator[Item]:
    """SQuAD JSON: the question and its context; an impossible question has an empty answer."""
    document = load_json(path)
    if not isinstance(document, dict) or not isinstance(document.get("data"), list):
        raise RecordError(f"{path} is not SQuAD: it has no list `data`")
    for article in document["data"]:
        for paragraph in article.get("paragraphs", []) if isinstance(article, dict) else []:
            yield from _paragraph(paragraph)


def _paragraph(paragraph: Any) -> Iterator[Item]:
    for entry in paragraph.get("qas", []) if isinstance(paragraph, dict) else []:
        place = str(entry.get("id", "?")) if isinstance(entry, dict) else "?"
        try:
            question, context = _field(entry, "question", str), _field(paragraph, "context", str)
            answers = _field(entry, "answers", list)
            answer = _field(answers[0], "text", str) if answers else ""
            if not answers and not entry.get("is_impossible"):
                raise ValueError("no answer, yet not marked as impossible")
            yield Item(place, f"{question}\n{context}", answer, {"squad_id": place})
        except ValueError as error:
            yield Item(place, "", "", {}, str(error)[:120])


def competition_math(path: Path) -> Iterator[Item]:
    r"""One problem of the MATH data set a JSON file; the answer is the last `\boxed{}` of the solution."""
    try:
        record = load_json(path)
        solution = _field(record, "solution", str)
        metadata = {key: record[key] for key in ("level", "type") if isinstance(record.get(key), str)}
        yield Item(path.name, _field(record, "problem", str), boxed(solution), metadata)
    except (ValueError, RecordError) as error:
        yield Item(path.name, "", "", {}, str(error)[:120])


def boxed(solution: str) -> str:
    r"""The content of the last `\boxed{...}` (or `\fbox`), braces matched; ValueError without one."""
    at = max(solution.rfind("\\boxed"), solution.rfind("\\fbox"))
    if at < 0:
        raise ValueError("the solution has no \\boxed{}")
    rest = solution[at:].removeprefix("\\boxed").removeprefix("\\fbox")
    if not rest.startswith("{"):  # `\boxed 5` boxes one token
        tokens = rest.split("$")[0].split()
        if not tokens:
            raise ValueError("the solution's \\boxed is empty")
        return tokens[0]
    depth = 0
    for end, character in enumerate(rest):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return rest[1:end]
    raise ValueError("the braces of the solution's \\boxed{} do not close")


READERS = ("gsm8k", "squad", "math")
_ROWS = (".jsonl", ".ndjson", ".parquet")
ENDINGS = {"gsm8k": _ROWS, "squad": (".json", *_ROWS), "math": (".json", *_ROWS)}


def layout_of(path: Path) -> str | None:
    """The published layout of a file by its content, None if it is none of them."""
    try:
        if path.suffix == ".jsonl":
            with open(path, encoding="utf-8-sig") as file:
                record = json.loads(file.readline(1 << 20) or "null")
            known = isinstance(record, dict) and "question" in record and "####" in str(record.get("answer"))
            return "gsm8k" if known else None
        if path.suffix != ".json" or path.stat().st_size > MOST_JSON:
            return None
        document = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    if isinstance(document.get("data"), list):
        first = document["data"][0] if document["data"] else None
        return "squad" if isinstance(first, dict) and "paragraphs" in first else None
    return "math" if {"problem", "solution"} <= document.keys() else None
