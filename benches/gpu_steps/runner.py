"""Stages one after the other: each with its share of the time, its errors kept, its results written at once."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .children import Child, ChildError
from .crew import Crew
from .plan import Plan
from .worker import traced


@dataclass
class Session:
    """What all stages share: sizes, which workloads, the record, and children that outlive a stage."""

    plan: Plan
    rehearse: bool
    workloads: list[str]
    record: dict[str, Any]
    write: Callable[[dict[str, Any]], None]
    compilers: dict[str, Child] = field(default_factory=dict)
    crew: Crew | None = None

    def save(self) -> None:
        self.write(self.record)

    def close(self) -> None:
        """End the children that outlive a stage."""
        for child in self.compilers.values():
            child.close()
        self.compilers.clear()
        if self.crew is not None:
            self.crew.close()
            self.crew = None


@dataclass
class Job:
    """What one stage is given: where its results go, until when it may run, and the children it may start."""

    session: Session
    result: dict[str, Any]
    errors: list[str]
    deadline: float
    children: list[Child] = field(default_factory=list)

    @property
    def plan(self) -> Plan:
        return self.session.plan

    def left(self) -> float:
        """Seconds until this stage should have ended."""
        return self.deadline - time.monotonic()

    def child(self, library: str, name: str = "", processes: int = 1) -> Child:
        """A child process, or several that do the same, which end with the stage."""
        made = Child(library, name or library, self.session.rehearse, processes)
        self.children.append(made)
        return made

    def attempt(self, what: str, part: Callable[[], Any]) -> Any:
        """part(), or None and its error among the stage's: the rest of the stage goes on."""
        try:
            return part()
        except Exception as error:
            self.errors.append(f"{what}: {described(error)}")
            return None

    def cut(self, what: str) -> None:
        """Note what was left out, for there was no time for it; that is no error."""
        self.session.record["cut"].append(what)

    def close(self) -> None:
        for child in self.children:
            child.close()


Stage = Callable[[Job], None]


def described(error: Exception) -> str:
    """The error's text; where it was raised only if that is here, and not in a child that has said it."""
    if isinstance(error, ChildError):
        return str(error)
    return f"{type(error).__name__}: {error}\n{traced()}"


def run(stages: Mapping[str, tuple[float, Stage]], session: Session, seconds: float) -> bool:
    """Run the stages, (share of the time, function) by name; True if every one ran to its end without an error.

    What a stage leaves of its share, later ones have.
    """
    end = time.monotonic() + seconds
    shares = [share for share, _ in stages.values()]
    for k, (name, (share, stage)) in enumerate(stages.items()):
        start = time.monotonic()
        limit = max(0.0, end - start) * share / sum(shares[k:])
        entry = session.record["stages"][name] = {"ok": False, "limit_s": limit, "errors": [], "result": {}}
        job = Job(session, entry["result"], entry["errors"], start + limit)
        print(f"{name:10} at most {limit:3.0f} s ... ", end="", flush=True)
        try:
            stage(job)
        except Exception as error:
            entry["errors"].append(described(error))
        finally:
            job.close()
            entry["ok"] = not entry["errors"]
            entry["seconds"] = time.monotonic() - start
            session.save()
        first = "ok" if entry["ok"] else f"FAILED: {entry['errors'][0].splitlines()[0][:200]}"
        more = f" and {len(entry['errors']) - 1} more" if len(entry["errors"]) > 1 else ""
        print(f"{entry['seconds']:3.0f} s, {first}{more}", flush=True)
    return all(entry["ok"] for entry in session.record["stages"].values())
