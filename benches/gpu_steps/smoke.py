"""The first minutes on a GPU: checks that only a device can make, and the tests that need one.

Everything goes into one folder: smoke.json, written anew after each check; smoke.log, what the terminal saw;
tests.log, what pytest said; kernels.tgz, what was compiled, for the next run.
"""

import datetime
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from . import report
from .children import Child, ChildError
from .device_tests import Tests
from .plan import GPU, REHEARSAL
from .smoke_checks import CHECKS
from .smoke_rates import QUIET

QUIET_SHARE = 0.3  # of the time, which the tests leave to the checks that measure
LIMIT = 45  # seconds for one check
SHOWN = 120  # characters of what a check has found that are printed
ERRORS = 5  # of a check, which are printed


class Smoke:
    """Such a run: its record, and where it goes."""

    def __init__(self, out: Path, rehearse: bool, seconds: float) -> None:
        self.out, self.rehearse, self.seconds = out, rehearse, seconds
        self.start = time.monotonic()
        self.child: Child | None = None
        self.record: dict[str, Any] = {
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "commit": report.commit(),
            "rehearsal": rehearse,
            "checks": {},
        }

    def left(self) -> float:
        """Seconds until all should have ended."""
        return self.start + self.seconds - time.monotonic()

    def save(self) -> None:
        self.record["seconds"] = time.monotonic() - self.start
        report.write(self.out / "smoke.json", self.record)

    def run(self) -> bool:
        """True if every check held and every test passed.

        The tests run beside the checks that measure nothing, and are ended when the others must begin.
        """
        reserve = QUIET_SHARE * self.seconds
        tests = Tests((REHEARSAL if self.rehearse else GPU).tests, self.out / "tests.log", self.rehearse)
        try:
            self.check(CHECKS, reserve)
            found, errors = tests.finish(self.left() - reserve)
            self.enter("tests", {"errors": errors, "found": found, "seconds": found["seconds"]}, self.record)
            self.check(QUIET, 0)
        finally:
            tests.close()
            if self.child is not None:
                self.child.close()
        self.record["passed"] = not errors and all(entry["ok"] for entry in self.record["checks"].values())
        self.save()
        print(total(self.record))
        return self.record["passed"]

    def check(self, names: Iterable[str], reserve: float) -> None:
        """Make these checks, while more than `reserve` seconds are left."""
        for name in names:
            start = time.monotonic()
            try:
                answer = self.answer(name, min(LIMIT, self.left() - reserve))
            except ChildError as error:
                answer = {"errors": [str(error)], "found": {}}
            self.enter(name, answer | {"seconds": time.monotonic() - start}, self.record["checks"])

    def answer(self, name: str, limit: float) -> dict[str, Any]:
        """What a child says of this check; after an error the GPU context may be lost, and a new child has the next."""
        if limit <= 0:
            raise ChildError(f"{name}: no time was left")
        if self.child is None or self.child.closed:
            self.child = Child("minigan", "smoke", self.rehearse)
        try:
            answer = self.child.ask("smoke", limit, name=name)
        except ChildError:
            self.child.close()
            raise
        if answer["errors"]:
            self.child.close()
        return answer

    def enter(self, name: str, answer: dict[str, Any], where: dict[str, Any]) -> None:
        """Put this into the record, and print it."""
        where[name] = {"ok": not answer["errors"], **answer}
        self.save()
        print(*shown(name, where[name]), sep="\n", flush=True)


# --- to read ------------------------------------------------------------------------------------------------------


def table(record: dict[str, Any]) -> Iterator[str]:
    """The record of such a run as lines."""
    yield f"{record['date'][:16]}, commit {record['commit']}{', a rehearsal' if record['rehearsal'] else ''}"
    tests = {"tests": record["tests"]} if "tests" in record else {}
    for name, entry in (record["checks"] | tests).items():
        yield from shown(name, entry)
    yield total(record)


def shown(name: str, entry: dict[str, Any]) -> Iterator[str]:
    """Whether all was well with a check, how long it took, what it found, as far as a line holds it; then errors."""
    found = entry["found"].get("summary") or brief(entry["found"])
    cut = found if len(found) <= SHOWN else found[:SHOWN] + " ..."
    yield f"{'ok' if entry['ok'] else 'FAILED':6} {name:27} {entry['seconds']:5.1f} s  {cut}".rstrip()
    for error in entry["errors"][:ERRORS]:
        yield "       " + error.replace("\n", "\n       ")
    if len(entry["errors"]) > ERRORS:
        yield f"       and {len(entry['errors']) - ERRORS} more"


def brief(found: Any) -> str:
    """What a check has found, in words: numbers to three digits."""
    if isinstance(found, dict):
        return "; ".join(
            f"{name} ({brief(v)})" if isinstance(v, dict) else f"{name}: {brief(v)}" for name, v in found.items()
        )
    if isinstance(found, list):
        return ", ".join(f"({brief(v)})" if isinstance(v, dict | list) else brief(v) for v in found) or "none"
    if isinstance(found, bool):
        return "yes" if found else "no"
    return "-" if found is None else f"{found:.3g}" if isinstance(found, float) else str(found)


def total(record: dict[str, Any]) -> str:
    """What it all came to."""
    held = sum(entry["ok"] for entry in record["checks"].values())
    tests = record["tests"]["found"]["summary"] if "tests" in record else "cut off"
    return f"{held} of {len(record['checks'])} checks held; tests: {tests}; {record['seconds']:.0f} s"
