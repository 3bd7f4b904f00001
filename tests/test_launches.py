"""How ranks were started: launchers that did not launch, the words they were started with, outputs that hosts share."""

import os
import subprocess
from types import SimpleNamespace

import pytest
from ranks import SMALL, command, environment, job
from test_converting_together import content

from grapheme_numba.distributed import launcher
from grapheme_numba.errors import UsageError
from grapheme_numba.runs import rank_checks

STEP = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2"}


@pytest.fixture
def alone(monkeypatch):
    """An environment without a launcher."""
    for name in (*launcher.SIZES, *launcher.PLACES, *STEP, "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def run(*arguments, **variables):
    """A command on one process, to its end."""
    words = command(1, *arguments)
    return subprocess.run(words, env=environment(**variables), capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("place", ["0", "1"])
def test_srun_without_mpi_is_refused_once(tmp_path, place):
    done = run("agi", "--output", tmp_path / "run", *SMALL, **STEP, SLURM_PROCID=place)
    assert done.returncode == 2
    assert "srun started 2 processes that cannot find each other; add --mpi=pmi2" in done.stderr
    assert not (tmp_path / "run").exists()


def test_open_mpi_without_its_library_is_refused(tmp_path):
    started = {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "0", "MPI4PY_LIBMPI": "/nowhere/libmpi.so.40"}
    done = run("agi", "--output", tmp_path / "run", *SMALL, **started)
    assert done.returncode == 2
    assert "Open MPI's launcher started 2 ranks, but mpi4py does not find its library" in done.stderr
    assert "MPI4PY_LIBMPI" in done.stderr


def test_ranks_that_see_themselves_alone_are_refused(tmp_path):
    done = run("agi", "--output", tmp_path / "run", *SMALL, MV2_COMM_WORLD_SIZE="2", MV2_COMM_WORLD_RANK="0")
    assert done.returncode == 2
    assert "the launcher started 2 ranks, but the MPI library sees 1: they are of different MPIs" in done.stderr
    assert "MPI4PY_MPIABI=openmpi" in done.stderr


def test_what_slurm_started(alone):
    assert (launcher.n_announced(), launcher.place()) == (None, 0)
    alone.setenv("SLURM_STEP_NUM_TASKS", "2")  # of the job: this process is no task of srun
    assert launcher.n_announced() is None
    alone.setenv("SLURM_STEP_ID", "0")
    alone.setenv("SLURM_PROCID", "1")
    assert (launcher.n_announced(), launcher.place(), launcher.lacks_mpi()) == (2, 1, True)
    alone.setenv("PMIX_RANK", "1")  # PMIx says no size
    assert (launcher.n_announced(), launcher.lacks_mpi()) == (2, False)


def test_the_launchers_words(alone):
    """As MPICH leaves them in /proc: cut at the commas of its list of hosts."""
    words = ["mpiexec", "-launcher", "ssh", "-hosts", "h1", "h2", "-n", "2", "/opt/bin/grapheme-train", "agi", "-n"]
    assert launcher._before_program(words) == [*words[:3], "-hosts", "h1,h2", "-n", "2"]
    assert launcher._before_program(["mpiexec", "-n", "2", "python3.11", "-m", "x"]) == ["mpiexec", "-n", "2"]
    assert launcher._before_program(["mpirun", "--host", "a:2,b:2", "grapheme-train"]) == [
        "mpirun",
        "--host",
        "a:2,b:2",
    ]
    alone.setattr(launcher, "top", lambda: None)
    assert launcher.command_line(["a", "a", "b"]) == "mpiexec -hosts a,b -n 3"
    alone.setenv("OMPI_COMM_WORLD_SIZE", "3")
    assert launcher.command_line(["a", "a", "b"]) == "mpirun --host a:2,b:1 -n 3"
    for name, value in STEP.items():
        alone.setenv(name, value)
    alone.setenv("SLURM_MPI_TYPE", "pmi2")
    assert launcher.command_line(["a", "b"]) == "srun -K1 --mpi=pmi2 --nodes=2 --ntasks=2"


class Both:
    """Rank 0 of two ranks on two hosts; the other answers `other`."""

    rank, host_rank, host_names = 0, 0, ("a", "b")
    roll = SimpleNamespace(names=lambda ranks: " and ".join(f"rank {rank} on {'ab'[rank]}" for rank in ranks))

    def __init__(self, other):
        self.other = other

    def broadcast(self, data):
        return data

    def all_gather(self, payload=b""):
        return [payload, payload if self.other is None else self.other]


def test_an_output_that_hosts_do_not_share_is_found_out(tmp_path):
    folder = tmp_path / "runs" / "a"
    given = {"fresh": True, "auto": True}
    assert rank_checks.refuse_private_output(Both(rank_checks.SEEN), folder, **given) == []
    with pytest.raises(
        UsageError, match="rank 1 on b does not see what rank 0 on a writes there, and another host may"
    ):
        rank_checks.refuse_private_output(Both(rank_checks.PRIVATE), folder, **given)
    with pytest.raises(UsageError, match="rank 1 on b holds a checkpoint there, so the run would start afresh"):
        rank_checks.refuse_private_output(Both(rank_checks.HOLDS), folder, fresh=True, auto=False)
    notes = rank_checks.refuse_private_output(Both(rank_checks.PRIVATE), folder, fresh=False, auto=True)
    assert "is not shared by all hosts: only rank 0 on a has the checkpoints" in notes[0]
    assert list(tmp_path.iterdir()) == []


def test_a_difference_of_versions_names_both_sides():
    import msgspec

    other = msgspec.msgpack.encode({"numba": "0.60"})
    with pytest.raises(UsageError, match=r"rank 1 on b has numba 0\.60, rank 0 on a has 0\.68: the same"):
        rank_checks.refuse_unlike(Both(other), {"numba": "0.68"}, "the same")
    rank_checks.refuse_unlike(Both(None), rank_checks.versions() | rank_checks.lanes(), "")


def test_one_rank_converts_as_many_do(tmp_path):
    (tmp_path / "in").mkdir()
    for name in "ab":
        line = '{"id": "%s", "domain": "math", "input_type": "text", "input": {"text": "1"}, "expected_output": "1"}\n'
        (tmp_path / "in" / f"{name}.jsonl").write_text(line % name)
    for n_rank in (1, 2):
        variables = {"PMI_SIZE": "1", "PMI_RANK": "0"} if n_rank == 1 else {}
        done = job(n_rank, "convert", tmp_path / "in", "--output", tmp_path / str(n_rank), **variables)
        assert done.returncode == 0, done.stderr
    assert content(tmp_path / "1") == content(tmp_path / "2")
    assert os.listdir(tmp_path / "1") != []
