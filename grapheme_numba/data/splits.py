"""From the path that a user gives to the files of its splits."""

from pathlib import Path
from typing import NamedTuple

import grapheme_numba
from grapheme_numba.errors import MissingInputError

SUFFIXES = (".parquet", "", ".jsonl", ".jsonl.gz", ".jsonl.zst")  # "" is a folder of Parquet files
SHIPPED = "data/mixed_agi"


class Splits(NamedTuple):
    """Where the splits are. `val` is None where the data has none."""

    train: Path
    val: Path | None


def find_splits(path: str | None) -> Splits:
    """The splits in a folder or, for a single file, that file as training data without validation data.

    Without a path, the data shipped in a clone. Raises MissingInputError.
    """
    folder = shipped() if path is None else Path(path)
    if not folder.exists():
        raise MissingInputError(f"the data {folder} does not exist; check --data, or make some: grapheme-data generate")
    if folder.is_file():
        return Splits(folder, None)
    train = split_file(folder, "train")
    if train is None:
        if any(folder.glob("*.parquet")):
            return Splits(folder, None)
        raise MissingInputError(
            f"the folder {folder} holds no train.jsonl and no train.parquet; "
            "give a folder with train and val files, or one file"
        )
    return Splits(train, split_file(folder, "val"))


def split_file(folder: Path, split: str) -> Path | None:
    """The file or folder of a split."""
    return next((path for suffix in SUFFIXES if (path := folder / f"{split}{suffix}").exists()), None)


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
