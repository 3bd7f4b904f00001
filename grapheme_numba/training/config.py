"""Everything that decides a run, in one frozen structure that is saved whole with it.

Each field is an option of the command line, a key of `config.toml` and a key of `--set`, under one name.

`config.toml`: written complete with each run, read back by `--config`.
"""

import difflib
import math
import os
import tomllib
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import tomli_w
from msgspec import Meta

from grapheme_numba.data.sources.tables.mapping import TableMapping, kinds_of
from grapheme_numba.errors import MissingInputError, UsageError

Natural = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(gt=0.0, lt=1.0)]
Fraction = Annotated[float, Meta(ge=0.0, lt=1.0)]
Rate = Annotated[float, Meta(gt=0.0)]
Width = Annotated[int, Meta(ge=1)]
Brains = dict[str, tuple[Positive, Positive]]


def about(text: str) -> Meta:
    """The one sentence that `--help` and `config.toml` show for a key."""
    return Meta(description=text)


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The configuration of a run. Field order is the order of `config.toml` and of `--help`."""

    # What is read and written
    data: Annotated[str | None, about("Folder with train, val and test files, or one file to train on.")] = None
    output: Annotated[str | None, about("Folder of this run; a new one under runs/ when not given.")] = None
    split: Annotated[str, about("Of one file: shares of train, val, test by the hash of each input, or none.")] = (
        "0.8,0.1,0.1"
    )
    target: Annotated[str | None, about("Table: column of the answers.")] = None
    input: Annotated[tuple[str, ...], about("Table: input columns or globs; all others when not given.")] = ()
    drop: Annotated[tuple[str, ...], about("Table: columns or globs to leave out.")] = ()
    id_column: Annotated[str | None, about("Table: column of the ids; `id` when no value of it repeats.")] = None
    domain: Annotated[str | None, about("Table: name of the examples, or the column that holds it.")] = None
    weight: Annotated[str | None, about("Table: column of the examples' weights.")] = None
    delimiter: Annotated[str | None, about("Table: sign between cells, `tab` or `space`.")] = None
    decimal: Annotated[Literal[".", ","] | None, about("Table: decimal sign; detected when not given.")] = None
    encoding: Annotated[str | None, about("Table: encoding of the text; detected when not given.")] = None
    header: Annotated[Literal["yes", "no"] | None, about("Table: whether the first row holds names.")] = None
    missing: Annotated[
        tuple[str, ...], about("Table: marks of missing cells, for the usual ones; numbers, as -999, join these.")
    ] = ()
    comment: Annotated[str | None, about("Table: start of lines to leave out.")] = None
    kind: Annotated[tuple[str, ...], about("Table: kind of a column, COLUMN=number, date or text.")] = ()
    image_size: Annotated[str | None, about("Pictures: size in pixels, as 28, 32x24 or 32,rgb; 28 when not given.")] = (
        None
    )
    external: Annotated[str | None, about("Folder with GSM8K, SQuAD or MATH files that join the training data.")] = None
    max_external: Annotated[Positive | None, about("Most examples of each of them.")] = None
    answer: Annotated[
        dict[str, Literal["number", "label", "text"]], about("Kind of a domain's answers, as NAME=number|label|text.")
    ] = {}
    max_unfit: Annotated[
        Annotated[float, Meta(ge=0.0, le=1.0)], about("Share of a domain's training examples that may not fit.")
    ] = 0.01
    # How long
    epochs: Annotated[Positive, about("Passes over the training data.")] = 100
    max_steps: Annotated[Positive | None, about("Stop, with a checkpoint, after so many optimiser steps.")] = None
    max_time: Annotated[Rate | None, about("Stop, with a checkpoint, after so many seconds.")] = None
    val_freq: Annotated[Positive, about("Epochs between two validations.")] = 5
    patience: Annotated[Natural, about("Stop after so many validations without a better loss; 0 never stops.")] = 0
    # How it learns
    batch_size: Annotated[Positive, about("Examples encoded and run together.")] = 64
    accumulate: Annotated[str, about("When gradients become a step: batch, epoch, or a number of examples.")] = "batch"
    optimizer: Annotated[Literal["sgd", "momentum", "adam", "adamw"], about("Update rule.")] = "adam"
    lr: Annotated[Rate, about("Highest learning rate.")] = 0.003
    lr_schedule: Annotated[Literal["constant", "cosine", "step"], about("How the rate falls.")] = "cosine"
    warmup_steps: Annotated[Natural | None, about("Steps of rising rate; a twentieth of the run when not given.")] = (
        None
    )
    weight_decay: Annotated[
        Annotated[float, Meta(ge=0.0)] | None,
        about("Decay of the parameters (decoupled with adamw); by the number of steps when not given."),
    ] = None
    clip_grad_norm: Annotated[
        Annotated[float, Meta(ge=0.0)], about("Largest gradient norm of a step; 0 does not clip.")
    ] = 1.0
    input_noise: Annotated[
        Annotated[float, Meta(ge=0.0)],
        about("Noise on numbers of series, pictures and tables while training, within so many times their spread."),
    ] = 0.0
    structural_weight: Annotated[
        Literal["none", "sqrt", "sqrt1p"], about("Weight of an example's gradient by the graphs of its answers.")
    ] = "none"
    # The network
    topology: Annotated[str, about("Shape of the hidden graph.")] = "layered"
    hidden: Annotated[tuple[Width, ...], about("Widths of the hidden layers, as 256,128.")] = (256, 128)
    depth: Annotated[Positive | None, about("Number of hidden layers of one width (with a single --hidden).")] = None
    fan_in: Annotated[Positive, about("Incoming edges of a hidden or output node.")] = 32
    skip: Annotated[Fraction, about("Share of the edges that skip layers.")] = 0.0
    activation: Annotated[str, about("Activation function of the hidden nodes.")] = "leaky_relu"
    init: Annotated[str, about("How weights start.")] = "dynamic_xavier"
    embedding_dim: Annotated[Positive, about("Numbers a character becomes.")] = 8
    precision: Annotated[
        Literal["float32", "bf16"], about("How activations and deltas are stored; parameters are float32.")
    ] = "float32"
    graph: Annotated[str | None, about("File with a graph of your own instead of a built one.")] = None
    break_cycles: Annotated[
        Literal["error", "feedback-arc"], about("What a cycle in that graph does: end the run, or lose edges.")
    ] = "error"
    brain: Annotated[
        dict[str, tuple[Positive, Positive]], about("Input and output nodes of a brain, as NAME=INPUTS,OUTPUTS.")
    ] = {}
    unknown_domain: Annotated[Literal["error", "skip"], about("What to do with a domain that has no brain.")] = "error"
    route: Annotated[bool, about("Choose the brain by the input, not by the domain field.")] = False
    threshold: Annotated[Annotated[float, Meta(ge=0.0, le=1.0)], about("Least confidence of that choice.")] = 0.6
    # How the network changes while it learns
    evolve: Annotated[
        Literal["none", "set", "rigl"],
        about("Drop weak edges and grow others: random ones (set), or where gradients are large (rigl)."),
    ] = "none"
    evolve_fraction: Annotated[
        Share, about("Share of edges dropped and grown at first; it falls to 0 at 3/4 of the run.")
    ] = 0.3
    evolve_every: Annotated[
        Positive | None,
        about("Steps between two drop-and-grow or pruning events; a fiftieth of the run when not given."),
    ] = None
    prune_to: Annotated[
        Annotated[float, Meta(gt=0.0, le=1.0)],
        about("Share of the edges that remain: the weakest are pruned until 3/5 of the run."),
    ] = 1.0
    select_inputs: Annotated[
        Positive | Literal["auto"] | None,
        about("Table: so many columns enter, the most telling; auto: as many as answer held-out rows best."),
    ] = None
    # Reproducing and surviving
    seed: Annotated[Natural, about("Everything random follows from it.")] = 0
    gradient_shards: Annotated[
        Positive | None, about("Parts of a batch that ranks share; one a rank when not given. Results depend on it.")
    ] = None
    threads: Annotated[
        Positive | None, about("Kernel threads; all cores when not given. Results do not depend on it.")
    ] = None
    rank_timeout: Annotated[
        Rate, about("Seconds that ranks wait for one that is silent; then all stop, with code 75.")
    ] = 600.0
    nan_policy: Annotated[Literal["stop", "skip", "rollback"], about("What a non-finite loss or gradient does.")] = (
        "stop"
    )
    save_every: Annotated[Positive | None, about("Steps between two checkpoints; once an epoch when not given.")] = None
    keep_last: Annotated[Positive, about("How many of the newest checkpoints stay.")] = 3

    @property
    def dtype(self) -> str:
        """The `dtype` that a `DagNN` of this precision is built with."""
        return "bfloat16" if self.precision == "bf16" else self.precision

    def table(self) -> TableMapping:
        """The mapping of a table's columns. Raises UsageError."""
        return TableMapping(
            target=self.target,
            inputs=self.input,
            drop=self.drop,
            id=self.id_column,
            domain=self.domain,
            weight=self.weight,
            delimiter=self.delimiter,
            decimal=self.decimal,
            encoding=self.encoding,
            header=None if self.header is None else self.header == "yes",
            missing=self.missing,
            comment=self.comment,
            kinds=kinds_of(self.kind),
            image_size=self.image_size,
        )


# These may change when a run resumes: none of them alters a single bit of the result.
FREE_KEYS = frozenset({"data", "output", "threads", "max_steps", "max_time", "save_every", "keep_last", "rank_timeout"})
KEYS = Config.__struct_fields__
HINTS = typing.get_type_hints(Config, include_extras=True)  # types with limits and descriptions
KINDS = typing.get_type_hints(Config)  # types alone
RENAMED = {"shards": "gradient_shards"}  # old names: refused where a user writes them, taken from old checkpoints


def check_keys(names: Iterable[str], where: str) -> None:
    """Refuse the first unknown key of `names`, with the nearest known one."""
    for name in names:
        if name in KEYS:
            continue
        if name in RENAMED:
            raise UsageError(f"the key {name!r} in {where} is now called {RENAMED[name]!r}; use the new name")
        near = difflib.get_close_matches(name.replace("-", "_"), KEYS, n=1, cutoff=0.0)[0]
        raise UsageError(f"unknown key {name!r} in {where}; the nearest known key is {near!r}")


def build(*layers: tuple[str, Mapping[str, Any]]) -> Config:
    """Merge (origin, values) layers, the later over the earlier, into a checked `Config`.

    Raises UsageError naming the origin of an unknown key or of a value that cannot be meant.
    """
    merged: dict[str, Any] = {}
    for where, values in layers:
        check_keys(values, where)
        values = {key: as_meant(key, value) for key, value in values.items()}
        merged.update(values)
        checked(where, values)  # each by itself: what a later layer overrides has to make sense as well
    config = msgspec.convert(merged, Config)
    if config.depth is not None and len(config.hidden) != 1:
        raise UsageError(f"depth = {config.depth} wants one hidden width, got {config.hidden}; drop one")
    return config


def as_meant(key: str, value: Any) -> Any:
    """A value as TOML would hold it: one of NumPy, a path, one entry of a list and widths in a text are taken, too."""
    if type(value).__module__ == "numpy" and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if key == "missing":
        marks = value if isinstance(value, list | tuple) else [value]
        value = [str(mark) if isinstance(mark, int | float) else mark for mark in marks]
    if key == "hidden" and isinstance(value, str):
        widths = [width.strip() for width in value.split(",")]
        value = [int(width) for width in widths] if all(width.isdecimal() for width in widths) else value
    elif key == "split" and isinstance(value, list | tuple) and all(isinstance(one, int | float) for one in value):
        value = ",".join(map(str, value))
    elif key == "accumulate" and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if is_list(key) and isinstance(value, str | int) and not isinstance(value, bool) and value != "":
        value = [value]
    return value


def migrated(values: dict[str, Any]) -> dict[str, Any]:
    """The config of an old checkpoint with its keys as they are called now."""
    return {RENAMED.get(key, key): value for key, value in values.items()}


def checked(where: str, values: Mapping[str, Any]) -> None:
    """Raise UsageError naming a value of `values` that is of another type or outside its limits."""
    try:
        config = msgspec.convert(values, Config)
    except msgspec.ValidationError as error:
        reason, _, path = str(error).partition(" - at `$.")
        key = path.rstrip("`").split("[")[0].split(".")[0]
        if reason.startswith("Invalid enum value"):
            reason = f"wants one of {', '.join(choices(key))}"
        elif is_list(key) and reason.startswith("Expected `array`"):
            reason = "wants a list"
        raise UsageError(f"{key} in {where}: {reason}, got {values.get(key)!r}") from None
    except UnicodeEncodeError:  # half of a surrogate pair
        raise UsageError(f"a value in {where} holds text that is no Unicode; correct it") from None
    accumulate_every(config)
    for key in values:
        if isinstance(value := getattr(config, key), float) and not math.isfinite(value):
            raise UsageError(f"{key} in {where}: wants a finite number, got {value}")
    if not config.hidden:
        raise UsageError(f"hidden in {where}: wants at least one width, got none")


def choices(key: str) -> tuple[str, ...]:
    """The values that a key with a fixed set of them accepts; empty for any other key."""
    return typing.get_args(KINDS[key]) if typing.get_origin(KINDS[key]) is Literal else ()


def is_list(key: str) -> bool:
    """Whether a key holds several values of one type."""
    return typing.get_origin(KINDS.get(key)) is tuple


def accumulate_every(config: Config) -> int | None:
    """Examples between two optimiser steps: 1 for every batch, None for the whole epoch."""
    if config.accumulate == "batch":
        return 1
    if config.accumulate == "epoch":
        return None
    if config.accumulate.isascii() and config.accumulate.isdigit() and int(config.accumulate) > 0:
        return int(config.accumulate)
    raise UsageError(f"accumulate wants batch, epoch or a number of examples above 0, got {config.accumulate!r}")


def hidden_widths(config: Config) -> tuple[int, ...]:
    """Width of each hidden layer, `depth` applied."""
    return config.hidden * (config.depth or 1)


def differences(old: Config, new: Config) -> list[str]:
    """Lines `key: old -> new` of every difference that would alter results."""
    return [
        f"{key}: {getattr(old, key)!r} -> {getattr(new, key)!r}"
        for key in KEYS
        if key not in FREE_KEYS and getattr(old, key) != getattr(new, key)
    ]


MOST_BYTES = 1 << 20


def to_toml(config: Config, task: str) -> str:
    """The text of a complete config; keys without a value stand as comments."""
    lines = [f"# Trained by grapheme-train {task}; give this file to --config to do the same again.", ""]
    tables = []
    for key in KEYS:
        value = getattr(config, key)
        lines.append(f"# {description(HINTS[key])}")
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


def description(hint: Any) -> str:
    """The sentence attached to a field's type."""
    return next((m.description for m in typing.get_args(hint) if isinstance(m, msgspec.Meta) and m.description), "")
