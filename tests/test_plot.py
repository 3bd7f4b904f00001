"""`grapheme-train plot`: runs compared on a page or a figure, however they ended."""

import shutil
import xml.etree.ElementTree as ElementTree

import pytest
from click.testing import CliRunner
from page_checks import check_page
from runs import small_data, train

from grapheme_numba.cli.train import main
from grapheme_numba.runs.journal import METRICS, to_line
from grapheme_numba.runs.run_folder import distinct_names, read_runs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with two runs that differ in rate and width."""
    folder = tmp_path_factory.mktemp("runs")
    data = small_data(folder / "data")
    train(data, folder / "slow", lr=0.001)
    train(data, folder / "wide <b>", lr=0.01, hidden=(24,))
    return folder


def plot(*arguments):
    return CliRunner().invoke(main, ["plot", *map(str, arguments)])


def test_a_page_overlays_the_runs_and_tells_what_differs(folder, tmp_path):
    result = plot(folder / "slow", folder / "wide <b>", "--output", tmp_path / "both.html")
    assert (result.exit_code, result.output) == (0, f"{tmp_path / 'both.html'}: 2 runs, 6 epochs\n")
    page = check_page((tmp_path / "both.html").read_text())
    for part in ("2 runs compared", "slow", "wide <b>", "Validation loss", "Throughput", "Each brain", "lr", "hidden"):
        assert part in page.text
    rows = [" ".join(row) for row in cells(page)]
    assert "0.001 0.01" in rows
    assert "16 24" in rows
    assert not any("batch_size" in text for text in page.texts)
    loss = next(svg["aria-label"] for svg in page.all("svg") if svg.get("aria-label", "").startswith("Validation loss"))
    last = read_runs([str(folder / "slow")])[0].of_kind("validation")[-1]["mse"]
    assert f"to {last:.4g} at epoch 3" in loss
    assert "; wide <b> from" in loss


def cells(page):
    """The texts of the last table's rows, after their first cell."""
    source = page.source[page.source.rindex("<tbody") : page.source.rindex("</tbody>")]
    rows = ElementTree.fromstring(f"<table>{source}</tbody></table>").iter("tr")
    return [["".join(cell.itertext()) for cell in row][1:] for row in rows]


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_a_figure_for_papers(folder, tmp_path, kind):
    target = tmp_path / f"both.{kind}"
    assert plot(folder / "slow", folder / "wide <b>" / METRICS, "--output", target).exit_code == 0
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    assert target.read_bytes().startswith(starts[kind])
    if kind == "svg":
        assert "wide &lt;b&gt;" in target.read_text()


def test_a_page_of_one_run_is_its_report(folder, tmp_path):
    """Byte for byte, from what its folder stores; without that, its curves alone."""
    assert plot(folder / "slow", "--output", tmp_path / "one.html").exit_code == 0
    assert (tmp_path / "one.html").read_bytes() == (folder / "slow" / "report.html").read_bytes()
    for stored in ("", "nothing", '{"format": 0}', "[]"):
        shutil.copytree(folder / "slow", tmp_path / "run", dirs_exist_ok=True)
        (tmp_path / "run" / "report.json").write_text(stored)
        assert plot(tmp_path / "run", "--output", tmp_path / "one.html").exit_code == 0
        page = check_page((tmp_path / "one.html").read_text())
        assert "Best validations" in page.text
        assert "Configuration" not in page.text


def test_many_runs_are_rows(folder, tmp_path):
    many = [folder / "slow"] * 8 + [folder / "wide <b>"]
    assert plot(*many, "--output", tmp_path / "many.html").exit_code == 0
    page = check_page((tmp_path / "many.html").read_text())
    assert "slow (8)" in page.text
    assert ["0.001", "16"] in cells(page)


def test_what_is_written_right_now_is_no_damage(folder, tmp_path):
    shutil.copytree(folder / "slow", tmp_path / "run")
    with (tmp_path / "run" / METRICS).open("ab") as file:
        file.write(b'{"row": 6, "kind": "epo')
    (run,) = read_runs([str(tmp_path / "run")])
    assert len(run.rows) == 6
    assert run.notes == []


def test_damaged_lines_are_left_out_with_a_warning(folder, tmp_path):
    shutil.copytree(folder / "slow", tmp_path / "run")
    lines = (tmp_path / "run" / METRICS).read_bytes().splitlines()
    lines[2] = lines[2].replace(b"0", b"1", 1)
    (tmp_path / "run" / METRICS).write_bytes(b"\n".join(lines) + b"\n")
    (tmp_path / "run" / "config.toml").unlink()
    result = plot(tmp_path / "run", folder / "slow", "--output", tmp_path / "x.html")
    assert result.exit_code == 0
    assert "1 of 6 lines are damaged and left out (line 3)" in result.stderr
    assert "is compared without its configuration" in result.stderr
    assert "1 of 6 lines are damaged" in check_page((tmp_path / "x.html").read_text()).text


def test_rows_of_another_version_do_not_break_the_page(tmp_path):
    rows = [{"row": 0, "kind": "epoch", "epoch": 1}, {"row": 1, "kind": "validation", "epoch": 1}, {"kind": "news"}]
    (tmp_path / METRICS).write_bytes(b"".join(to_line(row) + b"\n" for row in rows))
    assert plot(tmp_path, "--output", tmp_path / "x.html").exit_code == 0
    check_page((tmp_path / "x.html").read_text())


def test_mistakes_are_told_by_their_codes(folder, tmp_path):
    (tmp_path / METRICS).write_bytes(b"nothing\n")
    (tmp_path / "empty").mkdir()
    slow = folder / "slow"
    for arguments, code, sentence in [
        ([], 2, "Missing argument 'RUN...'"),
        ([tmp_path / "nowhere"], 66, "does not exist; name the folder of a run"),
        ([slow, tmp_path / "empty"], 66, "holds no metrics.jsonl"),
        ([tmp_path], 65, "has no row that is as a run wrote it"),
        ([slow, "--output", tmp_path / "x.txt"], 2, "should end in .html, .png, .svg, .pdf"),
        ([slow, "--output", tmp_path / "none" / "x.html"], 74, "there is no folder"),
    ]:
        result = plot(*arguments)
        assert (result.exit_code, sentence in result.stderr) == (code, True), result.stderr
    assert not list(tmp_path.glob("*.html"))


def test_without_matplotlib_a_figure_is_refused_with_the_way_on(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    result = plot(folder / "slow", "--output", tmp_path / "x.png")
    assert (result.exit_code, "pip install '.[plot]' in a clone" in result.stderr) == (2, True)


def test_runs_of_one_name_get_distinct_names():
    from pathlib import Path

    folders = [Path("/a/x/run"), Path("/a/y/run"), Path("/a/y/run"), Path("/b/other")]
    assert distinct_names(folders) == ["x/run", "y/run", "y/run (2)", "other"]
