"""Weights of examples: a row of weight 2 teaches what the row twice does, in both trainers; equal ones do nothing."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import runs

from grapheme_numba.data.parquet.columns import weights_of
from grapheme_numba.data.stream.open_dataset import open_dataset
from grapheme_numba.errors import RecordError

WHOLE = {"batch_size": 4096, "accumulate": "epoch", "split": "none", "epochs": 3, "weight_decay": 0.0, "patience": 0}


def rows(n=60, label=False):
    """A table with a column of whole weights from 0 to 3."""
    rng = np.random.default_rng(3)
    table = pd.DataFrame({"a": rng.normal(size=n).round(3), "b": rng.normal(size=n).round(3)})
    table["y"] = np.where(table.a > 0, "high", "low") if label else (table.a - 2 * table.b).round(3)
    return table.assign(w=rng.integers(0, 4, n))


def learned(folder, table, name, **config):
    """The parameters after a run on the table, which starts as every other run with its columns."""
    table.to_csv(folder / f"{name}.csv", index=False)
    config = {**WHOLE, "target": "y", "domain": "d", **config}
    run = runs.train(folder / f"{name}.csv", folder / name, **config)
    return run.model.parameters.copy(), run


@pytest.mark.parametrize("task", ["agi", "unified"])
@pytest.mark.parametrize("label", [False, True])
def test_a_weight_is_a_number_of_copies(tmp_path, task, label):
    table = rows(label=label)
    twice = table.loc[table.index.repeat(table.w)].reset_index(drop=True)
    # The scales of columns and answers are those of all rows, so both runs are given the same ones.
    twice = pd.concat([twice, table], ignore_index=True)
    once = table.assign(w=table.w + 1)
    given = {"task": task, "optimizer": "sgd", "lr": 0.05, "structural_weight": "none"}
    if task == "unified":
        given["brain"] = {"d": (2, 2 if label else 1)}
    weighted, run = learned(tmp_path, once, "weighted", weight="w", **given)
    # In the copies the standardising differs by the copies, so the layout of the weighted run is taken.
    layout = run.model.layout

    def same_start(other):
        other.model._layout = layout

    twice.drop(columns="w").to_csv(tmp_path / "copied.csv", index=False)
    copied = runs.train(
        tmp_path / "copied.csv", tmp_path / "copied", target="y", domain="d", before=same_start, **{**WHOLE, **given}
    )
    plain, _ = learned(tmp_path, table.drop(columns="w"), "plain", **given)
    np.testing.assert_allclose(weighted, copied.model.parameters, rtol=2e-4, atol=2e-6)
    assert np.abs(weighted - plain).max() > 1e-3


def test_equal_weights_change_no_bit(tmp_path):
    table = rows()
    five, _ = learned(tmp_path, table.assign(w=5.0), "five", weight="w")
    none, _ = learned(tmp_path, table.drop(columns="w"), "none")
    assert np.array_equal(five, none)


def test_a_run_says_its_weights_and_a_folder_of_zeros_is_refused(tmp_path):
    table = rows()
    heard = runs.Recorder()
    table.to_csv(tmp_path / "t.csv", index=False)
    runs.train(tmp_path / "t.csv", tmp_path / "r", target="y", weight="w", split="none", observer=heard)
    mean = f"{table.w.mean():.6g}"
    assert f"weights: 0 to 3, mean {mean}; each scales the gradient of its example" in heard.notes
    table.assign(w=0).to_csv(tmp_path / "z.csv", index=False)
    with pytest.raises(RecordError, match="every example has the weight 0"):
        runs.train(tmp_path / "z.csv", tmp_path / "z", target="y", weight="w", split="none")


def test_batches_carry_the_weights_of_their_rows_in_any_order(tmp_path):
    with (tmp_path / "x.jsonl").open("w") as file:
        for i in range(50):
            more = {} if i % 3 == 0 else {"example_weight": i} if i % 3 == 1 else {"example_weight": i, "note": "n"}
            one = {"id": str(i), "domain": "d", "input_type": "sequence", "input": {"values": [i]}, **more}
            file.write(json.dumps({**one, "expected_output": str(i)}) + "\n")
    dataset = open_dataset(tmp_path / "x.jsonl")
    found = dataset.weights()
    from grapheme_numba.data.codec.layout import shared_layout

    layout = shared_layout(dataset.summary(), 2)
    true = np.array([1.0 if i % 3 == 0 else i for i in range(50)])
    assert found == (1.0, true.mean(), 49.0)
    for batch in dataset.weighted(found.mean).batches(layout, 7, seed=4, shard=(1, 2)):
        np.testing.assert_array_equal(batch.weight, true[batch.rows] / true.mean())
    assert all(batch.weight is None for batch in dataset.batches(layout, 7))


@pytest.mark.parametrize("bad", ['{"example_weight":-1}', '{"example_weight":"2","a":1}', '{"example_weight":1e999}'])
def test_a_weight_that_is_none_is_refused(bad):
    with pytest.raises(RecordError, match="example_weight has to be a number of 0 or more"):
        weights_of(pa.array([None, bad]))
