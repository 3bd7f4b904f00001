"""Conversion: record for record, in order, every line in one of two outputs, nothing half-written."""

import gzip
import json

import pytest
from odd_lines import ODD_LINES, TEXT

from grapheme_numba.data.jsonl import parsing
from grapheme_numba.data.jsonl.convert import convert, export, validate
from grapheme_numba.data.parquet import row_groups
from grapheme_numba.data.records import Limits
from grapheme_numba.data.sources.generator import generate
from grapheme_numba.data.stream.dataset import open_parquet
from grapheme_numba.errors import MissingInputError, RecordError, UsageError


def write(path, records):
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records))
    return path


def read(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def round_trip(folder, **options):
    """Convert and export what the folder holds: the records that come back."""
    convert([folder / "a.jsonl"], folder / "a.parquet", **options)
    export(folder / "a.parquet", folder / "b.jsonl")
    return read(folder / "b.jsonl")


@pytest.fixture
def scanned(monkeypatch):
    """Even small files go through the compiled scanner."""
    monkeypatch.setattr(parsing, "SMALL_BYTES", 0)


def test_generated_records_come_back(tmp_path):
    records = list(generate(200, "train"))
    write(tmp_path / "a.jsonl", records)
    assert round_trip(tmp_path) == records


@pytest.mark.long
def test_100_000_generated_records_come_back(tmp_path, scanned, figure):
    records = list(generate(25_000, "train"))
    write(tmp_path / "a.jsonl", records)
    assert round_trip(tmp_path) == records
    figure("records to Parquet and back", f"{len(records):,} equal")


def test_every_line_is_in_one_of_two_outputs(tmp_path, scanned):
    lines = [line for line, _ in ODD_LINES.values()]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    done = convert([tmp_path / "a.jsonl"], tmp_path / "a.parquet")
    wrong = sum(reason is not None for _, reason in ODD_LINES.values())
    assert (done.rows_in, done.rows_out, done.rejects) == (len(lines), len(lines) - wrong, wrong)
    rejects = read(tmp_path / "a.rejects.jsonl")
    assert len(rejects) == wrong
    for reject in rejects:
        assert reject["file"] == str(tmp_path / "a.jsonl")
        assert lines[reject["line"] - 1].startswith(reject["start"].encode()[:4])
    export(tmp_path / "a.parquet", tmp_path / "b.jsonl")
    usable = [line for line, reason in ODD_LINES.values() if reason is None]
    assert [json.loads(line) for line in usable] == read(tmp_path / "b.jsonl")


def test_the_order_is_kept_by_several_threads(tmp_path, scanned, monkeypatch):
    monkeypatch.setattr(row_groups, "GROUP_ROWS", 100)
    records_ = list(generate(300, "train"))
    for i in range(4):
        write(tmp_path / f"{i}.jsonl", records_[i * 300 : (i + 1) * 300])
    (tmp_path / "3.jsonl.gz").write_bytes(gzip.compress((tmp_path / "3.jsonl").read_bytes()))
    (tmp_path / "3.jsonl").unlink()
    for threads in (1, 3):
        done = convert([tmp_path], tmp_path / f"{threads}.parquet", threads=threads)
        assert done.rows_out == 1200
        export(tmp_path / f"{threads}.parquet", tmp_path / "out.json")
        assert read(tmp_path / "out.json") == records_
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "3.parquet").read_bytes()
    assert len(open_parquet(tmp_path / "1.parquet")._groups) == 12


def test_shards_are_equal_and_in_order(tmp_path):
    records_ = list(generate(25, "train"))
    write(tmp_path / "a.jsonl", records_)
    done = convert([tmp_path / "a.jsonl"], tmp_path / "three", shards=3)
    assert [path.name for path in done.outputs] == [f"part-0000{i}.parquet" for i in range(3)]
    assert [open_parquet(path).n_rows for path in done.outputs] == [33, 33, 34]
    done = convert([tmp_path / "a.jsonl"], tmp_path / "forty", rows_per_file=40)
    assert [open_parquet(path).n_rows for path in done.outputs] == [40, 40, 20]
    for folder in ("three", "forty"):
        export(tmp_path / folder, tmp_path / "out.json")
        assert read(tmp_path / "out.json") == records_
    with pytest.raises(UsageError, match="already holds something"):
        convert([tmp_path / "a.jsonl"], tmp_path / "three", shards=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "forty", "out.json", "three"]


def test_an_empty_input_is_refused_and_leaves_nothing(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"\n \r\n")
    (tmp_path / "old.parquet").write_bytes(b"old")
    with pytest.raises(RecordError, match="holds no line; at least one example is needed"):
        convert([tmp_path / "a.jsonl"], tmp_path / "old.parquet")
    with pytest.raises(MissingInputError, match="does not exist"):
        convert([tmp_path / "b.jsonl"], tmp_path / "old.parquet")
    assert (tmp_path / "old.parquet").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jsonl", "old.parquet"]


def test_strict_stops_and_writes_nothing(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(TEXT + b"\nbad\n" + TEXT)
    with pytest.raises(RecordError, match=r"a.jsonl, line 2: not JSON: .*; nothing was written \(--strict\)"):
        convert([tmp_path / "a.jsonl"], tmp_path / "a.parquet", strict=True)
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_rejects_of_an_older_conversion_go(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(TEXT + b"\nbad\n")
    assert convert([tmp_path / "a.jsonl"], tmp_path / "a.parquet").rejects == 1
    assert (tmp_path / "a.rejects.jsonl").exists()
    (tmp_path / "a.jsonl").write_bytes(TEXT)
    convert([tmp_path / "a.jsonl"], tmp_path / "a.parquet")
    assert not (tmp_path / "a.rejects.jsonl").exists()


def test_limits_reach_the_lines(tmp_path, scanned):
    (tmp_path / "a.jsonl").write_bytes(TEXT + b"\n" + b'{"id":"' + b"x" * 5000 + b'"}\n' + TEXT + b"\n")
    done = convert([tmp_path / "a.jsonl"], tmp_path / "a.parquet", limits=Limits(line_bytes=1000))
    assert (done.rows_out, done.first_reject.line) == (2, 2)
    assert "more than the limit of 1000" in done.first_reject.reason


def test_progress_reaches_the_total(tmp_path):
    write(tmp_path / "a.jsonl", generate(50, "train"))
    seen = []
    convert([tmp_path / "a.jsonl"], tmp_path / "a.parquet", progress=lambda done, total: seen.append((done, total)))
    size = (tmp_path / "a.jsonl").stat().st_size
    assert seen[-1] == (size, size)


def test_validate_checks_both_forms(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(TEXT + b"\nbad\n" + TEXT + b"\n{}\n")
    convert([tmp_path / "a.jsonl"], tmp_path / "a.parquet")
    found = validate([tmp_path / "a.jsonl", tmp_path / "a.parquet"], shown=1)
    assert (found.rows, found.rejects, len(found.shown)) == (4, 2, 1)
    assert found.shown[0].line == 2
    (tmp_path / "b.jsonl").write_bytes(b"\n")
    with pytest.raises(RecordError, match="holds no line"):
        validate([tmp_path / "b.jsonl"])


def test_export_does_not_touch_its_target_when_it_fails(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"no parquet at all")
    (tmp_path / "b.jsonl").write_bytes(b"old")
    with pytest.raises(RecordError, match="is not a whole Parquet file"):
        export(tmp_path / "a.parquet", tmp_path / "b.jsonl")
    assert (tmp_path / "b.jsonl").read_bytes() == b"old"
