"""Parquet that can be trusted: a damaged byte is refused or changes nothing, and nothing expands without limit."""

import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grapheme_numba.data.parquet import files
from grapheme_numba.data.parquet.files import ParquetSink, ParquetSource
from grapheme_numba.data.records import parse_example
from grapheme_numba.data.schema import SCHEMA, to_arrow
from grapheme_numba.data.sources.generator import generate
from grapheme_numba.data.stream.dataset import Dataset, open_parquet
from grapheme_numba.data.stream.open_dataset import open_dataset
from grapheme_numba.errors import GraphemeError, MissingInputError, RecordError

N_MUTANT = int(os.environ.get("GRAPHEME_MUTANTS", "400"))


def table_of(samples=10):
    lines = [json.dumps(one).encode() for one in generate(samples, "train")]
    return pa.Table.from_batches([to_arrow([parse_example(line) for line in lines])])


@pytest.fixture
def file(tmp_path):
    table = table_of()
    with ParquetSink(tmp_path / "a.parquet") as sink:
        sink.write(table.slice(0, 25))
        sink.write(table.slice(25))
    return tmp_path / "a.parquet"


def content(path):
    """All rows of a file, as Python objects, through the reader that training uses."""
    source = ParquetSource(path)
    rows = [row for table in source.tables() for row in table.to_pylist()]
    assert len(rows) == source.n_rows
    return rows


def test_what_is_written_is_read(file):
    assert content(file) == table_of().to_pylist()
    source = ParquetSource(file)
    assert [group.rows for group in source.groups] == [25, 15]
    assert source.read(1, ["id"]).column_names == ["id"]
    assert ParquetSource(file).digest == source.digest


def test_pages_carry_checksums_that_others_can_verify(file):
    table = pq.read_table(file, page_checksum_verification=True)
    assert table.num_rows == 40
    column = pq.ParquetFile(file).metadata.row_group(0).column(0)
    damaged = bytearray(file.read_bytes())
    damaged[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(OSError, match=r"CRC|checksum"):
        pq.read_table(file, page_checksum_verification=True)


def mutate(file, rng, n):
    """Damage n copies of a file; returns how many were refused."""
    whole, wanted, refused = file.read_bytes(), content(file), 0
    for i in range(n):
        data = bytearray(whole)
        at = int(rng.integers(len(data)))
        if i % 4 == 0:
            data = data[:at]
        elif i % 4 == 1:
            data[at] = (data[at] + 1 + int(rng.integers(255))) % 256
        elif i % 4 == 2:
            data[at] ^= 1 << int(rng.integers(8))
        else:
            del data[at : at + int(rng.integers(1, 9))]
        file.write_bytes(data)
        try:
            assert content(file) == wanted, f"mutant {i} at byte {at} of {len(whole)} is other data"
        except GraphemeError:
            refused += 1
    file.write_bytes(whole)
    return refused


def test_no_mutant_is_other_data(file, rng):
    assert mutate(file, rng, N_MUTANT) > 0.9 * N_MUTANT


@pytest.mark.long
def test_none_of_3_000_mutants_is_other_data(file, rng, figure):
    refused = mutate(file, rng, 3000)
    figure("damaged Parquet", f"{refused} of 3000 refused, 0 read as other data, no crash")
    assert refused > 2700


def test_every_byte_of_a_small_footer_matters(file):
    whole, wanted = file.read_bytes(), content(file)
    for at in range(len(whole) - 600, len(whole)):
        data = bytearray(whole)
        data[at] ^= 0x10
        file.write_bytes(data)
        try:
            assert content(file) == wanted
        except GraphemeError:
            continue


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "a.parquet"
    with pytest.raises(MissingInputError, match="cannot read .*a.parquet: No such file"):
        ParquetSource(path)
    for data, reason in ((b"", "has 0 bytes"), (b"x" * 100, "its end is missing or damaged")):
        path.write_bytes(data)
        with pytest.raises(RecordError, match=reason):
            ParquetSource(path)
    pq.write_table(pa.table({"a": [1]}), path)
    with pytest.raises(RecordError, match="was not written by grapheme-data; turn the JSONL"):
        ParquetSource(path)
    metadata = {files.VERSION_KEY: "99"}
    pq.write_table(table_of().replace_schema_metadata(metadata), path)
    with pytest.raises(RecordError, match="has version 99 of the data format, this program reads 1"):
        ParquetSource(path)
    pq.write_table(table_of().replace_schema_metadata({files.VERSION_KEY: "1"}), path)
    with pytest.raises(RecordError, match="its footer does not match its digest"):
        ParquetSource(path)


def forge(path, table, **options):
    """A file with valid digests that our own writer would not have written."""
    pq.write_table(table, path, compression="zstd", row_group_size=table.num_rows, **options)
    groups = pq.ParquetFile(path).metadata.num_row_groups
    with pq.ParquetWriter(path, table.schema, compression="zstd", **options) as writer:
        writer.write_table(table)
        sizes = [[4, 1, "0"]] * groups
        keys = {files.VERSION_KEY: "1", files.GROUPS_KEY: json.dumps(sizes), files.FOOTER_KEY: files.BLANK}
        writer.add_key_value_metadata(keys)
    with open(path, "r+b") as file:
        footer, at = files._read_footer(file, path)
        file.seek(at + footer.index(files.BLANK.encode()))
        file.write(files._footer_digest(footer))


def test_another_schema_is_refused(tmp_path):
    forge(tmp_path / "a.parquet", table_of().drop_columns(["id"]))
    with pytest.raises(RecordError, match="has other columns than the data format"):
        ParquetSource(tmp_path / "a.parquet")


def test_a_decompression_bomb_is_refused(tmp_path):
    """A long text stored once and named by every row: the declared sizes do not tell what it unpacks to."""
    text, n = "x" * (1 << 18), 400
    table = table_of(n // 4).drop_columns(["text"]).add_column(3, "text", pa.array([text] * n))
    forge(tmp_path / "a.parquet", table.cast(SCHEMA), use_dictionary=["domain", "input_type", "text"])
    assert (tmp_path / "a.parquet").stat().st_size < 1 << 17  # for 100 MB of text
    with pytest.raises(
        RecordError, match=r"column text has encodings .*RLE_DICTIONARY.*, which could unpack to any size"
    ):
        ParquetSource(tmp_path / "a.parquet")


def test_a_row_group_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MOST_GROUP_BYTES", 1000)
    with ParquetSink(tmp_path / "a.parquet") as sink:
        sink.write(table_of())
    with pytest.raises(RecordError, match=r"row group 0 unpacks to \d+ bytes, more than the limit of 1000"):
        ParquetSource(tmp_path / "a.parquet")


def test_a_folder_is_one_dataset(tmp_path):
    table = table_of()
    for i in range(2):
        with ParquetSink(tmp_path / f"{i}.parquet") as sink:
            sink.write(table.slice(20 * i, 20))
    whole = open_dataset(tmp_path)
    assert whole.n_rows == 40
    assert [row for part in whole.tables() for row in part.to_pylist()] == table.to_pylist()
    other = Dataset(tmp_path, [tmp_path / "1.parquet", tmp_path / "0.parquet"])
    assert whole.fingerprint == open_parquet(tmp_path).fingerprint != other.fingerprint
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingInputError, match="holds no .parquet file"):
        open_dataset(tmp_path / "empty")
    with pytest.raises(MissingInputError, match="does not exist; name a .jsonl or .parquet file"):
        open_dataset(tmp_path / "nowhere")


def test_a_file_without_rows_is_no_dataset(tmp_path):
    with ParquetSink(tmp_path / "a.parquet"):
        pass
    with pytest.raises(RecordError, match="holds no examples"):
        open_dataset(tmp_path / "a.parquet")
