"""HTML as text: escaping that holds for any data, the page around everything, and tables that fold on a phone."""

from html import escape

from grapheme_numba.report.pages.style import STYLE

MOST_CHARACTERS = 400  # of one text out of the data; what is longer is cut, and says so
# Control characters, lone surrogates and the like have no place in HTML.
UNFIT = (*(code for code in range(32) if code not in (9, 10)), *range(127, 160), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF)
REPLACED = dict.fromkeys(UNFIT, "\N{REPLACEMENT CHARACTER}")
# Nothing is fetched and nothing runs, whatever the data holds.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def plain(value) -> str:
    """`value` as text without control characters, ready to stand in HTML or in a quoted attribute."""
    return escape(str(value).translate(REPLACED))


def shown(value: str, most: int = MOST_CHARACTERS) -> str:
    """Text out of the data: cut when long, and set apart so that its writing direction stays its own."""
    rest = f" <small>… {len(value):,} characters</small>" if len(value) > most else ""
    return f"<bdi>{plain(value[:most])}</bdi>{rest}" if value else "<small>empty</small>"


def page(title: str, body: str, footer: str, refresh: int | None = None) -> str:
    """The whole document; `refresh` reloads it after so many seconds."""
    again = f'<meta http-equiv="refresh" content="{refresh}">' if refresh else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<meta name="color-scheme" content="light dark">{again}<link rel="icon" href="data:,">'
        f"<title>{plain(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><main>{body}</main><footer>{footer}</footer></body></html>\n"
    )


def section(title: str, content: str, lead: str = "", kind: str = "") -> str:
    """A titled part of the page; nothing without content. `lead` is HTML."""
    if not content:
        return ""
    about = f"<p>{lead}</p>" if lead else ""
    return f'<section class="{kind}"><h2>{plain(title)}</h2>{about}{content}</section>\n'


def table(header: list[str], rows: list[list[tuple[str, str]]], caption: str) -> str:
    """A table whose rows become cards on a narrow screen.

    A cell is (HTML, classes); `header` and `caption` are plain text. The first cell of a row names it.
    The roles keep it a table for screen readers where the cards undo its layout.
    """
    names = [plain(name) for name in header]
    heads = "".join(
        f'<th role="columnheader" scope="col" class="{kind}">{name}</th>'
        for name, (_, kind) in zip(names, rows[0], strict=True)
    )
    lines = "".join(f'<tr role="row">{row_cells(names, row)}</tr>\n' for row in rows)
    return (
        f'<table role="table"><caption>{plain(caption)}</caption><thead role="rowgroup"><tr role="row">{heads}</tr>'
        f'</thead>\n<tbody role="rowgroup">{lines}</tbody></table>'
    )


def row_cells(names: list[str], row: list[tuple[str, str]]) -> str:
    """The cells of one row, each knowing its column's name."""
    (first, kind), *others = row
    return f'<th role="rowheader" scope="row" class="{kind}">{first}</th>' + "".join(
        f'<td role="cell" data-name="{name}" class="{kind}">{cell}</td>'
        for name, (cell, kind) in zip(names[1:], others, strict=True)
    )


def facts(pairs: list[tuple[str, str]], kind: str = "facts") -> str:
    """Names and values (HTML) as a list in columns."""
    return f'<dl class="{kind}">' + "".join(f"<div><dt>{plain(k)}</dt><dd>{v}</dd></div>" for k, v in pairs) + "</dl>"


def code(value) -> str:
    """A value set as code, breaking anywhere."""
    return f"<code>{shown(str(value))}</code>"
