"""The stage of several processes: what sums over GPUs cost, and the example's game on one GPU and on all of them."""

import importlib.util

from .children import launcher
from .runner import Job

CLOSE = 1e-3  # by which losses of the first rounds may differ, relative to 1 or more


def processes(job: Job) -> None:
    """A communicator of one in any case; where there are several GPUs, a process on each, else why there are none."""
    child = job.child("minigan")
    one = job.result["one"] = child.ask("connect", job.left())
    if "skipped" in one:
        return
    batch, images = job.plan.soak_batch, job.plan.images
    one["sums"] = child.ask("sums", job.left(), elements=job.plan.summed, times=job.plan.sums)
    lacking = what_is_lacking(one["gpus"])
    if lacking:
        job.result["several"] = {"skipped": lacking}
        return
    one["game"] = child.ask("rounds", job.left(), batch=batch, images=images, rounds=job.plan.shared_rounds)
    child.close()  # each process has a GPU to itself
    job.session.save()
    count = 1 << one["gpus"].bit_length() - 1  # by which a batch can be divided
    child = job.child("minigan", f"minigan on {count} GPUs", processes=count)
    found = job.result["several"] = child.ask("connect", job.left())
    found["sums"] = child.ask("sums", job.left(), elements=job.plan.summed, times=job.plan.sums)
    for name, samples in (("same batch", batch), ("larger batch", batch * count)):
        found[name] = child.ask("rounds", job.left(), batch=samples, images=images, rounds=job.plan.shared_rounds)
    job.errors += differences(one["game"]["losses"], found["same batch"]["losses"])


def what_is_lacking(gpus: int) -> str:
    """Why no several processes can be started on so many GPUs; "" if they can."""
    if gpus < 2:
        return f"{gpus} GPU is here, and each process needs one of its own"
    if launcher() is None or importlib.util.find_spec("mpi4py") is None:
        return f"{gpus} GPUs are here, and no MPI to start processes on them: pip install 'minigan[mpi]'"
    return ""


def differences(one: list[list[float]], several: list[list[float]]) -> list[str]:
    """An error for the first round whose losses on several GPUs are not those on one."""
    for k, (expected, found) in enumerate(zip(one, several, strict=True), 1):
        if any(not abs(a - b) <= CLOSE * max(1.0, abs(a)) for a, b in zip(expected, found, strict=True)):
            return [f"round {k} on several GPUs has the losses {found}, on one {expected}"]
    return []
