"""What the launcher (`mpiexec`, `srun`) set in the environment of this process."""

import os

# MPICH and Intel MPI, Open MPI, MVAPICH, and PMIx (Slurm), which does not set the number.
SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
PLACES = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "PMIX_RANK")


def n_announced() -> int | None:
    """How many ranks were started: None where no launcher started us, 0 where it does not set it."""
    for name in SIZES:
        if os.environ.get(name, "").isdecimal():
            return int(os.environ[name])
    return 0 if any(name in os.environ for name in PLACES) else None


def place() -> int:
    """The number of this process among those started together; 0 where it was started alone."""
    found = (os.environ.get(name, "") for name in PLACES)
    return next((int(text) for text in found if text.isdecimal()), 0)
