"""Runs whose edges move and go: exact resume, any number of shards, rollback, and what checkpoints hold."""

import json

import msgspec
import numpy as np
import pytest
import ranks
from click.testing import CliRunner
from runs import Recorder, digest, small_data, train

from grapheme_numba import jit
from grapheme_numba.cli.train import main
from grapheme_numba.errors import StoppedEarly
from grapheme_numba.runs import checkpoint as checkpoints
from grapheme_numba.runs.journal import read_rows
from grapheme_numba.training import sparse_training

MOVING = {"evolve": "set", "evolve_every": 2, "hidden": (16, 16)}
WAYS = {
    "set": MOVING,
    "rigl": {**MOVING, "evolve": "rigl"},
    "rigl, a step an epoch": {**MOVING, "evolve": "rigl", "evolve_every": 1, "accumulate": "epoch"},
    "rigl in shards": {**MOVING, "evolve": "rigl", "gradient_shards": 3},
    "pruned": {**MOVING, "evolve": "none", "prune_to": 0.3},
    "pruned and moved": {**MOVING, "prune_to": 0.4, "optimizer": "momentum"},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_data(tmp_path_factory.mktemp("data"))


def joined(folder):
    """Every edge of the newest checkpoint as (sender, receiver)."""
    topology = checkpoints.read(folder / "checkpoint_last").topology
    return set(zip(topology["senders"].tolist(), topology["receivers"].tolist(), strict=True))


@pytest.mark.parametrize("how", WAYS)
def test_a_run_that_was_stopped_anywhere_ends_with_the_same_bits(data, tmp_path, threads, how):
    """Stopped after each few batches, resumed with another number of threads."""
    config = {**WAYS[how], "epochs": 4}
    whole = train(data, tmp_path / "whole", **config)
    assert whole.progress.n_moved > 0 or config["evolve"] == "none"
    pieces = tmp_path / "pieces"
    for part in range(40):
        jit.set_threads(1 + part % 2)
        stopped = Stopper(after=3)
        try:
            train(
                data, pieces, resume="auto" if part else "never", stop=stopped,
                **({} if part else config), threads=1 + part % 2,
            )  # fmt: skip
        except StoppedEarly:
            continue
        break
    assert part > 2
    assert digest(pieces) == digest(tmp_path / "whole")
    assert joined(pieces) == joined(tmp_path / "whole")


class Stopper:
    """A request to stop that comes after so many batches; the rest of `StopRequest` that a run asks for."""

    def __init__(self, after):
        from grapheme_numba.signals import StopRequest

        self.inner, self.left = StopRequest(), after

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def due(self):
        self.left -= 1
        return "the test stops it" if self.left < 0 else None


def test_edges_move_early_and_rest_late(data, tmp_path):
    run = train(data, tmp_path / "run", epochs=8, **MOVING)
    moved = [row["n_moved"] for row in read_rows(tmp_path / "run" / "metrics.jsonl") if row["kind"] == "epoch"]
    assert moved[0] > 0
    assert moved == sorted(moved)
    assert moved[-1] == moved[int(8 * sparse_training.UNTIL)]
    still = train(data, tmp_path / "still", epochs=8, **{**MOVING, "evolve": "none"})
    assert still.model.dag.n_edge == run.model.dag.n_edge
    assert joined(tmp_path / "still") != joined(tmp_path / "run")
    assert "n_moved" not in read_rows(tmp_path / "still" / "metrics.jsonl")[0]


def test_pruning_ends_with_the_density_asked_for(data, tmp_path):
    full = train(data, tmp_path / "full", epochs=1, hidden=(16, 16)).model.dag.n_edge
    run = train(data, tmp_path / "run", epochs=6, hidden=(16, 16), prune_to=0.25)
    assert 0.2 * full < run.model.dag.n_edge <= round(0.25 * full)
    checkpoint = checkpoints.read(tmp_path / "run" / "checkpoint_last")
    assert checkpoint.parameters.size == run.model.parameters.size
    assert checkpoints.restore_model(checkpoint).dag.n_edge == run.model.dag.n_edge
    edges = [row["n_edge"] for row in read_rows(tmp_path / "run" / "metrics.jsonl") if row["kind"] == "epoch"]
    assert edges == sorted(edges, reverse=True)


@pytest.mark.parametrize("method", ["set", "rigl"])
def test_moments_of_edges_that_moved_begin_at_zero(data, tmp_path, method):
    run = train(data, tmp_path / "run", epochs=1, hidden=(16, 16))
    before = run.model.to_caller_order(run.state.moments["mu"])
    arrays = run.model.topology()
    run.config = msgspec.structs.replace(run.config, evolve=method, evolve_every=1)
    run.progress.batch, run.progress.epoch, run.progress.step, run.n_step = 1, 0, 1, 100
    sparse_training.after_step(run, None)
    after, new = run.model.to_caller_order(run.state.moments["mu"]), run.model.topology()
    moved = (arrays["senders"] != new["senders"]) | (arrays["receivers"] != new["receivers"])
    assert moved.sum() == run.progress.n_moved > 0
    assert not after[: len(moved)][moved].any()
    np.testing.assert_array_equal(after[: len(moved)][~moved], before[: len(moved)][~moved])
    np.testing.assert_array_equal(after[len(moved) :], before[len(moved) :])
    assert not run.model.gradients.any()


def test_a_rollback_takes_the_topology_back_too(data, tmp_path):
    """A fault after edges have moved since the newest checkpoint."""

    runs, topologies = [], []

    def break_late(run):
        original, calls = run.model.loss, []

        def loss(batch, *rest):
            def loss_of(y):
                calls.append(1)  # the first one warms up
                result, gy = original(batch, *rest)(y)
                return (result._replace(loss=result.loss * np.nan) if len(calls) == 11 else result), gy

            return loss_of

        run.model.loss = loss
        runs.append(run)

    class Witness(Recorder):
        def note(self, text):
            super().note(text)
            if "went back to step 5" in text:
                kept = checkpoints.read(tmp_path / "run" / "checkpoint_last").topology
                topologies.append((kept, runs[0].model.topology(), runs[0].progress.n_moved))

    config = {**MOVING, "epochs": 4, "nan_policy": "rollback", "save_every": 5}
    run = train(data, tmp_path / "run", observer=Witness(), before=break_late, **config)
    ((kept, taken_up, n_moved),) = topologies
    assert n_moved > 0
    for name, array in taken_up.items():
        np.testing.assert_array_equal(kept[name], array)
    assert run.finished()
    assert run.progress.n_moved > n_moved


def test_the_command_line_takes_it(data, tmp_path):
    arguments = f"agi --data {data} --output {tmp_path / 'run'} --hidden 16 --fan-in 8 --epochs 4 --embedding-dim 2"
    arguments += (
        " --batch-size 16 --evolve rigl --evolve-fraction 0.3 --evolve-every 3 --prune-to 0.5 --log-format json"
    )
    result = CliRunner().invoke(main, arguments.split())
    assert result.exit_code == 0, result.output
    epochs = [json.loads(line) for line in result.stdout.splitlines()]
    last = [row for row in epochs if row["kind"] == "epoch"][-1]
    start = next(row for row in epochs if row["kind"] == "start")
    assert last["n_moved"] > 0
    assert last["n_edge"] <= 0.5 * start["n_edge"] + 1
    for flag, value in (("--evolve-fraction", "1.5"), ("--prune-to", "0"), ("--evolve", "grow")):
        refused = CliRunner().invoke(main, ["agi", "--output", str(tmp_path / "other"), flag, value])
        assert refused.exit_code == 2, refused.output
        assert not (tmp_path / "other").exists()


def test_the_bits_do_not_depend_on_the_ranks(data, tmp_path):
    """RigL and pruning on one and on two ranks, from scratch."""
    for n_rank in (1, 2):
        options = "--epochs 2 --batch-size 16 --gradient-shards 3 --evolve rigl --evolve-every 2 --prune-to 0.6"
        given = ("--data", data, "--output", tmp_path / str(n_rank), *ranks.SMALL, *options.split())
        done = ranks.job(n_rank, "agi", *given)
        assert done.returncode == 0, done.stderr
    assert digest(tmp_path / "1") == digest(tmp_path / "2")
    assert joined(tmp_path / "1") == joined(tmp_path / "2")
    rows = read_rows(tmp_path / "2" / "metrics.jsonl")
    assert max(row.get("n_moved", 0) for row in rows) > 0
