"""Conversion shared among ranks: the same folder for any number of them, rejects and totals of all."""

import pytest
from ranks import job
from runs import SHIPPED

from grapheme_numba.data.jsonl.convert import convert_together, share
from grapheme_numba.data.stream.open_dataset import open_dataset
from grapheme_numba.distributed.comm import Serial
from grapheme_numba.errors import UsageError


@pytest.fixture
def files(tmp_path):
    """Five files of 10 to 50 good lines, two with a bad one."""
    lines = (SHIPPED / "train.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "in").mkdir()
    for number in range(1, 6):
        bad = b"{bad\n" if number in (2, 5) else b""
        (tmp_path / "in" / f"f{number}.jsonl").write_bytes(b"".join(lines[: 10 * number]) + bad)
    return tmp_path / "in"


def content(folder):
    """The bytes of a folder's files."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_ranks_write_the_same_folder_as_one_process(tmp_path, files):
    alone = convert_together(Serial(), [files], tmp_path / "one")
    assert (alone.rows_in, alone.rows_out, alone.rejects) == (152, 150, 2)
    assert (alone.first_reject.line, alone.first_reject.reason[:8]) == (21, "not JSON")
    done = job(2, "convert", files, "--output", tmp_path / "two", "--max-rejects", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("152 rows in = 150 rows out + 2 rejects") == 1
    assert content(tmp_path / "one") == content(tmp_path / "two")
    assert (tmp_path / "one.rejects.jsonl").read_bytes() == (tmp_path / "two.rejects.jsonl").read_bytes()
    assert open_dataset(tmp_path / "two").n_rows == 150


def test_a_strict_failure_of_one_rank_is_said_once_and_leaves_nothing(tmp_path, files):
    done = job(2, "convert", files, "--output", tmp_path / "two", "--strict")
    assert done.returncode == 65
    assert done.stderr.count("error:") == 1
    assert "nothing was written (--strict)" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize("names", [["-"], []])
def test_what_ranks_cannot_share_is_refused(tmp_path, files, names):
    output = tmp_path / ("two" if names else "two.parquet")
    with pytest.raises(UsageError, match="several ranks turn files into a folder of files"):
        convert_together(Serial(), names or [files], output)


def test_files_are_dealt_by_their_bytes(files):
    sources = sorted(map(str, files.iterdir()))
    dealt = [share(sources, rank, 3) for rank in range(3)]
    assert dealt == [[4], [0, 3], [1, 2]]
