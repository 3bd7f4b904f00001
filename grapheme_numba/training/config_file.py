"""`config.toml`: written complete with each run, read back by `--config`."""

import tomllib
import typing
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from grapheme_numba.errors import MissingInputError, UsageError
from grapheme_numba.training.config import KEYS, Config

MOST_BYTES = 1 << 20


def to_toml(config: Config, task: str) -> str:
    """The text of a complete config; keys without a value stand as comments."""
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
    return "\n".join([*lines, *tables]).rstrip() + "\n"


def read_config(path: str | Path) -> dict[str, Any]:
    """The keys and values of a TOML file (not yet checked against `Config`).

    Raises MissingInputError, UsageError (not TOML, not UTF-8, too large).
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
        return tomllib.loads(raw.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise UsageError(f"the config {path} is not TOML: {error}; correct the line or write key = value") from None


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
