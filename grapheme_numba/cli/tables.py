"""Tables of figures as aligned plain text: the same on a terminal, in a pipe and in README."""

HEADER = ("domain", "n", "mse", "mse const", "exact", "mae", "mae const")


def score_cells(score: dict) -> tuple[str, ...]:
    """The cells of one domain's scores (as saved in metrics.jsonl)."""
    return (
        score["domain"],
        str(score["n"]),
        figure(score["mse"]),
        figure(score["mse_constant"]),
        percent(score["exact"]),
        figure(score["mae"]),
        figure(score["mae_constant"]),
    )


def score_table(scores: list[dict]) -> str:
    """One line per domain under a header."""
    return aligned([HEADER, *map(score_cells, scores)])


def aligned(rows) -> str:
    """Rows of cells as lines: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def figure(value: float | None) -> str:
    """Four significant digits; a dash where there is no figure."""
    return "-" if value is None else f"{value:.4g}"


def percent(share: float | None) -> str:
    """A share as per cent, one digit after the point; 100.0 % only when it is all of them."""
    if share is None:
        return "-"
    return f"{min(100.0 * share, 99.9) if share < 1 else 100.0:.1f} %"
