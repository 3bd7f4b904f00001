"""Thousands of domains: work grows with their number and not with its square, and nobody has to read them all."""

import json
import sys

import pytest
from click.testing import CliRunner
from runs import cli, small_data

from grapheme_numba.cli.data import main
from grapheme_numba.data.codec.layout import domain_needs, shared_layout
from grapheme_numba.data.stream.open_dataset import open_dataset
from grapheme_numba.errors import RecordError, UsageError, few
from grapheme_numba.models.router import place_brains, with_brains

N = 5000


def records(n, n_row=2):
    """Lines of `n` domains, each with a few rows."""
    row = {"input_type": "sequence", "metadata": {}}
    return [
        json.dumps({
            "id": f"{d}-{i}", "domain": f"domain{d:05d}", **row, "input": {"values": [d, i]}, "expected_output": str(i)
        })
        for d in range(n) for i in range(n_row)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The Parquet of all, and of a sixteenth."""
    folder = tmp_path_factory.mktemp("domains")
    for name, n in (("all", N), ("part", N // 16)):
        (folder / f"{name}.jsonl").write_text("\n".join(records(n)) + "\n")
        assert CliRunner().invoke(main, ["convert", str(folder / f"{name}.jsonl")]).exit_code == 0
    return folder


def n_call(work):
    """Python calls that `work()` makes: what it costs, whatever else the machine does."""
    count = 0

    def counted(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def test_work_is_linear_in_the_number_of_domains(data):
    def opened(name):
        dataset = open_dataset(data / f"{name}.parquet")
        layout = shared_layout(dataset.summary(), embedding_dim=1)
        dataset.misfits(layout)
        for one in layout.names:
            layout.index(one)
        return layout

    for name in ("part", "all"):
        opened(name)  # what is imported and compiled once
    part, whole = (n_call(lambda name=name: opened(name)) for name in ("part", "all"))
    assert whole < 16 * 1.2 * part


def test_inspect_shows_some_and_counts_the_others(data):
    done = CliRunner().invoke(main, ["inspect", str(data / "all.parquet"), "--samples", "1"])
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) < 40
    assert "and 4,976 more domains, of which all fits" in done.stdout
    everything = CliRunner().invoke(main, ["inspect", str(data / "all.parquet"), "--log-format", "json", "--quiet"])
    assert everything.exit_code == 0


def test_json_lists_all(data):
    done = CliRunner().invoke(main, ["inspect", str(data / "part.parquet"), "--log-format", "json"])
    named = [json.loads(line).get("domain") for line in done.stdout.splitlines()]
    assert len([name for name in named if name]) == N // 16


def test_a_run_says_a_few_lines_of_a_few_domains(data, tmp_path):
    options = ["--epochs", "1", "--hidden", "8", "--split", "none"]
    done = cli("agi", "--data", data / "part.parquet", "--output", tmp_path / "run", *options)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert len(lines) < 100
    assert max(map(len, lines)) < 2000
    shown = cli("inspect", tmp_path / "run")
    assert len([line for line in shown.stdout.splitlines() if "domain0" in line]) == 24
    assert "and 288 more domains" in shown.stdout


def test_errors_name_a_handful(data, tmp_path):
    dataset = open_dataset(data / "part.parquet")
    needs, layout = domain_needs(dataset.summary(), 1), shared_layout(dataset.summary(), 1)
    other = shared_layout(open_dataset(small_data(tmp_path) / "val.jsonl", cache=False).summary(), 1)
    calls = [
        lambda: layout.index("another"),
        lambda: place_brains(needs, {"another": (4, 4)}, 1),
        lambda: place_brains(needs, {}, 1),
        lambda: with_brains(dataset, layout=other),
        lambda: list(with_brains(dataset, layout=layout).batches(other, 64)),
    ]
    for call in calls:
        with pytest.raises((RecordError, UsageError)) as caught:
            call()
        assert str(caught.value).count("domain0") <= 15
        assert len(str(caught.value)) < 700


def test_few():
    assert few("abc") == "a, b, c"
    assert few(range(7)) == "0, 1, 2, 3, 4 and 2 more"
    assert few(range(3000), 2, " ") == "0 1 and 2,998 more"
