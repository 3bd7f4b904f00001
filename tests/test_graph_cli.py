"""A graph of one's own on the command line: trained in, inspected, exported, explained; and what is refused."""

import json

import named_graphs
import numpy as np
import onnx.reference
import pytest
import scipy.sparse
from runs import cli, small_data
from test_graph_files import SUFFIXES, mutated, sources

from grapheme_numba.graph.formats.dispatch import load_graph, save_graph
from grapheme_numba.runs import run_folder
from grapheme_numba.runs.checkpoint import restore_model

GMT = "apoptosis\td\tTP53\tBAX\ncycle\td\tTP53\tRB1\n"
RELATIONS = "parent\tchild\nstress\tapoptosis\ncell\tstress\ncell\tcycle\n"
SMALL = ("--epochs", "2", "--embedding-dim", "2", "--fan-in", "6", "--log-format", "plain")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def pathways(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graph")
    (folder / "pathways.gmt").write_text(GMT)
    (folder / "pathways.relations.tsv").write_text(RELATIONS)
    return folder / "pathways.gmt"


@pytest.fixture(scope="module")
def trained(data, pathways, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    result = cli("agi", "--data", data, "--graph", pathways, "--output", folder, *SMALL)
    assert result.exit_code == 0, result.output
    assert "pathways.gmt lies between the inputs and outputs of the data; its nodes keep their names" in result.stdout
    return folder


def test_names_live_through_training_resume_and_prediction(trained, data):
    model = restore_model(run_folder.find(trained)[0])
    assert {"TP53", "BAX", "RB1", "apoptosis", "cell"} <= set(model.dag.names)
    assert model.dag.names[-1].startswith("vision = ")
    resumed = cli("agi", "--resume", "auto", "--output", trained, "--epochs", 3, "--override", "--log-format", "plain")
    assert resumed.exit_code == 0, resumed.output
    lines = (data / "train.jsonl").read_text()
    result = cli("predict", trained, "--node", "TP53", "--node", "cell", stdin=lines)
    assert result.exit_code == 0, result.output
    answers = [json.loads(line) for line in result.stdout.splitlines()]
    assert set(answers[0]["nodes"]) == {"TP53", "cell"}
    assert len({answer["nodes"]["TP53"] for answer in answers}) > 5
    refused = cli("predict", trained, "--node", "TP35", stdin=lines)
    assert refused.exit_code == 2
    assert "no node is called 'TP35'; the nearest name is 'TP53'" in refused.stderr
    assert "nodes" not in json.loads(cli("predict", trained, stdin=lines).stdout.splitlines()[0])


@pytest.mark.parametrize("trainer", ["agi", "unified"])
def test_a_graph_that_fits_is_the_whole_network(data, tmp_path, trainer):
    first = tmp_path / "first"
    assert cli(trainer, "--data", data, "--output", first, "--hidden", "12", *SMALL).exit_code == 0
    assert cli("export", first, "--to", tmp_path / "own.graphml").exit_code == 0
    result = cli(trainer, "--data", data, "--graph", tmp_path / "own.graphml", "--output", tmp_path / "run", *SMALL)
    assert result.exit_code == 0, result.output
    assert "own.graphml is the whole network" in result.stdout
    dags = [restore_model(run_folder.find(folder)[0]).dag for folder in (first, tmp_path / "run")]
    assert dags[0].n_edge == dags[1].n_edge
    assert dags[1].names == load_graph(tmp_path / "own.graphml").names


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet", "graphml", "json", "npz"])
def test_every_format_trains(data, tmp_path, suffix):
    graph = named_graphs.random_named(7, closed_inputs=True, odd_names=False)
    save_graph(graph, tmp_path / f"own.{suffix}")
    result = cli("agi", "--data", data, "--graph", tmp_path / f"own.{suffix}", "--output", tmp_path / "run", *SMALL)
    assert result.exit_code == 0, result.output
    names = restore_model(run_folder.find(tmp_path / "run")[0]).dag.names
    assert set(graph.names) <= set(names)


def test_a_square_matrix_trains(data, tmp_path):
    matrix = np.triu(np.random.default_rng(3).normal(size=(9, 9)), 1)
    np.save(tmp_path / "own.npy", matrix)
    scipy.sparse.save_npz(tmp_path / "own.npz", scipy.sparse.csc_matrix(matrix))
    edges = sorted(load_graph(matrix).to_edge_list())
    for name in ("own.npy", "own.npz"):
        assert sorted(load_graph(tmp_path / name).to_edge_list()) == edges
    result = cli("agi", "--data", data, "--graph", tmp_path / "own.npy", "--dry-run", "--log-format", "plain")
    assert result.exit_code == 0, result.output
    assert "own.npy lies between" in result.stdout


@pytest.mark.filterwarnings("default:.*closed a cycle")
def test_what_is_refused_is_one_sentence_and_leaves_no_folder(data, tmp_path):
    cycle, dot, empty = tmp_path / "cycle.csv", tmp_path / "own.dot", tmp_path / "empty.npz"
    cycle.write_text("from,to\na,b\nb,c\nc,a\nc,d\nz,a\n")
    dot.write_text("digraph {}")
    empty.write_bytes(b"")
    for file, code, words in (
        (cycle, 65, "cycle of 3 nodes: "),
        (dot, 65, "suffix '.dot'; graph files end in"),
        (empty, 65, "not a readable SciPy sparse .npz file"),
        (tmp_path / "none.csv", 66, "name a graph file"),
    ):
        for command in (("agi", "--data", data, "--graph", file, "--output", tmp_path / "run"), ("inspect", file)):
            result = cli(*command)
            if command[0] == "inspect" and file is dot:  # no suffix of a graph, so a checkpoint is looked for
                code, words = 66, "give a checkpoint's folder"
            assert result.exit_code == code, result.output
            assert words in result.stderr
            assert result.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
    broken = cli("agi", "--data", data, "--graph", cycle, "--break-cycles", "feedback-arc", "--dry-run")
    assert broken.exit_code == 0, broken.output
    assert "warning: " in broken.stderr


def test_inspect_names_what_is_of_no_use(tmp_path):
    path = tmp_path / "own.csv"
    path.write_text("from,to,weight\na,b,1\nb,c,1\na,dead,1\nlost,c,1\n")
    (tmp_path / "own.nodes.csv").write_text(
        "name,input,output,activation\na,0,,\nb,,,tanh\nc,,0,\ndead,,,relu\nlost,,,relu\nalone,,1,\n"
    )
    facts = json.loads(cli("inspect", path, "--log-format", "json").stdout)["network"]
    assert (facts["nodes"], facts["edges"], facts["levels"]) == (6, 4, 3)
    assert facts["outputs that no input reaches"] == ["alone"]
    assert facts["other nodes that no input reaches"] == ["lost"]
    assert facts["dead nodes (no output depends on them)"] == ["dead"]
    assert facts["activations"] == {"linear": 3, "relu": 2, "tanh": 1}
    assert facts["edges into a node"] == {"least": 0, "median": 1.0, "most": 2}
    parts = facts["bytes while training"]
    assert parts["all"] == sum(parts.values()) - parts["all"]
    assert "predicted" in facts["step time is"]
    measured = cli("inspect", path, "--measure", "--optimizer", "sgd")
    assert "measured: median of" in measured.stdout
    assert "weights, activations" in measured.stdout
    assert "alone" in measured.stdout


def test_inspect_of_a_checkpoint_tells_position_and_network(trained):
    facts = json.loads(cli("inspect", trained, "--log-format", "json").stdout)
    assert facts["network"]["levels"] > 3
    assert facts["position"]["steps"] > 0
    text = cli("inspect", trained).stdout
    assert "bytes while training" in text
    assert "seconds of a step" in text


@pytest.mark.parametrize("suffix", ["graphml", "csv", "parquet", "npz"])
def test_an_export_holds_the_network_with_its_names(trained, tmp_path, suffix):
    result = cli("export", trained, "--to", tmp_path / f"net.{suffix}")
    assert result.exit_code == 0, result.output
    model = restore_model(run_folder.find(trained)[0])
    graph = load_graph(tmp_path / f"net.{suffix}")
    assert sorted(graph.names) == sorted(model.dag.names)
    assert sorted(weight for *_, weight in graph.to_edge_list()) == sorted(np.array(model.dag.weights, float).tolist())
    np.testing.assert_array_equal(np.load(tmp_path / "net.embedding.npy"), model.embedding.weights)
    assert "a text's byte b enters as row b + 1" in result.stdout


def test_an_onnx_export_gives_the_same_outputs(trained, tmp_path):
    assert cli("export", trained, "--to", tmp_path / "net.onnx", "--quiet").exit_code == 0
    dag = restore_model(run_folder.find(trained)[0]).dag
    x = np.random.default_rng(1).normal(size=(5, dag.n_input)).astype(np.float32)
    (y,) = onnx.reference.ReferenceEvaluator(str(tmp_path / "net.onnx")).run(None, {"x": x})
    np.testing.assert_allclose(y, dag.forward(x), atol=1e-5)


def test_exports_that_cannot_be_are_refused(trained, tmp_path):
    result = cli("export", trained, "--to", tmp_path / "net.dot")
    assert result.exit_code == 65
    assert "graph files end in" in result.stderr
    assert cli("export", tmp_path / "none", "--to", tmp_path / "net.csv").exit_code == 66
    assert not list(tmp_path.glob("net*"))


def damage(folder, n_file, seed):
    """Inspect `n_file` damaged files through the command line; returns how many were refused."""
    rng = np.random.default_rng(seed)
    graph = named_graphs.random_named(5, closed_inputs=True, odd_names=False)
    save_graph(graph, folder / "graph.npz")
    np.save(folder / "graph.npy", graph.to_scipy().toarray())
    paths = [*sources(folder), folder / "graph.npz", folder / "graph.npy"]
    originals = [(path, path.read_bytes()) for path in paths]
    refused = 0
    for number in range(n_file):
        path, data = originals[number % len(originals)]
        path.write_bytes(mutated(data, rng))
        result = cli("inspect", path, "--log-format", "json")
        assert result.exit_code in (0, 65), (path, result.output)
        if result.exit_code:
            refused += 1
            assert result.stderr.startswith(f"error: {path}: "), result.stderr
            assert result.stderr.count("\n") == 1, result.stderr
            assert not result.stdout
        else:
            assert json.loads(result.stdout)["network"]["edges"] >= 0
    return refused


def test_damaged_files_end_with_65_or_are_graphs(tmp_path):
    assert len(SUFFIXES) == 6
    assert damage(tmp_path, 120, seed=3) > 30


@pytest.mark.long
def test_ten_thousand_damaged_files_on_the_command_line(tmp_path, figure):
    refused = damage(tmp_path, 10_000, seed=4)
    what = "10,000 damaged graph files of 8 formats through `grapheme-train inspect`"
    figure(what, f"{refused:,} refused with exit code 65, the others graphs")
    assert refused > 3000
