"""Ranks that share memory, or talk as if they stood on several hosts; ranks of which one meets a NaN or is killed."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from ranks import SMALL, command, environment, job, ranks_of
from runs import digest, small_data

from grapheme_numba.errors import NonFiniteError, OutputError

SPOILED = str(Path(__file__).with_name("spoiled_shard.py"))
# A network of several chunks of parameters, so that every rank owns some.
WIDE = ("--hidden", "128,128", "--fan-in", "96", "--embedding-dim", "4", "--threads", "1", "--log-format", "plain")
# How MPICH is told to take the ranks of one machine for those of several hosts.
TWO_HOSTS = {"MPIR_CVAR_NUM_CLIQUES": "2"}
IN_TURN = {"MPIR_CVAR_ODD_EVEN_CLIQUES": "1"}
APART = {"MPIR_CVAR_NOLOCAL": "1"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """96 examples, converted once."""
    return small_data(tmp_path_factory.mktemp("data"), 96)


def digests(folder, jobs, *options):
    """The digest of each (ranks, environment) job's run."""
    found = []
    for number, (n_rank, variables) in enumerate(jobs):
        output = folder / str(number)
        done = job(n_rank, *options, "--output", output, **variables)
        assert done.returncode == 0, done.stderr
        found.append(digest(output))
    return found


@pytest.mark.long
def test_ranks_on_several_hosts_give_the_same_bits(tmp_path, data):
    """Messages between hosts instead of memory: 3 ranks apart, and 2 and 1 on two hosts that take ranks in turn."""
    options = ("agi", "--data", data, *WIDE, "--epochs", 2, "--batch-size", 23, "--val-freq", 1, "--gradient-shards", 5)
    assert len(set(digests(tmp_path, [(1, {}), (3, APART), (3, IN_TURN)], *options))) == 1


def test_two_hosts_that_exchange_once_a_step_give_the_same_bits(tmp_path, data):
    """Every vector whole on both hosts, and the gradients under way while losses are gathered."""
    options = ("agi", "--data", data, *WIDE, "--epochs", 2, "--batch-size", 23, "--val-freq", 1, "--gradient-shards", 2)
    assert len(set(digests(tmp_path, [(1, {}), (2, APART)], *options))) == 1


@pytest.mark.long
def test_two_hosts_with_a_large_model_share_the_update(tmp_path, data):
    """More parameters than two hosts work out twice: each updates one half."""
    large = ("--hidden", "2400", "--fan-in", "128", "--activation", "tanh", "--threads", "1", "--log-format", "plain")
    options = ("agi", "--data", data, *large, "--epochs", 2, "--batch-size", 23, "--gradient-shards", 4)
    assert len(set(digests(tmp_path, [(1, {}), (2, APART), (4, TWO_HOSTS)], *options))) == 1


@pytest.mark.parametrize("failed", [0, 1])
@pytest.mark.parametrize("number", [1, 4])
@pytest.mark.parametrize("hosts", [APART, pytest.param({}, marks=pytest.mark.long)])
def test_a_rank_that_fails_while_the_other_has_begun_to_exchange_ends_both(tmp_path, data, failed, number, hosts):
    """With its own code and one sentence; nobody waits for what does not come."""
    options = ("--data", data, "--output", tmp_path / "run", *SMALL, "--gradient-shards", 2, "--batch-size", 23)
    done = job(2, SPOILED, "error", failed, number, "agi", *options, timeout=60, **hosts)
    assert done.returncode == OutputError.exit_code, done.stderr
    assert done.stderr.count("error:") == 1
    assert f"error: {'on rank 1: ' * failed}the disk of this rank has failed" in done.stderr


@pytest.mark.long
@pytest.mark.parametrize("options", [
    ("agi", "--optimizer", "sgd", "--clip-grad-norm", "0", "--accumulate", "40"),
    ("agi", "--optimizer", "momentum", "--lr", "0.001"),
    ("agi", "--optimizer", "adam", "--accumulate", "epoch", "--weight-decay", "0.1"),
    ("unified", "--clip-grad-norm", "0.1", "--hidden", "1200", "--fan-in", "128"),
    ("agi", "--evolve", "rigl", "--evolve-every", "3"),
    ("agi", "--evolve", "set", "--evolve-every", "2", "--prune-to", "0.4"),
])  # fmt: skip
def test_every_rule_gives_the_same_bits_on_all_ranks_and_hosts(tmp_path, data, options):
    """Steps of each optimiser, clipped and not, of each way to accumulate, on a graph that stays or changes."""
    task, *own = options
    options = (
        task,
        "--data",
        data,
        *WIDE,
        "--epochs",
        3,
        "--batch-size",
        23,
        "--val-freq",
        2,
        "--gradient-shards",
        8,
        *own,
    )
    jobs = [(1, {}), (2, {}), (3, {}), (2, APART), (4, TWO_HOSTS), (5, IN_TURN), (4, APART), (8, TWO_HOSTS)]
    assert len(set(digests(tmp_path, jobs, *options))) == 1


@pytest.mark.parametrize("hosts", [{}, APART])
@pytest.mark.parametrize(("field", "shard"), [pytest.param("targets", 0, marks=pytest.mark.long), ("values", 1)])
def test_a_nan_on_one_rank_ends_all_with_one_message(tmp_path, data, field, shard, hosts):
    options = ("--data", data, "--output", tmp_path / "run", *SMALL, "--gradient-shards", 2, "--batch-size", 23)
    done = job(2, SPOILED, field, shard, 3, "agi", *options, **hosts)
    assert done.returncode == NonFiniteError.exit_code, done.stderr
    assert done.stderr.count("error:") == 1
    word = {"targets": "target", "values": "input"}[field]
    assert f"error: not finite in epoch 1, step 3: the {word} of example '" in done.stderr


@pytest.mark.parametrize("accumulate", [pytest.param("batch", marks=pytest.mark.long), "50"])
def test_a_batch_skipped_for_one_rank_is_skipped_by_all(tmp_path, data, accumulate):
    """Also in the middle of a step, whose other batches stay."""
    options = (*SMALL, "--data", data, "--epochs", 2, "--batch-size", 23, "--accumulate", accumulate)
    options = (SPOILED, "targets", 1, 4, "agi", "--gradient-shards", 2, "--nan-policy", "skip", *options)
    assert len(set(digests(tmp_path, [(1, {}), (2, {}), (2, APART)], *options))) == 1


@pytest.mark.long
def test_all_ranks_go_back_together(tmp_path, data):
    """A NaN after the first checkpoint, with the policy rollback: the rate is halved and the bits are those of one."""
    options = (
        SPOILED,
        "values",
        2,
        8,
        "agi",
        "--data",
        data,
        *WIDE,
        "--epochs",
        3,
        "--batch-size",
        23,
        "--gradient-shards",
        4,
    )
    jobs = [(1, {}), (2, {}), (2, APART), (4, TWO_HOSTS)]
    whole = digests(tmp_path / "clean", jobs[:1], *options[4:], "--nan-policy", "rollback")
    found = digests(tmp_path, jobs, *options, "--nan-policy", "rollback")
    assert len(set(found)) == 1
    assert found[0] != whole[0]


@pytest.mark.long
@pytest.mark.parametrize("task", ["agi", "unified"])
def test_killed_and_resumed_on_other_ranks_gives_the_same_bits(tmp_path, data, task):
    """kill -9 of one of 2 ranks, then of one of 3, at whatever step they are; 4 ranks end the run."""
    options = (*SMALL, "--data", data, "--epochs", 800, "--batch-size", 23, "--val-freq", 400, "--gradient-shards", 4)
    assert job(1, task, "--output", tmp_path / "whole", *options).returncode == 0
    folder, marks = tmp_path / "run", set()
    for n_rank, again in ((2, ()), (3, ("--resume", "auto"))):
        words = command(n_rank, task, "--output", folder, *options, *again)
        process = subprocess.Popen(words, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        manifest, deadline = folder / "checkpoint_last" / "manifest.json", time.monotonic() + 120
        while not manifest.exists() or manifest.read_bytes() in marks:
            assert process.poll() is None and time.monotonic() < deadline
            os.sched_yield()
        marks.add(manifest.read_bytes())
        os.kill(ranks_of(process.pid)[n_rank - 1], signal.SIGKILL)
        _, said = process.communicate(timeout=60)
        assert process.returncode != 0
        assert f"rank {n_rank - 1} (process" in said.decode()
    assert job(4, task, "--output", folder, *options, "--resume", "auto").returncode == 0
    assert digest(folder) == digest(tmp_path / "whole")


def test_empty_parts_of_a_batch_are_no_trouble(tmp_path, data):
    """Batches of 1 example for 3 shards: two of three parts are empty, and the run goes on."""
    options = (
        "agi",
        "--data",
        data,
        *SMALL,
        "--epochs",
        1,
        "--batch-size",
        1,
        "--gradient-shards",
        3,
        "--max-steps",
        5,
    )
    found = []
    for number, n_rank in enumerate((1, 3)):
        output = tmp_path / str(number)
        assert job(n_rank, *options, "--output", output).returncode == 75
        found.append(digest(output))
    assert len(set(found)) == 1
