"""The pieces of the report: the page with its style, the figures on top, and the tables."""

from html import escape

STYLE = """
:root{--ink:#1d2733;--soft:#5d6b7a;--line:#dde3ea;--card:#fff;--back:#f5f7fa;--accent:#2563a8}
@media(prefers-color-scheme:dark){:root{--ink:#e6ebf1;--soft:#9aa8b7;--line:#2f3b48;--card:#1a222c;--back:#10161d;
--accent:#7fb3ee}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
main{max-width:1240px;margin:0 auto;padding:20px 16px 48px}
h1{font-size:1.35rem;margin:0 0 14px;overflow-wrap:anywhere}h2{font-size:1.1rem;margin:0 0 6px}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px;margin:14px 0}
section p{margin:0 0 10px;color:var(--soft)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(118px,1fr));gap:10px;margin:0}
.tiles div{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:10px 12px}
.tiles dt{color:var(--soft);font-size:.85rem}.tiles dd{margin:0;font-size:1.25rem;font-weight:600}
figure{display:inline-block;width:100%;max-width:592px;margin:6px 6px 14px 0;vertical-align:top}
@media(min-width:1200px){figure{width:calc(50% - 10px)}}
figcaption{font-weight:600;font-size:.95rem}svg{width:100%;height:auto;display:block}
.grid{stroke:var(--line)}.axis{fill:var(--soft);font-size:12px}.bar{fill:var(--accent)}
.line{fill:none;stroke:currentColor;stroke-width:2;stroke-linejoin:round}
.line.dashed{stroke-dasharray:6 5;stroke-width:1.5}.dot{fill:currentColor}
.legend{display:flex;flex-wrap:wrap;gap:2px 14px;font-size:.85rem;color:var(--soft)}
.legend i{display:inline-block;width:18px;border-top:3px solid currentColor;margin-right:5px;vertical-align:middle}
.legend i.dashed{border-top-style:dashed}
.c0{color:#2b6cb0}.c1{color:#d9730d}.c2{color:#718096}.c3{color:#2f9e5b}.c4{color:#b83280}.c5{color:#7a5ad6}
.c6{color:#0c9aa6}.c7{color:#a3701c}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:right;padding:5px 10px;border-bottom:1px solid var(--line);white-space:nowrap}
th{color:var(--soft);font-weight:600}th:first-child,td:first-child,td.left,th.left{text-align:left}
td.right{color:#2f9e5b}td.wrong{color:#d64545}td.code{font-family:ui-monospace,monospace;white-space:pre}
footer{color:var(--soft);font-size:.85rem}
"""


def page(title: str, body: str, footer: str) -> str:
    """The whole document."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width,initial-scale=1"><title>{escape(title)}</title><style>{STYLE}</style></head>'
        f"<body><main><h1>{escape(title)}</h1>{body}<footer>{escape(footer)}</footer></main></body></html>\n"
    )


def tiles(run, epochs, validations) -> str:
    """The run in a few figures."""
    progress, dag = run.progress, run.model.dag
    best = max((row for row in validations if row["best"]), key=lambda row: row["epoch"], default=None)
    speeds = sorted(row["examples_per_s"] for row in epochs)
    facts = [
        ("epochs", f"{progress.epoch} of {run.config.epochs}"),
        ("steps", f"{progress.step:,}"),
        ("time", f"{progress.elapsed:.1f} s"),
        ("examples/s", f"{speeds[len(speeds) // 2]:,.0f}" if speeds else "-"),
        ("nodes", f"{dag.n_node:,}"),
        ("edges", f"{dag.n_edge:,}"),
        ("levels", f"{dag.n_level:,}"),
        ("best loss", "-" if best is None else f"{best['mse']:.4g}"),
        ("exact answers", "-" if best is None else share(best["exact"])),
    ]
    cells = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    return f'<dl class="tiles">{cells}</dl>'


def score_table(validations) -> str:
    """The best validation's scores, one row a domain."""
    best = [row for row in validations if row["best"]] or validations
    if not best:
        return ""
    row = best[-1]
    scores = [*row["domains"].values(), {"domain": "all", **row}]
    keys = ("n", "mse", "mse_constant", "exact", "mae", "mae_constant")
    names = ("examples", "mse", "constant's mse", "exact", "mae", "constant's mae")
    lines = [
        [score["domain"], *(share(score[key]) if key == "exact" else number(score[key]) for key in keys)]
        for score in scores
    ]
    return table([f"epoch {row['epoch']}", *names], [[(cell, "") for cell in line] for line in lines])


def sample_table(samples) -> str:
    """Expected and given answers."""
    lines = [
        [
            (s.domain, ""),
            (s.id, "left"),
            (s.expected, "left code"),
            (s.answer, "left code " + ("right" if s.right else "wrong")),
            (f"{s.confidence:.2f}", ""),
        ]
        for s in samples
    ]
    return table(["domain", "example", "expected", "answer", "confidence"], lines, left=4) if lines else ""


def config_table(values: dict) -> str:
    """Every key and its value."""
    shown = {
        key: ", ".join(map(str, v)) if isinstance(v, tuple) else "-" if v is None else v for key, v in values.items()
    }
    return table(["key", "value"], [[(key, ""), (str(value), "left code")] for key, value in shown.items()], left=2)


def table(header, lines, left: int = 1) -> str:
    """A table that scrolls sideways on a narrow screen; a cell is (text, classes)."""
    heads = "".join(f"<th{' class=left' if i < left else ''}>{escape(name)}</th>" for i, name in enumerate(header))
    rows = "".join(
        "<tr>" + "".join(f'<td class="{kind}">{escape(text)}</td>' for text, kind in line) + "</tr>" for line in lines
    )
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def number(value) -> str:
    """Four significant digits, or a dash."""
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def share(value) -> str:
    """Per cent with one digit, or a dash."""
    return "-" if value is None else f"{100 * value:.1f} %"
