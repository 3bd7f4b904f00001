"""The view on a terminal: whole figures in 60 columns, the bar on top, and nothing left running."""

import io

import pytest
from rich.console import Console
from runs import small_data, train

from grapheme_numba.cli.live import LiveDisplay
from grapheme_numba.errors import StoppedEarly
from grapheme_numba.training.observer import Observer


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_data(tmp_path_factory.mktemp("data"))


def watched(data, folder, width: int, height: int = 40, **options) -> list[str]:
    """The lines of the picture that a run leaves on a terminal of this size."""
    console = Console(file=io.StringIO(), force_terminal=True, width=width, height=height, highlight=False)
    display = LiveDisplay(console)
    try:
        train(data, folder, observer=display, **options)
    finally:
        display.close()
    assert display.live is None
    console.begin_capture()
    console.print(display.picture())
    return console.end_capture().replace("\x1b[0m", "").splitlines()


def plain(line: str) -> str:
    """A line without colours."""
    return "".join(part.partition("m")[2] if number else part for number, part in enumerate(line.split("\x1b[")))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_every_figure_is_whole_and_lines_do_not_grow_with_the_terminal(tmp_path, data, width):
    lines = [plain(line).rstrip() for line in watched(data, tmp_path / "run", width)]
    assert lines[0].startswith("agi ━")
    assert "3/3 epochs" in lines[0]
    assert lines[1].startswith("epoch 3  loss ")
    assert max(map(len, lines)) <= 60
    assert "…" not in "".join(lines)
    for name in ("math", "text", "timeseries", "vision"):
        assert sum(line.split()[:1] == [name] for line in lines) >= 1, lines
    assert lines[-1].split()[:2] == ["all", "64"]


def test_the_terminal_is_given_back_when_a_run_stops(tmp_path, data, monkeypatch):
    """The cursor is hidden while the picture is drawn again and again."""
    monkeypatch.setenv("TERM", "xterm")
    file = io.StringIO()
    display = LiveDisplay(Console(file=file, force_terminal=True, width=80))
    with pytest.raises(StoppedEarly):
        train(data, tmp_path / "run", observer=display, max_steps=2)
    assert "\x1b[?25l" in file.getvalue()
    display.close()
    assert file.getvalue().rindex("\x1b[?25h") > file.getvalue().rindex("\x1b[?25l")
    assert isinstance(display, Observer)
