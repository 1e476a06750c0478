"""Was this process started by mpiexec or srun, as one of several?"""

import os

_COUNTS = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_NTASKS")  # mpich and Intel's MPI, Open MPI, srun


def launched() -> int:
    """How many processes mpiexec or srun started, this one among them; 1 without them."""
    return max(int(os.environ.get(name, "").strip() or 1) for name in _COUNTS)
