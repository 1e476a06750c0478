"""The first minutes on a GPU: checks that only a device can make, and the tests that need one.

Everything goes into one folder: smoke.json, written anew after each check; smoke.log, what the terminal saw;
tests.log, what pytest said; kernels.tgz, what was compiled, for the next run.
"""

import datetime
import json
import time
from collections.abc import Iterable
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
SHOWN = 600  # characters of what a check has found that are printed


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
        checks = self.record["checks"].values()
        held = sum(entry["ok"] for entry in checks)
        self.record["passed"] = held == len(checks) and not errors
        self.save()
        print(f"{held} of {len(checks)} checks held; tests: {found['summary']}; {self.record['seconds']:.0f} s")
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
        """Put this into the record, and print whether all was well, what was found and every error."""
        entry = where[name] = {"ok": not answer["errors"], **answer}
        self.save()
        said = json.dumps(entry["found"])
        cut = said if len(said) <= SHOWN else said[:SHOWN] + " ..."
        print(f"{'ok    ' if entry['ok'] else 'FAILED'} {name}, {entry['seconds']:.1f} s: {cut}", flush=True)
        for error in entry["errors"]:
            print("       " + error.replace("\n", "\n       "), flush=True)
