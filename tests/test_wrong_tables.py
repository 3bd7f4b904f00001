"""Every kind of wrong input to `predict`, `evaluate` and the data commands, from every kind of file and from a pipe.

Each ends with the right code and one sentence, no traceback, nothing half-written; of a table that can be read every
row comes back.
"""

import gzip
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pytest
import runs
from click.testing import CliRunner
from runs import cli

from grapheme_numba.cli.data import main as data_main

CITIES = np.array(["Oslo", "Rome", "Lima"])


def table(n=12, seed=0):
    """Numbers, categories, dates and a number to predict."""
    rng = np.random.default_rng(seed)
    days = np.datetime64("2024-01-01") + rng.integers(0, 300, n)
    numbers = {"x": np.round(rng.uniform(0, 9, n), 2), "k": rng.integers(1, 7, n)}
    return pd.DataFrame({**numbers, "city": CITIES[rng.integers(0, 3, n)], "when": days.astype(str)}).assign(
        y=lambda t: np.round(3 * t.x + t.k, 2)
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wrong")
    table(200).to_csv(folder / "t.csv", index=False)
    runs.train(folder / "t.csv", folder / "run", target="y", epochs=3)
    return folder / "run"


def plain(cell):
    cell = cell.item() if isinstance(cell, np.generic) else cell
    return None if isinstance(cell, float) and np.isnan(cell) else cell


def lines(frame):
    return [json.dumps({name: plain(cell) for name, cell in row.items()}) for row in frame.to_dict("records")]


def as_bytes(frame, name):
    """The table as a file whose name is `name`."""
    if name.endswith(".gz"):
        return gzip.compress(as_bytes(frame, name[:-3]))
    if name.endswith(".zst"):
        return pa.compress(as_bytes(frame, name[:-4]), "zstd", asbytes=True)
    if name.endswith(".parquet"):
        return frame.to_parquet(index=False)
    if name.endswith((".arrow", ".feather")):
        sink = pa.BufferOutputStream()
        feather.write_feather(pa.Table.from_pandas(frame, preserve_index=False), sink, "uncompressed")
        return sink.getvalue().to_pybytes()
    if name.endswith(".json"):
        return f"[{','.join(lines(frame))}]".encode()
    if name.endswith(".jsonl"):
        return "".join(line + "\n" for line in lines(frame)).encode()
    return frame.to_csv(index=False, sep="\t" if name.endswith(".tsv") else ",").encode()


def data(*arguments):
    return CliRunner().invoke(data_main, list(map(str, arguments)))


def one_sentence(done, code):
    """The last line of standard error, which is the only error; the command ended with `code`."""
    assert done.exit_code == code, done.output
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == (code != 0), done.stderr
    assert "internal error" not in done.stderr
    assert "Traceback" not in done.output
    return errors[0] if errors else ""


def changed(**columns):
    return lambda t: t.assign(**columns)


NO_NUMBER, NO_DATE = "column x holds no finite number", "column when holds no date"
UNSEEN = "note: column 'city': 12 cells hold categories that training did not have or had too rarely, as"
# change of the table -> (code, rows without an answer, what is said)
CHANGES = {
    "nothing": (lambda t: t, 0, 0, ""),
    "no target": (lambda t: t.drop(columns="y"), 0, 0, ""),
    "a column less": (
        lambda t: t.drop(columns="x"),
        65,
        None,
        "has no column 'x', which the model reads; it has k, city",
    ),
    "columns more": (changed(z=1, w="a"), 0, 0, ""),
    "another order": (lambda t: t[["y", "when", "city", "k", "x"]], 0, 0, ""),
    "words for numbers": (changed(x=["abc", "1.5"] * 6), 65, 6, NO_NUMBER),
    "words alone for numbers": (changed(x="abc"), 65, 12, NO_NUMBER),
    "numbers for words": (changed(city=range(12)), 0, 0, UNSEEN),
    "unseen words": (changed(city="Atlantis"), 0, 0, f"{UNSEEN} 'Atlantis'; they count as missing"),
    "numbers for dates": (changed(when=range(12)), 65, 12, NO_DATE),
    "booleans for numbers": (changed(k=[True, False] * 6), 65, 12, "column k holds no finite number"),
    "some targets missing": (changed(y=[None, 1.5] * 6), 0, 0, ""),
    "ids that repeat": (changed(id="a"), 0, 0, ""),
    "one value": (changed(x=3.0), 0, 0, ""),
    "infinite": (changed(x=[np.inf, -np.inf, *[1.0] * 10]), 65, 2, NO_NUMBER),
    "missing": (
        changed(k=[np.nan, *[1.0] * 11]),
        *(0, 0, "note: column 'k': 1 cells are missing, as none was in training; they count as the mean of training"),
    ),
    "no rows": (lambda t: t.iloc[:0], 65, None, "; "),
}
NAMES = ("a.csv", "a.tsv", "a.parquet", "a.arrow", "a.jsonl", "a.json", "a.csv.gz", "a.csv.zst", "a.jsonl.gz", "-")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", CHANGES)
def test_predict_gives_every_row_back_or_says_why_not(trained, tmp_path, change, name):
    make, code, n_lost, said = CHANGES[change]
    frame = make(table())
    if change == "numbers for dates" and name.endswith((".parquet", ".arrow")):
        n_lost, said = None, "column 'when' is int64, but the model reads dates from it"
    given = as_bytes(frame, "a.csv" if name == "-" else name)
    source, target = tmp_path / name, tmp_path / "out.jsonl"
    if name != "-":
        source.write_bytes(given)
    done = cli("predict", trained, "--input", "-" if name == "-" else source, "--output", target, stdin=given)
    one_sentence(done, code)
    assert said in done.stderr
    assert target.exists() == (n_lost is not None)
    if n_lost is not None:
        rows = [json.loads(line) for line in target.read_text().splitlines()]
        assert len(rows) == len(frame)
        assert sum(row["answer"] is None for row in rows) == n_lost
        assert [list(row)[:-2] for row in rows] == [list(frame.columns)] * len(frame)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl"])
@pytest.mark.parametrize("change", CHANGES)
def test_evaluate_counts_the_rows_it_can_use_or_says_why_not(trained, tmp_path, change, name):
    make, code, n_lost, said = CHANGES[change]
    source = tmp_path / name
    source.write_bytes(as_bytes(make(table()), name))
    done = cli("evaluate", trained, "--data", source, "--no-cache", "--log-format", "json")
    if change == "no target":
        said, code = "has no column 'y', which holds the answers to compare with; it has x, k, city, when", 65
    elif n_lost is None or n_lost == 12 or change == "numbers for dates":
        code, said = 65, said if n_lost is None and change != "no rows" else ""
    else:
        code = 0
    one_sentence(done, code)
    if change not in ("words for numbers", "infinite", "missing"):
        assert said.removeprefix("note: ") in done.stderr
    if code == 0:
        lost = 6 if change == "some targets missing" else n_lost
        scores = [json.loads(line) for line in done.stdout.splitlines()]
        assert [one["n"] for one in scores] == [12 - lost] * 2
        assert (f"{lost} of 12 rows of {source} cannot be used" in done.stderr) == (lost > 0)


def cut(name):
    whole = as_bytes(table(), name)
    return whole[: len(whole) * 6 // 10]


CSV = as_bytes(table(), "a.csv")
RAGGED = b"1,2,3\n1,2,Oslo,2024-01-01,3,4,5\n"
TWICE = b"\n".join(line + (b",1,2" if i else b",z,z") for i, line in enumerate(CSV.splitlines()))
UNPACKED, NOT_JSON = "cannot be unpacked: ", "is not JSON: "
# file -> (its bytes, code of predict, rows that come back, what is said)
FILES = {
    **{f"empty.{kind[2:]}": (b"", 65, None, "") for kind in NAMES if kind != "-"},
    "header.csv": (CSV.splitlines()[0], 65, None, "holds no row; there is nothing to answer"),
    "cut.parquet": (cut("a.parquet"), 65, None, "is not a whole Parquet file: its end is missing or damaged"),
    "cut.arrow": (cut("a.arrow"), 65, None, "is it damaged or cut?"),
    "cut.json": (cut("a.json"), 65, None, NOT_JSON),
    "cut.jsonl": (cut("a.jsonl"), 65, 8, "not JSON: "),
    "cut.csv.gz": (cut("a.csv.gz"), 65, None, UNPACKED),
    "cut.csv.zst": (cut("a.csv.zst"), 65, None, UNPACKED),
    "cut.jsonl.gz": (cut("a.jsonl.gz"), 65, None, UNPACKED),
    "ragged.csv": (CSV + RAGGED, 65, 14, "the row has 7 cells instead of 5"),
    "mark.csv": (b"\xef\xbb\xbf" + CSV, 0, 12, ""),
    "latin.csv": (CSV.replace(b"Oslo", b"\xc5slo"), 0, 12, "CP1252"),
    "utf16.csv": (CSV.decode().encode("utf-16"), 0, 12, "UTF-16"),
    "lines.csv": (CSV.replace(b"\n", b"\r\n"), 0, 12, ""),
    "twice.csv": (TWICE, 2, None, "has two columns named 'z'; rename one"),
    "zeros.csv": (CSV.replace(b"Oslo", b"Os\0o"), 65, None, "it holds zero bytes; is it named rightly?"),
    "sheet.xlsx": (b"PK\x03\x04" + bytes(100), 65, None, "is a zip file, as spreadsheets are; save the sheet as .csv"),
    "really.parquet": (CSV, 65, None, "is not a whole Parquet file"),
    "really.json": (CSV, 65, None, NOT_JSON),
    "really.csv.gz": (CSV, 65, None, UNPACKED),
    "parquet.csv": (as_bytes(table(), "a.parquet"), 0, 12, ""),
    "unknown.foo": (CSV, 0, 12, ""),
    "object.json": (b'{"a": 1}', 65, None, "is not a table: a list of objects is wanted"),
    "lists.json": (b"[[1, 2], [3, 4]]", 65, None, "holds no JSON object with fields"),
    "wide.csv": (as_bytes(pd.concat([table(), pd.DataFrame(np.zeros((12, 5000)))], axis=1), "a.csv"), 0, 12, ""),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_odd_or_broken(trained, tmp_path, name):
    content, code, n, said = FILES[name]
    source, target = tmp_path / name, tmp_path / "out.jsonl"
    source.write_bytes(content)
    done = cli("predict", trained, "--input", source, "--output", target)
    one_sentence(done, code)
    assert said in done.stderr
    assert (len(target.read_text().splitlines()) if target.exists() else None) == n
    assert source.read_bytes() == content
    # What reads it for training comes to the same, but leaves rows out that cannot be used.
    expected = 0 if n is not None else code
    done = cli("evaluate", trained, "--data", source, "--no-cache")
    one_sentence(done, expected)
    one_sentence(data("inspect", source, "--target", "y"), expected)
    refused = 65 if code == 65 else expected
    converted = tmp_path / "o.parquet"
    one_sentence(data("convert", source, "--target", "y", "-o", converted), refused)
    left = [path.name for path in tmp_path.iterdir() if path.name.startswith(".") and path.name != ".grapheme_cache"]
    assert not left
    if name.endswith(("csv", "json", "arrow")) and "." in name and name != "parquet.csv":
        done = data("validate", source)
        assert "is a table, whose rows are examples once a column of answers is named" in one_sentence(done, 2)


OUTPUTS = {
    "no/such/out.csv": (74, "cannot write in "),
    "new.csv": (2, "is read and would be overwritten"),
    "out.xlsx": (2, "answers are written as .csv, .tsv, .parquet or .jsonl; name it so"),
    "out.csv.gz": (2, "answers are written as .csv, .tsv, .parquet or .jsonl; name it so"),
    "/dev/full": (74, "it is a folder, device or pipe, which a file would replace"),
    ".": (74, "it is a folder, device or pipe, which a file would replace"),
}


@pytest.mark.parametrize("target", OUTPUTS)
def test_an_output_that_cannot_be(trained, tmp_path, target):
    code, said = OUTPUTS[target]
    (tmp_path / "new.csv").write_bytes(CSV)
    done = cli("predict", trained, "--input", tmp_path / "new.csv", "--output", tmp_path / target)
    assert said in one_sentence(done, code)
    assert [path.name for path in tmp_path.iterdir()] == ["new.csv"]
    assert (tmp_path / "new.csv").read_bytes() == CSV


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.json", "a.jsonl", "a.csv.gz", "a.csv.zst", "a.tsv"])
def test_standard_input_of_every_kind(trained, name):
    done = cli("predict", trained, "--input", "-", stdin=as_bytes(table(), name))
    one_sentence(done, 0)
    assert len(done.stdout.splitlines()) == 12 + (name in ("a.tsv", "a.csv.gz", "a.csv.zst"))
    assert "grapheme-input" not in done.stderr


def test_standard_input_that_is_broken_is_called_so(trained):
    done = cli("predict", trained, "--input", "-", stdin=cut("a.csv.gz"))
    assert "error: standard input cannot be unpacked" in one_sentence(done, 65)


def test_records_whose_cells_are_of_another_kind_are_refused(trained):
    given = [{"x": 1, "k": 2}, {"x": "abc"}, {"city": 3}, {"when": "2024-03-01"}, {"x": None, "city": "Oslo"}]
    frame = [{"id": "a", "domain": "t", "input_type": "tabular", "input": {"fields": fields}} for fields in given]
    done = cli("predict", trained, "--input", "-", stdin="".join(json.dumps(one) + "\n" for one in frame).encode())
    assert "3 of 5 lines have no answer" in one_sentence(done, 65)
    assert len(done.stdout.splitlines()) == 2
    for said in (
        "the field 'x' is a number in training, not the text 'abc'",
        "the field 'city' is a text in training, not the number 3",
        "the field 'when' is a date, in days since 1970-01-01, in training, not the text '2024-03-01'",
    ):
        assert said in done.stderr


def test_a_folder_is_named_as_one(trained, tmp_path):
    (tmp_path / "a.csv").write_bytes(CSV)
    done = cli("predict", trained, "--input", tmp_path)
    assert "is a folder without pictures; give one of its files" in one_sentence(done, 2)
    assert f"make examples of their rows with `grapheme-data convert {tmp_path} --target" in one_sentence(
        data("convert", tmp_path, "-o", tmp_path / "o.parquet"), 2
    )
