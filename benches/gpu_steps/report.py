"""The record of a run as JSON, whole or not at all."""

import datetime
import json
import subprocess
from pathlib import Path
from typing import Any

from minigan.system import disk

from .children import ROOT, Child, ChildError
from .driver import nvidia_smi
from .worker import plain

SMOKE_KEYS = {"date", "commit", "rehearsal", "checks", "seconds"}
KEYS = {
    *("date", "commit", "rehearsal", "chosen_stages", "chosen_workloads", "gpu", "driver", "versions"),
    *("stages", "targets", "cut", "errors", "seconds"),
}
STAGE_KEYS = {"ok", "limit_s", "seconds", "errors", "result"}


def begin(rehearse: bool, stages: list[str], workloads: list[str]) -> dict[str, Any]:
    """A record without results: what runs, where, and on which versions."""
    record: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "rehearsal": rehearse,
        "chosen_stages": stages,
        "chosen_workloads": workloads,
        "errors": [],
        "cut": [],
    }
    smi = nvidia_smi()
    found = identities(rehearse, record["errors"])
    record["gpu"] = found.get("minigan", {}).pop("gpu", None)
    versions = found.get("minigan", {}).pop("versions", {})
    record["driver"] = smi["driver_version"] if smi else versions.get("cuda_driver")
    record["versions"] = versions | {"torch": found.get("torch")}
    record["machine"] = found.get("minigan", {}) | {"nvidia_smi": smi}
    return record | {"stages": {}, "targets": [], "seconds": 0.0}


def identities(rehearse: bool, errors: list[str]) -> dict[str, dict[str, Any]]:
    """What each library says of itself and of the GPU; what one cannot say is left out."""
    children = {library: Child(library, library, rehearse) for library in ("minigan", "torch")}
    found = {}
    for child in children.values():
        child.start("identity")
    for library, child in children.items():
        try:
            found[library] = child.finish(60)
        except ChildError as error:
            errors.append(str(error))
        finally:
            child.close()
    return found


def commit() -> str | None:
    """The checkout's commit, with a + if something tracked was changed; None where git does not say."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=12", "--dirty=+"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def write(path: Path, record: dict[str, Any]) -> None:
    """Put the record where `path` says, in the place of what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    disk.write(path, (json.dumps(plain(record), indent=1) + "\n").encode())


def read(path: Path) -> dict[str, Any]:
    """The record in this file, of stages or of checks, whole or cut off; ValueError if it is none."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} is no record: {error}") from None
    if not isinstance(record, dict):
        raise ValueError(f"{path} is no record")
    lacking = (SMOKE_KEYS if "checks" in record else KEYS) - set(record)
    if lacking:
        raise ValueError(f"{path} is no record, or one of another version: it lacks {', '.join(sorted(lacking))}")
    return record


def check(record: dict[str, Any]) -> list[str]:
    """What the record of a run that has ended lacks."""
    lacking = [f"the key {key}" for key in sorted(KEYS - set(record))]
    for name in record.get("chosen_stages", []):
        stage = record.get("stages", {}).get(name, {})
        lacking += [f"{key} of the stage {name}" for key in sorted(STAGE_KEYS - set(stage))]
    return lacking
