"""From the path that a user gives to the files of its splits; one file alone is split by the hashes of its inputs."""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

import grapheme_numba
from grapheme_numba.data.file_kinds import PARQUET, PICTURES, REJECTS, TABLES, files_in, packed
from grapheme_numba.data.parquet.columns import list_offsets, number_views, string_views, whole
from grapheme_numba.data.schema import is_tabular
from grapheme_numba.errors import MissingInputError, UsageError, few

SHIPPED = "data/mixed_agi"
ENDINGS = packed(kind for kind in TABLES if kind not in (".txt", ".dat", ".data"))
NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
# `train`, and as hubs name their files: `train-00000-of-00003`, `train_0`, `squad-train`, `my_data.validation`.
_NUMBERED = r"[-_.]?\d+(?:-of-\d+)?(?:-[0-9a-f]{8,})?"
_NAMED = re.compile(rf"(?:(?P<name>.*)[-_.])?(?P<split>{'|'.join(NAMES)})(?:{_NUMBERED})?")


class Splits(NamedTuple):
    """Where the splits are: a file, a folder, or None. Several files of one split are in `parts`.

    parts : split -> its files, where they are more than one
    unused : other files of data in the folder
    """

    train: Path
    val: Path | None
    test: Path | None = None
    parts: Mapping[str, tuple[Path, ...]] = MappingProxyType({})
    unused: tuple[Path, ...] = ()

    def files(self) -> list[Path]:
        """All files of all splits."""
        named = [path for path in (self.train, self.val, self.test) if path is not None]
        listed = [*named, *(path for paths in self.parts.values() for path in paths)]
        return [file for path in listed for file in (sorted(path.iterdir()) if path.is_dir() else [path])]

    def sentence(self) -> str:
        """Which files are used for what, for people."""
        splits = (
            ("train", self.train, "train"),
            ("val", self.val, "val"),
            ("test", self.test, "test (not trained on)"),
        )
        shown = [f"{what}: {self.named(name)}" for name, path, what in splits if path is not None]
        return "data: " + ", ".join(shown) + self.left_out()

    def named(self, split: str) -> str:
        """The file or folder of a split, for people: how many files it is, and how many parts of it are not there."""
        path = {"val": self.val, "test": self.test}.get(split) or self.train
        n = len(self.parts.get(split, (path,)))
        total = re.search(r"-of-(\d+)", path.name)
        if total is not None and int(total[1]) != n:
            return f"{path} ({n} of {int(total[1])} parts; the others are not there)"
        return f"{path} ({n} files)" if n > 1 else str(path)

    def left_out(self) -> str:
        """What of the folder is not used, for people; empty where all is."""
        return f"; not used: {few([one.name for one in self.unused])}" if self.unused else ""


def split_named(name: str) -> str | None:
    """The split that a file or folder name stands for, `train`, `val` or `test`; None for any other name."""
    found = _NAMED.fullmatch(_stem(name).lower())
    return NAMES[found["split"]] if found else None


def data_name(name: str) -> str | None:
    """What a file or folder that is named as a split is a split of: `squad` of `squad-train.json`; None of others.

    Empty where its name is that of the split alone.
    """
    stem = _stem(name)
    found = _NAMED.fullmatch(stem.lower())
    return stem[: len(found["name"] or "")] if found else None


def _stem(name: str) -> str:
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if name.lower().endswith(ending):
            return name[: -len(ending)] if ending else name
    return name


def find_splits(path: str | None) -> Splits:
    """The splits in a folder or, for a single file, that file as training data without validation data.

    Without a path, the data shipped in a clone. Raises MissingInputError, and UsageError where two files claim one
    split.
    """
    folder = shipped() if path is None else Path(path)
    if not folder.exists():
        raise MissingInputError(f"the data {folder} does not exist; check --data, or make some: grapheme-data generate")
    if folder.is_file():
        return Splits(folder, None)
    claims = _claims(folder)
    if not claims and (folder / "data").is_dir() and _claims(folder / "data"):  # as hubs lay their repositories out
        folder = folder / "data"
        claims = _claims(folder)
    if "train" not in claims:
        others = [one for one in sorted(folder.iterdir()) if _is_data(one)]
        if claims:
            only = ", ".join(str(file) for files in claims.values() for file in files)
            raise MissingInputError(
                f"the folder {folder} holds no train file, only {only}; name one train, or give the file itself"
            )
        if any(one.name.lower().endswith(PARQUET) for one in others) or _has_pictures(folder):
            return Splits(folder, None)
        raise MissingInputError(
            f"the folder {folder} holds no train.jsonl and no train.parquet; "
            "give a folder with train and val files, or one file"
        )
    found = {name: _one(name, files, folder) for name, files in claims.items()}
    parts = {name: tuple(files) for name, files in claims.items() if _is_numbered(files)}
    used = {one for files in claims.values() for one in files}
    unused = tuple(one for one in sorted(folder.iterdir()) if _is_data(one) and one not in used)
    return Splits(found["train"], found.get("val"), found.get("test"), parts, unused)


def _is_data(path: Path) -> bool:
    low = path.name.lower()
    return low.endswith(ENDINGS) and not low.startswith(".") and not low.endswith(REJECTS) and path.is_file()


def _claims(folder: Path) -> dict[str, list[Path]]:
    """The files and folders that claim each split."""
    claims: dict[str, list[Path]] = {}
    for one in sorted(folder.iterdir()):
        if one.name.startswith("."):
            continue
        split = split_named(one.name)
        if split and (_is_data(one) or (one.is_dir() and files_in(one, _is_read))):
            claims.setdefault(split, []).append(one)
    return claims


def _has_pictures(folder: Path) -> bool:
    """Whether folders in this one, as those of classes, hold pictures."""
    classes = [one for one in folder.iterdir() if one.is_dir() and one.name[0] != "."]
    return any(file.suffix.lower() in PICTURES for one in classes for file in one.iterdir())


def _is_read(low: str) -> bool:
    return low.endswith((*ENDINGS, *PICTURES))


def _one(split: str, files: list[Path], folder: Path) -> Path:
    """The only claim of a split, or the first of numbered parts of one file. Raises UsageError."""
    if len(files) == 1:
        return files[0]
    if _is_numbered(files):
        return files[0]
    converted = _conversion(files)
    if converted is not None:
        return converted
    raise UsageError(
        f"{files[0].name} and {files[1].name} in {folder} both claim to be the {split} split; "
        "remove one, or name the file itself with --data"
    )


def _is_numbered(files: list[Path]) -> bool:
    """Whether these are the numbered parts of one file."""
    stems = {re.sub(rf"(?:{_NUMBERED})(?=\.)", "", file.name.lower()) for file in files}
    return len(files) > 1 and len(stems) == 1 and all(re.search(r"\d", one.name) and one.is_file() for one in files)


def _conversion(files: list[Path]) -> Path | None:
    """Of two files the one that was made of the other, as `convert` does it beside its source; None of others.

    Raises UsageError where the source has changed since.
    """
    from grapheme_numba.data.parquet.files import conversion_of

    for made in files if len(files) == 2 else []:
        (other,) = (file for file in files if file != made)
        found = conversion_of(made) if made.name.lower().endswith(PARQUET) and made.is_file() else None
        if found is None or found[0] != other.name:
            continue
        if found[1]:
            return made
        raise UsageError(
            f"{made} was converted from {other.name}, which is not what it was then; convert it again, or remove one"
        )
    return None


def split_file(folder: Path, split: str) -> Path | None:
    """The file or folder of a split; None where the folder has none. Raises UsageError where two claim it."""
    files = _claims(Path(folder)).get(NAMES.get(split, split))
    return _one(split, files, folder) if files else None


def shipped() -> Path:
    """The data that comes with a clone, beside the package or in the working folder."""
    root = Path(grapheme_numba.__file__).parent.parent
    for folder in (root / SHIPPED, Path(SHIPPED)):
        if folder.is_dir():
            return folder
    raise MissingInputError(
        f"no data was given and {SHIPPED} is not beside the package, as it is in a clone; "
        "make some with `grapheme-data generate --output data`, then add --data data"
    )


def input_hashes(table: pa.Table | pa.RecordBatch) -> npt.NDArray[np.uint64]:
    """(n,) uint64: a hash of each row's input, of its content alone."""
    from grapheme_numba.kernels.codec.table_text import hash_strings

    hashes = np.zeros(table.num_rows, np.uint64)

    def column(name: str) -> pa.Array:
        found = table.column(name)
        return whole(found) if isinstance(found, pa.ChunkedArray) else found

    offset, text = string_views(column("text"))
    hash_strings(offset.astype(np.int64), text, hashes)
    for name in ("values", "pixels", *(["numbers"] if is_tabular(table) else [])):
        offset, numbers = number_views(column(name))
        hash_strings(offset.astype(np.int64) * 8, numbers.view(np.uint8), hashes)
    if is_tabular(table):
        cells = column("categories")
        starts, data = string_views(cells.values)
        hash_strings(starts[list_offsets(cells)].astype(np.int64), data, hashes)
    return hashes


def shares_cut(hashes: npt.NDArray[np.uint64], shares: tuple[float, float, float]) -> npt.NDArray[np.int64]:
    """(n,) int64: 0, 1 or 2 for train, val and test, each with its share of all hashes."""
    place = (hashes >> np.uint64(11)).astype(np.float64) / 2.0**53
    return (place >= shares[0]).astype(np.int64) + (place >= shares[0] + shares[1])
