"""Every option of the command line, defined once.

The options of a run are the fields of `Config`: name, type, limits and help text come from there, so the
flag, the key of `config.toml` and the key of `--set` cannot drift apart.
"""

import typing
from typing import Any

import click

from grapheme_numba.errors import UsageError
from grapheme_numba.models.slices import parse_brain_request
from grapheme_numba.training.config import KEYS, RENAMED, Config, choices
from grapheme_numba.training.config_file import description
from grapheme_numba.training.tasks import find_task

DEFAULTS = Config()
HINTS = typing.get_type_hints(Config, include_extras=True)
KINDS = typing.get_type_hints(Config)


class Widths(click.ParamType):
    """Whole numbers with commas between, as 256,128."""

    name = "WIDTHS"

    def convert(self, value, param, ctx):
        """The numbers between the commas."""
        try:
            return [int(part) for part in str(value).split(",")]
        except ValueError:
            self.fail(f"wants whole numbers with commas between, as 256,128, got {value!r}", param, ctx)


def metavar_type(key: str):
    """The Click type of a config key."""
    kind = KINDS[key]
    kinds = set(typing.get_args(kind)) or {kind}
    if key == "hidden":
        return Widths()
    if choices(key):
        return click.Choice(choices(key))
    return click.INT if int in kinds else click.FLOAT if float in kinds else click.STRING


def config_option(key: str, defaults: dict[str, Any]):
    """The option of one config key; its value is None where it is not given."""
    default = defaults.get(key, getattr(DEFAULTS, key))
    shown = ",".join(map(str, default)) if isinstance(default, tuple | list) else default
    text = description(HINTS[key])
    flag = f"--{key.replace('_', '-')}"
    if key == "brain":
        return click.option(flag, multiple=True, metavar="NAME=INPUTS,OUTPUTS", help=text)
    if KINDS[key] is bool:
        return click.option(f"{flag}/--no-{flag[2:]}", default=None, help=text)
    if default is not None:
        text += f"  [default: {shown}]"
    return click.option(flag, type=metavar_type(key), default=None, help=text)


def config_options(defaults: dict[str, Any]):
    """All options of a run, with the defaults of its trainer in the help text."""

    def decorate(command):
        for key in reversed(KEYS):
            command = config_option(key, defaults)(command)
        for old in RENAMED:
            command = renamed_option(old)(command)
        return command

    return decorate


def renamed_option(old: str):
    """A hidden option that refuses a former name with the present one."""

    def refuse(context, parameter, value):
        if value is not None:
            new = RENAMED[old].replace("_", "-")
            raise click.UsageError(f"--{old} is now called --{new}; use the new name")

    flag = f"--{old.replace('_', '-')}"
    return click.option(
        flag, hidden=True, expose_value=False, callback=refuse, help="The former name of another option."
    )


def task_defaults(name: str) -> dict[str, Any]:
    """What differs in the defaults of a trainer."""
    return dict(find_task(name).defaults)


def given(values: dict[str, Any]) -> dict[str, Any]:
    """The config keys among a command's values that were given on the command line."""
    found = {key: values[key] for key in KEYS if values.get(key) not in (None, ())}
    if "brain" in found:
        found["brain"] = brains_of(found["brain"])
    return found


def brains_of(requests) -> dict[str, list[int]]:
    """Sizes by name from every `NAME=INPUTS,OUTPUTS` of `--brain`. Raises UsageError, also for a name given twice."""
    found: dict[str, list[int]] = {}
    for name, *sizes in map(parse_brain_request, requests):
        if name in found:
            raise UsageError(f"--brain {name} is given twice; give each brain one size")
        found[name] = sizes
    return found


def together(*options):
    """Several option decorators as one."""

    def decorate(command):
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


LOG_FORMATS = ("auto", "rich", "plain", "json")

config_file_option = click.option(
    "--config", "config_path", metavar="FILE.toml", help="Read the options of a run from a file."
)
set_option = click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set one option by its key.")
resume_option = click.option(
    "--resume",
    default="never",
    metavar="auto|PATH|never",
    help="Go on from the newest checkpoint of --output, or from one at a path.  [default: never]",
)
override_option = click.option("--override", is_flag=True, help="Go on although something differs from the run.")
cache_option = click.option("--no-cache", is_flag=True, help="Convert JSONL anew and keep no converted copy.")
compare_single_option = click.option(
    "--compare-single", is_flag=True, help="Then train each brain alone and print shared against alone."
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Show what would be trained, and write nothing.")
tensorboard_option = click.option(
    "--tensorboard", is_flag=True, help="Also write event files for TensorBoard, into the folder's tensorboard/."
)
log_format_option = click.option(
    "--log-format",
    type=click.Choice(LOG_FORMATS),
    default="auto",
    help="How progress is shown; auto is rich on a terminal and plain in a pipe.",
)
quiet_option = click.option("--quiet", is_flag=True, help="Show only errors.")
debug_option = click.option("--debug", is_flag=True, help="Show the traceback of an error.")
threads_option = config_option("threads", {})
route_option = config_option("route", {})
unknown_domain_option = config_option("unknown_domain", {})
break_cycles_option = config_option("break_cycles", {})
optimizer_option = config_option("optimizer", {})
batch_size_option = click.option(
    "--batch-size", type=click.IntRange(min=1), default=256, show_default=True, help="Examples run together."
)

output_options = together(log_format_option, quiet_option, debug_option)
run_options = together(
    config_file_option, set_option, resume_option, override_option, cache_option, dry_run_option, tensorboard_option
)
