"""metrics.jsonl: rows come back, NaN becomes null, and no damaged row is read as another."""

import zlib

import pytest
from mutants import mutants

from grapheme_numba.errors import RecordError
from grapheme_numba.runs.journal import Journal, read_rows

ROWS = [
    {
        "kind": "epoch",
        "epoch": 1,
        "loss": 0.1 + 0.2,
        "domains": {"math": {"n": 3, "loss": 1e-9}},
        "name": 'a, "check": "',
    },
    {"kind": "validation", "epoch": 1, "mse": None, "best": True},
    {"kind": "epoch", "epoch": 2, "loss": 1e300, "domains": {}},
]


@pytest.fixture
def path(tmp_path):
    journal = Journal(tmp_path / "metrics.jsonl")
    for row in ROWS:
        journal.add(row)
    return tmp_path / "metrics.jsonl"


def test_rows_come_back_numbered(path):
    assert read_rows(path) == [{"row": number, **row} for number, row in enumerate(ROWS)]


def test_rows_with_spaces_are_still_read(tmp_path):
    """As version 0.1.0 wrote them."""
    text = '{"row": 0, "kind": "epoch", "loss": 0.5}'
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{text[:-1]}, "check": "{zlib.crc32(text.encode()):08x}"}}\n')
    assert read_rows(path) == [{"row": 0, "kind": "epoch", "loss": 0.5}]
    path.write_text(path.read_text().replace("0.5", "0.6"))
    with pytest.raises(RecordError, match="line 1 is not as the run wrote it"):
        read_rows(path)


def test_what_json_cannot_hold_becomes_null(tmp_path):
    Journal(tmp_path / "m").add({"loss": float("nan"), "deep": [{"x": float("inf")}]})
    row = read_rows(tmp_path / "m")[0]
    assert (row["loss"], row["deep"]) == (None, [{"x": None}])


def test_a_journal_goes_on_after_the_rows_of_a_checkpoint(path):
    journal = Journal(path, 2)
    journal.add({"kind": "epoch", "epoch": 9})
    assert [row.get("epoch") for row in read_rows(path)] == [1, 1, 9]
    assert [row["row"] for row in read_rows(path)] == [0, 1, 2]


def test_missing_and_changed_rows_are_named(path):
    with pytest.raises(RecordError, match="has 3 rows, the checkpoint wants 4; restore the file"):
        Journal(path, 4)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[2]]) + "\n")
    with pytest.raises(RecordError, match="line 2 is not as the run wrote it"):
        read_rows(path)
    path.write_text(lines[0].replace("0.30000000000000004", "0.31") + "\n")
    with pytest.raises(RecordError, match="line 1 is not as the run wrote it"):
        read_rows(path)
    with pytest.raises(RecordError, match=r"cannot read .*nothing.jsonl: No such file"):
        read_rows(path.with_name("nothing.jsonl"))


def check_mutants(path, n: int) -> tuple[int, int, int]:
    """(mutants, refused, read as other rows); missing rows at the end are the checkpoint's to notice."""
    whole, rows = path.read_bytes(), read_rows(path)
    seen = refused = silent = 0
    for changed in mutants(whole, n, 21):
        path.write_bytes(changed)
        seen += 1
        try:
            silent += read_rows(path, len(rows)) != rows
        except RecordError:
            refused += 1
    return seen, refused, silent


def test_no_mutant_is_read_as_other_rows(path):
    seen, refused, silent = check_mutants(path, 600)
    assert silent == 0
    assert refused > 0.9 * seen


@pytest.mark.long
def test_three_thousand_mutants_of_metrics(path, figure):
    seen, refused, silent = check_mutants(path, 3000)
    figure(
        "damaged metrics.jsonl",
        f"{refused} of {seen} refused, {seen - refused - silent} read as the same, {silent} as other rows, no crash",
    )
    assert silent == 0
