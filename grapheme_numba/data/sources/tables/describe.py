"""What the columns of a table hold, for whoever has not chosen a target yet."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from grapheme_numba.data.sources.tables.mapping import TableMapping
from grapheme_numba.data.sources.tables.passes import TablePasses
from grapheme_numba.data.sources.tables.readers import Refused


class Described(NamedTuple):
    """rows, refused : numbers of rows; first : the first that is refused; notes, columns : sentences."""

    rows: int
    refused: int
    first: Refused | None
    notes: list[str]
    columns: list[str]


def describe_table(path: Path, mapping: TableMapping, progress: Callable[[int, int], None] | None = None) -> Described:
    """Read all of a table once. Raises what opening and reading it raises.

    progress : called with bytes read and bytes of the file
    """
    done, size = 0, path.stat().st_size

    def read(n: int) -> None:
        nonlocal done
        done += n
        if progress is not None:
            progress(min(done, size), size)

    table = TablePasses(path, msgspec.structs.replace(mapping, split=None), "", answers=False)
    form = table.form(table.first_facts(), table.roles)
    rows, refused, first = 0, 0, None
    for made, before in table.passes(form, read):
        rows += len(made.row) + len(made.refused)
        refused += len(made.refused)
        if first is None and made.refused:
            first = made.refused[0]._replace(row=made.refused[0].row + before)
    form = table.form(table.facts, table.roles)
    columns = [table.sentence(name, fact, form) for name, fact in table.facts.items()]
    return Described(rows, refused, first, table.notes, columns)
