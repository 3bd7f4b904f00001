"""What the launcher (`mpiexec`, `srun`) set in the environment of this process, and the words it was started with."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from grapheme_numba.distributed.processes import launchers_of

# MPICH and Intel MPI, Open MPI, MVAPICH, and PMIx (Slurm), which does not set the number.
SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
PLACES = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "PMIX_RANK")
HOSTS = ("-hosts", "-host", "--hosts", "--host", "-H")


def n_announced() -> int | None:
    """How many ranks were started: None where no launcher started us, 0 where it does not set it."""
    for name in SIZES:
        if os.environ.get(name, "").isdecimal():
            return int(os.environ[name])
    started = n_in_step()
    if any(name in os.environ for name in PLACES):
        return started or 0
    return started if started > 1 else None


def n_in_step() -> int:
    """How many tasks Slurm's `srun` started together; 0 where this process is none of them."""
    number = os.environ.get("SLURM_STEP_NUM_TASKS", "") if "SLURM_STEP_ID" in os.environ else ""
    return int(number) if number.isdecimal() else 0


def lacks_mpi() -> bool:
    """Whether `srun` started several processes and gave them no way to find each other."""
    return n_in_step() > 1 and not any(name in os.environ for name in (*SIZES, *PLACES))


def is_open_mpi() -> bool:
    """Whether Open MPI's launcher started us."""
    return "OMPI_COMM_WORLD_SIZE" in os.environ


def place() -> int:
    """The number of this process among those started together; 0 where it was started alone."""
    places = PLACES if not lacks_mpi() else ("SLURM_PROCID",)
    found = (os.environ.get(name, "") for name in places)
    return next((int(text) for text in found if text.isdecimal()), 0)


def top() -> tuple[int, str] | None:
    """(process, name) of the highest launcher above this process on its host, None where there is none."""
    found = [(process, name) for process, name in launchers_of(os.getpid()).items() if name not in ("ssh", "rsh")]
    return found[-1] if found else None


def shows_terminal() -> bool:
    """Whether what ranks print ends on a terminal. Open MPI gives each rank one, whatever its own output is."""
    highest = top()
    try:
        return highest is not None and os.readlink(f"/proc/{highest[0]}/fd/1").startswith(("/dev/pts/", "/dev/tty"))
    except OSError:
        return False


def command_line(hosts: Sequence[str]) -> str:
    """What stood before `grapheme-train` on the launcher's command line, as a shell takes it.

    `hosts` are the names of the ranks' hosts; they serve where the launcher runs elsewhere.
    """
    highest = top()
    if highest is not None and highest[1] in ("mpiexec", "mpiexec.hydra", "mpirun", "orterun", "prterun"):
        try:
            words = Path(f"/proc/{highest[0]}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        except OSError:
            words = []
        before = _before_program([os.fsdecode(word) for word in words])
        if before:
            return shlex.join(before)
    n, names = len(hosts), list(dict.fromkeys(hosts))
    if n_in_step() > 1:
        kind = os.environ.get("SLURM_MPI_TYPE", "pmi2")
        return f"srun -K1 --mpi={kind} --nodes={len(names)} --ntasks={n}"
    if is_open_mpi():
        slots = ",".join(f"{name}:{hosts.count(name)}" for name in names)
        return f"mpirun -n {n}" if len(names) == 1 else f"mpirun --host {slots} -n {n}"
    return f"mpiexec -n {n}" if len(names) == 1 else f"mpiexec -hosts {','.join(names)} -n {n}"


def _before_program(words: list[str]) -> list[str]:
    """The launcher's own words. MPICH's cuts its list of hosts at the commas, also in what /proc shows of it."""
    names = [Path(word).name for word in words]
    stop = next((i for i, name in enumerate(names) if name == "grapheme-train" or name.startswith("python")), 0)
    found: list[str] = []
    of_hosts = False
    for word in words[:stop]:
        if of_hosts and not word.startswith("-") and found[-1] not in HOSTS:
            found[-1] += f",{word}"
        else:
            found.append(word)
        of_hosts = word in HOSTS or (of_hosts and not word.startswith("-"))
    return found
