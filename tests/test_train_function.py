"""`gn.train`, `gn.load`, `gn.convert`, `gn.open_dataset`: the bits of the command line, history, errors, signals."""

import json
import math
import os
import signal
import threading

import numpy as np
import pytest
from runs import cli, digest, small_data

import grapheme_numba as gn
from grapheme_numba.runs.journal import read_rows
from grapheme_numba.training import callbacks

SMALL = {"hidden": (16,), "fan_in": 8, "epochs": 4, "batch_size": 16, "val_freq": 2, "embedding_dim": 2}
FLAGS = [
    "--hidden",
    "16",
    "--fan-in",
    "8",
    "--epochs",
    "4",
    "--batch-size",
    "16",
    "--val-freq",
    "2",
    "--embedding-dim",
    "2",
    "--quiet",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """A run of `gn.train`."""
    return gn.train("agi", data=data, output=tmp_path_factory.mktemp("runs") / "a", **SMALL)


@pytest.mark.parametrize("task", ["agi", "unified"])
def test_the_function_gives_the_bits_of_the_command_line(tmp_path, data, task):
    gn.train(task, data=data, output=tmp_path / "function", **SMALL)
    done = cli(task, "--data", data, "--output", tmp_path / "command", *FLAGS)
    assert done.exit_code == 0, done.output
    assert digest(tmp_path / "function") == digest(tmp_path / "command")
    files = {path.name for path in (tmp_path / "command").iterdir()}
    assert {path.name for path in (tmp_path / "function").iterdir()} == files


def test_history_folder_and_best_are_those_of_metrics_jsonl(run):
    rows = read_rows(run.folder / "metrics.jsonl")
    epochs = [row for row in rows if row["kind"] == "epoch"]
    validations = {row["epoch"]: row for row in rows if row["kind"] == "validation"}
    np.testing.assert_array_equal(run.history["epoch"], [1, 2, 3, 4])
    np.testing.assert_array_equal(run.history["loss"], [row["loss"] for row in epochs])
    np.testing.assert_array_equal(run.history["loss/math"], [row["domains"]["math"]["loss"] for row in epochs])
    wanted = [validations[epoch]["mse"] if epoch in validations else math.nan for epoch in (1, 2, 3, 4)]
    np.testing.assert_array_equal(run.history["val_loss"], wanted)
    wanted = [validations[e]["domains"]["text"]["exact"] if e in validations else math.nan for e in (1, 2, 3, 4)]
    np.testing.assert_array_equal(run.history["val_exact/text"], wanted)
    assert {len(series) for series in run.history.values()} == {4}
    best = [row for row in validations.values() if row["best"]][-1]
    assert run.best["math"] == best["domains"]["math"]
    assert run.best["all"]["mse"] == best["mse"]


def test_nothing_is_printed_but_by_progress(tmp_path, data, capfd):
    lines = []
    gn.train("agi", data=data, output=tmp_path / "a", progress=lines.append, **SMALL)
    assert capfd.readouterr() == ("", "")
    assert sum(line.startswith("epoch ") for line in lines) == 4
    gn.train("agi", data=data, output=tmp_path / "b", **SMALL)
    assert capfd.readouterr() == ("", "")


def test_callbacks_see_the_run_and_may_stop_it(tmp_path, data):
    states = []

    def follow(state):
        states.append((state.epoch, state.n_epoch, state.step, state.dag.n_edge, len(state.history["loss"])))
        if state.epoch == 2:
            state.stop()

    run = gn.train("agi", data=data, output=tmp_path / "a", callbacks=[follow], **SMALL)
    n_edge = run.model.dag.n_edge
    assert states == [(1, 4, 4, n_edge, 1), (2, 4, 8, n_edge, 2)]
    assert len(run.history["loss"]) == 2
    again = gn.train("agi", data=data, output=tmp_path / "a", resume="auto", **SMALL)
    whole = gn.train("agi", data=data, output=tmp_path / "whole", **SMALL)
    assert digest(again.folder) == digest(whole.folder)
    np.testing.assert_array_equal(again.history["loss"], whole.history["loss"])


def test_errors_name_what_is_wrong(tmp_path, data):
    with pytest.raises(gn.UsageError, match="unknown key 'epohcs' in gn.train; the nearest known key is 'epochs'"):
        gn.train("agi", data=data, output=tmp_path / "a", epohcs=3)
    with pytest.raises(gn.UsageError, match="unknown task 'ago'; choose one of agi, unified"):
        gn.train("ago")
    with pytest.raises(gn.UsageError, match="'shards' in gn.train is now called 'gradient_shards'"):
        gn.train("agi", data=data, output=tmp_path / "a", shards=3)
    with pytest.raises(gn.UsageError, match="epochs in gn.train: Expected `int` >= 1"):
        gn.train("agi", data=data, output=tmp_path / "a", epochs=0)
    with pytest.raises(gn.MissingInputError, match="does not exist"):
        gn.train("agi", data=tmp_path / "nothing", output=tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_limit_raises_after_saving(tmp_path, data):
    with pytest.raises(gn.StoppedEarly, match="step 3 because --max-steps 3 is reached"):
        gn.train("agi", data=data, output=tmp_path / "a", max_steps=3, **SMALL)
    run = gn.train("agi", data=data, output=tmp_path / "a", resume="auto")
    assert len(run.history["loss"]) == 4


def test_ctrl_c_saves_and_a_second_one_interrupts(tmp_path, data):
    """The process lives on in both cases, and the handlers that were there come back."""
    before = signal.getsignal(signal.SIGINT)

    def once(state):
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(gn.StoppedEarly, match="because SIGINT was received"):
        gn.train("agi", data=data, output=tmp_path / "a", callbacks=[once], **SMALL)
    assert (tmp_path / "a" / "checkpoint_last" / "manifest.json").exists()

    def twice(state):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:
        gn.train("agi", data=data, output=tmp_path / "b", callbacks=[twice], **SMALL)
    assert str(caught.value) == ""
    assert signal.getsignal(signal.SIGINT) is before


def test_it_trains_in_another_thread(tmp_path, data, run):
    done = []
    thread = threading.Thread(target=lambda: done.append(gn.train("agi", data=data, output=tmp_path / "a", **SMALL)))
    thread.start()
    thread.join()
    assert digest(done[0].folder) == digest(run.folder)


def test_a_loaded_model_answers_as_the_command_does(tmp_path, data, run):
    questions = [
        {"domain": "math", "input_type": "text", "input": {"text": "7 + 8"}},
        {"id": "q", "domain": "text", "input_type": "text", "input": {"text": "hello"}},
        {"input_type": "sequence", "input": {"values": [1, 2.5, 3]}},
    ]
    answers = gn.load(run.folder).predict(questions)
    assert [(one.id, one.domain) for one in answers] == [("0", "math"), ("q", "text"), ("2", "timeseries")]
    assert all(0 <= one.confidence <= 1 for one in answers)
    file = tmp_path / "questions.jsonl"
    file.write_text("".join(json.dumps({"id": str(n), **one}) + "\n" for n, one in enumerate(questions)))
    assert gn.load(run.folder).predict(file) == answers
    said = [json.loads(line) for line in cli("predict", run.folder, "--input", file).stdout.splitlines()]
    assert said == [{k: v for k, v in one._asdict().items() if v is not None} for one in answers]


def test_a_question_without_an_answer_is_an_error_or_kept(run):
    model = run.model
    good = {"domain": "math", "input_type": "text", "input": {"text": "7 + 8"}}
    bad = {"domain": "music", "input_type": "text", "input": {"text": "la"}}
    with pytest.raises(gn.RecordError, match=r"the questions, line 2: domain 'music' is unknown .*refusals='keep'"):
        model.predict([good, bad])
    kept = model.predict([bad, good], refusals="keep")
    assert ("music" in kept[0].reason, kept[1].domain) == (True, "math")
    with pytest.raises(gn.UsageError, match="questions must be a list of dicts"):
        model.predict(good)
    with pytest.raises(gn.UsageError, match="question 0 does not go into JSON"):
        model.predict([{"id": {1, 2}, "input": object()}])
    with pytest.raises(gn.UsageError, match="refusals = 'drop'; choose"):
        model.predict([good], refusals="drop")
    with pytest.raises(gn.MissingInputError, match="the input nothing.jsonl does not exist"):
        model.predict("nothing.jsonl")


def test_a_loaded_model_is_evaluated_as_the_command_does(data, run):
    found = gn.load(run.folder / "checkpoint_last").evaluate(data / "test.jsonl")
    done = cli("evaluate", run.folder / "checkpoint_last", "--data", data / "test.jsonl", "--log-format", "json")
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert {one.pop("domain"): one for one in said} == found
    assert found == gn.load(run.folder / "checkpoint_last" / "model.safetensors").evaluate(data / "test.jsonl")


def test_load_says_what_is_missing(tmp_path):
    with pytest.raises(gn.MissingInputError, match="does not exist; give a checkpoint's folder or a run's folder"):
        gn.load(tmp_path / "nothing")


def test_a_damaged_best_checkpoint_is_passed_over_with_a_warning(tmp_path, data):
    run = gn.train("agi", data=data, output=tmp_path / "a", **SMALL)
    (run.folder / "checkpoint_best" / "model.safetensors").write_bytes(b"x")
    with pytest.warns(UserWarning, match="skipped checkpoint_best: .*is damaged"):
        assert gn.load(run.folder).folder == run.folder / "checkpoint_last"


def test_data_is_converted_and_streamed_for_a_model(tmp_path, data, run):
    done = gn.convert(data / "train.jsonl", tmp_path / "all", shards=2)
    assert (done.rows_in, done.rows_out, done.rejects, len(done.outputs)) == (64, 64, 0, 2)
    batches = list(gn.open_dataset(tmp_path / "all").batches(run.model.layout, 24, seed=0))
    assert [len(batch.ids) for batch in batches] == [24, 24, 16]
    bad = tmp_path / "bad.jsonl"
    bad.write_text((data / "train.jsonl").read_text() + "{}\n")
    with pytest.raises(gn.RecordError, match=r"1 of 65 lines were refused, 0 are tolerated \(max_rejects\)"):
        gn.convert([bad], tmp_path / "bad.parquet")
    assert gn.convert([bad], tmp_path / "bad.parquet", max_rejects=1).rejects == 1
    with pytest.raises(gn.UsageError, match="shards and rows_per_file say the same"):
        gn.convert(bad, tmp_path / "x", shards=2, rows_per_file=3)


def test_ready_callbacks_write_what_they_follow(tmp_path, data, capsys):
    made = [callbacks.CSVLogger(tmp_path / "h.csv"), callbacks.ProgressBar(), callbacks.TensorBoard(tmp_path / "tb")]
    run = gn.train("agi", data=data, output=tmp_path / "a", callbacks=made, **SMALL)
    header, *rows = [line.split(",") for line in (tmp_path / "h.csv").read_text().splitlines()]
    assert [float(row[header.index("loss")]) for row in rows] == run.history["loss"].tolist()
    assert rows[0][header.index("val_loss")] == ""
    assert float(rows[1][header.index("val_loss")]) == run.history["val_loss"][1]
    assert capsys.readouterr().err.endswith(f"4/4  loss {run.history['loss'][3]:.4g}"
                                            f"  val_loss {run.history['val_loss'][3]:.4g}\n")  # fmt: skip
    assert [path for path in (tmp_path / "tb").iterdir() if path.stat().st_size > 100]
    with pytest.raises(gn.OutputError, match="give CSVLogger another path"):
        callbacks.CSVLogger(tmp_path / "no" / "h.csv")(callbacks.TrainingState(1, 1, 1, None))


@pytest.mark.parametrize(
    ("series", "epochs"), [([3, 2, 1, 0], 4), ([3, 2, 2, 2, 1], 4), ([1, 2, 0.5, 3, 3], 5), ([2, math.nan, 3, 4], 4)]
)
def test_early_stopping_counts_measurements_without_a_better_one(series, epochs):
    stopping = callbacks.EarlyStopping(patience=2)
    for epoch in range(1, len(series) + 1):
        state = callbacks.TrainingState(epoch, len(series), epoch, None, {"val_loss": series[:epoch]})
        stopping(state)
        if state.stopped:
            break
    assert epoch == epochs
    with pytest.raises(gn.UsageError, match="patience is 0; give at least 1"):
        callbacks.EarlyStopping(0)


def test_a_checkpoint_callback_saves_when_it_gets_better(tmp_path):
    class Network:
        saved = 0

        def save(self, path):
            self.saved += 1

    network, keep = Network(), callbacks.Checkpoint(tmp_path / "n.safetensors")
    for epoch, loss in enumerate([3.0, math.nan, 4.0, 2.0], 1):
        keep(callbacks.TrainingState(epoch, 4, epoch, network, {"val_loss": [loss]}))
    assert network.saved == 2


@pytest.mark.parametrize(("name", "library"), [("MLflow", "mlflow"), ("WandB", "wandb")])
def test_a_missing_library_is_named_with_its_remedy(monkeypatch, name, library):
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(gn.UsageError, match=f"pip install {library}"):
        getattr(callbacks, name)()


@pytest.mark.parametrize(("name", "library"), [("MLflow", "mlflow"), ("WandB", "wandb")])
def test_loggers_get_the_numbers_of_each_epoch(monkeypatch, name, library):
    """The library stands in for itself with the one function that is called."""
    calls = []

    class Library:
        log = staticmethod(lambda values, step: calls.append((values, step)))
        log_metrics = log

    monkeypatch.setitem(__import__("sys").modules, library, Library)
    getattr(callbacks, name)()(
        callbacks.TrainingState(2, 4, 8, None, {"loss": [2.0, 1.0], "val_loss": [3.0, math.nan]})
    )
    assert calls == [({"loss": 1.0}, 2)]
