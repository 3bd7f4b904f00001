"""`python -m grapheme_numba` lists the three programs and what each of their commands does."""

from grapheme_numba.cli import bench, data, train
from grapheme_numba.cli.output import answer, open_missing_streams
from grapheme_numba.cli.program import exit_codes

PROGRAMS = {"grapheme-train": train.main, "grapheme-data": data.main, "grapheme-bench": bench.main}


def overview() -> list[str]:
    """One line for each program and each of its commands."""
    lines = []
    for program, group in PROGRAMS.items():
        lines.append(f"{program}: {group.get_short_help_str(limit=100)}")
        width = max(map(len, group.commands))
        lines += [f"  {name.ljust(width)}  {one.get_short_help_str(limit=100)}" for name, one in group.commands.items()]
    return [*lines, "Add --help to any of them for its options."]


if __name__ == "__main__":
    open_missing_streams()
    with exit_codes():
        answer(*overview())
