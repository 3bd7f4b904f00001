"""Layouts that people have, known by their columns: from JSON lines, JSON and Parquet alike; and pictures."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from runs import cli

from grapheme_numba.data.inspect import first_records
from grapheme_numba.data.jsonl.convert import convert
from grapheme_numba.data.sources.external import import_data
from grapheme_numba.data.sources.pictures import looks_of, picture_files, pixels_of
from grapheme_numba.data.sources.tables.mapping import TableMapping
from grapheme_numba.data.stream.dataset import open_parquet
from grapheme_numba.data.stream.open_dataset import open_dataset
from grapheme_numba.errors import RecordError, UsageError

CHAT = [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Hello"}]
LONG = [{"role": "system", "content": "Be kind"}, *CHAT, {"role": "user", "content": "Bye"}, CHAT[1]]
ROWS = {
    "chat": ([{"messages": CHAT}, {"messages": LONG}], [("Hi?", "Hello")]),
    "alpaca": ([{"instruction": "Add", "input": "1 2", "output": "3"}], [("Add\n1 2", "3")]),
    "completion": ([{"prompt": "a", "completion": "b"}], [("a", "b")]),
    "text-label": ([{"text": "good", "label": 1}, {"text": "bad", "label": 0}], [("good", "1"), ("bad", "0")]),
    "gsm8k": ([{"question": "How many?", "answer": "x\n#### 1,000"}], [("How many?", "1000")]),
    "math": ([{"problem": "p", "solution": r"\boxed{4}", "level": "1"}], [("p", "4")]),
    "squad": (
        [{"question": "q", "context": "c", "answers": {"text": ["a"], "answer_start": [0]}, "id": "1"}],
        [("q\nc", "a")],
    ),
}


def imported(path, out, layout=None, **given):
    done = import_data(layout, [path], out, **given)
    return done, first_records(open_parquet(out), 1000)


@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet"])
@pytest.mark.parametrize("layout", ROWS)
def test_rows_are_known_by_their_columns(tmp_path, layout, kind):
    rows, answers = ROWS[layout]
    path = tmp_path / f"a.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text(json.dumps(rows) if kind == "json" else "".join(json.dumps(row) + "\n" for row in rows))
    done, records = imported(path, tmp_path / "o.parquet")
    assert f"a.{kind}: read as {layout}" in done.notes[0]
    assert [(one["input"]["text"], one["expected_output"]) for one in records][: len(answers)] == answers
    assert imported(path, tmp_path / "p.parquet", layout)[1] == records
    opened = open_dataset(path)
    assert opened.n_rows == len(rows)


def test_a_chat_of_several_turns(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"messages": LONG}) + "\n" + json.dumps({"messages": CHAT[:1]}) + "\n")
    done, (record,) = imported(tmp_path / "a.jsonl", tmp_path / "o.parquet")
    assert record["input"]["text"] == "system: Be kind\nuser: Hi?\nassistant: Hello\nuser: Bye"
    assert done.converted.first_reject.reason == "no message of the assistant follows another one"


def test_a_refusal_says_what_was_tried(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"foo": 1, "bar": 2}\n')
    for act in (
        lambda: open_dataset(tmp_path / "a.jsonl"),
        lambda: imported(tmp_path / "a.jsonl", tmp_path / "o.parquet"),
    ):
        with pytest.raises(
            RecordError, match=r"columns bar, foo, which fit no .*chat .*squad .*--target, or the layout"
        ):
            act()
    with pytest.raises(UsageError, match="--layout poems: unknown; known are chat"):
        imported(tmp_path / "a.jsonl", tmp_path / "o.parquet", "poems")


def test_our_own_rows_that_another_program_filtered(tmp_path):
    lines = [
        {"id": f"r{i}", "domain": "d", "input_type": "sequence", "input": {"values": [i, 2]}, "expected_output": str(i)}
        for i in range(50)
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    convert(tmp_path / "a.jsonl", tmp_path / "a.parquet")
    table = pq.read_table(tmp_path / "a.parquet").slice(10, 5)
    pq.write_table(table.replace_schema_metadata(None), tmp_path / "b.parquet")
    done, records = imported(tmp_path / "b.parquet", tmp_path / "o.parquet")
    assert (done.converted.rejects, records) == (0, lines[10:15])
    assert open_dataset(tmp_path / "b.parquet").n_rows == 5


def picture(size=(6, 4), mode="RGB", kind="PNG"):
    rng = np.random.default_rng(0)
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    file = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8), mode).save(file, kind)
    return file.getvalue()


def test_a_folder_of_pictures_by_class(tmp_path):
    for label, name, kind in (("cat", "1.png", "PNG"), ("cat", "2.jpg", "JPEG"), ("dog", "1.PNG", "PNG")):
        (tmp_path / "in" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / label / name).write_bytes(picture(kind=kind))
    (tmp_path / "in" / "dog" / "cut.png").write_bytes(picture()[:60])
    done, records = imported(tmp_path / "in", tmp_path / "o.parquet", image_size="5x3")
    assert done.notes == ["pictures are resized to 5 x 3, grey (--image-size)"]
    assert [(one["id"], one["expected_output"]) for one in records] == [
        ("images-cat/1", "cat"),
        ("images-cat/2", "cat"),
        ("images-dog/1", "dog"),
    ]
    assert {(one["input"]["width"], one["input"]["height"]) for one in records} == {(5, 3)}
    assert done.converted.rejects == 1
    assert "cannot be read" in done.converted.first_reject.reason


def test_image_structs_of_hubs(tmp_path):
    rows = [
        {"image": {"bytes": picture(), "path": None}, "label": 7},
        {"image": {"bytes": None, "path": None}, "label": 1},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    done, (record,) = imported(tmp_path / "a.parquet", tmp_path / "o.parquet", image_size="6x4,rgb")
    assert (record["input"]["width"], record["input"]["height"], record["expected_output"]) == (6, 12, "7")
    raw = np.asarray(Image.open(io.BytesIO(picture()))).transpose(2, 0, 1).ravel()
    assert np.allclose(record["input"]["pixels"], raw / 255, atol=1e-4)
    assert "the picture is missing" in done.converted.first_reject.reason


def test_of_several_columns_of_labels_one_is_named_and_another_can_be_taken(tmp_path):
    path = tmp_path / "a.parquet"
    row = {"img": {"bytes": picture(), "path": None}, "coarse_label": 3, "fine_label": 17}
    pq.write_table(pa.Table.from_pylist([row]), path)
    done, (record,) = imported(path, tmp_path / "o.parquet")
    assert record["expected_output"] == "17"
    assert done.notes[-1] == (
        f"{path}: answers are the column fine_label; coarse_label left out "
        "(grapheme-data import --layout images --target coarse_label takes another)"
    )
    import_data("images", [path], tmp_path / "p.parquet", TableMapping(target="coarse_label"))
    assert [one["expected_output"] for one in first_records(open_parquet(tmp_path / "p.parquet"), 5)] == ["3"]


def test_grey_is_what_pillow_says():
    width, height, pixels = pixels_of(picture((8, 8), "L"), looks_of("8"))
    raw = np.asarray(Image.open(io.BytesIO(picture((8, 8), "L"))))
    assert (width, height) == (8, 8)
    assert np.allclose(pixels, raw.ravel() / 255, atol=1e-4)


@pytest.mark.parametrize("size", ["0", "big", "2000", "3x", "3,cmyk"])
def test_image_sizes_that_cannot_be_meant(size):
    with pytest.raises(UsageError, match="--image-size .*: wants a side or WxH"):
        looks_of(size)


@pytest.mark.parametrize(
    ("places", "classes"),
    [
        (["cat/a", "cat/sub/b", "dog/c"], ["cat", "cat", "dog"]),
        (["pictures/cat/a", "pictures/dog/b"], ["cat", "dog"]),
        (["cat/a", "cat/b"], ["cat", "cat"]),
        (["a", "cat/b", "dog/c"], ["cat", "dog"]),
    ],
)
def test_classes_of_pictures_are_the_first_level_with_several_folders(tmp_path, places, classes):
    for place in places:
        path = tmp_path / f"{place}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    assert [label for label, _ in picture_files(tmp_path)] == classes


def test_a_note_among_pictures_makes_no_table_of_them(tmp_path):
    for i in range(12):
        folder = tmp_path / "p" / ("cat", "dog")[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("L", (9, 9), 20 * i).save(folder / f"{i}.png")
    (tmp_path / "p" / "cat" / "notes.txt").write_text("taken in May")
    done = cli("agi", "--data", tmp_path / "p", "--dry-run")
    assert done.exit_code == 0, done.output
    assert "not used beside the pictures: " in done.output
    assert "cat/notes.txt" in done.output
    assert "one of 2 labels" in done.output
