"""What Linux tells about processes: the launcher's above a rank, its shared memory, its end and its standard error."""

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterable

PIDFD_GETFD = 438  # the number of this call of Linux
PF_EXITING = 4  # among the kernel's flags of a process
# Names as in /proc/PID/comm. Slurm's own processes are watched, but end by themselves.
NOT_OURS = frozenset({"slurmstepd"})
LAUNCHERS = NOT_OURS | frozenset(
    ["mpiexec", "mpiexec.hydra", "hydra_pmi_proxy", "mpirun", "orterun", "orted", "prterun", "prte", "prted"]
)
CONNECTIONS = frozenset({"ssh", "rsh"})
SHARED = ("mpich_shm_", "vader_segment.", "sm_segment.", "osc_rdma.", "shared_window_")


def name_of(process: int) -> str:
    """The name of a process; empty where there is none."""
    try:
        with open(f"/proc/{process}/comm") as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""


def stat_of(process: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent, ...; empty where there is no such process."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()
    except (OSError, ValueError):
        return []


def launchers_of(process: int) -> dict[int, str]:
    """process -> name: the launcher's processes above this one, and their connections to other hosts."""
    found = {}
    above = process
    while above > 1:
        fields = stat_of(above)
        above = int(fields[1]) if fields else 0
        if (name := name_of(above)) in LAUNCHERS:
            found[above] = name
    for folder in os.listdir("/proc"):
        process = int(folder) if folder.isdecimal() else 0
        fields = stat_of(process) if process else []
        if fields and int(fields[1]) in found and (name := name_of(process)) in CONNECTIONS:
            found[process] = name
    port = os.environ.get("SLURM_STEP_LAUNCHER_PORT", "")
    if "slurmstepd" in found.values() and port.isdecimal() and (srun := listener(int(port))) is not None:
        found[srun] = "srun"
    return found


def listener(port: int) -> int | None:
    """The process of this host that listens on a TCP port, None where it is not to be found: `srun`, for its tasks."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open(f"/proc/net/{table}") as file:
            rows = [line.split() for line in file][1:]
            inodes |= {f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")}
    for folder in os.listdir("/proc") if inodes else ():
        if folder.isdecimal() and name_of(int(folder)) == "srun":
            with contextlib.suppress(OSError):
                links = (os.readlink(f"/proc/{folder}/fd/{one}") for one in os.listdir(f"/proc/{folder}/fd"))
                if any(link in inodes for link in links):
                    return int(folder)
    return None


def shared_files(processes: Iterable[int]) -> set[str]:
    """What MPI keeps in shared memory under a name for these processes, and only takes away when all end well."""
    found = set()
    for process in processes:
        try:
            with open(f"/proc/{process}/maps") as file:
                names = (line.rstrip("\n").partition("/dev/shm/")[2] for line in file)
                found |= {f"/dev/shm/{name}" for name in names if name.startswith(SHARED) and " " not in name}
        except OSError:
            continue
    return found


def is_leaving(process: int) -> bool:
    """Whether a process is on its way out."""
    fields = stat_of(process)
    return not fields or fields[0] in "ZX" or bool(int(fields[6]) & PF_EXITING)


def standard_error_of(descriptor: int, process: int) -> int:
    """A descriptor of the standard error of a process, which its pidfd also names. Raises OSError."""
    copied = ctypes.CDLL(None).syscall(PIDFD_GETFD, descriptor, 2, 0)
    if copied >= 0:
        return copied
    # Not allowed everywhere. In a file this one has a place of its own, and the launcher may write over our line.
    return os.open(f"/proc/{process}/fd/2", os.O_WRONLY | os.O_APPEND | os.O_NOCTTY)


def send_signal(descriptor: int, number: int) -> None:
    """A signal to a process that may have ended."""
    with contextlib.suppress(OSError):
        signal.pidfd_send_signal(descriptor, number)
