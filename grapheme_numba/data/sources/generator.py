"""The generated example data: math, text, timeseries and vision, each honest and learnable.

Inputs of one split never appear in another (except text, whose question list is finite): the input's
own digest chooses the split, so it holds for any number of samples and any seed.

The finite question list of the generated text domain: (answer of at most 16 bytes, ways to ask).

The 8x8 shapes of the generated vision domain.
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

QUESTIONS = (
    ("Paris", "capital of France?", "France has which capital?"),
    ("Rome", "capital of Italy?", "Italy has which capital?"),
    ("Madrid", "capital of Spain?", "Spain has which capital?"),
    ("Berlin", "capital of Germany?", "Germany has which capital?"),
    ("Lisbon", "capital of Portugal?"),
    ("Vienna", "capital of Austria?"),
    ("Athens", "capital of Greece?"),
    ("Oslo", "capital of Norway?"),
    ("Tokyo", "capital of Japan?", "Japan has which capital?"),
    ("Cairo", "capital of Egypt?"),
    ("Ottawa", "capital of Canada?"),
    ("Brasília", "capital of Brazil?"),
    ("blue", "color of a clear sky?", "which color is the sky?"),
    ("green", "color of grass?", "which color is grass?"),
    ("yellow", "color of a ripe banana?"),
    ("red", "color of a ripe tomato?"),
    ("white", "color of fresh snow?", "which color is snow?"),
    ("black", "color of coal?"),
    ("cold", "opposite of hot?", "what is not hot?"),
    ("small", "opposite of large?", "what is not large?"),
    ("slow", "opposite of fast?", "what is not fast?"),
    ("night", "opposite of day?"),
    ("down", "opposite of up?"),
    ("closed", "opposite of open?"),
    ("seven", "days in a week?", "how many days has a week?"),
    ("twelve", "months in a year?", "how many months has a year?"),
    ("four", "legs of a horse?", "how many legs has a horse?"),
    ("eight", "legs of a spider?"),
    ("three", "sides of a triangle?"),
    ("sixty", "seconds in a minute?"),
    ("water", "what do fish swim in?"),
    ("milk", "what does a cow give?"),
    ("honey", "what do bees make?", "bees make what?"),
    ("wool", "what does a sheep give?"),
    ("egg", "what does a hen lay?"),
    ("ice", "frozen water is called?"),
    ("steam", "boiled water becomes?"),
    ("Jupiter", "largest planet?", "which planet is largest?"),
    ("Mercury", "planet nearest to the sun?"),
    ("Mars", "which planet is red?"),
    ("gravity", "what makes apples fall?"),
    ("photosynthesis", "how do plants use light?"),
)


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


def _math(rng: np.random.Generator, index: int) -> Drawn:
    """An expression of two numbers and its value."""
    operator = "+-*"[rng.integers(3)]
    top = 10 if operator == "*" else 21
    left, right = (int(v) for v in rng.integers(0, top, 2))
    value = {"+": left + right, "-": left - right, "*": left * right}[operator]
    return "text", {"text": f"{left} {operator} {right}"}, str(value), {"operator": operator}


def _text(rng: np.random.Generator, index: int) -> Drawn:
    """A question of the list, each as often as the others."""
    questions = [(question, answer) for answer, *ways in QUESTIONS for question in ways]
    question, answer = questions[index % len(questions)]
    return "text", {"text": question}, answer, {}


def _timeseries(rng: np.random.Generator, index: int) -> Drawn:
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


def _vision(rng: np.random.Generator, index: int) -> Drawn:
    """A noisy picture of a shape and the shape's name."""
    label = tuple(SHAPES)[index % len(SHAPES)]
    return "image", {"width": SIDE, "height": SIDE, "pixels": draw(label, rng)}, label, {}


DOMAINS: dict[str, Callable[[np.random.Generator, int], Drawn]] = {
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
            kind, given, answer, metadata = DOMAINS[name](rng, index)
            while name != "text" and _split_of(given) != split:
                kind, given, answer, metadata = DOMAINS[name](rng, index)
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
