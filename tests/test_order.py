"""The order of an epoch: every row once, whoever reads it; each shard reads its own row groups; nobody can tell why."""

import functools
from itertools import chain, pairwise

import numpy as np
import pytest
from test_batches import dataset_of

from grapheme_numba.data.codec.layout import shared_layout
from grapheme_numba.data.sources.generator import generate
from grapheme_numba.data.stream import batches as batching
from grapheme_numba.data.stream import dataset as source
from grapheme_numba.data.stream import order

ROWS = [3, 4, 5, 2, 6]
FIRST = np.cumsum([0, *ROWS])


def stream(shard=(0, 1), seed=7, epoch=3, batch_size=4, rows=ROWS):
    return order.stream_of(rows, [10] * len(rows), batch_size, shard, seed, epoch)


def rows_of(one, rows=ROWS):
    """The dataset's row numbers in the order of a stream."""
    first, found = np.cumsum([0, *rows]), []
    for span in one.spans:
        parts = [(piece, order.rows_of(piece, rows[piece.group], one.seed, one.epoch)) for piece in span.pieces]
        numbers = [
            first[piece.group] + (np.arange(rows[piece.group]) if part is None else part) for piece, part in parts
        ]
        found += np.concatenate(numbers)[one.row_order(span)].tolist()
    return found


@pytest.fixture
def small_windows(monkeypatch):
    """Windows of some row groups and slabs of some batches, so that all borders are crossed."""
    monkeypatch.setattr(order, "WINDOW_ROWS", 9)
    monkeypatch.setattr(batching, "SLAB_BYTES", 40_000)


def test_the_order_of_a_run_stays_what_it_was(small_windows):
    """Of one shard the numbers that version 0.1.0 drew first; a stopped run would go on with others."""
    assert rows_of(stream()) == [13, 18, 15, 12, 19, 17, 14, 16, 1, 10, 8, 2, 7, 9, 11, 0, 3, 5, 4, 6]
    assert rows_of(stream((0, 2))) == [13, 12, 17, 16, 14, 15, 19, 18, 0, 2]
    assert rows_of(stream((1, 2))) == [1, 11, 7, 9, 10, 8, 6, 3, 5, 4]


@pytest.mark.parametrize("n_shard", [1, 2, 3, 8])
@pytest.mark.parametrize("seed", [None, 7])
def test_shards_share_every_row_out(small_windows, n_shard, seed):
    for batch_size in (1, 4, 7, 100):
        for epoch in range(3):
            given = {"seed": seed, "epoch": epoch, "batch_size": batch_size}
            streams = [stream((shard, n_shard), **given) for shard in range(n_shard)]
            rows = [rows_of(one) for one in streams]
            assert sorted(chain(*rows)) == list(range(20))
            for one, own in zip(streams, rows):
                parts = [one.part(number, batch_size, 20) for number in range(-(-20 // batch_size))]
                assert [0, *(stop for _, stop in parts)] == [*(first for first, _ in parts), len(own)]
            if seed is None:
                assert list(chain(*rows)) == list(range(20))


def test_only_a_row_group_on_a_border_has_two_readers(small_windows):
    rows = [5] * 40
    for epoch in range(5):
        groups = [
            {
                piece.group
                for span in stream((shard, 4), epoch=epoch, rows=rows, batch_size=8).spans
                for piece in span.pieces
            }
            for shard in range(4)
        ]
        assert set().union(*groups) == set(range(40))
        assert sum(map(len, groups)) <= 40 + 3
        assert all(9 <= len(own) <= 12 for own in groups)


def test_a_single_row_group_is_shared_out_anew_every_epoch():
    """Each row is the first shard's in about half of all epochs (chi-squared, 30 degrees of freedom), never in all."""
    own, n = np.zeros(30), 2000
    for epoch in range(n):
        own[rows_of(stream((0, 2), epoch=epoch, rows=[30]), [30])] += 1
    assert np.sum((own - n / 2) ** 2 / (n / 4)) < 60


def test_the_epoch_of_two_shards_looks_like_a_shuffle():
    """Each row stands at each place of an epoch of two shards about equally often, the borders of groups wherever."""
    counts, n, rows = np.zeros((12, 12)), 6000, [5, 4, 3]
    for epoch in range(n):
        streams = [rows_of(stream((shard, 2), epoch=epoch, rows=rows, batch_size=2), rows) for shard in (0, 1)]
        counts[np.arange(12), np.stack(streams, 1).ravel()] += 1
    assert np.sum((counts - n / 12) ** 2 / (n / 12)) < 121 + 5 * np.sqrt(2 * 121)


def test_windows_keep_their_bounds():
    rows, sizes = [30, 40, 200, 10, 10, 10], [100] * 6
    unshuffled = order.stream_of(rows, sizes, 64, (0, 1), None, 0).spans
    assert [span.pieces for span in unshuffled] == [(order.Piece(i, 0, rows[i]),) for i in range(6)]
    for epoch in range(10):
        for n_shard in (1, 3):
            shards = [
                order.stream_of(rows * 3000, sizes * 3000, 64, (i, n_shard), 1, epoch).spans for i in range(n_shard)
            ]
            pieces = [piece for spans in shards for span in spans for piece in span.pieces]
            assert sum(piece.stop - piece.first for piece in pieces) == sum(rows) * 3000
            assert {piece.group for piece in pieces} == set(range(18_000))
            for spans in shards:
                assert all(b.start == a.start + a.rows for a, b in pairwise(spans))
                assert all(span.rows <= order.WINDOW_ROWS // n_shard for span in spans)
        big = order.stream_of([10] * 5, [order.WINDOW_BYTES] * 5, 64, (0, 1), 1, epoch).spans
        assert [len(span.pieces) for span in big] == [1] * 5


@pytest.fixture
def dataset(tmp_path, small_windows):
    return dataset_of(tmp_path, list(generate(60, "train")), group=11)


@pytest.mark.parametrize("parts", [2, 3, 8])
def test_shards_make_up_each_batch(dataset, parts):
    """Whether one process reads them or many; from any batch on."""
    layout = shared_layout(dataset.summary(), embedding_dim=4)
    batches = functools.partial(dataset.batches, layout, 7, seed=1)
    single = [[one.rows.tolist() for one in batches(shard=(i, parts))] for i in range(parts)]
    assert sorted(row for shard in single for one in shard for row in one) == list(range(240))
    together = [one.rows.tolist() for one in batches(shard=(0, parts, parts))]
    assert together == [shard[number] for number in range(len(single[0])) for shard in single]
    assert [one.rows.tolist() for one in batches(shard=(1, parts, parts - 1))] == [
        shard[number] for number in range(len(single[0])) for shard in single[1:]
    ]
    for start in (1, 20, 34, 35):
        assert [one.rows.tolist() for one in batches(shard=(1, parts), start=start)] == single[1][start:]
    whole = [7 * (i + 1) // parts - 7 * i // parts for i in range(parts)]
    assert [[len(one) for one in shard[:-1]] for shard in single] == [[size] * 34 for size in whole]


def test_a_shard_reads_only_its_own_row_groups(dataset, monkeypatch):
    layout, read = shared_layout(dataset.summary(), embedding_dim=4), []
    real = source.ParquetSource.read
    monkeypatch.setattr(source.ParquetSource, "read", lambda self, i, columns: read.append(i) or real(self, i, columns))
    n_group = len(dataset._groups)
    for shard in range(2):
        read.clear()
        list(dataset.batches(layout, 16, seed=1, shard=(shard, 2), prefetch=0))
        assert len(read) <= n_group // 2 + 1
        read.clear()
        list(dataset.batches(layout, 16, seed=1, shard=(shard, 2), start=14, prefetch=0))
        assert 1 <= len(read) <= 2
