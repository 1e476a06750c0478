"""One of several processes of MPI, each with a stand-in for a GPU: plays systems with the others through NCCL's.

mpiexec -n P python tests/support/mpi_gpu_ranks.py ROUNDS NAME ...: a line for each system; 1 if one differs.
mpiexec -n P python tests/support/mpi_gpu_ranks.py run DIR: a run of a tiny game, into that folder; its exit status.
"""

import importlib
import sys
import warnings
from typing import Any

import fakecupy
import fakenccl
import tiny_run
from fakecuda import counts, device
from mpi_systems import plays_alike
from system_parts import living_on

from minigan import processes, training
from minigan.errors import DeviceError


class Patch:
    """What the stand-ins need of pytest's monkeypatch; nothing is undone."""

    @staticmethod
    def setitem(mapping: dict, key: Any, value: Any) -> None:
        mapping[key] = value

    @staticmethod
    def setattr(path: str, value: Any) -> None:
        module, name = path.rsplit(".", 1)
        setattr(importlib.import_module(module), name, value)


def on_too_few(control: processes.Group) -> str:
    """What is said where they see one GPU less than there are processes."""
    device.reset(control.size - 1)
    try:
        fakenccl.connected(control)
    except DeviceError as error:
        return str(error)
    return "nothing"


def systems(control: processes.Group, rounds: int, names: list[str]) -> bool:
    """Do they play all of these as one process does, each on a GPU of its own, and refuse to share one?"""
    refused = control.everybodys(on_too_few(control))
    fine = len(set(refused)) == 1 and f"1 and {control.size} of {control.size} would both use" in refused[0]
    if not fine:
        print(f"not refused by all: {refused}", flush=True)
    device.reset(control.size)
    group = fakenccl.connected(control)
    with living_on("cuda"):
        for name in names:
            fine = plays_alike(name, rounds, group) and fine
    return fine and control.local_rank == control.rank == device.id and counts.graphs > 0


def main() -> int:
    warnings.simplefilter("error")  # what is not captured is one
    first, *rest = sys.argv[1:]
    control = processes.world()
    fakecupy.install(Patch, devices=control.size)
    fakenccl.install(Patch)
    if first == "run":
        (out,) = rest
        return training.run(tiny_run.build, tiny_run.settings(out, device="cuda", steps=30, data="digits"))
    return 0 if systems(control, int(first), rest) else 1


if __name__ == "__main__":
    sys.exit(main())
