"""Every option that more than one command takes, defined once, and the types of all options.

The options of a run are the fields of `Config`: name, type, limits and help text come from there, so the
flag, the key of `config.toml` and the key of `--set` cannot drift apart.
"""

import functools
import typing
from collections.abc import Callable, Iterable
from typing import Any

import click

from grapheme_numba.cli.option_types import (
    MOST_IN_METAVAR,
    FileName,
    NameList,
    Names,
    NumberList,
    NumberOr,
    OutputName,
    RunName,
    Widths,
)
from grapheme_numba.cli.program import Option
from grapheme_numba.errors import UsageError
from grapheme_numba.models.slices import parse_brain_request
from grapheme_numba.training.config import HINTS, KEYS, KINDS, RENAMED, Config, choices, description, is_list
from grapheme_numba.training.tasks import find_task

DEFAULTS = Config()

SECTIONS = {
    "Most used": "data output epochs batch_size optimizer lr topology hidden graph",
    "Data": "split target input drop id_column domain weight delimiter decimal encoding header missing comment kind "
    "image_size answer max_unfit external max_external",
    "Training": "val_freq patience accumulate lr_schedule warmup_steps weight_decay clip_grad_norm input_noise "
    "structural_weight",
    "Network": "depth fan_in skip activation init embedding_dim precision break_cycles",
    "Brains": "brain unknown_domain route threshold",
    "Sparsity": "evolve evolve_fraction evolve_every prune_to select_inputs",
    "Run": "seed threads shards gradient_shards rank_timeout nan_policy max_steps max_time",
    "Saving and resuming": "save_every keep_last",
}
SECTION_OF = {key: section for section, keys in SECTIONS.items() for key in keys.split()}
# The names that the library knows. Their tables stand beside kernels, which `--help` must not import; a test
# compares them. The library refuses other names, because config files and Python can hold them as well.
KNOWN = {
    "topology": ("layered", "random", "scale_free"),
    "init": ("dynamic_xavier", "xavier", "he", "uniform", "zero"),
    "activation": (
        "linear", "relu", "leaky_relu", "sigmoid", "tanh", "softplus", "elu", "gelu", "silu", "sin", "gaussian", "abs",
        "square", "cube", "exp", "log", "inverse", "clamped", "hat", "selu", "lelu", "softplus_5", "sin_60",
    ),
}  # fmt: skip

Decorator = Callable[[Any], Any]


def option(*names: str, section: str = "Options", **settings: Any) -> Decorator:
    """`click.option` with the section of the help in which it stands."""
    return click.option(*names, cls=Option, section=section, **settings)


def together(*options: Decorator) -> Decorator:
    """Several option decorators as one; the first stands first in the help."""

    def decorate(command: Any) -> Any:
        for one in reversed(options):
            command = one(command)
        return command

    return decorate


# Types


# The keys of a run's configuration


def option_type(key: str) -> Any:
    """The Click type of a config key."""
    kind = KINDS[key]
    kinds = set(typing.get_args(kind)) or {kind}
    if key == "hidden":
        return Widths()
    if key in KNOWN:
        return Names(KNOWN[key])
    if key == "data":
        return FileName(name="PATH")
    if key == "graph":
        return FileName()
    if key in ("output", "external"):
        return FileName("dir")
    if key == "select_inputs":
        return NumberOr("auto")
    if choices(key):
        return click.Choice(choices(key))
    return click.INT if int in kinds else click.FLOAT if float in kinds else click.STRING


def config_option(key: str, defaults: dict[str, Any], section: str | None = None) -> Decorator:
    """The option of one config key; its value is None where it is not given."""
    default = defaults.get(key, getattr(DEFAULTS, key))
    shown = ",".join(map(str, default)) if isinstance(default, tuple | list) else default
    text = description(HINTS[key])
    if len(KNOWN.get(key, ())) > MOST_IN_METAVAR:
        text += f" One of {', '.join(KNOWN[key])}."
    flag = f"--{key.replace('_', '-')}"
    place = {"section": section or SECTION_OF.get(key, "Options")}
    if key == "brain":
        return option(flag, multiple=True, metavar="NAME=INPUTS,OUTPUTS", help=text, **place)
    if key == "answer":
        return option(flag, multiple=True, metavar="NAME=KIND", help=text, **place)
    if KINDS[key] is bool:
        return option(f"{flag}/--no-{flag[2:]}", default=None, help=text, **place)
    if is_list(key) and key != "hidden":
        return option(flag, multiple=True, metavar="COLUMN,GLOB", help=text, **place)
    if default is not None:
        text += f"  [default: {shown}]"
    return option(flag, type=option_type(key), default=None, help=text, **place)


def config_options(defaults: dict[str, Any]) -> Decorator:
    """All options of a run, with the defaults of its trainer in the help text."""
    return together(*(config_option(key, defaults) for key in KEYS), *map(renamed_option, RENAMED))


def renamed_option(old: str) -> Decorator:
    """A hidden option that refuses a former name with the present one."""

    def refuse(context: click.Context, parameter: click.Parameter, value: object) -> None:
        if value is not None:
            new = RENAMED[old].replace("_", "-")
            raise click.UsageError(f"--{old} is now called --{new}; use the new name")

    flag = f"--{old.replace('_', '-')}"
    return option(flag, hidden=True, expose_value=False, callback=refuse, help="The former name of another option.")


def task_defaults(name: str) -> dict[str, Any]:
    """What differs in the defaults of a trainer."""
    return dict(find_task(name).defaults)


def given(values: dict[str, Any]) -> dict[str, Any]:
    """The config keys among a command's values that were given on the command line."""
    chosen = {key: values[key] for key in KEYS if values.get(key) not in (None, ())}
    for key in {"input", "drop"} & chosen.keys():
        chosen[key] = [part for value in chosen[key] for part in value.split(",")]
    if "brain" in chosen:
        chosen["brain"] = brains_of(chosen["brain"])
    if "answer" in chosen:
        chosen["answer"] = answers_of(chosen["answer"])
    return chosen


def answers_of(requests: Iterable[str]) -> dict[str, str]:
    """Kinds by name from every `NAME=KIND` of `--answer`. Raises UsageError, also for a name given twice."""
    kinds: dict[str, str] = {}
    for request in requests:
        name, _, kind = request.rpartition("=")
        if not name or name in kinds:
            raise UsageError(f"--answer wants NAME=KIND once for each domain, as price=number, got {request!r}")
        kinds[name] = kind
    return kinds


def brains_of(requests: Iterable[str]) -> dict[str, list[int]]:
    """Sizes by name from every `NAME=INPUTS,OUTPUTS` of `--brain`. Raises UsageError, also for a name given twice."""
    sizes_of: dict[str, list[int]] = {}
    for name, *sizes in map(parse_brain_request, requests):
        if name in sizes_of:
            raise UsageError(f"--brain {name} is given twice; give each brain one size")
        sizes_of[name] = sizes
    return sizes_of


# Options of commands

OUTPUT = "Output and logging"
config_file_option = option(
    "--config", "config_path", type=FileName(), metavar="FILE.toml", section="Run",
    help="Read the options of a run from a file.",
)  # fmt: skip
set_option = option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", section="Run", help="Set one option by its key."
)
resume_option = option(
    "--resume", type=RunName(keywords=("auto", "never")), default="never", metavar="auto|PATH|never",
    section="Most used",
    help="Go on from the newest checkpoint of --output, or from one at a path.  [default: never]",
)  # fmt: skip
override_option = option(
    "--override", is_flag=True, section="Saving and resuming", help="Go on although something differs from the run."
)
cache_option = option("--no-cache", is_flag=True, section="Data", help="Convert JSONL anew and keep no converted copy.")
compare_single_option = option(
    "--compare-single", is_flag=True, section="Brains",
    help="Then train each brain alone and print shared against alone.",
)  # fmt: skip
seeds_option = option(
    "--seeds", type=click.IntRange(min=1), default=1, metavar="N", section="Brains",
    help="With --compare-single: so many seeds, and the geometric means of shared / alone.  [default: 1]",
)  # fmt: skip
dry_run_option = option("--dry-run", is_flag=True, section="Run", help="Show what would be trained, and write nothing.")
tensorboard_option = option(
    "--tensorboard", is_flag=True, section=OUTPUT,
    help="Also write event files for TensorBoard, into the folder's tensorboard/.",
)  # fmt: skip
log_format_option = option(
    "--log-format", type=click.Choice(["auto", "rich", "plain", "json"]), default="auto", section=OUTPUT,
    help="How progress is shown; auto is rich on a terminal and plain in a pipe.",
)  # fmt: skip
quiet_option = option("--quiet", is_flag=True, section=OUTPUT, help="Show only errors.")
debug_option = option("--debug", is_flag=True, section=OUTPUT, help="Show the traceback of an error.")
threads_option = config_option("threads", {}, "Options")
route_option = config_option("route", {}, "Options")
unknown_domain_option = config_option("unknown_domain", {}, "Options")
break_cycles_option = config_option("break_cycles", {}, "Options")
optimizer_option = config_option("optimizer", {}, "Options")
batch_size_option = option(
    "--batch-size", type=click.IntRange(min=1), default=256, show_default=True, help="Examples run together."
)
evaluated_data_option = option(
    "--data", type=FileName(), metavar="PATH", help="File, or folder with a test split; by default the run's own data."
)

output_options = together(log_format_option, quiet_option, debug_option)
run_options = together(
    config_file_option, set_option, resume_option, override_option, cache_option, dry_run_option, tensorboard_option
)

# Those of grapheme-data

parsing_threads_option = option(
    "--threads", type=click.IntRange(1), section="Limits", help="Parsing threads [one a core]."
)
max_rejects_option = option(
    "--max-rejects", type=click.IntRange(0), default=0, show_default=True, section="Limits",
    help="Refused lines tolerated.",
)  # fmt: skip
_LIMITS = together(
    *(
        option(flag, type=click.IntRange(1), default=default, show_default=True, section="Limits", help=text)
        for flag, default, text in (
            ("--max-line-bytes", 16 << 20, "Longest line."),
            ("--max-numbers", 1 << 20, "Most numbers in `values` or `pixels`."),
            ("--max-depth", 64, "Deepest nesting of brackets in a line."),
        )
    ),
    option(
        "--allow-missing-domain", is_flag=True, section="Limits",
        help="Take lines without `domain`, for grapheme-train --route.",
    ),
)  # fmt: skip


def limit_options(command: Any) -> Any:
    """--max-line-bytes, --max-numbers, --max-depth and --allow-missing-domain, gathered as `limits`."""

    @functools.wraps(command)
    def gathered(
        *args: Any, max_line_bytes: int, max_numbers: int, max_depth: int, allow_missing_domain: bool, **others: Any
    ) -> Any:
        return command(*args, limits=(max_line_bytes, max_numbers, max_depth, allow_missing_domain), **others)

    return _LIMITS(gathered)


# Those of grapheme-bench


json_option = option(
    "--json", "target", type=OutputName(), metavar="FILE", section=OUTPUT, help="Save the measurements as JSON."
)
compare_option = option(
    "--compare", type=FileName(), metavar="FILE", section=OUTPUT,
    help="An earlier --json FILE to set beside this run.",
)  # fmt: skip
cases_option = option(
    "--cases", type=NameList(), section="Most used", help="Named graphs; --cases list shows them.  [default: all]"
)
thread_counts_option = option(
    "--threads", type=NumberList(), section="Measuring", help="Numbers of threads.  [default: 1 and all cores]"
)
repeat_option = option(
    "--repeat", type=click.IntRange(min=5), default=7, show_default=True, section="Measuring",
    help="Measurements per median.",
)  # fmt: skip
quick_option = option("--quick", is_flag=True, section="Most used", help="A few cases, in about a minute.")
clock_option = option(
    "--clock", type=click.Choice(["wall", "cpu"]), default="wall", show_default=True, section="Measuring",
    help="wall: what a user waits for; cpu: processor time of one thread, when other programs are running.",
)  # fmt: skip
