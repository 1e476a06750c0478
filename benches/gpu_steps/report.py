"""The record of a run as JSON, whole or not at all; and the same to read."""

import datetime
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minigan.system import disk

from .children import ROOT, Child, ChildError
from .driver import nvidia_smi
from .layers import FACES
from .plan import PRECISIONS
from .worker import plain

KEYS = {"date", "commit", "rehearsal", "gpu", "driver", "versions", "stages", "targets", "cut", "seconds"}
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


def check(record: dict[str, Any]) -> list[str]:
    """What a record lacks."""
    lacking = [f"the key {key}" for key in sorted(KEYS - set(record))]
    for name in record.get("chosen_stages", []):
        stage = record.get("stages", {}).get(name, {})
        lacking += [f"{key} of the stage {name}" for key in sorted(STAGE_KEYS - set(stage))]
    return lacking


# --- to read ------------------------------------------------------------------------------------------------------


def table(record: dict[str, Any]) -> Iterator[str]:
    """The lines of a summary: whatever there is of each stage, then the targets."""
    results = {name: stage["result"] for name, stage in record["stages"].items()}
    yield f"{record['gpu']}, driver {record['driver']}, {record['date']}"
    yield from machine(results.get("machine", {}))
    yield from checks(results)
    yield from steps(results.get("steps", {}))
    yield from layers(results.get("layers", {}))
    yield from targets(record["targets"])
    yield from (error.splitlines()[0][:200] for error in record["errors"])
    for name, stage in record["stages"].items():
        for error in stage["errors"]:
            yield f"{name}: {error.splitlines()[0][:200]}"


def show(value: float | None, spec: str = ".3g") -> str:
    return "-" if value is None else format(value, spec)


def machine(found: dict[str, Any]) -> Iterator[str]:
    for library, reached in found.get("ceilings", {}).items():
        if reached:
            yield f"{library:8} " + ", ".join(f"{key} {value:.4g}" for key, value in reached.items())
    for name, value in (found.get("launches") or {}).items():
        yield f"  {name:24} {value if isinstance(value, bool) else show(value)}"


def checks(results: dict[str, Any]) -> Iterator[str]:
    if "summary" in results.get("tests", {}):
        yield f"tests     {results['tests']['summary']}"
    if "rows" in (found := results.get("gradcheck", {})):
        yield f"gradcheck {found['rows']} rows, {found['convolutions']} convolutions, {len(found['failed'])} failed"
    if "rounds" in (found := results.get("soak", {})):
        equal = f"weights equal {found['weights_equal']}, losses equal {found['losses_equal']}"
        times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in found["seconds"].items())
        yield f"soak      {found['rounds']} rounds: {equal}; {times}"


def steps(found: dict[str, Any]) -> Iterator[str]:
    for name, work in found.items():
        if name == "main_job":
            continue
        yield f"{work['title']}, {show(work.get('gflop'), '.3g')} GFLOP a step"
        yield f"{'':36} {'ms':>10} {'images/s':>9} {'TFLOP/s':>8} {'graph nodes':>12}"
        for chosen, entry in work["variants"].items():
            if "milliseconds" not in entry or "error" in entry:
                reason = entry.get("skipped") or entry.get("error") or "not timed"
                yield f"  {chosen:34} {reason.splitlines()[0][:100]}"
                continue
            nodes, agreed = entry.get("graph_nodes"), "" if entry["agrees"] else "  ITS LOSSES DEVIATE"
            rate = show(entry["tflop_per_s"], ".1f")
            figures = f"{entry['milliseconds']:10.3f} {entry['images_per_s']:9.0f} {rate:>8} {nodes or '':>12}"
            yield f"  {chosen:34} {figures}{agreed}"
    for chosen, job in (found.get("main_job") or {}).items():
        if job:
            yield f"main job, {chosen:24} {job['milliseconds']:10.3f} {job['images_per_s']:9.0f}"


def layers(found: dict[str, Any]) -> Iterator[str]:
    for name, bound in (found.get("memory_bound") or {}).items():
        yield f"{name:32} {bound['gb_per_s']:7.0f} GB/s, {show(bound['of_copy'], '.0%')} of a copy"
    rows = found.get("layers", [])
    for precision in PRECISIONS if rows else ():
        yield f"layers, {precision}"
        faces = "  ".join(f"{face:>32}" for face in FACES)
        yield f"  {'':58} {faces}"
        for row in rows:
            yield f"  {row['layer']:58} " + "  ".join(f"{cell(row[precision][face]):>32}" for face in FACES)
    if rows:
        yield "  each: ms, of PyTorch's time, of the ceiling, way"


def cell(face: dict[str, Any]) -> str:
    """One face of one layer: ms, ratio to PyTorch, share of the ceiling, way; in brackets the way that is faster."""
    better = "" if face["best_way"] in (None, face["way"]) else f" ({face['best_way']})"
    figures = show(face["milliseconds"], ".3f"), show(face["ratio"], ".2f"), show(face["of_ceiling"], ".0%")
    return " ".join([*figures, f"{face['way'] or '-'}{better}"])


def targets(found: list[dict[str, Any]]) -> Iterator[str]:
    words = {True: "met", False: "MISSED", None: "not measured"}
    for t in found:
        beside = ", ".join(f"{precision} {show(value, '.2f')}" for precision, value in t["beside"].items())
        yield (
            f"target {t['workload']:9} captured minigan / {t['against']:12} {show(t['ratio'], '.2f'):>5} "
            f"(at most {t['at_most']}; {beside}): {words[t['met']]}"
        )
