"""`--compare-single`: each brain shared and alone, side by side."""

import json

import click
import msgspec

from grapheme_numba.cli.tables import aligned, figure, percent
from grapheme_numba.tasks import find_task

HEADER = ("brain", "train shared", "alone", "ratio", "val shared", "alone", "ratio", "exact shared", "alone")


def show_comparison(name: str, run, start, log_format: str) -> None:
    """Train every brain alone and print the comparison: an aligned table, or one JSON object per brain."""
    from grapheme_numba.training.comparing import compare

    rows = list(compare(find_task(name), run, start))
    if not run.team.writes:
        return
    if log_format == "json":
        for row in rows:
            plain = msgspec.to_builtins(row)
            click.echo(json.dumps({"kind": "compared", **plain, "train_ratio": row.train_ratio, "ratio": row.ratio}))
        return
    click.echo("each brain trained with all others (shared) and alone: same network, seed, batches and steps")
    click.echo(aligned([HEADER, *(cells(row) for row in rows)]))


def cells(row) -> tuple[str, ...]:
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
