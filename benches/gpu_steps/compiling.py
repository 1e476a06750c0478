"""torch.compile takes minutes on the host: it works while the stages run that time nothing."""

import time
from typing import Any

from .children import Child, ChildError
from .plan import COMPILED, workload
from .runner import Job, Session

TWICE = "gradient_penalty"  # the kind of step that torch.compile refuses


def prepare(session: Session) -> None:
    """Start a child for each workload whose step can be compiled, and do not wait; one is enough to rehearse."""
    for name in session.workloads[: 1 if session.rehearse else None]:
        if workload(name, session.rehearse).kind != TWICE and name not in session.compilers:
            child = session.compilers[name] = Child("torch", COMPILED, session.rehearse)
            child.start("open", name=name, chosen=COMPILED, losses=session.plan.losses, backend=session.plan.backend)


def collect(job: Job, seconds: float) -> dict[str, dict[str, Any]]:
    """What each has come to within so many seconds, by workload; whatever has not is ended, nothing runs beside."""
    end = time.monotonic() + seconds
    found: dict[str, dict[str, Any]] = {}
    for name in job.session.workloads:
        child = job.session.compilers.get(name)
        if child is None:
            twice = workload(name, job.session.rehearse).kind == TWICE
            found[name] = {"skipped": "torch.compile does not differentiate twice" if twice else "not rehearsed"}
            continue
        try:
            found[name] = child.finish(end - time.monotonic())
        except ChildError as error:
            found[name] = {"skipped": f"does not run here: {error}"}
            child.close()
            job.cut(f"{name}, {COMPILED}")
    return found
