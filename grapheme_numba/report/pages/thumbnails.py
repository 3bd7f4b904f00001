"""Questions as a person looks at them: an image, a curve, or the text itself."""

import base64
import math
import struct
import zlib

from grapheme_numba.report.pages.axes import SIDE
from grapheme_numba.report.pages.markup import plain, shown
from grapheme_numba.report.pages.numbers import number

MOST_PIXELS = 48  # along a side; larger images lose rows and columns
MOST_VALUES = 12  # of a sequence, the last ones, as text


def question(example) -> str:
    """The input of a MixedExample as HTML."""
    if example.input_type == "image":
        return picture(example.pixels, example.width, example.height)
    if example.input_type == "sequence":
        return curve(example.values)
    return shown(example.text)


def picture(pixels: list[float], width: int, height: int) -> str:
    """Pixels in rows as a small grey PNG inside the page, the highest of them white."""
    every = max(1, math.ceil(max(width, height) / MOST_PIXELS))
    rows = [pixels[y * width : (y + 1) * width : every] for y in range(0, height, every)]
    low, high = min(pixels), max(pixels)
    scale = 255 / (high - low) if high > low else 0
    lines = b"".join(b"\0" + bytes(round((value - low) * scale) for value in row) for row in rows)
    data = base64.b64encode(png(len(rows[0]), len(rows), lines)).decode()
    return (
        f'<img class="thumb" src="data:image/png;base64,{data}" alt="image of {width} by {height} pixels from '
        f'{number(float(low))} to {number(float(high))}" width="{64 * len(rows[0]) // len(rows) or 1}" height="64">'
    )


def png(width: int, height: int, lines: bytes) -> bytes:
    """A PNG of one byte a pixel; `lines` are the rows, a zero byte before each."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(lines, 9)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def curve(values: list[float]) -> str:
    """A sequence as its last values and a small line of all of them."""
    last = ", ".join(number(float(value)) for value in values[-MOST_VALUES:])
    text = f"… {last}" if len(values) > MOST_VALUES else last
    every = max(1, len(values) // 120)
    points = values[::every]
    low, high = min(points, default=0.0), max(points, default=0.0)
    if len(points) < 2 or not math.isfinite(high - low) or low == high:
        return plain(text)
    places = [
        f"{round(SIDE * i / (len(points) - 1))} {round(SIDE * (high - value) / (high - low))}"
        for i, value in enumerate(points)
    ]
    return (
        f'{plain(text)}<svg class="spark" viewBox="0 0 {SIDE} {SIDE}" preserveAspectRatio="none" role="img" '
        f'aria-label="{len(values):,} values from {plain(number(float(low)))} to {plain(number(float(high)))}">'
        f'<path d="M{"L".join(places)}"/></svg>'
    )
