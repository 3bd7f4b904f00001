"""Runs over two hosts of their own, with MPICH, Open MPI and Slurm: the launches of the docs as they are printed, and
faults of all kinds. The hosts are namespaces of this machine, so root and apt are needed."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import code_blocks
import pytest

sys.path.insert(0, str(Path(__file__).with_name("cluster")))
import host_faults

pytestmark = pytest.mark.long
PRINTED = {block.title: block.text for block in code_blocks.blocks_of("docs/several-machines.md")}
RUNS = host_faults.SHARED / "runs"


@pytest.fixture(scope="module")
def hosts():
    """Two hosts with Slurm and both MPIs; kernels are compiled, and the run of one process is there."""
    host_faults.install()
    host_faults.compile_kernels()
    host_faults.up("Slurm")
    subprocess.run(["rm", "-rf", str(RUNS)], check=True)
    # Where Open MPI's launcher is the only one, it is called as the page says; here MPICH's stands before it.
    for host in ("h1", "h2"):
        host_faults.on(host, "mkdir -p /opt/openmpi; ln -sf /usr/bin/mpirun /opt/openmpi/mpirun")
    host_faults.on("h1", "grapheme-train agi --gradient-shards 4 --threads 1 --output /shared/runs/one")
    yield
    host_faults.cluster("down")


def digest(name):
    """That of a run's last weights."""
    return hashlib.sha256((RUNS / name / "checkpoint_last" / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("title", "name"),
    [("needs hosts h1 and h2 with ssh", "mpich"), ("needs Open MPI, and hosts h1 and h2 with ssh", "ompi")],
)
def test_a_launch_runs_as_printed(hosts, title, name, figure):
    root = "export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"
    path = "PATH=/opt/openmpi:$PATH" if name == "ompi" else ":"
    said = host_faults.on("h1", f"{root}; {path}; ({PRINTED[title].strip()}) 2>&1")
    assert (RUNS / name / "report.html").exists(), said[-2000:]
    assert "rank 0 on h1 and rank 1 on h2" in said
    assert "\x1b" not in said
    assert digest(name) == digest("one")
    figure(f"the printed launch of {name} over 2 hosts", "the SHA-256 of one process")


def test_the_job_of_slurm_runs_as_printed_and_goes_on(hosts, figure):
    """Stopped once by SIGTERM as at its time limit: queued again by itself, and done with the bits of one process."""
    (host_faults.SHARED / "job.sh").write_text(PRINTED["needs Slurm"])
    job = host_faults.on("h1", "cd /shared; sbatch --parsable job.sh").strip()
    assert job.isdecimal(), job
    manifest = RUNS / "big" / "checkpoint_last" / "manifest.json"
    wait_for(manifest.exists, 120)
    host_faults.on("h1", f"scancel --signal=TERM {job}")
    first = manifest.read_bytes()
    wait_for(lambda: "Restarts=1" in host_faults.on("h1", f"scontrol show job {job}"), 60)
    # Slurm waits two minutes, for a credential of the first start that is revoked just now would not do for the second.
    host_faults.on("h1", f"scontrol update JobId={job} StartTime=now+10")
    wait_for(lambda: "JobState=COMPLETED" in host_faults.on("h1", f"scontrol show job {job}"), 300)
    assert manifest.read_bytes() != first
    assert digest("big") == digest("one")
    figure("the printed Slurm job, stopped and queued again", "COMPLETED, the SHA-256 of one process")


def wait_for(come_true, seconds):
    """Until it has come true."""
    until = time.monotonic() + seconds
    while not come_true():
        assert time.monotonic() < until
        os.sched_yield()


@pytest.mark.parametrize("launcher", list(host_faults.LAUNCH))
def test_every_fault_ends_the_job(launcher, figure):
    done = subprocess.run([sys.executable, host_faults.__file__, launcher], capture_output=True, text=True)
    figure(f"hosts, launchers and ranks lost, {launcher}", done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout
