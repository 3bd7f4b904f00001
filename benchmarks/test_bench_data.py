"""The data path: scanning JSONL, writing Parquet, and batches as training asks for them.

`grapheme-bench data` compares the whole conversion with polars and duckdb; here are its parts.
"""

import json

import pyarrow as pa
import pytest

from grapheme_numba.data.codec.layout import shared_layout
from grapheme_numba.data.jsonl.lines import Block
from grapheme_numba.data.jsonl.scanner import Scanner
from grapheme_numba.data.parquet.files import ParquetSink
from grapheme_numba.data.sources.generator import generate
from grapheme_numba.data.stream.batches import encode_pieces
from grapheme_numba.data.stream.dataset import Dataset
from grapheme_numba.data.stream.order import row_order, windows

N_EXAMPLE = 4000


@pytest.fixture(scope="module")
def lines():
    return b"".join(json.dumps(one).encode() + b"\n" for one in generate(N_EXAMPLE // 4, "train"))


@pytest.fixture(scope="module")
def dataset(lines, tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "a.parquet"
    table = pa.Table.from_batches([Scanner().parse(Block("", lines, 1, 0, 0)).rows])
    with ParquetSink(path) as sink:
        sink.write(table)
    return Dataset(path, [path])


def test_scan_lines(benchmark, lines):
    scanner, block = Scanner(), Block("", lines, 1, 0, 0)
    scanner.parse(block)  # Numba compilation
    parsed = benchmark(scanner.parse, block)
    assert parsed.rows.num_rows == N_EXAMPLE
    benchmark.extra_info["MB/s"] = len(lines) / 1e6 / benchmark.stats["median"]


def test_write_parquet(benchmark, lines, tmp_path):
    table = pa.Table.from_batches([Scanner().parse(Block("", lines, 1, 0, 0)).rows])

    def write():
        with ParquetSink(tmp_path / "a.parquet") as sink:
            sink.write(table)

    benchmark(write)
    benchmark.extra_info["MB/s"] = len(lines) / 1e6 / benchmark.stats["median"]


def test_encode_shuffled_rows(benchmark, dataset):
    layout = shared_layout(dataset.summary(), 8)
    (span,) = windows(dataset._rows, dataset._sizes, 0, 0)
    window = dataset._load(span, {name: i for i, name in enumerate(layout.names)})
    pieces = [(window, row_order(span, 0, 0))]
    encode_pieces(pieces, layout)  # Numba compilation
    benchmark(encode_pieces, pieces, layout)
    benchmark.extra_info["M examples/s"] = N_EXAMPLE / 1e6 / benchmark.stats["median"]


@pytest.mark.parametrize("batch_size", [16, 64, 512])
def test_batches_of_an_epoch(benchmark, dataset, batch_size):
    layout = shared_layout(dataset.summary(), 8)

    def epoch():
        return sum(len(batch.rows) for batch in dataset.batches(layout, batch_size, seed=0))

    assert epoch() == N_EXAMPLE  # Numba compilation
    benchmark(epoch)
    benchmark.extra_info["M examples/s"] = N_EXAMPLE / 1e6 / benchmark.stats["median"]
