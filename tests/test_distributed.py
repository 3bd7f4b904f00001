"""Training on several ranks: the same bits as on one, and one voice when something goes wrong."""

import json
import os
import shutil
import signal
import subprocess
import time

import pytest
from ranks import MPIEXEC, SMALL, command, environment, job, ranks_of
from runs import digest, small_data

from grapheme_numba.distributed.processes import shared_files
from grapheme_numba.runs.journal import read_rows

CLOCKS = ("seconds", "examples_per_s", "check")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """96 examples, converted once."""
    return small_data(tmp_path_factory.mktemp("data"), 96)


def figures(folder):
    """The rows of metrics.jsonl but for what a clock measures."""
    return [{k: v for k, v in row.items() if k not in CLOCKS} for row in read_rows(folder / "metrics.jsonl")]


def same_bits(task, ranks, folder, *options):
    """Train on each number of ranks; one digest and the same figures must come out."""
    for n_rank in ranks:
        done = job(n_rank, task, "--output", folder / str(n_rank), *SMALL, *options)
        assert done.returncode == 0, done.stderr
    assert len({digest(folder / str(n_rank)) for n_rank in ranks}) == 1
    for n_rank in ranks:
        assert figures(folder / str(n_rank)) == figures(folder / str(ranks[0]))


def test_agi_gives_the_same_bits_on_one_and_two_ranks(tmp_path, data):
    """23 examples a batch divide by nothing; the last batch of 96 has 4, fewer than some shards need."""
    options = ("--data", data, "--epochs", 2, "--batch-size", 23, "--val-freq", 1, "--gradient-shards", 8)
    same_bits("agi", (1, 2), tmp_path, *options)


@pytest.mark.long
@pytest.mark.parametrize("task", ["agi", "unified"])
@pytest.mark.parametrize("options", [(), ("--accumulate", "40"), ("--nan-policy", "skip", "--gradient-shards", "11")])
def test_the_bits_do_not_depend_on_the_ranks(tmp_path, data, task, options, figure):
    more = ("--data", data, "--epochs", 3, "--batch-size", 23, "--val-freq", 1, "--gradient-shards", 8, *options)
    same_bits(task, (1, 2, 3, 4, 8), tmp_path, *more)
    figure(f"{' '.join((task, *options))} on 1, 2, 3, 4 and 8 ranks", "1 SHA-256")


@pytest.mark.long
def test_threads_and_ranks_together_change_nothing(tmp_path, data):
    options = ("--data", data, "--epochs", 2, "--batch-size", 30, "--gradient-shards", 4)
    for name, n_rank, threads in (("one", 1, 2), ("two", 2, 2), ("four", 4, 1)):
        done = job(n_rank, "agi", "--output", tmp_path / name, *SMALL, *options, "--threads", threads)
        assert done.returncode == 0, done.stderr
    assert len({digest(tmp_path / name) for name in ("one", "two", "four")}) == 1


def test_bad_data_on_many_ranks_is_said_once(tmp_path, data):
    bad = shutil.copytree(data, tmp_path / "bad", ignore=shutil.ignore_patterns(".grapheme_cache"))
    with (bad / "train.jsonl").open("a") as file:
        file.write('{"id": 3\n')
    done = job(2, "agi", "--data", bad, "--output", tmp_path / "run", *SMALL)
    assert done.returncode == 65
    assert done.stderr.count("error:") == 1
    assert "train.jsonl, line 97: not JSON" in done.stderr


def test_more_ranks_than_shards_is_refused(tmp_path, data):
    done = job(2, "agi", "--data", data, "--output", tmp_path / "run", "--gradient-shards", "1", *SMALL)
    assert done.returncode == 2
    assert done.stderr.count("there are 2 ranks, but the run has 1 gradient shards to give them") == 1
    assert not (tmp_path / "run").exists()


def start(folder, data, n_rank, *options):
    """A long job in the background, once its first checkpoint is there."""
    words = command(n_rank, "agi", "--data", data, "--output", folder, *SMALL, "--epochs", 5000, *options)
    process = subprocess.Popen(words, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (folder / "checkpoint_last" / "manifest.json").exists():
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        os.sched_yield()
    return process, ranks_of(process.pid)


@pytest.mark.parametrize("lost", [0, 1])
def test_a_killed_rank_ends_all_and_is_named(tmp_path, data, lost):
    folder = tmp_path / "run"
    process, ranks = start(folder, data, 2, "--gradient-shards", "4", "--val-freq", "1000")
    assert sorted(ranks) == [0, 1]
    shared = shared_files(ranks.values())
    assert shared
    began = time.monotonic()
    os.kill(ranks[lost], signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - began < 10
    assert not any(map(os.path.exists, shared))
    assert f"rank {lost} (process {ranks[lost]}" in said
    assert f"resume from {folder}/checkpoint_last with: {MPIEXEC} -n 2 grapheme-train agi --resume auto" in said
    assert not any(os.path.exists(f"/proc/{one}") for one in ranks.values())
    # what is left resumes on another number of ranks
    done = job(1, "agi", "--resume", "auto", "--output", folder, "--max-steps", "1", "--threads", "1")
    assert done.returncode == 75, done.stderr


def test_a_signal_to_one_rank_saves_and_stops_all(tmp_path, data):
    folder = tmp_path / "run"
    process, ranks = start(folder, data, 2, "--val-freq", "1000")
    os.kill(ranks[1], signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 75
    assert said.count("error:") == 1
    assert "because SIGTERM was received" in said
    manifest = json.loads((folder / "checkpoint_last" / "manifest.json").read_text())
    assert f"step {manifest['progress']['step']} " in said


@pytest.mark.long
def test_stopped_and_resumed_on_other_ranks_gives_the_same_bits(tmp_path, data):
    """Steps of 40 examples, stopped with gradients waiting: 1 rank, then 4, then 3, then 2."""
    options = ("--data", data, "--epochs", "4", "--batch-size", "23", "--gradient-shards", "4", "--accumulate", "50")
    assert job(1, "agi", "--output", tmp_path / "whole", *SMALL, *options).returncode == 0
    folder = tmp_path / "run"
    assert job(1, "agi", "--output", folder, *SMALL, *options, "--max-steps", "2").returncode == 75
    for n_rank, steps in ((4, 3), (3, 5)):
        again = ("--resume", "auto", "--output", folder, "--max-steps", steps, "--threads", "1")
        assert job(n_rank, "agi", *again).returncode == 75
    assert job(2, "agi", "--resume", "auto", "--output", folder, "--threads", "1").returncode == 0
    assert digest(folder) == digest(tmp_path / "whole")
    assert figures(folder) == figures(tmp_path / "whole")
