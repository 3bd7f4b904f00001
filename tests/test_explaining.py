"""Which element an answer comes from: sums, positions, characters, and the tables that `attribute` writes."""

import json

import naive
import numpy as np
import pytest
from pyarrow import parquet
from runs import cli, small_data, train

from grapheme_numba.data.codec.answers import LabelAnswer
from grapheme_numba.data.codec.layout import BUCKETS, DomainLayout
from grapheme_numba.data.stream.open_dataset import open_dataset
from grapheme_numba.models.attribution import Explainer, characters, explained, numbers
from grapheme_numba.models.naming import port_names
from grapheme_numba.runs import checkpoint, run_folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_data(tmp_path_factory.mktemp("data"), 48)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    train(data, folder, epochs=2)
    return folder


def test_elements_are_characters_and_not_bytes():
    tokens = np.arange(12.0).reshape(2, 6)
    counts, positions, elements, sums = characters(["aé", ""], tokens, None, valued=False)
    assert counts.tolist() == [2, 0]
    assert positions.tolist() == [0, 1]
    assert elements == ["a", "é"]
    assert sums.tolist() == [0, 1 + 2]


def test_a_number_is_one_element_as_it_was_written():
    tokens = np.arange(1.0, 9.0)[None]
    counts, positions, elements, sums = characters(["é 007-0.50"], tokens, None, valued=True)
    assert elements == ["é", " ", "007", "-", "0.50"]
    assert positions.tolist() == [0, 1, 2, 5, 6]
    assert sums.tolist() == [1 + 2, 3, 4, 5, 6]
    assert counts.tolist() == [5]


def test_a_words_share_goes_to_its_letters():
    words = np.zeros((1, BUCKETS))
    (no, _, _), (fun, _, _), (both, _, _) = naive.text_words(b"no fun", BUCKETS)
    words[0, no], words[0, fun], words[0, both] = 2.0, 3.0, 6.0
    _, _, elements, sums = characters(["no fun"], np.zeros((1, 6)), words, valued=True)
    assert elements == list("no fun")
    assert sums * 3**0.5 == pytest.approx([1 + 1, 1 + 1, 1, 2, 2, 2])


def test_values_count_from_the_end_and_pixels_from_the_start():
    series = DomainLayout("t", "sequence", 0, 4, 0, 2, LabelAnswer(("a", "b")), 0.0, 0.5)
    values = np.array([[0, 0, 1.0, 0], [0, 0, 0, 0]])
    counts, positions, elements, sums = numbers(series, values, np.arange(8.0).reshape(2, 4))
    assert counts.tolist() == [2, 1]
    assert positions.tolist() == [-2, -1, -1]
    assert elements == ["2", "0", "0"]
    assert sums.tolist() == [2, 3, 7]
    image = DomainLayout("v", "image", 0, 4, 0, 2, LabelAnswer(("a", "b")), 1.0, 0.5)
    counts, positions, elements, _ = numbers(image, values, np.zeros((2, 4)))
    assert counts.tolist() == [4, 4]
    assert positions.tolist() == [0, 1, 2, 3] * 2
    assert elements[:3] == ["1", "1", "3"]


def test_attributions_are_what_a_small_change_says(trained, data):
    """The gradient of what is explained, by central differences in float64 along every input."""
    model = checkpoint.restore_model(run_folder.find(trained)[0])
    dataset = open_dataset(data / "test.jsonl")
    batch = next(dataset.batches(model.layout, 12))
    found = Explainer(model).explain(batch, [one.text or "" for one in dataset.records(batch.rows.tolist())])
    parameters, gradients = model.parameters.copy(), model.gradients.copy()
    for number, elements in found.items():
        domain = model.layout.domains[number]
        row = int(elements.rows[0])
        y, x = model.forward_with_inputs(batch)
        own = slice(domain.output_start, domain.output_start + domain.n_output)
        x, base = x[row : row + 1].copy(), y[row, own]
        upstream = explained(domain.answer, base[None], elements.answers[:1])[0].astype(float)
        total = 0.0
        for column in range(domain.input_start, domain.input_start + domain.n_input):
            if x[0, column]:
                moved = np.repeat(x, 2, axis=0)
                moved[:, column] += np.float32([-0.01, 0.01])
                low, high = model.dag.forward(moved)[:, own].astype(float) @ upstream
                total += (high - low) / 0.02 * x[0, column]
        assert elements.attributions[: elements.counts[0]].sum() == pytest.approx(total, rel=0.05, abs=2e-3)
    np.testing.assert_array_equal(model.parameters, parameters)
    np.testing.assert_array_equal(model.gradients, gradients)


def test_the_tables_hold_every_element_by_name(trained, data, tmp_path):
    target = tmp_path / "why.parquet"
    result = cli("attribute", trained, "--data", data / "test.jsonl", "--output", target, "--batch-size", 7)
    assert result.exit_code == 0, result.output
    table = parquet.read_table(target).to_pydict()
    examples = [json.loads(line) for line in (data / "test.jsonl").read_text().splitlines()]
    assert set(table["example"]) == {one["id"] for one in examples}
    text = next(one for one in examples if one["input_type"] == "text")
    rows = [i for i, name in enumerate(table["example"]) if name == text["id"]]
    assert "".join(table["element"][i] for i in rows) == text["input"]["text"]
    lengths = [len(table["element"][i]) for i in rows]
    assert [table["position"][i] for i in rows] == [sum(lengths[:i]) for i in range(len(rows))]
    assert {table["expected"][i] for i in rows} == {text["expected_output"]}
    image = next(one for one in examples if one["input_type"] == "image")
    problem = next(one for one in examples if one["domain"] == "math")
    rows = [i for i, name in enumerate(table["example"]) if name == problem["id"]]
    left, operator, right = problem["input"]["text"].split()
    assert [table["element"][i] for i in rows] == [left, " ", operator, " ", right]
    assert table["example"].count(image["id"]) == len(image["input"]["pixels"])
    assert np.isfinite(table["attribution"]).all()
    model = checkpoint.restore_model(run_folder.find(trained)[0])
    edges = parquet.read_table(tmp_path / "why.edges.parquet").to_pydict()
    assert len(edges["saliency"]) == model.dag.n_edge
    nodes = dict(zip(*parquet.read_table(tmp_path / "why.nodes.parquet").to_pydict().values(), strict=True))
    assert set(port_names(model.layout)[1]) <= set(nodes)
    inputs = parquet.read_table(tmp_path / "why.inputs.parquet").to_pydict()
    assert set(inputs["domain"]) == set(model.layout.names)
    assert "elements of 48 examples" in result.stdout


def test_any_batch_size_and_a_limit_give_the_same(trained, data, tmp_path):
    tables = []
    for name, *more in (("a", "--batch-size", 5), ("b", "--batch-size", 64), ("c", "--limit", 9)):
        target = tmp_path / f"{name}.parquet"
        assert cli("attribute", trained, "--data", data / "test.jsonl", "--output", target, *more).exit_code == 0
        tables.append(sorted(zip(*parquet.read_table(target).to_pydict().values(), strict=True)))
    assert [row[:6] for row in tables[0]] == [row[:6] for row in tables[1]]
    np.testing.assert_allclose([row[6] for row in tables[0]], [row[6] for row in tables[1]], rtol=1e-4, atol=1e-6)
    assert len({row[0] for row in tables[2]}) == 9


def test_the_summary_as_json(trained, data, tmp_path):
    target = tmp_path / "why.parquet"
    result = cli("attribute", trained, "--data", data / "test.jsonl", "--output", target, "--log-format", "json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["kind"] for line in lines] == ["domain"] * (len(lines) - 1) + ["nodes"]
    assert all(line["inputs"] for line in lines[:-1])


def test_what_cannot_be_explained(trained, data, tmp_path):
    for arguments, code, words in (
        (("--output", tmp_path / "why.csv"), 2, "give a name that ends in .parquet"),
        (("--output", tmp_path / "none" / "why.parquet"), 74, "cannot write in"),
        (("--data", tmp_path / "none.jsonl", "--output", tmp_path / "why.parquet"), 66, "none.jsonl"),
    ):
        given = () if "--data" in arguments else ("--data", data / "test.jsonl")
        result = cli("attribute", trained, *given, *arguments)
        assert result.exit_code == code, result.output
        assert words in result.stderr
    assert not list(tmp_path.glob("why*"))
