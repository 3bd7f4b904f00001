"""Examples without a domain: refused, unless a router is to choose one; then they train, and come back as they were."""

import json

import pytest
from click.testing import CliRunner
from test_json_lines import compare

from grapheme_numba.cli import data as data_commands
from grapheme_numba.cli import train as train_commands
from grapheme_numba.data.codec.layout import shared_layout
from grapheme_numba.data.jsonl.convert import convert, export
from grapheme_numba.data.records import Limits
from grapheme_numba.data.sources.generator import generate
from grapheme_numba.data.stream.dataset import open_parquet
from grapheme_numba.data.stream.open_dataset import open_dataset
from grapheme_numba.errors import RecordError
from grapheme_numba.models.router import with_brains

NAMELESS = Limits(nameless=True)


def nameless(samples, split="train", every=1):
    """Generated records, every so many of them without its domain."""
    for i, record in enumerate(generate(samples, split)):
        yield {key: value for key, value in record.items() if key != "domain" or i % every}


def write(path, records):
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


def run(commands, *args):
    return CliRunner().invoke(commands, [str(arg) for arg in args])


def test_reference_parser_and_scanner_agree():
    lines = [json.dumps(one).encode() for one in nameless(20, every=3)]
    assert len(compare(lines).rejects) == 27
    found = compare(lines, NAMELESS)
    assert (len(found.rejects), found.rows.num_rows) == (0, 80)
    assert found.rows.column("domain").to_pylist().count("") == 27
    assert compare([lines[0].replace(b'"id"', b'"domain":"","id"')], NAMELESS).rejects


def test_they_come_back_without_a_domain(tmp_path):
    records = list(nameless(10, every=2))
    write(tmp_path / "a.jsonl", records)
    done = convert([tmp_path / "a.jsonl"], tmp_path / "a.parquet", limits=NAMELESS)
    assert (done.rows_out, done.rejects) == (40, 0)
    export(tmp_path / "a.parquet", tmp_path / "b.jsonl")
    assert [json.loads(line) for line in (tmp_path / "b.jsonl").read_text().splitlines()] == records


def test_they_are_routed_or_refused(tmp_path):
    path = write(tmp_path / "a.jsonl", nameless(10))
    with pytest.raises(RecordError, match="a.jsonl, line 1: domain is missing"):
        open_dataset(path)
    dataset = open_dataset(path, nameless=True)
    assert (dataset.summary().domains, dataset.summary().nameless) == ((), 40)
    with pytest.raises(RecordError, match="40 examples of .*a.jsonl name no domain; choose one by what each"):
        with_brains(dataset)
    routed = with_brains(dataset, route=True)
    assert {one.name: one.n for one in routed.summary().domains} == dict.fromkeys(
        ("math", "text", "timeseries", "vision"), 10
    )
    assert routed.summary().nameless == 0
    with pytest.raises(RecordError, match="domain is missing"):  # another question, another conversion
        open_dataset(path)


def test_only_the_nameless_are_left_out_by_skip(tmp_path):
    dataset = open_dataset(write(tmp_path / "a.jsonl", nameless(10, every=4)), nameless=True)
    layout = shared_layout(dataset.summary(), 4)
    with pytest.raises(RecordError, match="example 'math-train-000000' names no domain; give it one, or choose"):
        list(dataset.batches(layout, 8))
    kept = with_brains(dataset, unknown_domain="skip")
    assert kept.summary().n == sum(len(batch.rows) for batch in kept.batches(layout, 8)) == 30


def test_the_commands_say_so(tmp_path):
    path = write(tmp_path / "a.jsonl", nameless(10, every=4))
    assert run(data_commands.main, "convert", path).exit_code == 65
    done = run(data_commands.main, "convert", path, "--allow-missing-domain")
    assert done.stdout == f"{tmp_path / 'a.parquet'}: 40 rows in = 40 rows out + 0 rejects\n"
    assert run(data_commands.main, "validate", path).exit_code == 65
    assert run(data_commands.main, "validate", path, "--allow-missing-domain").exit_code == 0
    for name in ("a.jsonl", "a.parquet"):
        found = run(data_commands.main, "inspect", tmp_path / name).stdout
        assert "without a domain: 10 rows, for a router (--route)" in found
        assert "  text: 10 rows" in found
    assert open_parquet(tmp_path / "a.parquet").summary().nameless == 10


@pytest.mark.parametrize("trainer", ["agi", "unified"])
def test_a_run_routes_lines_without_a_domain(tmp_path, trainer):
    for split in ("train", "val", "test"):
        write(tmp_path / f"{split}.jsonl", nameless(12, split))
    small = ["--set", "hidden=[16]", "--epochs", 1, "--log-format", "plain"]
    refused = run(train_commands.main, trainer, "--data", tmp_path, "--output", tmp_path / "no", *small)
    assert refused.exit_code == 65
    assert "domain is missing" in refused.output
    done = run(train_commands.main, trainer, "--data", tmp_path, "--output", tmp_path / "run", "--route", *small)
    assert done.exit_code == 0, done.output
    found = run(train_commands.main, "evaluate", tmp_path / "run", "--log-format", "json")
    assert {json.loads(line)["domain"] for line in found.stdout.splitlines()} == {
        "all",
        "math",
        "text",
        "timeseries",
        "vision",
    }
