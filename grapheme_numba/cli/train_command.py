"""From the values of a training command to a finished run.

`--compare-single`: each brain shared and alone, side by side.
"""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from grapheme_numba.cli import options
from grapheme_numba.cli.display import JsonDisplay, PlainDisplay, describe
from grapheme_numba.cli.output import aligned, answer, as_json, figure, is_terminal, percent
from grapheme_numba.distributed.comm import Ranks, Serial
from grapheme_numba.distributed.launcher import command_line, n_announced, shows_terminal
from grapheme_numba.errors import UsageError
from grapheme_numba.runs import rank_checks
from grapheme_numba.signals import StopRequest
from grapheme_numba.training.config import parse_setting, read_config
from grapheme_numba.training.observer import Observer, Observers
from grapheme_numba.training.tasks import find_task

if TYPE_CHECKING:
    from grapheme_numba.runs.compare_single import Comparison
    from grapheme_numba.runs.resume import Start
    from grapheme_numba.training.run import Run

SPREAD_HEADER = ("brain", "train shared/alone", "least", "largest", "val shared/alone", "least", "largest")
HEADER = ("brain", "train shared", "alone", "ratio", "val shared", "alone", "ratio", "exact shared", "alone")


def choose_display(log_format: str, quiet: bool) -> Observer:
    """The observer for `--log-format` and `--quiet`."""
    if quiet:
        return Observer()
    watched = is_terminal(sys.stdout) and (n_announced() is None or shows_terminal())
    if log_format == "rich" or (log_format == "auto" and watched):
        from grapheme_numba.cli.live import LiveDisplay

        return LiveDisplay()
    return JsonDisplay() if log_format == "json" else PlainDisplay()


def show_comparison(name: str, run: "Run", start: "Start", log_format: str) -> "list[Comparison]":
    """Train every brain alone and print the comparison: an aligned table, or one JSON object per brain."""
    from grapheme_numba.report.reporter import Reporter
    from grapheme_numba.runs.compare_single import compare

    rows = list(compare(find_task(name), run, start, Reporter))
    if not run.team.writes:
        return rows
    if log_format == "json":
        for row in rows:
            plain = msgspec.to_builtins(row)
            answer(as_json({"kind": "compared", **plain, "train_ratio": row.train_ratio, "ratio": row.ratio}))
        return rows
    answer("each brain trained with all others (shared) and alone: same network, seed, batches and steps")
    answer(*aligned([HEADER, *(cells(row) for row in rows)]))
    return rows


def compare_seeds(
    name: str, values: dict[str, Any], first: "Run", compared: "list[Comparison]", stop: StopRequest, display: Observer
) -> None:
    """Train and compare with the seeds after that of the first run, and print geometric means over all of them."""
    from grapheme_numba.api.training import run_task
    from grapheme_numba.files import storage
    from grapheme_numba.runs.compare_single import SEEDS, spreads

    found = [compared]
    for seed in range(first.config.seed + 1, first.config.seed + values["seeds"]):
        folder = first.folder / "seeds" / str(seed)
        own = [*config_layers(values), ("--seeds", {"seed": seed, "output": str(folder)})]
        display.note(f"seed {seed}, in {folder}")
        run, start = run_task(name, own, resume="auto", cache=not values["no_cache"], stop=stop, observer=display)
        found.append(show_comparison(name, run, start, values["log_format"]))
    rows = spreads(found)
    storage.write_file(first.folder / SEEDS, msgspec.json.encode(rows))
    if values["log_format"] == "json":
        for row in rows:
            answer(as_json({"kind": "compared_seeds", **msgspec.to_builtins(row)}))
        return
    answer(f"geometric means over {len(found)} seeds of the losses shared / alone")
    unknown = (None, None, None)
    lines = [(row.brain, *map(times, (*(row.train or unknown), *(row.held_out or unknown)))) for row in rows]
    answer(*aligned([SPREAD_HEADER, *lines]))


def cells(row: "Comparison") -> tuple[str, ...]:
    """One brain's row as text."""
    return (
        row.brain,
        figure(row.train_shared),
        figure(row.train_alone),
        times(row.train_ratio),
        figure(row.shared),
        figure(row.alone),
        times(row.ratio),
        percent(row.exact_shared),
        percent(row.exact_alone),
    )


def times(ratio: float | None) -> str:
    """A ratio with two decimals."""
    return "-" if ratio is None else f"{ratio:.2f}"


def train(name: str, values: dict[str, Any], comm: Serial | Ranks) -> None:
    """Train as the options say. Signals are handled from here on, before the heavy imports."""
    stop = StopRequest()
    with stop.listening():
        if isinstance(comm, Ranks):
            comm.holding = stop.deferred
            comm.limit_waiting(values["rank_timeout"] or comm.roll.limit)
            rank_checks.refuse_unlike(comm, rank_checks.versions(), "install the same versions on all hosts")
            asked = {"trainer": name} | rank_checks.options_of(values)
            rank_checks.refuse_unlike(comm, asked, "start all ranks with the same options")
            if comm.rank:
                return follow(values, stop, comm)
        display = choose_display(values["log_format"], values["quiet"])
        if values["tensorboard"]:
            from grapheme_numba.report.event_files import EventFiles

            display = Observers(display, EventFiles())
        try:
            run_it(name, values, stop, display, comm)
        finally:
            display.close()


def follow(values: dict[str, Any], stop: StopRequest, comm: Ranks) -> None:
    """Do what rank 0 does, unseen: it has looked at the options, found the folder, and hands over the run."""
    from grapheme_numba.runs import handover, session

    received = handover.take(comm)
    if received is None:
        return
    name, start, command = received
    run = session.prepare(find_task(name), start, stop, Observer(), cache=not values["no_cache"], comm=comm)
    run.resumed_by = command
    announce(run, comm)
    agree(run, values, comm)
    session.execute(run, start)
    if values.get("compare_single"):
        show_comparison(name, run, start, values["log_format"])


def run_it(name: str, values: dict[str, Any], stop: StopRequest, display: Observer, comm: Serial | Ranks) -> None:
    """Train as `gn.train` does (or, for a dry run, only describe), after handing the run to the other ranks."""
    from grapheme_numba.api.training import run_task
    from grapheme_numba.runs import handover

    def ready(run: "Run") -> bool:
        if values["dry_run"]:
            answer(*describe(run))
            if isinstance(comm, Ranks):
                handover.dismiss(comm)
        elif isinstance(comm, Ranks):
            run.resumed_by = f"{command_line(comm.host_names)} {run.command()}{again(values)}"
            share_out(run, values, comm)
        return not values["dry_run"]

    seeds = values.get("seeds", 1)
    if seeds > 1 and not values["compare_single"]:
        raise UsageError(f"--seeds {seeds} repeats a comparison; add --compare-single")
    if seeds > 1 and isinstance(comm, Ranks):
        raise UsageError(f"--seeds {seeds} wants a single process; start it without a launcher")
    choice = {"resume": values["resume"], "override": values["override"], "cache": not values["no_cache"]}
    run, start = run_task(name, config_layers(values), **choice, stop=stop, observer=display, comm=comm, ready=ready)
    if values.get("compare_single") and not values["dry_run"]:
        compared = show_comparison(name, run, start, values["log_format"])
        if seeds > 1:
            compare_seeds(name, values, run, compared, stop, display)


def share_out(run: "Run", values: dict[str, Any], comm: Ranks) -> None:
    """Hand the run to the other ranks and say how the work is shared."""
    from grapheme_numba import jit
    from grapheme_numba.runs import handover

    handover.give(run)
    announce(run, comm)
    agree(run, values, comm)
    run.observer.note(
        f"{comm.size} ranks: {comm.roll.names(range(comm.size))}, {jit.n_threads()} threads each"
        f"{comm.cores.note(run.config.threads)}; "
        f"{run.team.n_shard} shards, so up to {run.team.n_shard} ranks give the same bits"
    )


def agree(run: "Run", values: dict[str, Any], comm: Ranks) -> None:
    """Before anything is written: all ranks have the same lanes, and rank 0 does not start afresh by mistake."""
    rank_checks.refuse_unlike(
        comm, rank_checks.lanes(), "their sums would have other bits, so use the same kind of processor"
    )
    fresh, auto = not any(run.progress.position), values["resume"] == "auto"
    for note in rank_checks.refuse_private_output(comm, run.folder, fresh=fresh, auto=auto):
        run.observer.note(note)


# Options that come back neither with a checkpoint nor with --output.
OF_A_START = ("threads", "max_time", "log_format")
FLAGS_OF_A_START = ("no_cache", "quiet", "tensorboard", "debug", "compare_single")


def again(values: dict[str, Any]) -> str:
    """The options of this start that its checkpoint does not hold, as words after the command that resumes it."""
    words = [f" --{key.replace('_', '-')} {values[key]}" for key in OF_A_START if values[key] not in (None, "auto")]
    return "".join(words + [f" --{key.replace('_', '-')}" for key in FLAGS_OF_A_START if values.get(key)])


def announce(run: "Run", comm: Ranks) -> None:
    """Tell the process that watches the ranks what to print should one be lost."""
    comm.announce(str(run.folder.resolve()), run.command())


def config_layers(values: dict[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The config file, then --set, then the flags: later ones win."""
    layers: list[tuple[str, Mapping[str, Any]]] = []
    if values["config_path"]:
        layers.append((values["config_path"], read_config(values["config_path"])))
    layers.append(("--set", dict(map(parse_setting, values["settings"]))))
    layers.append(("the flags", options.given(values)))
    return layers
