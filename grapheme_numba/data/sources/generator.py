"""The generated example data: math, text, timeseries and vision, each honest and learnable.

Inputs of one split never appear in another, for any number of samples and any seed: the input's own digest chooses
the split, and the few facts of the text domain have wordings of their own in each. A fact has six. Four are asked in
training, one in validation, one in the test; which ones turns from fact to fact, so that a form of question that one
fact holds out is trained on with others.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from grapheme_numba.errors import OutputError, UsageError
from grapheme_numba.files.storage import WholeFile

# One line a form, and who fills it in: (answer of at most 16 bytes, what takes the places of {0} and {1}).
FORMS: tuple[tuple[tuple[str, ...], tuple[tuple[str, ...], ...]], ...] = (
    (
        (
            "capital of {0}?",
            "{0} has which capital?",
            "which city is capital of {0}?",
            "what is the capital of {0}?",
            "name the capital of {0}",
            "the capital city of {0} is?",
        ),
        (
            ("Paris", "France"),
            ("Rome", "Italy"),
            ("Madrid", "Spain"),
            ("Berlin", "Germany"),
            ("Lisbon", "Portugal"),
            ("Vienna", "Austria"),
            ("Athens", "Greece"),
            ("Oslo", "Norway"),
            ("Tokyo", "Japan"),
            ("Cairo", "Egypt"),
            ("Ottawa", "Canada"),
            ("Brasília", "Brazil"),
        ),
    ),
    (
        (
            "color of {0}?",
            "which color is {0}?",
            "what color has {0}?",
            "{0} is of which color?",
            "name the color of {0}",
            "the color of {0} is?",
        ),
        (
            ("blue", "a clear sky"),
            ("green", "grass"),
            ("yellow", "a ripe banana"),
            ("red", "a ripe tomato"),
            ("white", "fresh snow"),
            ("black", "coal"),
        ),
    ),
    (
        (
            "opposite of {0}?",
            "what is not {0}?",
            "which word is opposite to {0}?",
            "what is the opposite of {0}?",
            "name the opposite of {0}",
            "not {0} but?",
        ),
        (
            ("cold", "hot"),
            ("small", "large"),
            ("slow", "fast"),
            ("night", "day"),
            ("down", "up"),
            ("closed", "open"),
        ),
    ),
    (
        (
            "{0} of {1}?",
            "how many {0} has {1}?",
            "{1} has how many {0}?",
            "what is the number of {0} of {1}?",
            "count the {0} of {1}",
            "the {0} of {1} are how many?",
        ),
        (
            ("seven", "days", "a week"),
            ("twelve", "months", "a year"),
            ("four", "legs", "a horse"),
            ("eight", "legs", "a spider"),
            ("three", "sides", "a triangle"),
            ("sixty", "seconds", "a minute"),
        ),
    ),
    (
        (
            "what does {0} {1}?",
            "{0} does {1} what?",
            "which thing does {0} {1}?",
            "name what {0} does {1}",
            "to {1} what is it that {0} does?",
            "the thing that {0} does {1} is?",
        ),
        (
            ("water", "a fish", "swim in"),
            ("milk", "a cow", "give"),
            ("honey", "a bee", "make"),
            ("wool", "a sheep", "grow"),
            ("egg", "a hen", "lay"),
        ),
    ),
    (
        (
            "{0}?",
            "what is {0}?",
            "what do we call {0}?",
            "name {0}",
            "tell me {0}",
            "which word means {0}?",
        ),
        (
            ("ice", "frozen water"),
            ("steam", "boiled water"),
            ("Jupiter", "the largest planet"),
            ("Mercury", "the planet nearest the sun"),
            ("Mars", "the red planet"),
            ("gravity", "the force that makes apples fall"),
            ("photosynthesis", "the way plants use light"),
        ),
    ),
)

WAYS = {"train": 4, "val": 1, "test": 1}  # wordings of each fact in each split


def _wordings() -> dict[str, list[tuple[str, str]]]:
    asked: dict[str, list[tuple[str, str]]] = {split: [] for split in WAYS}
    facts = [(forms, fact) for forms, facts_of_form in FORMS for fact in facts_of_form]
    first = 0
    for split, n_way in WAYS.items():
        for way in range(first, first + n_way):
            for number, (forms, (answer, *parts)) in enumerate(facts):
                asked[split].append((forms[(number + way) % len(forms)].format(*parts), answer))
        first += n_way
    return asked


QUESTIONS = _wordings()
"""(question, answer) of every split; each fact stands in each split, in no split in the words of another."""


SIDE = 8
SHAPES = {
    "horizontal": ["......", "......", "######", "######", "......", "......"],
    "vertical": ["..##..", "..##..", "..##..", "..##..", "..##..", "..##.."],
    "diagonal": ["##....", "###...", ".###..", "..###.", "...###", "....##"],
    "cross": ["##..##", "######", ".####.", ".####.", "######", "##..##"],
    "plus": ["..##..", "..##..", "######", "######", "..##..", "..##.."],
    "square": ["######", "#....#", "#....#", "#....#", "#....#", "######"],
    "disc": ["..##..", ".####.", "######", "######", ".####.", "..##.."],
    "corner": ["##....", "##....", "##....", "##....", "######", "######"],
    "checker": ["##..##", "##..##", "..##..", "..##..", "##..##", "##..##"],
    "triangle": ["..##..", "..##..", ".####.", ".####.", "######", "######"],
}
_BITMAPS = {name: np.array([[c == "#" for c in row] for row in rows], float) for name, rows in SHAPES.items()}


def draw(label: str, rng: np.random.Generator) -> list[float]:
    """64 pixels, row-major, in [0, 1] with two decimals: the shape at a random offset, dimmed, with noise."""
    image = np.zeros((SIDE, SIDE))
    top, left = rng.integers(0, 3, 2)
    image[top : top + 6, left : left + 6] = _BITMAPS[label] * rng.uniform(0.7, 1.0)
    noisy = image + rng.normal(0.0, 0.1, image.shape)
    return np.round(np.clip(noisy, 0.0, 1.0), 2).ravel().tolist()


SPLITS = {"train": 0.8, "val": 0.1, "test": 0.1}

# Input type, input, expected output, metadata.
Drawn: TypeAlias = tuple[str, dict[str, Any], str, dict[str, str]]


def _math(rng: np.random.Generator, index: int, split: str) -> Drawn:
    """An expression of two numbers and its value."""
    operator = "+-*"[rng.integers(3)]
    top = 10 if operator == "*" else 21
    left, right = (int(v) for v in rng.integers(0, top, 2))
    value = {"+": left + right, "-": left - right, "*": left * right}[operator]
    return "text", {"text": f"{left} {operator} {right}"}, str(value), {"operator": operator}


def _text(rng: np.random.Generator, index: int, split: str) -> Drawn:
    """A question of the split, each as often as the others."""
    question, answer = QUESTIONS[split][index % len(QUESTIONS[split])]
    return "text", {"text": question}, answer, {}


def _timeseries(rng: np.random.Generator, index: int, split: str) -> Drawn:
    """The next value of an arithmetic, geometric, sine or quadratic sequence."""
    length = int(rng.integers(6, 9))
    steps = np.arange(length + 1)
    pattern = ("arithmetic", "geometric", "sine", "quadratic")[rng.integers(4)]
    if pattern == "arithmetic":
        series: npt.NDArray[Any] = rng.integers(-20, 21) + rng.integers(-5, 6) * steps
    elif pattern == "geometric":
        series = rng.integers(10, 61) * rng.uniform(0.6, 1.05) ** steps
    elif pattern == "sine":
        series = rng.uniform(10, 50) * np.sin(rng.uniform(0.3, 1.2) * steps + rng.uniform(0, 2 * np.pi))
    else:
        series = rng.integers(-20, 21) + rng.uniform(-4, 4) * steps + rng.uniform(-0.6, 0.6) * steps**2
    rounded = np.round(series).astype(int).tolist()
    return "sequence", {"values": rounded[:-1]}, str(rounded[-1]), {"pattern": pattern}


def _vision(rng: np.random.Generator, index: int, split: str) -> Drawn:
    """A noisy picture of a shape and the shape's name."""
    label = tuple(SHAPES)[index % len(SHAPES)]
    return "image", {"width": SIDE, "height": SIDE, "pixels": draw(label, rng)}, label, {}


DOMAINS: dict[str, Callable[[np.random.Generator, int, str], Drawn]] = {
    "math": _math,
    "text": _text,
    "timeseries": _timeseries,
    "vision": _vision,
}


def _split_of(given: dict[str, Any]) -> str:
    """The split that an input belongs to: a tenth each to val and test."""
    digest = hashlib.blake2b(json.dumps(given, sort_keys=True).encode(), digest_size=4).digest()
    place = int.from_bytes(digest, "little") % 10
    return "train" if place < 8 else "val" if place == 8 else "test"


def generate(
    samples: int, split: str, seed: int = 0, domains: Iterable[str] = tuple(DOMAINS)
) -> Iterator[dict[str, Any]]:
    """Yield the examples of one split as plain records, `samples` of each domain, domains mixed.

    Example i of a domain is drawn from (seed, domain, split, i) alone.
    """
    names = tuple(domains)
    for index in range(samples):
        for name in names:
            key = [seed, tuple(DOMAINS).index(name), tuple(SPLITS).index(split), index]
            rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
            kind, given, answer, metadata = DOMAINS[name](rng, index, split)
            while name != "text" and _split_of(given) != split:
                kind, given, answer, metadata = DOMAINS[name](rng, index, split)
            yield {
                "id": f"{name}-{split}-{index:06d}",
                "domain": name,
                "input_type": kind,
                "input": given,
                "expected_output": answer,
                "metadata": metadata,
            }


def write_splits(
    folder: Path,
    samples: int,
    seed: int = 0,
    domains: Sequence[str] = tuple(DOMAINS),
    *,
    overwrite: bool = False,
) -> dict[str, int]:
    """Write train.jsonl, val.jsonl and test.jsonl: `samples` of each domain in all, split 0.8, 0.1, 0.1.

    Returns the number of examples of each split. Files appear whole or not at all. Raises UsageError where one is
    there already, unless `overwrite`, and OutputError.
    """
    there = [path for path in (folder / f"{split}.jsonl" for split in SPLITS) if path.exists()]
    if there and not overwrite:
        raise UsageError(f"{there[0]} is there already; name another folder, or add --overwrite to replace it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from None
    counts = {}
    held_out = {split: round(samples * SPLITS[split]) for split in ("val", "test")}
    for split in SPLITS:
        n = held_out.get(split, samples - sum(held_out.values()))
        with WholeFile(folder / f"{split}.jsonl") as file:
            for record in generate(n, split, seed, domains):
                file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")
        counts[split] = n * len(domains)
    return counts
