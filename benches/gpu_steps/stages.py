"""The stages but the timed steps: the machine, the tests, gradients, the soak, single layers."""

import tempfile
from pathlib import Path
from typing import Any

from . import timed_steps
from .checks import soak_errors
from .children import Child, ChildError
from .device_tests import Tests
from .driver import nvidia_smi
from .layers import FACES, Layer, distinct
from .plan import PRECISIONS, workload
from .runner import Job

LIBRARIES = ("minigan", "torch")


def machine(job: Job) -> None:
    """What the GPU can do at most, through each library; what a launch costs. Ends by starting what `steps` needs."""
    sizes = {"side": job.plan.side, "copied": job.plan.copied, "seconds": job.plan.block}
    children = {library: job.child(library) for library in LIBRARIES}
    for library, child in children.items():
        found = job.attempt(library, lambda child=child: child.ask("ceilings", job.left(), **sizes))
        job.result.setdefault("ceilings", {})[library] = found
    launches = job.attempt("launches", lambda: children["minigan"].ask("launches", job.left(), times=job.plan.launches))
    job.result["launches"] = launches
    job.result["nvidia_smi_after"] = nvidia_smi()
    job.close()
    if "steps" in job.session.record["chosen_stages"]:
        timed_steps.prepare(job.session)


def tests(job: Job) -> None:
    """The tests that need a GPU."""
    with tempfile.TemporaryDirectory() as folder:
        running = Tests(job.plan.tests, Path(folder) / "tests.log", job.session.rehearse)
        try:
            found, job.errors[:] = running.finish(job.left())
        finally:
            running.close()
    job.result |= found


def gradcheck(job: Job) -> None:
    """Gradients of every op and of both ways to convolve, against differences, on the device."""
    sizes = {"step": job.plan.table_step, "wide": job.plan.wide_channels}
    job.result |= job.child("minigan").ask("gradcheck", job.left(), **sizes)
    job.errors += job.result["failed"]


def soak(job: Job) -> None:
    """Captured rounds of the DCGAN against the same rounds played one launch at a time."""
    plan = job.plan
    sizes = {"rounds": plan.soak_rounds, "batch": plan.soak_batch, "images": plan.images}
    found = job.child("minigan").ask("soak", job.left(), **sizes)
    job.result |= found
    job.errors += soak_errors(found)


def layers(job: Job) -> None:
    """Kernel times of every layer in both libraries, and the bandwidth of kernels that only pass over memory.

    A layer's inputs are the same at each call: what fits into the GPU's cache is read from there, in both libraries.
    """
    chosen = [workload(name, job.session.rehearse) for name in job.session.workloads]
    todo = distinct(chosen)
    children = {library: job.child(library) for library in LIBRARIES}
    ceilings = measured_ceilings(job.session.record)
    sizes = {"elements": job.plan.elements, "seconds": job.plan.kernel}
    bound = job.attempt("memory-bound kernels", lambda: children["minigan"].ask("memory_bound", job.left(), **sizes))
    for found in (bound or {}).values():
        found["of_copy"] = found["gb_per_s"] / ceilings["copy"] if "copy" in ceilings else None
    job.result["memory_bound"] = bound
    rows = job.result["layers"] = []
    for layer, users in todo.items():
        if job.left() <= 0:
            job.cut(f"{len(todo) - len(rows)} of {len(todo)} layers")
            return
        described = {"layer": layer.title, "of": users, "gflop": layer.flops / 1e9}
        rows.append(described | {"times": timed_layer(job, children, layer)})
        judge(rows[-1], ceilings)
        job.session.save()


def timed_layer(job: Job, children: dict[str, Child], layer: Layer) -> dict[str, Any]:
    """One layer's times by library, None where time ran out or a child failed.

    Such a child is replaced, for its GPU context may be lost.
    """
    found: dict[str, Any] = {}
    for library in LIBRARIES:
        sent = {"layer": layer.described(), "seconds": job.plan.kernel}
        try:
            found[library] = children[library].ask("layer", max(job.left(), 1), **sent)
        except ChildError as error:
            found[library] = None
            if job.left() > 0:
                job.errors.append(f"{layer.title}: {error}")
            else:
                job.cut(f"{layer.title}, {library}")
            children[library].close()
            children[library] = job.child(library)
    return found


def judge(found: dict[str, Any], ceilings: dict[str, float]) -> None:
    """Add, by precision and face: the chosen and the best way's ms, the best of PyTorch, ratio, rate, share."""
    ours, theirs = found["times"]["minigan"], found["times"]["torch"]
    for precision in PRECISIONS:
        chosen = ours["chosen"][precision] if ours else {}
        found[precision] = {}
        for face in FACES:
            mine = ours[precision][face] if ours else {}
            ms = mine.get(chosen[face]) if mine else None
            best = min(theirs[precision][face].values()) if theirs else None
            rate = found["gflop"] / ms if ms else None  # GFLOP per ms is TFLOP/s
            found[precision][face] = {
                "milliseconds": ms,
                "way": chosen.get(face),
                "best_way": min(mine, key=mine.__getitem__) if mine else None,
                "torch_milliseconds": best,
                "ratio": ms / best if ms and best else None,
                "tflop_per_s": rate,
                "of_ceiling": rate / ceilings[precision] if rate and precision in ceilings else None,
            }


def measured_ceilings(record: dict[str, Any]) -> dict[str, float]:
    """The higher of what the two libraries reached in the stage `machine`; empty if that has not run."""
    found = record["stages"].get("machine", {}).get("result", {}).get("ceilings", {})
    keys = {"copy": "copy_gb_per_s", **{precision: f"{precision}_tflop_per_s" for precision in PRECISIONS}}
    reached = [ceilings for ceilings in found.values() if ceilings]
    return {name: max(c[key] for c in reached) for name, key in keys.items()} if reached else {}
