"""The parts of a run's page that go brain by brain: the table, the charts, the sample answers."""

from grapheme_numba.report.pages.axes import Axis
from grapheme_numba.report.pages.charts import Line, line_chart
from grapheme_numba.report.pages.markup import shown, table
from grapheme_numba.report.pages.numbers import number, share
from grapheme_numba.report.pages.thumbnails import question

MOST_CARDS = 24  # brains with charts of their own; further ones are in the table
TOPS = (10.0, 20.0, 50.0, 100.0)  # where an axis of per cent may end


def score_table(best, answered) -> str:
    """The best validation, one row a brain and one for all, beside what answers without any input score."""
    if best is None:
        return ""
    header = ["brain", "examples", "exact", "fixed answer", "loss", "constant’s loss", "ratio"]
    header += ["mean error", "constant’s error"]
    rows = [score_row(name, one, answered.get(name)) for name, one in best["domains"].items()]
    if len(rows) > 1:
        rows.append(score_row("all", best, None, fixed_share(answered, best)))
    if not any(one.get("mae") is not None for one in best["domains"].values()):
        header, rows = header[:-2], [row[:-2] for row in rows]
    return table(header, rows, f"Answers by brain at epoch {best['epoch']}")


def score_row(name: str, one: dict, known, fixed_in_all=None) -> list[tuple[str, str]]:
    """A brain's cells; or those of all, where no single answer is the fixed one."""
    exact, mse, constant = one.get("exact"), one.get("mse"), one.get("mse_constant")
    ratio = mse / constant if mse is not None and constant else None
    unfit = f" <small>{one['n_unfit']:,} do not fit</small>" if one.get("n_unfit") else ""
    meter = f'<span class="meter"><i style="width:{100 * (exact or 0):.1f}%"></i></span>'
    verdict = "" if ratio is None else "better" if ratio < 1 else "worse"
    fixed = (
        f"{share(known.commonest_share)} <small>{shown(known.commonest, 24)}</small>" if known else share(fixed_in_all)
    )
    empty = "one-line none" if one.get("mae") is None else "one-line"
    return [
        (shown(name), "left"),
        (number(one.get("n")) + unfit, ""),
        (f"<span>{share(exact)}{meter}</span>", ""),
        (f"<span>{fixed}</span>", "" if known or fixed_in_all is not None else "none"),
        (number(mse), "one-line"),
        (number(constant), "one-line"),
        ("–" if ratio is None else f'<span class="{verdict}">{times(ratio)}</span>', ""),
        (number(one.get("mae")), empty),
        (number(one.get("mae_constant")), empty),
    ]


def times(ratio: float) -> str:
    """Two decimals, or two digits where it is small."""
    return f"{ratio:.2f}" if ratio > 0.095 else number(float(f"{ratio:.2g}"))


def legend() -> str:
    """What the three kinds of line mean."""

    def key(kind, extra=""):
        path = f'<path class="{kind}" d="M1 6H29"/>{extra}'
        return f'<svg class="key area" viewBox="0 0 30 12" aria-hidden="true">{path}</svg>'

    best = '<path class="validation dots best" d="M15 6h.1"/>'
    items = [
        (key("training"), "training"),
        (key("validation"), "validation"),
        (key("validation", best), "best checkpoint"),
        (key("fixed"), "answer without looking at the input"),
    ]
    return f'<ul class="legend">{"".join(f"<li>{mark}{text}</li>" for mark, text in items)}</ul>'


def fixed_share(answered, best) -> float | None:
    """The share that giving each brain's commonest answer would score over all brains of a validation."""
    counts = {name: best["domains"].get(name, {}).get("n", 0) for name in answered} if best else {}
    n = sum(counts.values())
    return sum(answered[name].commonest_share * counts[name] for name in counts) / n if n else None


def overall_charts(epochs, validations, fixed) -> str:
    """Loss and exact answers over all brains, large."""
    seen = [(row, row) for row in validations]
    taught = [(row, row) for row in epochs]
    both = loss_chart("Loss", taught, seen) + exact_chart("Exact answers", taught, seen, fixed)
    return f'{legend()}<div class="charts two">{both}</div>' if both else ""


def brain_cards(epochs, validations, names, answered) -> str:
    """A card a brain with its loss and its exact answers."""
    last = validations[-1]["domains"] if validations else {}
    shown_names = sorted(names, key=lambda name: -last.get(name, {}).get("n", 0))[:MOST_CARDS]
    cards = []
    for name in [name for name in names if name in shown_names]:
        seen = [(row, row["domains"][name]) for row in validations if name in row["domains"]]
        taught = [(row, row["domains"][name]) for row in epochs if name in row["domains"]]
        fixed = answered[name].commonest_share if name in answered else None
        charts = loss_chart("Loss", taught, seen, 3) + exact_chart("Exact answers", taught, seen, fixed, 3)
        if charts:
            cards.append(f'<article><h3>{shown(name)}</h3><div class="charts">{charts}</div></article>')
    left = len(names) - len(shown_names)
    more = f"<p>{left} further brains are in the table above.</p>" if left > 0 else ""
    return f'{legend()}<div class="brains">{"".join(cards)}</div>{more}' if len(cards) > 1 or more else ""


def loss_chart(title, taught, seen, n_tick=5) -> str:
    """Training and validation loss with the best constant answer's; (row, its part of the brain) each."""
    lines = [
        Line("training", [(row["epoch"], part.get("loss")) for row, part in taught], "training"),
        Line("validation", [(row["epoch"], part.get("mse")) for row, part in seen], "validation", best_epoch(seen)),
        level("best constant answer", taught or seen, seen[-1][1].get("mse_constant") if seen else None),
    ]
    return line_chart(title, lines, log=True, note="mean squared error", n_tick=n_tick)


def exact_chart(title, taught, seen, fixed=None, n_tick=5) -> str:
    """The share of answers right to the letter, with that of the commonest answer."""
    lines = [
        Line("training", [(row["epoch"], per_cent(part.get("exact"))) for row, part in taught], "training"),
        Line(
            "validation",
            [(row["epoch"], per_cent(part.get("exact"))) for row, part in seen],
            "validation",
            best_epoch(seen),
        ),
        level("commonest answer", taught or seen, per_cent(fixed)),
    ]
    highest = max((y for line in lines for _, y in line.points if y is not None), default=0.0)
    axis = Axis(0.0, next(top for top in TOPS if highest <= top))
    return line_chart(title, lines, y_axis=axis, unit=" %", n_tick=n_tick)


def level(name, places, value) -> Line:
    """A value that does not change, over all epochs."""
    ends = (places[0], places[-1]) if places else ()
    return Line(name, [(row["epoch"], value) for row, _ in ends], "fixed")


def best_epoch(seen) -> float | None:
    """The epoch of the best validation."""
    return next((row["epoch"] for row, _ in reversed(seen) if row.get("best")), None)


def per_cent(value) -> float | None:
    """A share times 100."""
    return None if value is None else 100.0 * value


def sample_table(answered) -> str:
    """Questions, expected and given answers, brain by brain."""
    rows = []
    for name, one in answered.items():
        for sample in one.samples:
            kind, mark = ("right", "✓") if sample.right else ("wrong", "✗")
            rows.append(
                [
                    (f"{shown(name)} <small>{shown(sample.example.id, 40)}</small>", "left"),
                    (question(sample.example), "left question stacked"),
                    (f"<span>{shown(sample.example.expected_output or '')}</span>", "left"),
                    (f'<span class="{kind}"><b title="{kind}">{mark}</b> {shown(sample.answer)}</span>', "left"),
                    (f"{sample.confidence:.2f}", ""),
                ]
            )
    header = ["brain and example", "question", "expected", "answer", "confidence"]
    return f'<div class="samples">{table(header, rows, "Sample answers")}</div>' if rows else ""
