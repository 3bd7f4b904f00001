"""Published layouts and tables become examples; what cannot be used is named; user files stay as they are."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from grapheme_numba.data.inspect import first_records
from grapheme_numba.data.jsonl.convert import convert
from grapheme_numba.data.sources.external import find_external, import_files, with_external
from grapheme_numba.data.sources.hub_layouts import boxed, layout_of
from grapheme_numba.data.stream.dataset import open_parquet
from grapheme_numba.data.stream.open_dataset import open_dataset
from grapheme_numba.errors import MissingInputError, RecordError, UsageError

GSM8K = [
    {"question": "Ann has 3 apples and buys 4. How many?", "answer": "3+4=<<3+4=7>>7\n#### 7"},
    {"question": "A car costs how much?", "answer": "Much.\n#### 12,500"},
    {"question": "No end", "answer": "nothing"},
    {"question": 5, "answer": "#### 1"},
]
PARAGRAPH = {
    "context": "The Seine flows through Paris.",
    "qas": [
        {"id": "q1", "question": "What flows?", "answers": [{"text": "The Seine", "answer_start": 0}]},
        {"id": "q2", "question": "What burns?", "answers": [], "is_impossible": True},
        {"id": "q3", "question": "What is lost?", "answers": []},
    ],
}
SQUAD = {"version": "2.0", "data": [{"title": "Paris", "paragraphs": [PARAGRAPH]}]}
MATH = {"problem": "What is $1+1$?", "level": "Level 1", "type": "Algebra", "solution": r"It is $\boxed{2}$."}


@pytest.fixture
def folder(tmp_path):
    """A folder with all three layouts and some files of none."""
    inside = tmp_path / "external"
    (inside / "math" / "algebra").mkdir(parents=True)
    (inside / "gsm.jsonl").write_text("".join(json.dumps(one) + "\n" for one in GSM8K) + "not json\n")
    (inside / "squad.json").write_text(json.dumps(SQUAD))
    for i, solution in enumerate((r"$\boxed{2}$", r"no box", r"\boxed{\frac{1}{2}} and \boxed{\sqrt{\{3\}}}")):
        (inside / "math" / "algebra" / f"{i}.json").write_text(json.dumps({**MATH, "solution": solution}))
    (inside / "readme.txt").write_text("hello")
    (inside / "other.json").write_text("[1, 2]")
    (inside / "other.jsonl").write_text('{"text": "a"}\n')
    (inside / "broken.json").write_text("{")
    return inside


def records(path):
    return first_records(open_parquet(path), 100)


def test_gsm8k(folder, tmp_path):
    done = import_files("gsm8k", [folder / "gsm.jsonl"], tmp_path / "out.parquet")
    assert (done.rows_in, done.rows_out, done.rejects) == (5, 2, 3)
    first, second = records(tmp_path / "out.parquet")
    assert first["input"]["text"] == GSM8K[0]["question"]
    assert (first["expected_output"], first["domain"], first["id"]) == ("7", "gsm8k", "gsm8k-gsm-1")
    assert first["metadata"] == {"solution": GSM8K[0]["answer"]}
    assert second["expected_output"] == "12500"
    rejects = [json.loads(line) for line in (tmp_path / "out.rejects.jsonl").read_text().splitlines()]
    assert [(one["line"], one["reason"][:20]) for one in rejects] == [
        (3, "the answer has no fi"),
        (4, "field question is mi"),
        (5, "Expecting value: lin"),
    ]


def test_squad(folder, tmp_path):
    done = import_files("squad", [folder / "squad.json"], tmp_path / "out.parquet", domain="reading")
    assert (done.rows_out, done.rejects) == (2, 1)
    first, second = records(tmp_path / "out.parquet")
    assert first["input"]["text"] == "What flows?\nThe Seine flows through Paris."
    assert (first["expected_output"], first["domain"], first["id"]) == ("The Seine", "reading", "reading-squad-q1")
    assert second["expected_output"] == ""
    assert "not marked as impossible" in done.first_reject.reason


def test_math(folder, tmp_path):
    done = import_files("math", [folder / "math"], tmp_path / "out.parquet")
    assert (done.rows_out, done.rejects) == (2, 1)
    first, second = records(tmp_path / "out.parquet")
    assert (first["expected_output"], first["id"]) == ("2", "competition_math-algebra-0")
    assert first["metadata"] == {"level": "Level 1", "type": "Algebra"}
    assert second["expected_output"] == r"\sqrt{\{3\}}"


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        (r"\boxed{a{b}c}", "a{b}c"),
        (r"\boxed 5$.", "5"),
        (r"\fbox{x}", "x"),
        (r"\boxed{}", ""),
        (r"\boxed{1}\boxed{2}", "2"),
    ],
)
def test_boxed(solution, answer):
    assert boxed(solution) == answer


@pytest.mark.parametrize("solution", ["", r"\boxed", r"\boxed{1", r"\boxed $"])
def test_not_boxed(solution):
    with pytest.raises(ValueError, match="boxed"):
        boxed(solution)


TABLE = "rooms,area,kind,price\n3,70.5,flat,1000\n4,100,house,2500.5\n,80,flat,900\n2,x,flat,700\n5,120,villa,\n"


def test_a_table_of_numbers_is_a_sequence(tmp_path):
    (tmp_path / "a.csv").write_text(TABLE.replace("2,x", "2,1"))
    columns = dict(columns=["rooms", "area"], target="price")
    done = import_files("csv", [tmp_path / "a.csv"], tmp_path / "out.parquet", **columns)
    assert (done.rows_out, done.rejects) == (3, 2)
    first = records(tmp_path / "out.parquet")[0]
    assert first["input"] == {"values": [3, 70.5]}
    assert (first["input_type"], first["expected_output"], first["domain"]) == ("sequence", "1000", "a")
    assert done.first_reject.line == 3
    assert done.first_reject.reason == "a cell is empty"


def test_a_table_with_text_is_text(tmp_path):
    (tmp_path / "a.tsv").write_text(TABLE.replace(",", "\t"))
    done = import_files(
        "csv", [tmp_path / "a.tsv"], tmp_path / "out.parquet", columns=["kind", "rooms"], target="price"
    )
    assert done.rows_out == 3
    assert records(tmp_path / "out.parquet")[0]["input"] == {"text": "flat 3"}


def test_a_parquet_table(tmp_path):
    table = pa.table({"x": [1.5, 2.0, float("nan")], "y": [1.0, 0.25, 3.0]})
    pq.write_table(table, tmp_path / "t.parquet")
    done = import_files("csv", [tmp_path / "t.parquet"], tmp_path / "out.parquet", columns=["x"], target="y")
    assert [one["expected_output"] for one in records(tmp_path / "out.parquet")] == ["1", "0.25", "3"][: done.rows_out]
    assert done.rows_in == 3


@pytest.mark.parametrize(
    ("columns", "target", "reason"),
    [
        ([], "price", "name the columns: --input-column and --target-column, of rooms, area, kind, price"),
        (["rooms"], None, "name the columns"),
        (["room"], "price", "a.csv has no column 'room', only rooms, area"),
        (["rooms"], "cost", "a.csv has no column 'cost'"),
    ],
)
def test_columns_must_be_there(tmp_path, columns, target, reason):
    (tmp_path / "a.csv").write_text(TABLE)
    with pytest.raises(UsageError, match=reason):
        import_files("csv", [tmp_path / "a.csv"], tmp_path / "out.parquet", columns=columns, target=target)
    assert not (tmp_path / "out.parquet").exists()


def test_bad_files_are_named(tmp_path, folder):
    out = tmp_path / "out.parquet"
    with pytest.raises(MissingInputError, match="nowhere.json does not exist"):
        import_files("squad", [tmp_path / "nowhere.json"], out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingInputError, match="holds no .json file"):
        import_files("squad", [tmp_path / "empty"], out)
    with pytest.raises(RecordError, match="broken.json is not JSON"):
        import_files("squad", [folder / "broken.json"], out)
    with pytest.raises(RecordError, match="other.json is not SQuAD: it has no list `data`"):
        import_files("squad", [folder / "other.json"], out)
    with pytest.raises(RecordError, match="no example could be imported: .*other.jsonl: field answer is missing"):
        import_files("gsm8k", [folder / "other.jsonl"], out)
    (tmp_path / "a.csv").write_bytes(b"a,b\n1\n")
    with pytest.raises(RecordError, match="a.csv is not a table"):
        import_files("csv", [tmp_path / "a.csv"], out, columns=["a"], target="b")
    assert not out.exists()


def test_layouts_are_known_by_their_content(folder):
    found = {path.name: layout_of(path) for path in folder.rglob("*") if path.is_file() and layout_of(path)}
    assert found == {"gsm.jsonl": "gsm8k", "squad.json": "squad", "0.json": "math", "1.json": "math", "2.json": "math"}
    assert [file.layout for file in find_external(folder)] == ["gsm8k", "math", "math", "math", "squad"]
    empty = folder / "nothing"
    empty.mkdir()
    with pytest.raises(MissingInputError, match="holds no GSM8K"):
        find_external(empty)
    with pytest.raises(MissingInputError, match="is not a folder"):
        find_external(folder / "gsm.jsonl")


def test_external_examples_join_the_training_data(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    line = {"id": "a", "domain": "d", "input_type": "text", "input": {"text": "q"}, "expected_output": "x"}
    (tmp_path / "a.jsonl").write_text(json.dumps(line))
    convert([tmp_path / "a.jsonl"], tmp_path / "a.parquet")
    before = sorted(str(path) for path in folder.rglob("*"))
    said = []
    whole = with_external(open_dataset(tmp_path / "a.parquet"), folder, most=1, progress=said.append)
    assert whole.n_rows == 4
    assert [domain.name for domain in whole.summary().domains] == ["competition_math", "d", "gsm8k", "squad"]
    assert len(said) == 3
    assert sorted(str(path) for path in folder.rglob("*")) == before
    again = with_external(open_dataset(tmp_path / "a.parquet"), folder, most=1, progress=said.append)
    assert (again.fingerprint, len(said)) == (whole.fingerprint, 3)
    assert with_external(open_dataset(tmp_path / "a.parquet"), folder).n_rows == 1 + 2 + 2 + 2
