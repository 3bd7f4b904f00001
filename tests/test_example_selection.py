"""Which examples a model of brains takes: views of a dataset, routing, skipping, reasons of the refused."""

import json

import numpy as np
import pytest

import grapheme_numba as gn
from grapheme_numba.data.codec.layout import shared_layout
from grapheme_numba.data.sources.generator import generate
from grapheme_numba.data.stream.open_dataset import open_dataset
from grapheme_numba.models.router import rejects_of, with_brains


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """48 generated examples, some of a domain of its own, some that no router can be sure of."""
    path = tmp_path_factory.mktemp("data") / "train.jsonl"
    records = list(generate(10, "train", seed=2))
    for i in range(8):
        given = {"text": str(i)} if i % 2 else {"text": f"is {i} odd?"}
        records.insert(
            5 * i,
            {"id": f"odd-{i}", "domain": "logic", "input_type": "text", "input": given, "expected_output": "no"},
        )
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return open_dataset(path, cache=False)


def ids_of(dataset, layout, **options):
    return [name for batch in dataset.batches(layout, 7, **options) for name in batch.ids]


def test_a_view_leaves_domains_out_and_keeps_the_order(dataset):
    layout = shared_layout(dataset.summary(), 4)
    view = dataset.view(["math", "logic"])
    whole, kept = (ids_of(one, layout, seed=3, epoch=1) for one in (dataset, view))
    assert kept == [name for name in whole if not name.startswith(("math", "odd"))]
    assert view.summary().n == 30
    assert [one.name for one in view.summary().domains] == ["text", "timeseries", "vision"]
    assert (view.n_rows, view.fingerprint) == (dataset.n_rows, dataset.fingerprint)
    assert len(ids_of(dataset, layout)) == 48
    assert view.view(["text"]).summary().n == 20


def test_batches_of_a_view_are_those_of_the_dataset_without_the_rows(dataset):
    layout = shared_layout(dataset.summary(), 4)
    view = dataset.view(["math", "logic", "text", "timeseries"])
    pairs = list(zip(dataset.batches(layout, 3, seed=1), view.batches(layout, 3, seed=1), strict=True))
    assert any(len(part.domain) == 0 for _, part in pairs)
    for whole, part in pairs:
        rows = np.flatnonzero(whole.domain == layout.index("vision"))
        for ours, theirs in zip(part[:7], whole[:7], strict=True):
            np.testing.assert_array_equal(ours, theirs[rows])
        assert part.ids[:] == [whole.ids[row] for row in rows]
        assert [*part.answers] == [whole.answers[row] for row in rows]


def test_unknown_domains_are_refused_or_skipped(dataset):
    layout = shared_layout(dataset.view(["logic"]).summary(), 4)
    with pytest.raises(
        gn.RecordError,
        match="train.jsonl holds the domains logic, math, text, timeseries, vision, but the model has brains for "
        "math, text, timeseries, vision: none for logic; leave such examples out with --unknown-domain skip",
    ):
        with_brains(dataset, layout=layout)
    assert with_brains(dataset, layout=layout, unknown_domain="skip").summary().n == 40
    assert with_brains(dataset, unknown_domain="skip").summary().n == 40
    assert with_brains(dataset, brains=["logic"], unknown_domain="skip").summary().n == 48


def test_routing_goes_by_the_input(dataset):
    routed = with_brains(dataset, route=True)
    counts = {one.name: one.n for one in routed.summary().domains}
    assert counts == {"math": 10, "text": 14, "timeseries": 10, "vision": 10}  # four of the eight are bare numbers
    layout = shared_layout(routed.summary(), 4)
    again = with_brains(dataset, route=True, layout=layout)
    where = {
        name: layout.names[domain]
        for batch in again.batches(layout, 9, seed=0)
        for name, domain in zip(batch.ids, batch.domain, strict=True)
    }
    assert len(where) == 44
    for name, domain in where.items():
        assert domain == ("text" if name.startswith("odd") else name.split("-")[0])


def test_the_refused_are_named_with_the_reason(dataset):
    layout = shared_layout(with_brains(dataset, route=True).summary(), 4)
    found = list(rejects_of(with_brains(dataset, route=True, layout=layout), layout, 0.6))
    assert [one.id for one in found] == ["odd-1", "odd-3", "odd-5", "odd-7"]
    assert found[0].row == 5
    assert found[0].reason == "no brain is sure enough: math 0.50, text 0.50; the threshold is 0.60"
    assert found[0].file.endswith("train.jsonl")
    assert not list(rejects_of(with_brains(dataset, route=True, threshold=0.5, layout=layout), layout, 0.5))
