"""Questions as a person looks at them: an image as a small PNG, a sequence as its values and a curve."""

import base64
import math
import struct
import zlib
from itertools import pairwise
from typing import Any

from grapheme_numba.data.records import MixedExample
from grapheme_numba.report.numbers import number

MOST_PIXELS = 48  # along a side; larger images lose rows and columns
MOST_VALUES = 12  # of a sequence, the last ones, as text
SIDE = 1000  # a curve's own coordinates


def thumbnail(example: MixedExample) -> dict[str, Any]:
    """What the page shows of an image or a sequence; nothing of a text."""
    if example.pixels is not None and example.width and example.height:
        return image(example.pixels, example.width, example.height)
    return curve(example.values) if example.values is not None else {}


def image(pixels: list[float], width: int, height: int) -> dict[str, Any]:
    """Pixels in rows as a grey PNG in a data URL, the highest of them white."""
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
    return {
        "source": f"data:image/png;base64,{base64.b64encode(png).decode()}",
        "words": f"image of {width} by {height} pixels from {number(float(low))} to {number(float(high))}",
        "width": 64 * len(rows[0]) // len(rows) or 1,
    }


def curve(values: list[float]) -> dict[str, Any]:
    """A sequence: its last values as text, and the outline of a small line of all of them where they differ."""
    text = ("… " if len(values) > MOST_VALUES else "") + ", ".join(number(float(v)) for v in values[-MOST_VALUES:])
    points = values[:: max(1, len(values) // 120)]
    low, high = min(points, default=0.0), max(points, default=0.0)
    if all(a == b for a, b in pairwise(points)) or not math.isfinite(high - low):
        return {"text": text, "path": "", "words": ""}
    places = [f"{SIDE * i // (len(points) - 1)} {SIDE * (high - v) / (high - low):.0f}" for i, v in enumerate(points)]
    words = f"{len(values):,} values from {number(float(low))} to {number(float(high))}"
    return {"text": text, "path": "M" + "L".join(places), "words": words}
