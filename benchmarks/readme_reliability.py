"""Write the table of README.md's section "Reliability" from the figures that the long tests found.

    bin/test -m long --figures benchmarks/measured/reliability.json
    python benchmarks/readme_reliability.py

A test that ran again takes the place of its earlier figure. What stands between the markers is replaced, the
rest of README.md stays as it is.
"""

import json
from pathlib import Path

ROOT = Path(__file__).parent.parent
README, FIGURES = ROOT / "README.md", ROOT / "benchmarks" / "measured" / "reliability.json"
BEGIN, END = "<!-- reliability: begin -->", "<!-- reliability: end -->"


def table(figures: dict[str, dict]) -> str:
    """A row per figure: what was done, what came of it, and how long that took."""
    rows = [f"| {what} | {one['result']} | {one['seconds']:,} s |" for what, one in figures.items()]
    return "\n".join(["| what was done | what came of it | took |", "| --- | --- | --- |", *rows])


def replaced(text: str, inside: str) -> str:
    """`text` with `inside` between the markers."""
    before, _, rest = text.partition(BEGIN)
    _, marker, after = rest.partition(END)
    if not marker:
        raise ValueError(f"README.md must hold {BEGIN} and then {END}; put them where the table belongs")
    return f"{before}{BEGIN}\n{inside}\n{END}{after}"


def main() -> None:
    """Rewrite README.md."""
    README.write_text(replaced(README.read_text(), table(json.loads(FIGURES.read_text()))))


if __name__ == "__main__":
    main()
