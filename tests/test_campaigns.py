"""Runs struck at random moments of every phase: kill -9 loses nothing, SIGTERM saves and ends within seconds.

A strike is aimed at a phase, so that each gets its share however short it is, and falls anywhere
within. The moments come from a seed; which phase was really hit is counted. The long versions print the
figures that docs/reliability.md states.
"""

import collections
import random
import shutil
import signal

import pytest
from forked import DURATION, ForkServer
from runs import digest, rows_without_clock, small_data

from grapheme_numba.runs import checkpoint as checkpoints
from grapheme_numba.training.config import read_config

OPTIONS = [
    "--hidden",
    "16",
    "--fan-in",
    "8",
    "--batch-size",
    "8",
    "--val-freq",
    "1",
    "--save-every",
    "3",
    "--resume",
    "auto",
    "--quiet",
]
PER_EPOCH = 8  # batches of 64 examples
AIMS = ("conversion", "compile", "step", "validation", "save")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Processes with a kernel cache of their own."""
    with ForkServer(tmp_path_factory.mktemp("server") / "cache") as started:
        yield started


@pytest.fixture(scope="module")
def whole(server, data, tmp_path_factory):
    """The folder of a run that nothing interrupts; after it the cache holds every kernel that a run needs."""
    folder = tmp_path_factory.mktemp("whole")
    end = server.run(arguments(data, folder / "run", 3), folder)
    assert end.code == 0, end
    server.kernels = (folder / "kernels").read_text().split()
    return folder / "run"


def arguments(data, folder, epochs: int) -> list:
    """The command line of a run."""
    return ["agi", "--data", data, "--output", folder, "--epochs", epochs, *OPTIONS]


class Trial:
    """A run of its own in `folder`, on a copy of the data that has not been converted, and its strike."""

    def __init__(self, server, folder, data, number: int, epochs: int, aim: str, draw: random.Random):
        self.server, self.folder, self.draw, self.aim = server, folder, draw, aim
        shutil.copytree(data, folder / "data", ignore=shutil.ignore_patterns(".*"))
        self.arguments = arguments(folder / "data", folder / "run", epochs)
        visit = {"conversion": draw.randint(1, 2), "save": draw.randint(1, 12), "validation": draw.randint(1, 3)}
        if aim == "compile":
            server.forget_a_kernel(draw)
        # Most fall early in a phase, so that the short ones of a fast machine are hit too.
        self.strike = (number, aim, visit.get(aim, 1), DURATION[aim] * draw.random() ** 3)

    def struck(self):
        """Run until the strike."""
        return self.server.run(self.arguments, self.folder, self.strike)

    def resumed(self):
        """Run to the end."""
        return self.server.run(self.arguments, self.folder)


def killed(server, folder, data, whole, aim, draw):
    """Kill a run while it does `aim`, resume it; how it was hit. Fails unless it ends like `whole`."""
    trial = Trial(server, folder, data, signal.SIGKILL, 3, aim, draw)
    first = trial.struck()
    assert first.code == -signal.SIGKILL or first.phase == "ended", first
    again = trial.resumed()
    assert again.code == 0, (first, again)
    assert digest(folder / "run") == digest(whole), first
    assert rows_without_clock(folder / "run") == rows_without_clock(whole), first
    read_config(folder / "run" / "config.toml")
    shutil.rmtree(folder)
    return first


def terminated(server, folder, data, aim, draw):
    """SIGTERM or SIGINT while a run does `aim`; how it ended. Fails unless all it had learned is saved."""
    trial = Trial(server, folder, data, draw.choice([signal.SIGTERM, signal.SIGINT]), 100_000, aim, draw)
    end = trial.struck()
    assert end.code == 75, end
    assert (end.said.count("\n"), end.said[:14]) == (1, "error: stopped"), end
    if end.batches:
        progress = checkpoints.read(folder / "run" / "checkpoint_last").progress
        assert progress.epoch * PER_EPOCH + progress.batch >= end.batches, (end, progress)
    assert not list((folder / "run").glob(".partial*")), end
    shutil.rmtree(folder)
    return end


def campaign(n: int, strike, tmp_path, seed: int):
    """The results of `n` strikes that hit (a run may end before), all phases in turn."""
    draw = random.Random(seed)
    results, number = [], 0
    while len(results) < n:
        folder = tmp_path / str(number)
        folder.mkdir()
        result = strike(folder, AIMS[number % len(AIMS)], draw)
        results += [result] if result.phase != "ended" else []
        number += 1
    return results


def spread(ends) -> collections.Counter:
    """How many strikes fell in each phase."""
    return collections.Counter(end.phase for end in ends)


def in_words(counts: collections.Counter) -> str:
    """The same as a sentence."""
    return ", ".join(f"{n} in {phase}" for phase, n in counts.most_common())


def test_killed_runs_resume_to_the_same_bits(tmp_path, server, data, whole):
    ends = campaign(5, lambda *a: killed(server, a[0], data, whole, *a[1:]), tmp_path, 3)
    assert len(spread(ends)) >= 2


@pytest.mark.long
def test_terminated_runs_save_and_exit_75(tmp_path, server, data, whole):
    ends = campaign(5, lambda *a: terminated(server, a[0], data, *a[1:]), tmp_path, 5)
    assert len(spread(ends)) >= 2


@pytest.mark.long
def test_two_hundred_killed_runs(tmp_path, server, data, whole, figure):
    ends = campaign(200, lambda *a: killed(server, a[0], data, whole, *a[1:]), tmp_path, 4)
    figure("kill -9, then resume", f"{len(ends)} of 200 end with the same bits; {in_words(spread(ends))}")
    assert all(spread(ends)[aim] >= 10 for aim in AIMS)


@pytest.mark.long
def test_a_hundred_terminated_runs(tmp_path, server, data, whole, figure):
    ends = campaign(100, lambda *a: terminated(server, a[0], data, *a[1:]), tmp_path, 6)
    slowest = max(ends, key=lambda end: end.seconds)
    in_time = sum(end.seconds < 5 for end in ends)
    text = f"{len(ends)} of 100 saved and exit 75, {in_time} within 5 s, the slowest in {slowest.seconds:.1f} s"
    figure("SIGTERM or Ctrl-C", f"{text}; {in_words(spread(ends))}")
    assert in_time == 100, slowest
