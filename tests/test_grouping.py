"""The bytes of a Parquet file follow from the lines alone: not from packing, blocks, threads or who judged them."""

import gzip
import hashlib
import itertools
import json

import pyarrow as pa
import pytest

from grapheme_numba.data.jsonl import lines, parsing
from grapheme_numba.data.jsonl.convert import convert
from grapheme_numba.data.parquet import row_groups as grouping
from grapheme_numba.data.parquet.row_groups import group_of, row_groups, row_sizes
from grapheme_numba.data.records import parse_example
from grapheme_numba.data.schema import to_arrow
from grapheme_numba.data.sources.generator import generate
from grapheme_numba.data.stream.open_dataset import open_dataset


def odd_records(samples):
    """Generated records, some of them made unusual: some are left to the reference parser."""
    for i, record in enumerate(generate(samples, "train")):
        if i % 7 == 0:
            record["metadata"] = {"a": i / 7, "b": [1, 2, {"c": "\u00e9"}]}
        if i % 11 == 0:
            del record["metadata"]
        if i % 13 == 0:
            record["weight"] = 2**70
        if i % 17 == 0 and record["input_type"] == "sequence":
            record["input"]["values"][:2] = [2**53 + 1, -0.0]
        if i % 50 == 1 and record["input_type"] == "text":
            record["input"]["text"] *= 500
        yield json.dumps(record, ensure_ascii=i % 2 == 0, separators=(", ", ": ") if i % 3 else (",", ":")).encode()


def digests(folder, data):
    """Digests of the Parquet files of the same lines, plain and packed."""
    (folder / "a.jsonl").write_bytes(data)
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(data, 1))
    with pa.CompressedOutputStream(str(folder / "c.jsonl.zst"), "zstd") as file:
        file.write(data)
    for name in ("a.jsonl", "b.jsonl.gz", "c.jsonl.zst"):
        convert([folder / name], folder / "out.parquet")
        yield hashlib.sha256((folder / "out.parquet").read_bytes()).hexdigest()


def test_blocks_packing_and_judges_leave_no_trace(tmp_path, monkeypatch):
    monkeypatch.setattr(grouping, "GROUP_BYTES", 40_000)
    data = b"\n".join(odd_records(300))
    found = []
    for small, block_bytes in ((0, 4 << 20), (0, 5000), (1 << 40, 4 << 20), (100_000, 30_000)):
        monkeypatch.setattr(parsing, "SMALL_BYTES", small)
        monkeypatch.setattr(lines.read_blocks, "__defaults__", (block_bytes,))
        found += digests(tmp_path, data)
    assert len(set(found)) == 1


@pytest.mark.long
def test_packed_data_of_any_size_has_the_fingerprint_of_the_plain(tmp_path):
    data = b"".join(line + b"\n" for line in itertools.islice(odd_records(12_000), 48_000))
    assert len(data) > parsing.SMALL_BYTES
    (tmp_path / "a.jsonl").write_bytes(data)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(data, 1))
    plain, packed = (open_dataset(tmp_path / name) for name in ("a.jsonl", "b.jsonl.gz"))
    assert plain.fingerprint == packed.fingerprint


def test_a_group_is_full_at_its_rows_or_its_bytes(monkeypatch):
    monkeypatch.setattr(grouping, "GROUP_ROWS", 30)
    monkeypatch.setattr(grouping, "GROUP_BYTES", 10_000)
    batch = to_arrow([parse_example(json.dumps(one).encode()) for one in generate(40, "train")])
    long = to_arrow([parse_example(json.dumps({**one, "id": "x" * 20_000}).encode()) for one in generate(1, "val")])
    groups = list(row_groups([batch, long, batch]))
    assert sum(group.num_rows for group in groups) == 324
    assert max(group.num_rows for group in groups) <= 30
    for group, after in itertools.pairwise(groups):
        size = sum(row_sizes(part).sum() for part in group.to_batches())
        first = row_sizes(after.to_batches()[0])[0]
        assert size <= 10_000 or group.num_rows == 1
        assert group.num_rows == 30 or size + first > 10_000


@pytest.mark.parametrize("order", [("b", "a"), ("a", "b")])
def test_dictionaries_hold_what_comes_in_the_order_in_which_it_comes(order):
    lines_ = [
        b'{"id":"","domain":"%s","input_type":"text","input":{"text":""},"expected_output":""}' % name.encode()
        for name in ("c", *order, "a")
    ]
    batches = [to_arrow([parse_example(line)]) for line in lines_]
    domain = group_of(batches[1:]).column("domain").chunk(0)
    assert domain.dictionary.to_pylist() == list(order)
    assert domain.to_pylist() == [*order, "a"]
