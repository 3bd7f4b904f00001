"""Bytes from files, globs, folders, gzip, zstd and standard input become blocks of whole lines."""

import gzip
import io
import sys
import tracemalloc

import pyarrow as pa
import pytest

from grapheme_numba.data.jsonl.lines import find_sources, read_blocks, split_lines, total_bytes
from grapheme_numba.errors import MissingInputError, RecordError, UsageError

CONTENT = b"".join(b"line %d\n" % i for i in range(1000))


def lines_of(path, limit=1 << 20, block_bytes=64):
    return [entry for block in read_blocks(str(path), limit, block_bytes) for entry in split_lines(block)]


@pytest.mark.parametrize("block_bytes", [1, 7, 64, 4096, 1 << 20])
def test_lines_know_their_number_and_byte(tmp_path, block_bytes):
    (tmp_path / "a.jsonl").write_bytes(CONTENT)
    found = lines_of(tmp_path / "a.jsonl", block_bytes=block_bytes)
    assert [line for _, _, line in found] == CONTENT.splitlines()
    for number, offset, line in found:
        assert CONTENT[offset : offset + len(line)] == line
        assert CONTENT[:offset].count(b"\n") == number - 1


def test_packed_files_give_the_same_lines(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(CONTENT)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(CONTENT[:5000]) + gzip.compress(CONTENT[5000:]))
    with pa.CompressedOutputStream(str(tmp_path / "a.jsonl.zst"), "zstd") as file:
        file.write(CONTENT)
    plain = lines_of(tmp_path / "a.jsonl")
    assert lines_of(tmp_path / "a.jsonl.gz") == plain
    assert lines_of(tmp_path / "a.jsonl.zst") == plain


def test_standard_input(monkeypatch):
    class Stdin:
        buffer = io.BytesIO(CONTENT)

    monkeypatch.setattr(sys, "stdin", Stdin)
    assert len(lines_of("-")) == 1000


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"", []),
        (b"\n \t\n\r\n", []),
        (b"a", [(1, 0, b"a")]),
        (b"a\r\nb\r\n", [(1, 0, b"a"), (2, 3, b"b")]),
        (b"\xef\xbb\xbfa\nb", [(1, 3, b"a"), (2, 5, b"b")]),
        (b"\xef\xbb\xbf", []),
        (b"a\n\n\nb", [(1, 0, b"a"), (4, 4, b"b")]),
    ],
)
@pytest.mark.parametrize("block_bytes", [1, 3, 4096])
def test_odd_files(tmp_path, content, wanted, block_bytes):
    (tmp_path / "a.jsonl").write_bytes(content)
    assert lines_of(tmp_path / "a.jsonl", block_bytes=block_bytes) == wanted


@pytest.mark.parametrize("block_bytes", [5, 64, 4096])
def test_a_line_beyond_the_limit_is_counted_not_kept(tmp_path, block_bytes):
    (tmp_path / "a.jsonl").write_bytes(b"one\n" + b"x" * 10_000 + b"\nthree\n" + b"y" * 9_000)
    blocks = list(read_blocks(str(tmp_path / "a.jsonl"), 100, block_bytes))
    long = [block for block in blocks if block.too_long]
    found = [entry for block in blocks if not block.too_long for entry in split_lines(block)]
    if block_bytes < 4096:  # a larger block may hold a long line whole, which is refused later
        assert [(block.first_line, block.offset, block.too_long) for block in long] == [
            (2, 4, 10_001),
            (4, 10_011, 9_000),
        ]
        assert found == [(1, 0, b"one"), (3, 10_005, b"three")]
    assert all(len(block.data) <= 10_000 + 2 * block_bytes for block in blocks)


def test_memory_stays_bounded_for_a_long_line(tmp_path):
    path = tmp_path / "long.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(100):
            file.write(b"a" * (1 << 20))
    tracemalloc.start()
    blocks = list(read_blocks(str(path), 1 << 20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [block.too_long for block in blocks] == [100 << 20]
    assert peak < 32 << 20


def test_names_are_files_globs_and_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("b.jsonl", "a.ndjson", "c.jsonl.gz", "c.rejects.jsonl", "d.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "deep" / ".hidden").mkdir(parents=True)
    (tmp_path / "deep" / "e.jsonl.zst").write_bytes(b"xy")
    (tmp_path / "deep" / ".hidden" / "f.jsonl").write_bytes(b"x")
    inside = [str(tmp_path / name) for name in ("a.ndjson", "b.jsonl", "c.jsonl.gz", "deep/e.jsonl.zst")]
    assert find_sources([str(tmp_path)]) == inside
    assert find_sources(["*.jsonl", "-", "deep/**/*.zst"]) == ["b.jsonl", "c.rejects.jsonl", "-", "deep/e.jsonl.zst"]
    assert total_bytes(inside) == 5
    assert total_bytes([*inside, "-"]) == 0


@pytest.mark.parametrize("name", ["nowhere.jsonl", "*.jsonl", "empty"])
def test_a_name_that_means_nothing_is_an_error(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingInputError, match=f"{name.replace('*', '.')} (does not exist|holds no .jsonl)"):
        find_sources([name])


def test_parquet_is_not_lines(tmp_path):
    with pytest.raises(UsageError, match="a.parquet is named as Parquet, but JSONL is wanted"):
        find_sources(["a.parquet"])


def test_a_broken_archive_is_an_error(tmp_path):
    packed = gzip.compress(CONTENT)
    for name, content in (("cut.jsonl.gz", packed[:-20]), ("odd.jsonl.gz", b"no gzip"), ("odd.jsonl.zst", b"no zstd")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(RecordError, match=f"{name} cannot be unpacked"):
            lines_of(tmp_path / name)
