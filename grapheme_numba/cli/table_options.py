"""The options that say which column of a table is what, and how its text is read; and what was decided, printed."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from grapheme_numba.cli.option_types import FileName
from grapheme_numba.cli.options import option

if TYPE_CHECKING:
    from grapheme_numba.data.sources.tables.mapping import TableMapping
    from grapheme_numba.data.sources.tables.passes import Described

LAYOUTS = ("gsm8k", "squad", "math", "chat", "alpaca", "completion", "text-label", "images", "records", "table", "csv")
TABLES = (".csv", ".tsv", ".tab", ".arrow", ".feather", ".ipc", ".arrows", ".json", ".txt", ".dat", ".data")

_OPTIONS = (
    ("--target", "target", {"metavar": "COLUMN"}, "Table: column of the answers."),
    ("--input", "table_inputs", {"multiple": True, "metavar": "COLUMN,GLOB"}, "Table: input columns [all others]."),
    ("--drop", "drop", {"multiple": True, "metavar": "COLUMN,GLOB"}, "Table: columns to leave out."),
    ("--id", "id_column", {"metavar": "COLUMN"}, "Table: column of the ids [`id`, if no value repeats]."),
    ("--weight", "weight", {"metavar": "COLUMN"}, "Table: column of the examples' weights."),
    ("--split", "split", {"metavar": "COLUMN|SHARES|none"}, "Table: write a folder of splits, as 0.8,0.1,0.1 [none]."),
    ("--delimiter", "delimiter", {"metavar": "SIGN"}, "Table: sign between cells, `tab` or `space` [detected]."),
    ("--decimal", "decimal", {"type": click.Choice([".", ","])}, "Table: decimal sign [detected]."),
    ("--encoding", "encoding", {"metavar": "NAME"}, "Table: encoding of the text [detected]."),
    (
        "--missing",
        "missing",
        {"multiple": True, "metavar": "MARK"},
        "Table: mark of a missing cell [NA, NaN, ?, ...]; a number joins them.",
    ),
    ("--comment", "comment", {"metavar": "START"}, "Table: start of lines to leave out [#, at the start]."),
    (
        "--kind",
        "kinds",
        {"multiple": True, "metavar": "COLUMN=number|date|text"},
        "Table: what a column is [detected].",
    ),
    ("--image-size", "image_size", {"metavar": "WxH[,rgb]"}, "Pictures: size in pixels, grey or rgb [28, grey]."),
)


class LayoutOrFile(FileName):
    """The name of a layout or of a file."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The layouts that begin so, and what the shell finds."""
        layouts = [CompletionItem(layout) for layout in LAYOUTS if layout.startswith(incomplete)]
        return [*layouts, *super().shell_complete(ctx, param, incomplete)]


def table_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a table, gathered as `table`: a dict of what was given."""
    names = [name for _, name, _, _ in _OPTIONS] + ["header"]

    @functools.wraps(command)
    def gathered(*args: Any, **kwargs: Any) -> None:
        given = {name: kwargs.pop(name) for name in names}
        return command(*args, table={key: value for key, value in given.items() if value not in (None, ())}, **kwargs)

    for flag, name, more, text in reversed(_OPTIONS):
        gathered = option(flag, name, help=text, **more)(gathered)
    text = "Table: whether the first row holds names [detected]."
    return option("--header/--no-header", "header", default=None, help=text)(gathered)


def mapping_of(table: dict[str, Any], domain: str | None) -> "TableMapping":
    """The TableMapping of the options. Raises UsageError."""
    from grapheme_numba.data.sources.tables.mapping import TableMapping, kinds_of

    same = ("weight", "split", "delimiter", "decimal", "encoding", "header", "comment")
    others: dict[str, Any] = {key: table.get(key) for key in same}
    return TableMapping(
        target=table.get("target"),
        inputs=_listed(table.get("table_inputs", ())),
        drop=_listed(table.get("drop", ())),
        id=table.get("id_column"),
        domain=domain,
        kinds=kinds_of(table.get("kinds", ())),
        missing=tuple(table.get("missing", ())),
        **others,
    )


def _listed(values: tuple[str, ...]) -> tuple[str, ...]:
    """`a,b*` and repeated options as one tuple."""
    return tuple(part for value in values for part in value.split(",") if part)


def are_tables(inputs: tuple[str, ...], table: dict[str, Any]) -> bool:
    """Whether `convert` is given tables or layouts rather than JSONL of examples."""
    bare = [name.lower().removesuffix(".gz").removesuffix(".zst") for name in inputs]
    return bool(table) or any(name.endswith(TABLES) for name in bare) or _other_rows(inputs)


def _other_rows(inputs: tuple[str, ...]) -> bool:
    """Whether the only input is a file of JSON lines whose first rows are of another layout."""
    if len(inputs) != 1 or not Path(inputs[0]).is_file():
        return False
    if not inputs[0].lower().removesuffix(".gz").removesuffix(".zst").endswith((".jsonl", ".ndjson")):
        return False
    from grapheme_numba.data.sources.row_layouts import LAYOUTS as ROWS
    from grapheme_numba.data.sources.row_layouts import first_layout

    return first_layout(Path(inputs[0])) in ROWS


def show_decisions(show: Callable[..., None], done: Any) -> None:
    """Print how a table was read, one line a column."""
    for note in done.notes:
        show({"note": note}, note)
    for column in done.columns:
        show({"column": column.strip()}, column)


def show_columns(report: Any, path: Path, described: "Described") -> None:
    """Print what the columns of a table hold whose target is not chosen; `report` is a `Report`."""
    for note in described.notes:
        report.note(note.strip())
    unusable = f", {described.refused} cannot be used" if described.refused else ""
    facts = {"path": str(path), "rows": described.rows, "refused": described.refused}
    report.result(facts, f"{path}: a table of {described.rows} rows{unusable}")
    if described.first is not None:
        report.note(f"the first row that cannot be used: row {described.first.row}: {described.first.reason}")
    for column in described.columns:
        report.result({"column": column.strip()}, column)
    report.note("name the column of the answers with --target to see what training makes of it")
