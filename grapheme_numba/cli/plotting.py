"""`grapheme-train plot`: runs beside one another, as a page or as a figure."""

from pathlib import Path

import click

from grapheme_numba.errors import OutputError, UsageError
from grapheme_numba.files import storage
from grapheme_numba.training.figures import FORMATS, draw
from grapheme_numba.training.pages.compare_page import render
from grapheme_numba.training.saved_runs import read_runs

PAGES = ("html", "htm")


def plot(paths: tuple[str, ...], output: str) -> None:
    """Compare the runs at `paths` in the file `output`, whose ending says what it becomes.

    Raises UsageError for another ending, MissingInputError and RecordError for runs that are not there or
    not whole, OutputError where the file cannot be written.
    """
    target = Path(output)
    kind = target.suffix.lower().removeprefix(".")
    if kind not in (*PAGES, *FORMATS):
        raise UsageError(
            f"--output {output}: the name should end in .html, .{', .'.join(FORMATS)}; that says what to make"
        )
    if not target.parent.is_dir():
        raise OutputError(
            f"there is no folder {target.parent} to write {target.name} to; make it, or choose another --output"
        )
    runs = read_runs(list(paths))
    for run in runs:
        for note in run.notes:
            click.echo(f"warning: {note}", err=True)
    data = render(runs).encode("utf-8", "backslashreplace") if kind in PAGES else draw(runs, kind)
    storage.write_file(target, data)
    count = f"{len(runs)} run{'s' * (len(runs) > 1)}"
    click.echo(f"{output}: {count}, {sum(len(run.of_kind('epoch')) for run in runs):,} epochs")
