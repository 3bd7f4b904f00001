"""A run that was stopped and resumed ends with the same bits as one that was not."""

import json

import pytest
from runs import Recorder, digest, rows_without_clock, small_data, train

from grapheme_numba.errors import CheckpointError, StoppedEarly, UsageError


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_data(tmp_path_factory.mktemp("data"))


VARIANTS = {
    "adam": {},
    "momentum": {"optimizer": "momentum", "lr": 0.01},
    "epoch": {"accumulate": "epoch", "save_every": 1},
    "forty": {"accumulate": "40"},
    "structural": {"structural_weight": "sqrt1p", "optimizer": "adamw", "weight_decay": 0.1, "lr_schedule": "step"},
}


@pytest.mark.parametrize(
    "variant",
    [name if name in ("epoch", "structural") else pytest.param(name, marks=pytest.mark.long) for name in VARIANTS],
)
def test_resume_from_every_step_gives_the_same_bits(tmp_path, data, variant):
    options = VARIANTS[variant]
    whole = train(data, tmp_path / "whole", **options)
    expected, rows = digest(tmp_path / "whole"), rows_without_clock(tmp_path / "whole")
    assert whole.progress.step >= 3
    for step in range(1, whole.progress.step):
        folder = tmp_path / f"from{step}"
        with pytest.raises(StoppedEarly, match=f"--max-steps {step} is reached.*--resume auto --output"):
            train(data, folder, max_steps=step, threads=1 + step % 2, **options)
        train(data, folder, resume="auto", threads=2 - step % 2)
        assert digest(folder) == expected
        assert rows_without_clock(folder) == rows


@pytest.mark.long
def test_resume_from_each_of_two_hundred_steps(tmp_path, data, figure):
    """Every checkpoint of a 200-step run, taken up in another folder with 1 or 2 threads."""
    train(data, tmp_path / "whole", epochs=50, val_freq=10, save_every=1, keep_last=300)
    expected = digest(tmp_path / "whole")
    folders = sorted((tmp_path / "whole").glob("checkpoint_step_*"))
    assert len(folders) >= 200
    equal = 0
    for number, folder in enumerate(folders):
        output = tmp_path / "again" / folder.name
        train(data, output, resume=str(folder), threads=1 + number % 2, save_every=1000, keep_last=1)
        equal += digest(output) == expected
    figure("resume from every step, 1 or 2 threads", f"{equal} of {len(folders)} end with the same bits")
    assert equal == len(folders)


def test_a_stop_between_two_steps_keeps_the_gradient(tmp_path, data):
    """With one step an epoch, a run stopped after a batch resumes with what it had accumulated."""
    options = {"accumulate": "epoch", "epochs": 2}
    train(data, tmp_path / "whole", **options)

    class StopAfter(Recorder):
        def after_batch(self, run):
            if run.progress.batch == 3:
                run.stop.reason = "the test wants it"

    with pytest.raises(StoppedEarly, match="because the test wants it"):
        train(data, tmp_path / "run", observer=StopAfter(), **options)
    manifest = json.loads((tmp_path / "run" / "checkpoint_last" / "manifest.json").read_text())
    assert manifest["progress"]["batch"] == 3
    assert manifest["progress"]["n_accumulated"] == 48
    train(data, tmp_path / "run", resume="auto")
    assert digest(tmp_path / "run") == digest(tmp_path / "whole")


def test_early_stopping_state_comes_back(tmp_path, data):
    options = {"epochs": 12, "patience": 2, "lr": 0.3, "lr_schedule": "constant", "optimizer": "adam"}
    whole = train(data, tmp_path / "whole", **options)
    assert whole.progress.epoch < 12
    with pytest.raises(StoppedEarly):
        train(data, tmp_path / "run", max_steps=9, **options)
    resumed = train(data, tmp_path / "run", resume="auto")
    assert (resumed.progress.epoch, resumed.progress.n_bad) == (whole.progress.epoch, 2)
    assert digest(tmp_path / "run") == digest(tmp_path / "whole")


def test_a_finished_run_resumes_to_nothing(tmp_path, data):
    train(data, tmp_path / "run", epochs=1)
    before = digest(tmp_path / "run")
    train(data, tmp_path / "run", resume="auto")
    assert digest(tmp_path / "run") == before


def test_what_alters_results_is_refused_and_listed(tmp_path, data):
    with pytest.raises(StoppedEarly):
        train(data, tmp_path / "run", max_steps=2)
    with pytest.raises(
        UsageError, match=r"alter its results: epochs: 3 -> 4; lr: 0.01 -> 0.1; drop them, or add --override"
    ):
        train(data, tmp_path / "run", resume="auto", lr=0.1, epochs=4)
    with pytest.raises(UsageError, match=r"keeps its network, but these differ: hidden: \(16,\) -> \(8,\)"):
        train(data, tmp_path / "run", resume="auto", override=True, hidden=(8,))
    other = small_data(tmp_path / "other", 32)
    with pytest.raises(UsageError, match="not what the run was trained on"):
        train(other, tmp_path / "run", resume="auto")
    run = train(data, tmp_path / "run", resume="auto", override=True, epochs=4, optimizer="sgd")
    assert (run.progress.epoch, run.optimizer.name) == (4, "sgd")


def test_a_folder_with_a_checkpoint_is_refused_with_the_two_ways_on(tmp_path, data):
    train(data, tmp_path / "run", epochs=1)
    with pytest.raises(UsageError, match=r"already holds a checkpoint; resume it with --resume auto, or .*--output"):
        train(data, tmp_path / "run")


def test_resume_auto_starts_fresh_where_there_is_nothing(tmp_path, data):
    recorder = Recorder()
    train(data, tmp_path / "run", resume="auto", observer=recorder, epochs=1, hidden=(16,), fan_in=8)
    assert any("no checkpoint in" in note for note in recorder.notes)
    with pytest.raises(UsageError, match="--resume auto needs to know the run"):
        train(data, "", resume="auto")


def test_a_damaged_newest_checkpoint_falls_back_and_the_bits_are_the_same(tmp_path, data):
    train(data, tmp_path / "whole")
    with pytest.raises(StoppedEarly):
        train(data, tmp_path / "run", save_every=2, max_steps=7)
    (tmp_path / "run" / "checkpoint_last" / "model.safetensors").write_bytes(b"broken")
    recorder = Recorder()
    train(data, tmp_path / "run", resume="auto", observer=recorder)
    assert any("skipped checkpoint_last" in note for note in recorder.notes)
    assert digest(tmp_path / "run") == digest(tmp_path / "whole")


def test_only_damaged_checkpoints_are_an_error(tmp_path, data):
    train(data, tmp_path / "run", epochs=1)
    for manifest in (tmp_path / "run").glob("checkpoint_*/manifest.json"):
        manifest.write_text("{}")
    with pytest.raises(CheckpointError, match="holds no whole checkpoint"):
        train(data, tmp_path / "run", resume="auto")


def test_the_other_trainer_is_named(tmp_path, data):
    train(data, tmp_path / "run", epochs=1)
    with pytest.raises(UsageError, match="is of the trainer 'agi'; use grapheme-train agi"):
        train(data, tmp_path / "run", resume="auto", task="unified")
