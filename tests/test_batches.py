"""Batches: what they hold, their order, and that any of them can be reached without the others."""

import json
import threading
import weakref

import naive
import numpy as np
import pyarrow as pa
import pytest

from grapheme_numba.data.codec.layout import BUCKETS, Layout, shared_layout
from grapheme_numba.data.parquet.files import ParquetSink
from grapheme_numba.data.records import parse_example
from grapheme_numba.data.schema import to_arrow
from grapheme_numba.data.sources.generator import generate
from grapheme_numba.data.stream import batches as batching
from grapheme_numba.data.stream import dataset as source
from grapheme_numba.data.stream import order
from grapheme_numba.data.stream.dataset import Dataset
from grapheme_numba.data.threads import ahead
from grapheme_numba.errors import RecordError
from grapheme_numba.kernels.codec.encode import encode_rows
from grapheme_numba.kernels.codec.text_tokens import NUMBER

RECORDS = list(generate(60, "train"))


def dataset_of(folder, records, group=50):
    """A dataset of several row groups in two files."""
    table = pa.Table.from_batches([to_arrow([parse_example(json.dumps(one).encode()) for one in records])])
    half = len(records) // 2
    for i, part in enumerate((table.slice(0, half), table.slice(half))):
        with ParquetSink(folder / f"{i}.parquet") as sink:
            for start in range(0, part.num_rows, group):
                sink.write(part.slice(start, group))
    return Dataset(folder, [folder / "0.parquet", folder / "1.parquet"])


@pytest.fixture
def dataset(tmp_path):
    return dataset_of(tmp_path, RECORDS)


@pytest.fixture
def layout(dataset):
    return shared_layout(dataset.summary(), embedding_dim=4)


@pytest.fixture
def small_windows(monkeypatch):
    """Windows of two row groups and slabs of about three batches, so that all borders are crossed."""
    monkeypatch.setattr(order, "WINDOW_ROWS", 100)
    monkeypatch.setattr(batching, "SLAB_BYTES", 40_000)


def rows_of(batches):
    return [row for batch in batches for row in batch.rows.tolist()]


def same(a, b):
    """Whether two batches hold the same."""
    arrays = all(np.array_equal(x, y) for x, y in zip(a[:7], b[:7]))
    return arrays and list(a.ids) == list(b.ids) and list(a.answers) == list(b.answers)


def check_example(batch, i, record, layout):
    """Compare one row of a batch with its record, by the meaning of the columns."""
    domain = layout.domains[batch.domain[i]]
    given = record["input"]
    assert (batch.ids[i], batch.answers[i], domain.name) == (record["id"], record["expected_output"], record["domain"])
    text = naive.text_tokens(given.get("text", "").encode())
    words = naive.text_words(given["text"].encode(), BUCKETS) if domain.n_bag else []
    tokens = np.zeros(layout.text_length, np.int32)
    if domain.spelled:
        tokens[: len(text)] = [piece[0] + 1 if value is None else NUMBER for piece, value in text]
    tokens[domain.n_token : domain.n_token + len(words)] = [bucket + 1 for bucket, _, _ in words]
    assert np.array_equal(batch.tokens[i], tokens)
    numbers = np.zeros(layout.value_width, np.float32)
    if "values" in given:
        numbers[domain.n_input - len(given["values"]) : domain.n_input] = given["values"]
    elif "pixels" in given:
        numbers[: len(given["pixels"])] = given["pixels"]
    wanted = np.where(numbers != 0, (numbers.astype(float) - domain.shift) * domain.scale, 0)
    for p, (_, value) in enumerate(text):
        if value is not None:
            wanted[p] = naive.text_number(value, domain.shift, domain.scale, domain.knee)
    assert np.allclose(batch.values[i], wanted, rtol=1e-6, atol=1e-6)
    targets = domain.answer.encode([record["expected_output"]]).targets[0]
    assert np.array_equal(batch.targets[i, : domain.n_output], targets)
    assert not batch.targets[i, domain.n_output :].any()
    assert batch.n_active[i] == domain.n_output
    assert batch.answer_length[i] == len(record["expected_output"])


@pytest.mark.parametrize("seed", [None, 5])
def test_batches_hold_the_records(dataset, layout, small_windows, seed):
    seen = []
    for batch in dataset.batches(layout, 7, seed=seed):
        assert batch.domain.dtype == batch.tokens.dtype == batch.n_active.dtype == np.int32
        assert all(array.flags.c_contiguous for array in batch[:7])
        for i, row in enumerate(batch.rows.tolist()):
            check_example(batch, i, RECORDS[row], layout)
            seen.append(row)
    assert sorted(seen) == list(range(len(RECORDS)))
    assert (seen == sorted(seen)) == (seed is None)


def test_the_order_is_that_of_seed_and_epoch(dataset, layout, small_windows):
    def rows(seed, epoch, size=16, **options):
        return rows_of(dataset.batches(layout, size, seed=seed, epoch=epoch, **options))

    first = rows(1, 0)
    assert rows(1, 0) == first
    assert rows(1, 0, prefetch=0) == first
    assert rows(1, 0, size=33) == first
    assert len({tuple(rows(seed, epoch)) for seed in (1, 2) for epoch in (0, 1)}) == 4
    assert abs(np.corrcoef(first, range(240))[0, 1]) < 0.3


def test_the_order_is_the_same_on_every_machine():
    assert order.shuffled(10, 1, 2, 3).tolist() == [7, 6, 1, 8, 3, 2, 0, 4, 9, 5]
    assert sorted(order.shuffled(1000, -5, 1 << 80).tolist()) == list(range(1000))


def test_shuffles_are_uniform():
    """Each number stands at each place about equally often (chi-squared, 81 degrees of freedom)."""
    counts = np.zeros((10, 10))
    for epoch in range(5000):
        counts[np.arange(10), order.shuffled(10, 7, epoch, 0)] += 1
    assert ((counts - 500) ** 2 / 500).sum() < 140


@pytest.mark.parametrize("size", [1, 7, 16, 240, 500])
@pytest.mark.parametrize("seed", [None, 3])
def test_any_batch_is_reached_directly(dataset, layout, small_windows, size, seed):
    whole = list(dataset.batches(layout, size, seed=seed, epoch=2))
    for start in {0, 1, len(whole) // 2, len(whole) - 1, len(whole), len(whole) + 3}:
        rest = list(dataset.batches(layout, size, seed=seed, epoch=2, start=start))
        assert len(rest) == max(len(whole) - start, 0)
        assert all(same(a, b) for a, b in zip(rest, whole[start:]))


def test_what_stands_before_the_start_is_not_read(dataset, layout, small_windows, monkeypatch):
    read = []
    real = source.ParquetSource.read
    monkeypatch.setattr(source.ParquetSource, "read", lambda self, i, columns: read.append(i) or real(self, i, columns))
    list(dataset.batches(layout, 10, seed=1, start=23))
    assert 1 <= len(read) <= 2


def test_what_does_not_fit_is_counted_and_masked(dataset, layout, tmp_path):
    odd = [dict(one) for one in RECORDS[:8]]
    odd[0] = {**odd[0], "input": {"text": "1 + " + "x" * 100}}
    odd[1] = {**odd[1], "expected_output": "an answer of more than sixteen bytes"}
    odd[2] = {**odd[2], "input": {"values": list(range(9))}}
    odd[3] = {**odd[3], "expected_output": "dodecahedron"}
    odd[6] = {**odd[6], "expected_output": "twelve"}
    (tmp_path / "odd").mkdir()
    other = dataset_of(tmp_path / "odd", odd)
    (batch,) = other.batches(layout, 8)
    assert (batch.n_active == 0).tolist() == [True, True, True, True, False, False, True, False]
    assert not batch.targets[batch.n_active == 0].any()
    assert batch.answer_length[1] == 36
    misfits = other.misfits(layout)
    assert {name: (one.n, one.ids) for name, one in misfits.items()} == {
        "math": (1, [odd[0]["id"]]),
        "text": (1, [odd[1]["id"]]),
        "timeseries": (2, [odd[2]["id"], odd[6]["id"]]),
        "vision": (1, [odd[3]["id"]]),
    }
    assert dataset.misfits(layout) == {}


def test_an_unknown_domain_and_another_input_type_are_errors(dataset, layout, tmp_path):
    (tmp_path / "odd").mkdir()
    other = dataset_of(tmp_path / "odd", [*RECORDS[:4], {**RECORDS[0], "id": "x7", "domain": "music"}])
    with pytest.raises(RecordError, match="example 'x7' is of domain 'music', which this model does not know"):
        list(other.batches(layout, 4))
    (tmp_path / "type").mkdir()
    other = dataset_of(tmp_path / "type", [*RECORDS[:4], {**RECORDS[2], "id": "x8", "domain": "math"}])
    with pytest.raises(RecordError, match="example 'x8' of domain 'math' has input type sequence, but the model"):
        list(other.batches(layout, 4))
    with pytest.raises(RecordError, match="'x8' of domain 'math' has input type sequence, others of that domain have"):
        other.summary()


def test_encoding_compiles_once(dataset, layout):
    for size in (1, 3, 64):
        list(dataset.batches(layout, size, seed=1))
    if hasattr(encode_rows, "signatures"):
        assert len(encode_rows.signatures) == 1


def test_layout_survives_json(layout):
    assert Layout.from_dict(json.loads(json.dumps(layout.to_dict()))) == layout


def test_ahead_keeps_the_order_and_hands_over_errors():
    def items():
        yield from range(5)
        raise RecordError("the end is damaged")

    stream = ahead(items(), 2)
    assert [next(stream) for _ in range(5)] == list(range(5))
    with pytest.raises(RecordError, match="the end is damaged"):
        next(stream)
    before = threading.active_count()
    stream = ahead(iter(range(10**9)), 2)
    assert next(stream) == 0
    stream.close()
    assert threading.active_count() == before


def test_a_batch_of_many_windows_is_made_one_window_after_the_other(tmp_path, monkeypatch):
    """The same batches, and never more than two windows at a time."""
    monkeypatch.setattr(order, "WINDOW_BYTES", 1)
    dataset = dataset_of(tmp_path, RECORDS, group=5)
    layout, loaded = shared_layout(dataset.summary(), embedding_dim=4), []
    usual, most = list(dataset.batches(layout, 64, seed=3)), 0
    monkeypatch.setattr(batching, "WINDOW_BYTES", 1)
    load = dataset._load

    def watched(span, *given):
        nonlocal most
        window = load(span, *given)
        loaded.append(weakref.ref(window.table))
        most = max(most, sum(one() is not None for one in loaded))
        return window

    monkeypatch.setattr(dataset, "_load", watched)
    made = list(dataset.batches(layout, 64, seed=3, prefetch=0))
    assert len(made) == len(usual)
    assert all(same(a, b) for a, b in zip(made, usual))
    assert most <= 2
