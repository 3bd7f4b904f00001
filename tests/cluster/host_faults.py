"""What happens to a run over two hosts when a host, a launcher or a rank is lost: `host_faults.py [LAUNCHER...]`.

Needs root and apt: the hosts are namespaces of this machine, made by `cluster.sh`. Prints a line for each fault and
ends with 1 where a job did not end in time, was not explained, or left processes or shared memory behind.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
CLUSTER = Path(os.environ.setdefault("CLUSTER", f"{tempfile.gettempdir()}/grapheme-cluster"))
os.environ["PROJECT"] = str(PROJECT)
SHARED = CLUSTER / "shared"
LAYERS = {"ssh": "openssh-server openssh-client procps", "ompi": "openmpi-bin", "slurm": "slurm-wlm munge libpmi2-0"}
TIMEOUT = 10  # seconds of --rank-timeout
AT_ONCE, AFTER_TIMEOUT = 15.0, TIMEOUT + 15.0
TRAIN = f"grapheme-train agi --gradient-shards 4 --log-format plain --threads 1 --rank-timeout {TIMEOUT} --output"
LAUNCH = {
    "MPICH": "mpiexec -launcher ssh -hosts h1,h2 -n 2",
    "Open MPI": "/usr/bin/mpirun --allow-run-as-root --prefix /usr -x PATH -x HOME --host h1:1,h2:1 -n 2",
    "Slurm": "srun -K1 --mpi=pmi2 --nodes=2 --ntasks=2",
}
RANK = r"^[^ ]*/\.venv/bin/python.*grapheme-train"
OURS = r"grapheme-train|hydra_pmi_proxy|^mpiexec|mpirun|orted|^srun|watcher\.py"


class Fault(NamedTuple):
    """`kill` is (signal, host, pattern) for pkill, or a verb of cluster.sh with its host."""

    name: str
    kill: tuple[str, ...]
    limit: float = AT_ONCE
    reports: bool = True  # whether somebody is left who could say something


def faults(launcher: str) -> list[Fault]:
    """What is done to a job of this launcher."""
    proxy = {"MPICH": "hydra_pmi_proxy", "Open MPI": "orted", "Slurm": "^slurmstepd"}[launcher]
    head = {"MPICH": "^mpiexec", "Open MPI": "^/usr/bin/mpirun", "Slurm": "^srun"}[launcher]
    found = [
        Fault("rank 0 killed", ("KILL", "h1", RANK)),
        Fault("rank 1 killed", ("KILL", "h2", RANK)),
        Fault("rank 1 stands still", ("STOP", "h2", RANK), AFTER_TIMEOUT),
        Fault("proxy of host 2 killed", ("KILL", "h2", proxy)),
        Fault("launcher killed", ("KILL", "h1", head)),
        Fault("cable of host 2 pulled", ("pull", "h2"), AFTER_TIMEOUT),
        Fault("power of host 2 cut", ("kill", "h2"), AFTER_TIMEOUT),
    ]
    if launcher == "MPICH":
        found.append(Fault("proxy of host 1 killed", ("KILL", "h1", proxy)))
    if launcher != "Slurm":
        found.append(Fault("ssh to host 2 killed", ("KILL", "h1", "^/usr/bin/ssh -x")))
        found.append(Fault("sshd of the session killed", ("KILL", "h2", "^sshd: root@")))
    return found


def cluster(*words: str) -> str:
    """A verb of cluster.sh; its output."""
    return subprocess.run([str(HERE / "cluster.sh"), *words], capture_output=True, text=True).stdout


def on(host: str, command: str) -> str:
    """A command line on a host, with the product's environment; its output."""
    return cluster("on", host, f". /shared/env.sh; {command}")


def up(launcher: str) -> None:
    """Two hosts with a core each, and Slurm where it is wanted."""
    cluster("down")
    os.environ["LAYERS"] = "slurm ompi ssh"
    cluster("up", "2", "0 1")
    if launcher == "Slurm":
        subprocess.run(
            ["rm", "-rf", str(SHARED / "slurm")], check=True
        )  # it would remember jobs of hosts that are gone
        subprocess.run([str(HERE / "slurm.sh"), "2"], capture_output=True, check=True)


def install() -> None:
    """The layers of the hosts; the machine itself stays as it is."""
    CLUSTER.mkdir(parents=True, exist_ok=True)
    for name, packages in LAYERS.items():
        if not (CLUSTER / "fs" / "layer" / name).exists():
            cluster("install", name, packages, "" if name == "ssh" else "ssh")


def compile_kernels() -> None:
    """Fill this machine's cache of kernels, which the hosts see: what is measured is the fault."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "grapheme_numba.cli.train", *TRAIN.split()[1:], f"{folder}/run", "--epochs", "1"]
        subprocess.run(words, cwd=PROJECT, check=True, stdout=subprocess.DEVNULL)


def left(host: str) -> str:
    """Processes of a job and files in shared memory that are still on a host; empty where it has no power."""
    listed = on(host, f"pgrep -af '{OURS}' | grep -v 'bash -c'; ls /dev/shm | grep -v -E '^(tmp|sem)'")
    return "; ".join(line[:60] for line in listed.splitlines())


def one(launcher: str, fault: Fault) -> tuple[bool, str]:
    """Start a job, wait for a checkpoint, do the fault; whether all was well, and what happened."""
    output = SHARED / "fault"
    subprocess.run(["rm", "-rf", str(output)], check=True)
    said = SHARED / "fault.txt"
    line = f". /shared/env.sh; {LAUNCH[launcher]} {TRAIN} /shared/fault --epochs 4000 --val-freq 10"
    with said.open("wb") as file:
        words = [str(HERE / "cluster.sh"), "on", "h1", line]
        job = subprocess.Popen(words, stdout=file, stderr=file, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + 180
    while not (output / "checkpoint_last" / "manifest.json").exists():
        if job.poll() is not None or time.monotonic() > deadline:
            return False, f"did not start: {said.read_text(errors='replace')[-300:]!r}"
        time.sleep(0.2)
    began = time.monotonic()
    if len(fault.kill) == 2:
        cluster(*fault.kill)
    else:
        number, host, pattern = fault.kill
        found = on(host, f"pgrep -f '{pattern}' | while read p; do grep -qa pgrep /proc/$p/cmdline || echo $p; done")
        on(host, f"kill -{number} {' '.join(found.split())}")
    hosts = ["h1"] if fault.kill[0] == "kill" else ["h1", "h2"]
    there = True
    while there and time.monotonic() - began < fault.limit + 10:
        there = job.poll() is None or any(map(left, hosts))
        time.sleep(0.2)
    took, text = time.monotonic() - began, said.read_text(errors="replace")
    rest = "; ".join(f"{host}: {found}" for host in hosts if (found := left(host)))
    if job.poll() is None:
        rest += "; the launcher"
        job.kill()
    named = "resume from /shared/fault/checkpoint_last with: " in text or "resume with: " in text
    good = not rest and took <= fault.limit and named
    sentence = next((line for line in text.splitlines() if line.startswith("error:")), "nothing was said")
    return good, f"{took:5.1f} s of {fault.limit:.0f}; {sentence[:110]}" + (f"; LEFT {rest}" if rest else "")


def main() -> None:
    """Do every fault to every launcher."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("launchers", nargs="*", default=list(LAUNCH))
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    install()
    compile_kernels()
    n_good = n = 0
    for launcher in given.launchers:
        up(launcher)
        for fault in faults(launcher):
            if given.only not in fault.name:
                continue
            good, what = one(launcher, fault)
            n, n_good = n + 1, n_good + good
            sys.stdout.write(f"{'ok    ' if good else 'FAILED'} {launcher:9s} {fault.name:27s} {what}\n")
            sys.stdout.flush()
            if len(fault.kill) == 2 or launcher == "Slurm" or not good:
                up(launcher)
    cluster("down")
    sys.stdout.write(f"{n_good} of {n} ended in time, explained, with nothing left\n")
    sys.exit(n_good < n)


if __name__ == "__main__":
    main()
