"""Pictures as examples: folders of files by class, and image structs of Parquet, resized, grey or RGB, as stated.

Pixels are from 0 to 1 with four decimals, row-major. RGB stands as three grey pictures one below the other (so a
picture of width w and height h has height 3 h). Pillow (the extra `[image]`) opens the files.
"""

import io
import math
import re
from collections.abc import Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from grapheme_numba.data.file_kinds import PICTURES, files_in
from grapheme_numba.data.records import MixedExample
from grapheme_numba.data.rejects import NO_OFFSET, Reject
from grapheme_numba.data.sources.row_layouts import LAYOUTS, PICTURE, rows_of
from grapheme_numba.errors import RecordError, UsageError, few

USUAL_SIDE = 28
MOST_SIDE = 1024
MOST_PIXELS = 64 << 20  # of a file; a few kilobytes may unpack to a gigabyte


class Looks(NamedTuple):
    """Width and height in pixels, and whether the three colours are kept."""

    width: int
    height: int
    colour: bool = False

    def __str__(self) -> str:
        return f"{self.width}x{self.height}{',rgb' if self.colour else ''}"

    def sentence(self) -> str:
        """What is done to every picture, for people."""
        return (
            f"pictures are resized to {self.width} x {self.height}, "
            f"{'RGB, the three colours one below the other' if self.colour else 'grey'} (--image-size)"
        )


def looks_of(text: str | None) -> Looks:
    """`28`, `32x24`, `32x32,rgb`, `28,grey` as Looks. Raises UsageError."""
    if text is None:
        return Looks(USUAL_SIDE, USUAL_SIDE)
    found = re.fullmatch(r"(\d+)(?:[x×](\d+))?(?:,(grey|gray|rgb))?", text.strip().lower())
    if not found or not all(1 <= int(side) <= MOST_SIDE for side in found.groups()[:2] if side):
        raise UsageError(f"--image-size {text}: wants a side or WxH of 1 to {MOST_SIDE} pixels, as 28, 32x24 or 32,rgb")
    width = int(found[1])
    return Looks(width, int(found[2] or width), found[3] == "rgb")


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise UsageError("pictures need Pillow: pip install '.[image]' in a clone") from None
    return Image


def pixels_of(data: bytes, looks: Looks) -> tuple[int, int, list[float]]:
    """(width, height, pixels) of one picture. Raises RecordError for one that is cut, huge or none."""
    image = _pillow()
    try:
        with image.open(io.BytesIO(data)) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise RecordError(f"the picture has {picture.width} x {picture.height} pixels, more than {MOST_PIXELS}")
            picture.load()
            plain = picture.convert("RGB" if looks.colour else "L").resize((looks.width, looks.height))
            bands = [band.tobytes() for band in plain.split()]
    except RecordError:
        raise
    except Exception as error:
        what = "it is of no known format" if "BytesIO" in str(error) else str(error)[:80]
        raise RecordError(f"the picture cannot be read: {what}; is it damaged or cut?") from None
    return looks.width, looks.height * len(bands), [round(byte / 255, 4) for band in bands for byte in band]


def picture_files(folder: Path) -> list[tuple[str, Path]]:
    """(class, file) of the pictures in a folder of folders, each of which is named as its class.

    Classes are the folders of the first level that has several; what is below them belongs to them.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in PICTURES and path.is_file()]
    places = [path.relative_to(folder).parts[:-1] for path in files]
    inside = [place for place in places if place]
    ends = zip(min(inside, default=()), max(inside, default=()), strict=False)  # what all have, these two have
    level = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], ends))
    return [(place[min(level, len(place) - 1)], path) for place, path in zip(places, files, strict=True) if place]


def _example(name: str, domain: str, answer: str, data: bytes, looks: Looks) -> MixedExample:
    width, height, pixels = pixels_of(data, looks)
    return MixedExample(name, domain, "image", width=width, height=height, pixels=pixels, expected_output=answer)


def folder_examples(folder: Path, domain: str, looks: Looks) -> Iterator[MixedExample | Reject]:
    """Examples of a folder of pictures by class, or why one is none."""
    for number, (label, path) in enumerate(picture_files(folder), 1):
        try:
            name = f"{domain}-{path.relative_to(folder).with_suffix('')}"
            yield _example(name, domain, label, path.read_bytes(), looks)
        except (RecordError, OSError) as error:
            yield Reject(str(path), number, NO_OFFSET, str(error), label[:80])


def question_pictures(path: Path, domain: str, looks: Looks) -> Iterator[MixedExample | str]:
    """A picture file, or those of a folder and below, as examples without an answer, in order; or why one is none."""
    folder = path if path.is_dir() else path.parent
    for file in files_in(path, lambda low: low.endswith(PICTURES)) if path.is_dir() else [path]:
        name = str(file.relative_to(folder))
        try:
            width, height, pixels = pixels_of(file.read_bytes(), looks)
            yield MixedExample(name, domain, "image", width=width, height=height, pixels=pixels)
        except (RecordError, OSError) as error:
            yield f"{name}: {error}"


def picture_bytes(row: Mapping[str, Any], folder: Path) -> bytes:
    """The file of a row's picture, which is bytes, or a struct of `bytes` and a `path` from `folder` on.

    Raises RecordError where there is none, and OSError.
    """
    picture = next((row[name] for name in PICTURE if row.get(name) is not None), None)
    data = picture.get("bytes") if isinstance(picture, Mapping) else picture
    if isinstance(picture, Mapping) and data is None and isinstance(picture.get("path"), str):
        data = (folder / picture["path"]).read_bytes()
    if not isinstance(data, bytes):
        raise RecordError("the picture is missing, or neither bytes nor a path to a file")
    return data


def label_sentence(path: Path, label: str | None) -> str | None:
    """Which of several columns of labels the answers of pictures are; None where there is one."""
    columns = next((list(row) for row in rows_of(path) if isinstance(row, Mapping)), [])
    used = label or next((name for name in LAYOUTS["images"].columns[1] if name in columns), None)
    others = [name for name in columns if name != used and "label" in name.lower()]
    if used is None or not others:
        return None
    return (
        f"{path}: answers are the column {used}; {few(others)} left out "
        f"(grapheme-data import --layout images --target {others[0]} takes another)"
    )


def row_examples(path: Path, domain: str, looks: Looks, label_column: str | None) -> Iterator[MixedExample | Reject]:
    """Examples of rows with a picture (`image`, a struct of `bytes` and `path`) and a label (`label_column`)."""
    labels = LAYOUTS["images"].columns[1] if label_column is None else (label_column,)
    for number, row in enumerate(rows_of(path), 1):
        try:
            if isinstance(row, str):
                raise RecordError(row)
            data = picture_bytes(row, path.parent)
            label = next((row[name] for name in labels if row.get(name) is not None), None)
            if label is None:
                raise RecordError(f"the answer is missing (column {label_column or 'label'})")
            yield _example(f"{domain}-{path.stem}-{number}", domain, str(label), data, looks)
        except (RecordError, OSError) as error:
            yield Reject(str(path), number, NO_OFFSET, str(error), "")


def looks_for(n_input: int, image_size: str | None = None) -> Looks:
    """The looks of pictures that a model with so many inputs was trained on: as its run says, else by their number."""
    if image_size is not None:
        return looks_of(image_size)
    for colour, n in ((False, n_input), (True, n_input // 3)):
        side = math.isqrt(n)
        if side * side * (3 if colour else 1) == n_input:
            return Looks(side, side, colour)
    raise RecordError(
        f"the model takes pictures of {n_input} pixels, which are no square; give them as JSONL records of width, "
        "height and pixels"
    )
