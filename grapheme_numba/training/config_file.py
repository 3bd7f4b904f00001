"""`config.toml`: written complete and sealed with each run, read back by `--config`.

The seal is a comment with the digest of the lines below it: a config that a disk or a hand has changed
is refused rather than trained with. Whoever means the change deletes the seal.
"""

import hashlib
import tomllib
import typing
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from grapheme_numba.errors import MissingInputError, RecordError, UsageError
from grapheme_numba.training.config import KEYS, Config

SEAL = "# sealed by grapheme-train, sha256 "
SEAL_END = "; delete this line to change what follows"
MOST_BYTES = 1 << 20


def to_toml(config: Config, task: str) -> str:
    """The sealed text of a complete config; keys without a value stand as comments."""
    hints = typing.get_type_hints(Config, include_extras=True)
    lines = [f"# Trained by grapheme-train {task}; give this file to --config to do the same again.", ""]
    tables = []
    for key in KEYS:
        value = getattr(config, key)
        lines.append(f"# {description(hints[key])}")
        if isinstance(value, dict):
            lines.append(f"# (the table [{key}] at the end)")
            tables.append(tomli_w.dumps({key: value}) if value else "")
        elif isinstance(value, tuple):
            lines.append(f"{key} = {list(value)}")
        else:
            lines.append(f"# {key} =" if value is None else tomli_w.dumps({key: value}).strip())
    body = "\n".join([*lines, *tables]).rstrip() + "\n"
    return f"{SEAL}{digest(body)}{SEAL_END}\n{body}"


def read_config(path: str | Path) -> dict[str, Any]:
    """The keys and values of a TOML file (not yet checked against `Config`).

    Raises MissingInputError, UsageError (not TOML, not UTF-8, too large), RecordError (broken seal).
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise MissingInputError(f"cannot read the config {path}: {error.strerror}; check the path") from None
    if len(raw) > MOST_BYTES:
        raise UsageError(f"the config {path} is larger than {MOST_BYTES} bytes; it is not a run's config")
    try:
        text = raw.decode()
        check_seal(text, path)
        return tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        if isinstance(error, RecordError):
            raise
        raise UsageError(f"the config {path} is not TOML: {error}; correct the line or write key = value") from None


def check_seal(text: str, path: Path) -> None:
    """Refuse a sealed text whose lines do not have the sealed digest."""
    first, _, body = text.partition("\n")
    if SEAL.strip() not in first and "sha256" not in first:
        return
    if first != f"{SEAL}{digest(body)}{SEAL_END}":
        raise RecordError(
            f"the config {path} is not as the run wrote it (its sha256 differs); "
            "restore it, or delete its first line if the change is meant"
        )


def parse_setting(setting: str) -> tuple[str, Any]:
    """Key and value of `--set key=value`; the value is TOML, or a plain string where it is not."""
    key, equals, value = setting.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set wants key=value, got {setting!r}")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def description(hint) -> str:
    """The sentence attached to a field's type."""
    return next((m.description for m in typing.get_args(hint) if isinstance(m, msgspec.Meta) and m.description), "")


def digest(text: str) -> str:
    """SHA-256 of a text's UTF-8 bytes, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()
