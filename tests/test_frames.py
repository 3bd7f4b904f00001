"""Tables in memory: trained on, answered and evaluated as their CSV is, and left as they are."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import runs
from test_predict_tables import homes

import grapheme_numba as gn
from grapheme_numba.data.sources.tables.frames import arrow_table, write_frame
from grapheme_numba.errors import RecordError, UsageError

SETTINGS = {**runs.SMALL, "target": "price", "drop": ["note"], "epochs": 10}
FRAMES = {
    "pandas": lambda table: table,
    "indexed": lambda table: table.set_index(pd.Index([f"row {i}" for i in range(len(table))], name="index")),
    "polars": pl.from_pandas,
    "arrow": lambda table: pa.Table.from_pandas(table, preserve_index=False),
    "batch": lambda table: pa.RecordBatch.from_pandas(table, preserve_index=False),
}


@pytest.fixture(scope="module")
def from_file(tmp_path_factory):
    """A run on a CSV, and the model."""
    folder = tmp_path_factory.mktemp("file")
    homes(300).to_csv(folder / "homes.csv", index=False)
    run = gn.train("agi", data=folder / "homes.csv", output=folder / "run", domain="table", **SETTINGS)
    return run, gn.load(folder / "run")


@pytest.mark.parametrize("kind", FRAMES)
def test_a_frame_is_trained_and_answered_as_its_csv(from_file, tmp_path, kind):
    run, model = from_file
    given = FRAMES[kind](homes(300))
    found = gn.train("agi", data=given, output=tmp_path / "run", **SETTINGS)
    assert runs.digest(found.folder) == runs.digest(run.folder)
    new = homes(60, seed=1)
    new.to_csv(tmp_path / "new.csv", index=False)
    answers = model.predict(tmp_path / "new.csv")
    assert [one.id for one in answers] == [str(i + 1) for i in range(60)]
    loaded = gn.load(tmp_path / "run")
    assert loaded.predict(FRAMES[kind](new)) == answers
    assert loaded.predict(FRAMES[kind](new.drop(columns="price"))) == answers
    figures = model.evaluate(tmp_path / "new.csv")
    assert figures["table"]["n"] == 60
    assert loaded.evaluate(FRAMES[kind](new)) == figures
    assert loaded.evaluate() == model.evaluate()


def test_frames_stay_as_they_are(from_file):
    _, model = from_file
    new = homes(20, seed=1).set_index("note")
    before = new.copy(deep=True)
    found = pd.DataFrame(model.predict(new))
    model.evaluate(new)
    pd.testing.assert_frame_equal(new, before)
    assert list(found.columns) == ["id", "domain", "answer", "confidence", "nodes"]


def test_ids_are_those_of_their_column(from_file):
    _, model = from_file
    new = homes(3, seed=1)
    assert [one.id for one in model.predict(new.assign(id=["x", "y", "z"]))] == ["x", "y", "z"]
    assert [one.id for one in model.predict(new.assign(id=[7, 8, 9]))] == ["7", "8", "9"]


def test_what_is_wrong_with_a_frame_is_said(from_file, tmp_path):
    _, model = from_file
    new = homes(3, seed=1)
    with pytest.raises(RecordError, match="the table has no column 'city', which the model reads; it has rooms"):
        model.predict(new.drop(columns="city"))
    with pytest.raises(RecordError, match="has no column 'price', which holds the answers to compare with"):
        model.evaluate(new.drop(columns="price"))
    with pytest.raises(RecordError, match="the table has 0 rows and 5 columns"):
        model.predict(new[:0])
    with pytest.raises(RecordError, match="the table has two columns named 'rooms'; rename one"):
        model.predict(pa.Table.from_arrays([[1], [2]], names=["rooms", "rooms"]))
    with pytest.raises(RecordError, match="column 'odd' of the table holds object; give numbers, texts or dates"):
        model.predict(new.assign(odd=[1, "a", object()]))
    with pytest.raises(RecordError, match="the table is a single column; give a data frame"):
        model.predict(new.rooms)
    with pytest.raises(UsageError, match=r"a data frame; collect\(\) the frame first"):
        model.predict(pl.from_pandas(new).lazy())
    for given in (None, 3, ["7 + 8"], {"rooms": 3}, new[["rooms"]].to_numpy()):
        with pytest.raises(
            UsageError, match="must be a list of dicts, one per question, the path of a file, or a data f"
        ):
            model.predict(given)
        with pytest.raises(UsageError, match="give the path of a file or folder, a data frame, or an Arrow table"):
            gn.train("agi", data=3 if given is None else given, output=tmp_path / "none", **runs.SMALL)
    for wrong in ({"batch_size": -1}, {"batch_size": "a"}, {"threshold": 2}, {"route": "x"}, {"nodes": 3}):
        with pytest.raises(UsageError, match=f"{next(iter(wrong))} is"):
            model.predict(new, **wrong)
    with pytest.raises(RecordError, match="the table, row 2: column rooms holds no finite number; refusals='keep'"):
        model.predict(new.assign(rooms=[1.0, float("inf"), 2.0]))
    kept = model.predict(new.assign(rooms=[1.0, float("inf"), 2.0]), refusals="keep")
    assert [hasattr(one, "answer") for one in kept] == [True, False, True]
    with pytest.raises(RecordError, match="^the table has .*[Nn]ame the column of the answers with target="):
        gn.train("agi", data=new, output=tmp_path / "none", **runs.SMALL)
    with pytest.raises(
        UsageError, match=r"^the table has no column 'prize', only .* \(target=\); did you mean 'price'"
    ):
        gn.train("agi", data=new, output=tmp_path / "none", target="prize", **runs.SMALL)


def test_rows_as_dicts_are_answered_as_the_table_they_are(from_file):
    _, model = from_file
    new = homes(20, seed=1)
    rows = new.drop(columns="price").to_dict("records")
    assert [one.answer for one in model.predict(rows)] == [one.answer for one in model.predict(new)]
    with pytest.raises(RecordError, match="the table has no column 'city', which the model reads"):
        model.predict([{key: row[key] for key in row if key != "city"} for row in rows])


def test_columns_of_pandas_that_arrow_does_not_take_are_read_as_they_look(tmp_path):
    table = pd.DataFrame(
        {
            "mixed": [1, "a", None, 2.5] * 10,
            "sparse": pd.arrays.SparseArray([0, 1] * 20),
            "range": pd.cut(range(40), 4),
            "y": np.arange(40) * 1.5,
        }
    )
    read = arrow_table(table)
    assert read["mixed"].to_pylist()[:4] == ["1", "a", None, "2.5"]
    assert read["sparse"].to_pylist()[:2] == [0, 1]
    assert read["range"].to_pylist()[0] == "(-0.039, 9.75]"
    write_frame(table, tmp_path / "a.parquet")
    counted = table.set_axis([0, 1, 2, 3], axis=1)
    run = gn.train("agi", data=counted, target=3, output=tmp_path / "run", **{**runs.SMALL, "epochs": 1})
    assert gn.load(run.folder).config.target == "3"
