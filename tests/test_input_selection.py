"""Input selection: which inputs stay, how it is told, and that nothing but data, options and seed decides."""

import copy
import json
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from ranks import job
from runs import Recorder, cli, digest, train
from sklearn.base import clone
from test_evolving import Stopper

from grapheme_numba import jit
from grapheme_numba.errors import StoppedEarly, UsageError
from grapheme_numba.estimators import DagClassifier, DagRegressor
from grapheme_numba.network.dagnn import DagNN
from grapheme_numba.report.reporter import stored_facts
from grapheme_numba.training import input_selection
from grapheme_numba.training.input_selection import selected_inputs

QUICK = {"hidden": (12,), "max_iter": 8, "random_state": 0}
N_TRUE = 4


@pytest.fixture(scope="module")
def needles():
    """Four columns that make the classes, not all of them alone, among thirty."""
    X = np.random.default_rng(3).normal(size=(400, 30))
    y = (X[:, 0] - X[:, 1] + X[:, 2] * np.abs(X[:, 3]) + X[:, 3] > 0).astype(int)
    return pd.DataFrame(X, columns=[f"gene {i}" for i in range(30)]), y


TRUE = {f"gene {i}" for i in range(N_TRUE)}


def test_the_inputs_that_inform_stay_and_are_named(needles):
    X, y = needles
    found = DagClassifier(select_inputs=N_TRUE, **QUICK).fit(X, y)
    assert set(found.selected_inputs_) == TRUE
    assert found.columns_.tolist() == [0, 1, 2, 3]
    assert found.network_.n_input == N_TRUE
    assert found.n_features_in_ == 30
    changed = X.copy()
    changed[[name for name in X if name not in TRUE]] = 1e3
    np.testing.assert_array_equal(found.predict_proba(changed), found.predict_proba(X))
    unnamed = DagClassifier(select_inputs=N_TRUE, **QUICK).fit(X.to_numpy(), y)
    assert unnamed.selected_inputs_.tolist() == ["x0", "x1", "x2", "x3"]
    assert DagClassifier(**QUICK).fit(X, y).selected_inputs_.tolist() == list(X)


def test_auto_takes_the_number_that_answers_held_out_rows_best(needles):
    X, y = needles
    found = DagClassifier(select_inputs="auto", **{**QUICK, "max_iter": 30}).fit(X, y)
    scores = found.selection_scores_
    assert list(scores) == input_selection.numbers_tried(30)[: len(scores)]
    best = max(scores.values())
    assert len(found.selected_inputs_) == min(n for n, score in scores.items() if score == best)
    assert len(found.selected_inputs_) < 20
    assert TRUE - set(found.selected_inputs_) == set() or len(found.selected_inputs_) < N_TRUE


def test_numbers_tried_rise_to_all_and_end_when_more_is_no_better():
    assert input_selection.numbers_tried(600) == [5, 7, 10, 15, 20, 25, 75, 150, 300, 600]
    assert input_selection.numbers_tried(30) == [3, 5, 7, 10, 15, 20, 25, 30]
    assert input_selection.numbers_tried(1) == [1]
    asked = []

    def score(columns, learn, held):
        asked.append(len(columns))
        return -abs(len(columns) - 10)

    found = input_selection.select(random_examples(600), "auto", score, 0)
    assert len(found.kept) == 10
    assert sorted(set(asked)) == [5, 7, 10, 15, 20, 25]
    assert found.scores == {n: -abs(n - 10) for n in sorted(set(asked))}


def test_of_numbers_with_one_score_the_smallest_is_kept():
    found = input_selection.select(random_examples(40), "auto", lambda columns, learn, held: 0.5, 0)
    assert len(found.kept) == 5


def random_examples(n_input, n=40, column=None):
    rng = np.random.default_rng(0)
    x, key = rng.normal(size=(n, n_input)), rng.integers(0, 3, n)

    def loss(y, rows):
        return float((y**2).sum() / 2), y.copy()

    column = np.arange(n_input) if column is None else column
    return input_selection.Examples(lambda rows: x[rows], loss, key, np.ones(n), column, 2, "float64")


def test_strength_is_the_norm_of_outgoing_weights_and_columns_have_that_of_their_strongest_input():
    dag = DagNN.from_edges([0, 0, 1, 2, 3], [3, 4, 3, 4, 4], inputs=[0, 1, 2], outputs=[4], weights=[3, 4, -6, 2, 50])
    np.testing.assert_allclose(input_selection.strengths(dag, np.array([0, 1, 2])), [5, 6, 2])
    np.testing.assert_allclose(input_selection.strengths(dag, np.array([0, 1, 0])), [5, 6])


def test_columns_of_several_inputs_go_as_a_whole():
    column = np.repeat(np.arange(5), [1, 3, 1, 4, 1])
    order = input_selection.strongest(random_examples(10, column=column), np.arange(40), 2, 0)
    assert sorted(order.tolist()) == [0, 1, 2, 3, 4]


def test_inputs_go_on_a_cubic_schedule():
    left = [input_selection.inputs_left(share, 600, 7) for share in (0, 0.2, 0.4, 0.8, 1)]
    assert left == [600, 7 + round(593 * 0.75**3), 7 + round(593 * 0.125), 7, 7]


def test_edges_that_stay_keep_weights_and_moments():
    dag = DagNN.layered([4, 5, 2], 4, seed=1)
    moment = np.arange(dag.n_edge + dag.n_node, dtype=np.float32)
    smaller, (kept,) = input_selection.without_columns(dag, np.array([True, False, True, False]), [moment])
    arrays, old = smaller.topology(), dag.topology()
    edges = {(s, r): i for i, (s, r) in enumerate(zip(old["senders"], old["receivers"], strict=True))}
    places = [edges[pair] for pair in zip(arrays["senders"], arrays["receivers"], strict=True)]
    assert set(arrays["senders"]).isdisjoint(old["inputs"][[1, 3]])
    assert smaller.n_edge == dag.n_edge - sum(s in old["inputs"][[1, 3]] for s in old["senders"])
    np.testing.assert_array_equal(smaller.weights, np.asarray(dag.weights)[places])
    before = dag.to_caller_order(moment)
    np.testing.assert_array_equal(smaller.to_caller_order(kept)[: len(places)], before[places])


@pytest.mark.parametrize("n", [2, 3, 7, 90])
def test_every_row_is_held_out_once_and_classes_are_spread(n):
    key = np.random.default_rng(n).integers(0, 3, n)
    parts = input_selection.folds(key, 0)
    assert sorted(np.concatenate([held for _, held in parts]).tolist()) == list(range(n))
    for learn, held in parts:
        assert set(learn) | set(held) == set(range(n))
        assert set(learn).isdisjoint(held)
        for one in range(3):
            assert abs((key[held] == one).sum() - (key == one).sum() / 3) <= 1


@pytest.mark.parametrize("wanted", [6, "auto"])
def test_threads_copies_and_calls_change_nothing(needles, threads, wanted):
    X, y = needles
    found = []
    for number in (1, 2):
        threads(number)
        found.append(DagClassifier(select_inputs=wanted, **QUICK).fit(X, y))
    again = clone(found[0]).fit(X, y)
    for other in (found[1], again, pickle.loads(pickle.dumps(found[0])), copy.deepcopy(found[0])):
        assert other.selected_inputs_.tolist() == found[0].selected_inputs_.tolist()
        np.testing.assert_array_equal(other.network_.parameters, found[0].network_.parameters)
        np.testing.assert_array_equal(other.predict_proba(X), found[0].predict_proba(X))


def test_warm_start_keeps_the_inputs_and_partial_fit_wants_a_fit_first(needles):
    X, y = needles
    with pytest.raises(UsageError, match="select_inputs needs all examples at once.*call fit first"):
        DagClassifier(select_inputs=5, **QUICK).partial_fit(X, y)
    found = DagClassifier(select_inputs=5, warm_start=True, **QUICK).fit(X, y)
    kept, n_epoch = found.selected_inputs_.tolist(), found.n_iter_
    found.fit(X.iloc[::-1], y[::-1]).partial_fit(X, y)
    assert found.selected_inputs_.tolist() == kept
    assert found.n_iter_ == 2 * n_epoch + 1
    with pytest.raises(UsageError, match="select_inputs is 7 now, but the fitted network was made with 5"):
        found.set_params(select_inputs=7).fit(X, y)


@pytest.mark.parametrize("options", [{"density": 0.3}, {"evolve": "set"}, {"evolve": "rigl", "density": 0.5}])
@pytest.mark.parametrize("wanted", [5, "auto"])
def test_it_composes_with_pruning_and_drop_and_grow(needles, options, wanted):
    X, y = needles
    found = DagClassifier("dense", select_inputs=wanted, **QUICK, **options).fit(X, y)
    n_input = len(found.selected_inputs_)
    full = n_input * 12 + 12 * 2
    assert found.network_.n_input == n_input
    assert found.network_.n_edge <= round(full * options.get("density", 1))
    assert found.score(X, y) > 0.65


def test_regressors_and_sparse_tables_select_as_well():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 20)) * (rng.random((300, 20)) < 0.6)
    Y = np.column_stack([X[:, 2] - 2 * X[:, 7], X[:, 7] + X[:, 11]])
    dense = DagRegressor(select_inputs=3, **QUICK).fit(X, Y)
    assert dense.columns_.tolist() == [2, 7, 11]
    sparse = DagRegressor(select_inputs=3, **QUICK).fit(scipy.sparse.csr_array(X), Y)
    assert sparse.columns_.tolist() == [2, 7, 11]
    assert DagRegressor(select_inputs="auto", **{**QUICK, "max_iter": 40}).fit(X, Y).score(X, Y) > 0.8


def test_weights_and_class_weights_count(needles):
    X, y = needles
    rows, repeated = np.arange(len(y)), np.repeat(np.arange(len(y)), 1 + (np.arange(len(y)) < 20))
    heavy = DagClassifier(select_inputs=5, **QUICK).fit(X, y, sample_weight=np.where(rows < 200, 1.0, 0.0))
    alone = DagClassifier(select_inputs=5, **QUICK).fit(X.iloc[:200], y[:200])
    assert heavy.selected_inputs_.tolist() == alone.selected_inputs_.tolist()
    found = DagClassifier(select_inputs="auto", class_weight="balanced", **QUICK).fit(X.iloc[repeated], y[repeated])
    assert found.score(X, y) > 0.7


def test_what_cannot_be_selected_is_refused(needles):
    X, y = needles
    for wrong in (0, -1, 2.5, "all", True, [3]):
        with pytest.raises(UsageError, match="give how many inputs to keep, at least 1, or 'auto'"):
            DagClassifier(select_inputs=wrong, **QUICK).fit(X, y)
    with pytest.raises(UsageError, match="31 inputs are to be selected, but there are 30"):
        DagClassifier(select_inputs=31, **QUICK).fit(X, y)
    edges = np.array([[0, 1], [2, 2]])
    with pytest.raises(UsageError, match="needs a network that fits any number of inputs; give topology as one of"):
        DagClassifier(DagNN.from_edges(*edges, inputs=[0, 1], outputs=[2]), select_inputs=1, **QUICK).fit(X, y)


# --- trainers -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table(needles, tmp_path_factory):
    X, y = needles
    path = tmp_path_factory.mktemp("table") / "cells.csv"
    rows = X.assign(town=np.where(X["gene 1"] > 0, "Oslo", "Rome"), kind=np.where(y, "ill", "well"))
    rows.to_csv(path, index=False)
    return path


OPTIONS = {"target": "kind", "epochs": 4, "hidden": (12,), "val_freq": 1}


@pytest.mark.parametrize("task", ["agi", "unified"])
@pytest.mark.parametrize("wanted", [5, "auto"])
def test_a_run_reads_the_columns_that_it_selected(table, tmp_path, task, wanted):
    heard = Recorder()
    brain = {"brain": {"cells": (32, 2)}} if task == "unified" else {}
    run = train(table, tmp_path / "run", task=task, select_inputs=wanted, observer=heard, **OPTIONS, **brain)
    (kept,) = selected_inputs(run.model.layout, run.config).values()
    assert len(kept) == 5 or wanted == "auto"
    assert TRUE - {"gene 1"} < set(kept)  # the town says nearly what gene 1 says
    sentence = f"cells: selected inputs are {len(kept)} of 31 columns: {', '.join(kept)}"
    assert any(note.startswith(sentence) and ("held-out score" in note) == (wanted == "auto") for note in heard.notes)
    shown = cli("inspect", tmp_path / "run")
    assert f"selected inputs of cells: {len(kept)}: {', '.join(kept)}" in shown.stdout
    (domain,) = json.loads(cli("inspect", tmp_path / "run", "--log-format", "json").stdout)["domains"]
    assert domain["selected_inputs"] == kept
    facts = dict(stored_facts(tmp_path / "run")["data"])
    assert facts["selected inputs of cells"] == f"{len(kept)}: {', '.join(kept)}"
    new = tmp_path / "new.csv"
    pd.read_csv(table)[kept].to_csv(new, index=False)  # no other column is asked for
    answered = cli("predict", tmp_path / "run", "--input", new, "--output", tmp_path / "out.csv")
    assert answered.exit_code == 0, answered.stderr
    assert set(pd.read_csv(tmp_path / "out.csv")["answer"]) == {"ill", "well"}


@pytest.mark.parametrize("more", [{}, {"evolve": "set", "evolve_every": 2}, {"prune_to": 0.4, "evolve_every": 2}])
def test_a_stopped_run_with_selected_inputs_ends_with_the_same_bits(table, tmp_path, threads, more):
    options = {**OPTIONS, **more, "select_inputs": 5}
    whole = train(table, tmp_path / "whole", threads=1, **options)
    for part in range(40):
        jit.set_threads(1 + part % 2)
        first = {} if part else options
        try:
            train(
                table, tmp_path / "parts", resume="auto" if part else "never", stop=Stopper(after=15),
                threads=1 + part % 2, **first,
            )  # fmt: skip
        except StoppedEarly:
            continue
        break
    assert part > 1
    assert digest(tmp_path / "parts") == digest(tmp_path / "whole")
    assert whole.progress.n_moved > 0 or "evolve" not in more


@pytest.mark.parametrize("wanted", ["5", "auto"])
def test_ranks_select_what_one_process_selects(table, tmp_path, wanted):
    """Rank 0 decides; with it the run of 2 ranks has the bits of one process."""
    said = []
    for n_rank in (1, 2):
        given = ("--data", table, "--target", "kind", "--select-inputs", wanted, "--gradient-shards", 2, "--epochs", 2)
        done = job(n_rank, "agi", "--output", tmp_path / str(n_rank), *given, "--hidden", 12, "--threads", 1)
        assert done.returncode == 0, done.stderr
        said.append([line for line in done.stdout.splitlines() if line.startswith("cells: selected inputs are ")])
    assert len(said[0]) == 1
    assert said[0] == said[1]
    assert digest(tmp_path / "2") == digest(tmp_path / "1")


def test_options_of_a_run_that_cannot_be_are_refused(table, tmp_path):
    from runs import small_data

    given = ["--data", table, "--target", "kind", "--output", tmp_path / "run"]
    for wrong in ("0", "half", "-3"):
        result = cli("agi", *given, "--select-inputs", wrong)
        assert result.exit_code == 2
        assert "wants a whole number of at least 1, or auto" in result.stderr
    result = cli("agi", *given, "--select-inputs", "99")
    assert result.exit_code == 2
    assert "select_inputs is 99, but the data has 31 columns to learn from" in result.stderr
    result = cli("agi", "--data", small_data(tmp_path / "mixed"), "--output", tmp_path / "run", "--select-inputs", "3")
    assert result.exit_code == 2
    assert "there is no table among the data" in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_brain_alone_reads_the_same_columns(table, tmp_path):
    options = ["--target", "kind", "--epochs", "2", "--hidden", "8", "--select-inputs", "4", "--brain", "cells=32,2"]
    result = cli("unified", "--data", table, "--output", tmp_path / "run", "--compare-single", *options)
    assert result.exit_code == 0, result.stderr
    whole, alone = (
        json.loads(cli("inspect", folder, "--log-format", "json").stdout)["domains"][0]["selected_inputs"]
        for folder in (tmp_path / "run", tmp_path / "run" / "alone" / "cells")
    )
    assert whole == alone
