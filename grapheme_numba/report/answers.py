"""What a model answers to validation examples: samples, which class was taken for which, predicted and true numbers."""

import base64
import math
import struct
import zlib
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np

from grapheme_numba.data.records import MixedExample
from grapheme_numba.data.schema import to_plain
from grapheme_numba.errors import NonFiniteError
from grapheme_numba.models.brain_model import BrainModel
from grapheme_numba.optim.optimizers import gradient_norm
from grapheme_numba.report.numbers import number
from grapheme_numba.training.baseline import to_number

MOST_ASKED = 4096  # validation examples, drawn where there are more
MOST_BRAINS = 24  # with samples, the first ones
MOST_DETAILED = 12  # with a confusion matrix, or with predicted against true numbers
OF_EACH = 3  # right and wrong samples of a brain
MOST_CLASSES = 20  # of a confusion matrix: the most confused ones
N_BIN = 10  # of confidence
MOST_PIXELS, MOST_VALUES, MOST_FIELDS = 48, 12, 8  # of an image's side; of a sequence, the last ones; of a table's row
SIDE = 1000  # a curve's own coordinates
Row = tuple[int, str, str, float]  # number of the row in the dataset, expected answer, answer, confidence


def answers_of(model: BrainModel, dataset: Any) -> dict[str, dict[str, Any]]:
    """Of every brain that is asked: `n` examples, the commonest expected answer and its share, `samples`, and details.

    Which examples are drawn is a function of the data alone. Raises NonFiniteError where the parameters are not
    finite, RecordError or OSError where the data is gone.
    """
    if not np.isfinite(gradient_norm(model.parameters)):
        raise NonFiniteError("the parameters are not finite")
    layout, asked = model.layout, 0
    found: dict[int, list[Row]] = {}
    for batch in dataset.batches(layout, 256, seed=0 if dataset.n_rows > MOST_ASKED else None, prefetch=0):
        outputs = model.own_outputs(batch)
        for index in np.unique(batch.domain).tolist():
            rows = np.flatnonzero(batch.domain == index)
            decoded = layout.decode(index, outputs[rows])
            expected = [batch.answers[row] for row in rows.tolist()]
            four = batch.rows[rows].tolist(), expected, decoded.answers, decoded.confidence.tolist()
            found.setdefault(index, []).extend(zip(*four, strict=True))
        asked += len(batch.domain)
        if asked >= MOST_ASKED:
            break
    answers: dict[str, dict[str, Any]] = {}
    chosen: dict[int, tuple[list[Any], Row]] = {}
    for index, own in sorted(found.items()):
        counts = Counter(expected for _, expected, _, _ in own)
        commonest = min(counts, key=lambda answer: (-counts[answer], answer), default="")
        one: dict[str, Any] = {
            "n": len(own),
            "commonest": commonest,
            "share": counts[commonest] / max(1, len(own)),
            "samples": [],
        }
        answers[layout.names[index]] = one
        if own and len(answers) <= MOST_DETAILED:
            one |= {"calibration": calibration(own), **details(own, layout.domains[index].answer.kind)}
        if len(answers) <= MOST_BRAINS:
            wrong, right = ([row for row in sorted(own) if (row[1] == row[2]) is same] for same in (False, True))
            chosen |= {row[0]: (one["samples"], row) for row in (*wrong[:OF_EACH], *right[:OF_EACH])}
    records = dict(zip(sorted(chosen), dataset.records(chosen), strict=True))
    for samples, row in chosen.values():  # wrong ones first
        example = records[row[0]]
        samples.append(
            {"id": example.id, "question": question(example)}
            | dict(zip(("expected", "answer", "confidence"), row[1:], strict=True))
        )
    return answers


def details(rows: list[Row], kind: str) -> dict[str, Any]:
    """The confusion matrix of labels; the true and predicted numbers."""
    if kind == "label":
        return {"confusion": confusion([(true, guess) for _, true, guess, _ in rows])}
    if kind != "number":
        return {}
    pairs = np.array([(to_number(true), to_number(guess)) for _, true, guess, _ in rows])
    return {"pairs": pairs[np.isfinite(pairs).all(axis=1)].tolist()}


def confusion(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """`classes`, and `counts` with a row for each true and a column for each predicted one; the most confused ones.

    n_class : of all that occur; n_other : examples that have another class than those shown
    """
    counts = Counter(pairs)
    errors = Counter(name for pair, n in counts.items() if pair[0] != pair[1] for name in pair for _ in range(n))
    names = sorted({name for pair in pairs for name in pair})
    classes = sorted(sorted(names, key=lambda name: -errors[name])[:MOST_CLASSES])
    table = [[counts[true, guess] for guess in classes] for true in classes]
    return {"classes": classes, "counts": table, "n_class": len(names), "n_other": len(pairs) - sum(map(sum, table))}


def calibration(rows: list[Row]) -> list[list[float]]:
    """[mean confidence, share of right answers, number of answers] of every bin of confidence that holds one."""
    bins: dict[int, list[Row]] = {}
    for row in rows:
        bins.setdefault(min(int(row[3] * N_BIN), N_BIN - 1), []).append(row)
    return [
        [sum(row[3] for row in own) / len(own), sum(row[1] == row[2] for row in own) / len(own), len(own)]
        for _, own in sorted(bins.items())
    ]


def question(example: MixedExample) -> dict[str, Any]:
    """A question as a person looks at it: `text` and the `path` of a curve, or an `image` (data URL), and `words`."""
    if example.pixels is not None and example.width and example.height:
        return image(example.pixels, example.width, example.height)
    if example.values is not None:
        return curve(example.values)
    if example.text is not None:
        return {"text": example.text}
    fields = to_plain(example)["input"].get("fields", {})
    cells = [f"{name} {cell}" for name, cell in fields.items() if cell is not None]
    return {"text": ", ".join(cells[:MOST_FIELDS]) + ", …" * (len(cells) > MOST_FIELDS)}


def image(pixels: list[float], width: int, height: int) -> dict[str, Any]:
    """Pixels in rows as a grey PNG in a data URL, the highest of them white; larger images lose rows and columns."""
    every = max(1, math.ceil(max(width, height) / MOST_PIXELS))
    rows = [pixels[y * width : (y + 1) * width : every] for y in range(0, height, every)]
    low, high = min(pixels), max(pixels)
    scale = 255 / (high - low) if high > low else 0
    lines = b"".join(b"\0" + bytes(round((value - low) * scale) for value in row) for row in rows)
    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)  # one byte a pixel
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    words = f"image of {width} by {height} pixels from {number(float(low))} to {number(float(high))}"
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return {"image": source, "words": words, "width": 64 * len(rows[0]) // len(rows) or 1}


def curve(values: list[float]) -> dict[str, Any]:
    """A sequence: its last values as text, and the outline of a small line of all of them where they differ."""
    text = ("… " if len(values) > MOST_VALUES else "") + ", ".join(number(float(v)) for v in values[-MOST_VALUES:])
    points = values[:: max(1, len(values) // 120)]
    low, high = min(points, default=0.0), max(points, default=0.0)
    if all(a == b for a, b in pairwise(points)) or not math.isfinite(high - low):
        return {"text": text}
    places = [f"{SIDE * i // (len(points) - 1)} {SIDE * (high - v) / (high - low):.0f}" for i, v in enumerate(points)]
    words = f"{len(values):,} values from {number(float(low))} to {number(float(high))}"
    return {"text": text, "path": "M" + "L".join(places), "words": words}
