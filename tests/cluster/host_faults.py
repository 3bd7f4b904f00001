"""What happens to a run over two hosts when a host, a launcher or a rank is lost: `host_faults.py [LAUNCHER...]`.

Needs root and apt: the hosts are namespaces of this machine, made by `cluster.sh`. After each fault the host comes back
and the command that was printed resumes the run. Prints a line for each fault and a table, and ends with 1 where
a job did not end in time, did not name once what was lost, left processes or shared memory behind, or did not
come to the bits of an undisturbed run of one process.
"""

import argparse
import hashlib
import os
import re
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
TRAIN = (
    "grapheme-train agi --gradient-shards 4 --log-format plain --threads 1 --epochs 8 "
    f"--rank-timeout {TIMEOUT} --output"
)
OUTPUT = SHARED / "fault"
WAY_ON = re.compile(r"resume (?:from /shared/fault/checkpoint_last )?with: (.*)$", re.MULTILINE)
LAUNCH = {
    "MPICH": "mpiexec -launcher ssh -hosts h1,h2 -n 2",
    "Open MPI": "/usr/bin/mpirun --allow-run-as-root --prefix /usr -x PATH -x HOME --host h1:1,h2:1 -n 2",
    "Slurm": "srun -K1 --mpi=pmi2 --nodes=2 --ntasks=2",
}
RANK = r"^[^ ]*/\.venv/bin/python.*grapheme-train"
OURS = r"grapheme-train|hydra_pmi_proxy|^mpiexec|mpirun|orted|^srun|distributed import watcher"


class Fault(NamedTuple):
    """`kill` is (signal, host, pattern) of processes, or a verb of cluster.sh with its host.

    `named` is how the one sentence about it begins; empty where nobody is left who could say it.
    """

    name: str
    kill: tuple[str, ...]
    named: str
    limit: float = AT_ONCE


def faults(launcher: str) -> list[Fault]:
    """What is done to a job of this launcher."""
    proxy = {"MPICH": "hydra_pmi_proxy", "Open MPI": "orted", "Slurm": "slurmstepd"}[launcher]
    head = {"MPICH": "mpiexec", "Open MPI": "mpirun", "Slurm": "srun"}[launcher]
    stepd = r"^slurmstepd: \[[0-9.]+\]"  # of the step; that of the job's end is named otherwise
    pattern = stepd if launcher == "Slurm" else proxy
    silent = r"rank 1 on h2 did not answer for 10 s"
    found = [
        Fault("rank 0 killed", ("KILL", "h1", RANK), r"rank 0 \(process \d+ on h1\) was lost"),
        Fault("rank 1 killed", ("KILL", "h2", RANK), r"rank 1 \(process \d+ on h2\) was lost"),
        Fault("rank 1 stands still", ("STOP", "h2", RANK), silent, AFTER_TIMEOUT),
        Fault(
            "proxy of host 2 killed",
            ("KILL", "h2", pattern),
            rf".*{proxy} \(process \d+\) of the launcher was lost on h2",
        ),
        Fault(
            "launcher killed", ("KILL", "h1", rf"^[^ ]*{head} "), rf".*{head} \(process \d+\) of the launcher.* on h1"
        ),
        Fault("cable of host 2 pulled", ("pull", "h2"), silent, AFTER_TIMEOUT),
        Fault("power of host 2 cut", ("kill", "h2"), silent, AFTER_TIMEOUT),
        Fault("cable of host 1 pulled", ("pull", "h1"), silent, AFTER_TIMEOUT),
        Fault("power of host 1 cut", ("kill", "h1"), "", AFTER_TIMEOUT),
    ]
    if launcher != "Open MPI":  # mpirun starts the ranks of its own host
        kill = ("KILL", "h1", pattern)
        found.append(Fault("proxy of host 1 killed", kill, r".* \(process \d+\) of the launcher .* lost on h1"))
    if launcher != "Slurm":
        lost = rf"ssh \(process \d+\) of the launcher was lost on h1|{proxy} \(process \d+\) of .* on h2"
        found.append(Fault("ssh to host 2 killed", ("KILL", "h1", "^/usr/bin/ssh -x"), lost))
        found.append(Fault("sshd of the session killed", ("KILL", "h2", "^sshd: root@"), lost))
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
        words = [
            sys.executable,
            "-m",
            "grapheme_numba.cli.train",
            *TRAIN.split()[1:],
            f"{folder}/run",
            "--max-steps",
            "60",
        ]
        subprocess.run(words, cwd=PROJECT, check=False, stdout=subprocess.DEVNULL)


def left(host: str) -> str:
    """Processes of a job and files in shared memory that are still on a host; empty where it has no power."""
    listed = on(host, f"pgrep -af '{OURS}' | grep -v 'bash -c'; ls /dev/shm | grep -v -E '^(tmp|sem)'")
    return "; ".join(line[:60] for line in listed.splitlines())


def digest(folder: Path) -> str:
    """That of a run's last weights."""
    return hashlib.sha256((folder / "checkpoint_last" / "model.safetensors").read_bytes()).hexdigest()


def one(launcher: str, fault: Fault) -> tuple[str, str]:
    """Start a job, wait for a checkpoint, do the fault; what was wrong, if anything, and what was said."""
    subprocess.run(["rm", "-rf", str(OUTPUT)], check=True)
    said = SHARED / "fault.txt"
    line = f". /shared/env.sh; {LAUNCH[launcher]} {TRAIN} /shared/fault"
    with said.open("wb") as file:
        words = [str(HERE / "cluster.sh"), "on", "h1", line]
        job = subprocess.Popen(words, stdout=file, stderr=file, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + 180
    while not (OUTPUT / "checkpoint_last" / "manifest.json").exists():
        if job.poll() is not None or time.monotonic() > deadline:
            return f"did not start: {said.read_text(errors='replace')[-300:]!r}", ""
        time.sleep(0.2)
    began = time.monotonic()
    if len(fault.kill) == 2:
        cluster(*fault.kill)
    else:
        number, host, pattern = fault.kill
        found = on(host, f"pgrep -f '{pattern}' | while read p; do grep -qa pgrep /proc/$p/cmdline || echo $p; done")
        on(host, f"kill -{number} {' '.join(found.split())}")
    hosts = [host for host in ("h1", "h2") if fault.kill != ("kill", host)]
    there = True
    while there and time.monotonic() - began < fault.limit + 10:
        there = job.poll() is None or any(map(left, hosts))
        time.sleep(0.2)
    took, text = time.monotonic() - began, said.read_text(errors="replace")
    rest = [f"{host}: {found}" for host in hosts if (found := left(host))]
    if job.poll() is None:
        rest.append("the launcher")
        job.kill()
    causes = re.findall(r"^error: (.*?(?:lost|did not answer|received).*?)(?:, so|; resume).*$", text, re.MULTILINE)
    about = [one for one in causes if not one.startswith("stopped at ")]
    wrong = [f"LEFT {'; '.join(rest)}"] if rest else []
    if took > fault.limit:
        wrong.append("TOO LATE")
    if digest(OUTPUT) == digest(SHARED / "undisturbed"):
        wrong.append("IT ENDED BEFORE THE FAULT")
    if [bool(re.match(fault.named, one)) for one in about or causes] != [True] * bool(fault.named):
        wrong.append(f"NAMED AS {causes}")
    sentence = (about or causes or ["nobody is left who could say it"])[0]
    if fault.named and not WAY_ON.search(text):
        wrong.append("NO WAY ON")
    return ", ".join(wrong), f"{took:5.1f} s of {fault.limit:.0f}; {sentence[:80]}"


def resume(launcher: str, fault: Fault) -> str:
    """With all hosts there, go on as the printed command says; what was wrong, if anything."""
    commands = WAY_ON.findall((SHARED / "fault.txt").read_text(errors="replace"))
    if not fault.named:
        commands = [f"{LAUNCH[launcher]} grapheme-train agi --resume auto --threads 1 --output /shared/fault"]
    if len(set(commands)) != 1:
        return f"NO ONE WAY ON: {commands}"
    said = on("h1", f"{commands[0]} 2>&1")
    return "" if digest(OUTPUT) == digest(SHARED / "undisturbed") else f"OTHER BITS: {said[-300:]!r}"


def main() -> None:
    """Do every fault to every launcher."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("launchers", nargs="*", default=list(LAUNCH))
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    install()
    compile_kernels()
    up("MPICH")
    on("h1", f"rm -rf /shared/undisturbed; {TRAIN} /shared/undisturbed")
    table: dict[str, dict[str, bool]] = {}
    for launcher in given.launchers:
        up(launcher)
        for fault in faults(launcher):
            if given.only not in fault.name:
                continue
            wrong, what = one(launcher, fault)
            if len(fault.kill) == 2 or launcher == "Slurm" or wrong:
                up(launcher)
            bad = ", ".join(filter(None, [wrong, resume(launcher, fault)]))
            table.setdefault(fault.name, {})[launcher] = not bad
            sys.stdout.write(f"{'FAILED' if bad else 'ok    '} {launcher:9s} {fault.name:27s} {what} {bad}\n")
            sys.stdout.flush()
    cluster("down")
    sys.stdout.write(f"{'':27s} {'  '.join(given.launchers)}\n")
    for name, row in table.items():
        cells = (
            f"{'-' if one not in row else '1 of 1' if row[one] else '0 of 1':{len(one)}s}" for one in given.launchers
        )
        sys.stdout.write(f"{name:27s} {'  '.join(cells)}\n")
    results = [good for row in table.values() for good in row.values()]
    sys.stdout.write(
        f"{sum(results)} of {len(results)} ended in time, named, with nothing left, and resumed to the SHA-256 of one "
        "process\n"
    )
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
