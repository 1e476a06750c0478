"""Who started this program: mpiexec or srun, together with others like it, or anybody else, alone."""

import os

# who sets it, and beside which other variable it counts: a batch script of Slurm's has the second without a step
COUNTS = {"PMI_SIZE": "", "OMPI_COMM_WORLD_SIZE": "", "SLURM_NTASKS": "SLURM_STEP_ID"}


def launched() -> int:
    """How many processes mpiexec or srun started to run this program together; 1 if none of them did.

    That is what their environment says (MPICH's and Intel's mpiexec, Open MPI's, srun): nothing is loaded to find out.
    """
    for name, beside in COUNTS.items():
        told = os.environ.get(name, "")
        if told.isdecimal() and (not beside or beside in os.environ):
            return max(int(told), 1)
    return 1
