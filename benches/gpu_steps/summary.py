"""The record of a run to read in a terminal: what was aimed at first, then every figure."""

import statistics
from collections.abc import Iterator
from typing import Any

from .layers import FACES
from .plan import PRECISIONS
from .targets import fastest

SAID = 110  # characters of an error's first line that are worth a line
FASTER = 0.95  # of the time of the way that is taken: another way that takes less is marked
GAMES = ("game", "same batch", "larger batch")  # of the stage of several processes
LARGE = 0.8  # GFLOP from which on convolutions count in the mean


def table(record: dict[str, Any]) -> Iterator[str]:
    """The lines: whatever there is of each stage, then what was cut, and errors."""
    results = {name: stage["result"] for name, stage in record["stages"].items()}
    yield f"{record['gpu']}, driver {record['driver']}, {record['date'][:16]}, commit {record['commit']}"
    if record["rehearsal"]:
        yield "A REHEARSAL: no figure below was measured on a GPU"
    yield from compared(results.get("steps", {}))
    asked = record["chosen_workloads"] if "steps" in record["chosen_stages"] else ()
    yield from targets([target for target in record["targets"] if target["workload"] in asked])
    yield from machine(results.get("machine", {}))
    yield from checks(results)
    yield from steps(results.get("steps", {}))
    yield from bandwidth(results.get("layers", {}))
    yield from layers(results.get("layers", {}).get("layers", []))
    yield from processes(results.get("processes", {}))
    yield from (f"cut: {what}" for what in record["cut"])
    yield from (f"error: {error.splitlines()[0][:SAID]}" for error in record["errors"])
    for name, stage in record["stages"].items():
        yield from (f"error in {name}: {error.splitlines()[0][:SAID]}" for error in stage["errors"])


def show(value: float | None, spec: str = ".3g") -> str:
    return "-" if value is None else format(value, spec)


def workloads(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What `steps` has found, without the main job."""
    return {name: work for name, work in found.items() if name != "main_job"}


def compared(found: dict[str, Any]) -> Iterator[str]:
    """A line for each workload: captured minigan, PyTorch's faster CUDA graph and their ratio in each precision."""
    if not workloads(found):
        return
    yield ""
    yield "ms a step: minigan captured, PyTorch's CUDA graph in its faster layout, their ratio"
    yield f"{'':42}" + "".join(f"{precision:>24}" for precision in PRECISIONS)
    for work in workloads(found).values():
        cells = []
        for precision in PRECISIONS:
            pair = [fastest(work["variants"], kind, precision) for kind in ("minigan captured", "torch graph")]
            ours, theirs = (each and each[1] for each in pair)
            ratio = ours / theirs if ours and theirs else None
            cells.append(f"{show(ours, '.3f'):>9}{show(theirs, '.3f'):>9}{show(ratio, '.2f'):>6}")
        yield f"{work['title'][:42]:42}" + "".join(cells)


def targets(found: list[dict[str, Any]]) -> Iterator[str]:
    """A line for each target, judged in float32; the ratios of other precisions beside."""
    words = {True: "met", False: "MISSED", None: "not measured"}
    if found:
        yield ""
        beside = "".join(f"{precision:>8}" for precision in found[0]["beside"])
        yield f"{'targets: minigan captured / PyTorch':42}{'at most':>8}{'fp32':>8}  {'':12}{beside}"
    for t in found:
        beside = "".join(f"{show(value, '.2f'):>8}" for value in t["beside"].values())
        rival = f"{t['workload']} / {t['against']}"
        yield f"{rival:42}{t['at_most']:8}{show(t['ratio'], '.2f'):>8}  {words[t['met']]:12}{beside}"


def machine(found: dict[str, Any]) -> Iterator[str]:
    """The ceilings that each library reaches, and microseconds of launches."""
    if found:
        yield ""
    for library, reached in found.get("ceilings", {}).items():
        if reached:
            rates = [f"{precision} {reached[f'{precision}_tflop_per_s']:.1f}" for precision in PRECISIONS]
            yield f"{library:8} copies {reached['copy_gb_per_s']:.0f} GB/s; TFLOP/s of a product: {', '.join(rates)}"
    costs = {k.removesuffix("_us"): v for k, v in (found.get("launches") or {}).items() if k.endswith("_us")}
    if costs:
        yield "us      " + ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in costs.items())


def checks(results: dict[str, Any]) -> Iterator[str]:
    """The stages that time nothing."""
    if "summary" in results.get("tests", {}):
        yield f"tests    {results['tests']['summary']}"
    if "rows" in (found := results.get("gradcheck", {})):
        yield f"gradcheck {found['rows']} rows, {found['convolutions']} convolutions, {len(found['failed'])} failed"
    if "rounds" in (found := results.get("soak", {})):
        same = [f"{what} {'the same' if found[f'{what}_equal'] else 'DIFFER'}" for what in ("weights", "losses")]
        times = [f"{name} {seconds:.1f} s" for name, seconds in found["seconds"].items()]
        yield f"soak     {found['rounds']} rounds, captured and eager: {', '.join(same)}; {', '.join(times)}"


def steps(found: dict[str, Any]) -> Iterator[str]:
    """Every variant of every workload, and the main job."""
    for work in workloads(found).values():
        yield ""
        title = f"{work['title']}, {show(work.get('gflop'))} GFLOP a step"
        yield f"{title:72}{'ms':>10}{'images/s':>10}{'TFLOP/s':>9}{'nodes':>7}"
        for chosen, entry in work["variants"].items():
            if "milliseconds" not in entry or "error" in entry:
                reason = entry.get("skipped") or entry.get("error") or "not timed"
                yield f"  {chosen:34} {reason.splitlines()[0][: SAID - 30]}"
                continue
            rate, nodes = show(entry["tflop_per_s"], ".1f"), entry.get("graph_nodes") or ""
            figures = f"{entry['milliseconds']:10.3f}{entry['images_per_s']:10.0f}{rate:>9}{nodes:>7}"
            yield f"  {chosen:34}{'' if entry['agrees'] else 'ITS LOSSES DEVIATE':36}{figures}"
    jobs = {name: job for name, job in (found.get("main_job") or {}).items() if job}
    if jobs:
        yield ""
        yield f"{'the main job, its batches drawn':72}{'ms':>10}{'images/s':>10}"
    for chosen, job in jobs.items():
        yield f"  {chosen:70}{job['milliseconds']:10.3f}{job['images_per_s']:10.0f}"


def bandwidth(found: dict[str, Any]) -> Iterator[str]:
    """Kernels that memory limits."""
    bound = found.get("memory_bound") or {}
    if bound:
        yield ""
    for name, each in bound.items():
        share = show(each["of_copy"], ".0%")
        yield f"{name:72}{each['milliseconds']:10.3f} ms, {each['gb_per_s']:.0f} GB/s, {share} of a copy"


def layers(rows: list[dict[str, Any]]) -> Iterator[str]:
    """A table for each precision, the mean ratios, then the faces for which another way is faster."""
    if not rows:
        return
    better: list[str] = []
    for precision in PRECISIONS:
        yield ""
        yield f"{f'single layers, {precision}':60}" + "".join(f"{face:>21} " for face in FACES)
        yield f"{'':60}" + f"{'ms':>8}{'ratio':>7}{'rate':>6} " * len(FACES)
        for row in rows:
            cells = []
            for face, found in row[precision].items():
                times = row["times"]["minigan"][precision][face] if row["times"]["minigan"] else {}
                slow = bool(times) and min(times.values()) < FASTER * times[found["way"]]
                ms, ratio = show(found["milliseconds"], ".3f"), show(found["ratio"], ".2f")
                cells.append(f"{ms:>8}{ratio:>7}{show(found['of_ceiling'], '.0%'):>6}{'*' if slow else ' '}")
                if slow:
                    ways = ", ".join(f"{way} {ms:.3f}" for way, ms in times.items())
                    better.append(f"* {row['layer']}, {face}, {precision}: {found['way']} is taken; {ways}")
            yield f"{row['layer']:60}" + "".join(cells)
    yield ""
    yield "ratio: of the time of PyTorch's faster layout; rate: of that of a large product; *: another way is faster"
    yield f"convolutions of {LARGE} GFLOP and more, geometric mean of the ratios: " + ", ".join(
        f"{precision} {show(mean_ratio(rows, precision), '.2f')}" for precision in PRECISIONS
    )
    yield from better


def processes(found: dict[str, Any]) -> Iterator[str]:
    """Sums over GPUs, and the example's game on one and on several; why there are not several."""
    if found:
        yield ""
    for each in found.values():
        for size, times in each.get("sums", {}).items():
            title = f"a sum of {size} float32, GPUs: {each['processes']}"
            cost = f"{times['called_us']:8.1f} us called, {times['in_a_graph_us']:8.1f} in a graph"
            yield f"{title:42}{cost}, {times['gb_per_s']:6.1f} GB/s"
    games = [(each["processes"], each[name]) for each in found.values() for name in GAMES if name in each]
    for gpus, game in games:
        title = f"the main job, batch {game['batch']}, GPUs: {gpus}"
        gain = game["images_per_s"] / games[0][1]["images_per_s"]
        yield f"{title:42}{game['milliseconds']:8.3f} ms, {game['images_per_s']:.0f} images/s, {gain:.2f} of one GPU's"
    yield from (f"no several processes: {each['skipped']}" for each in found.values() if "skipped" in each)


def mean_ratio(rows: list[dict[str, Any]], precision: str) -> float | None:
    """The geometric mean of the ratios of large convolutions to PyTorch's; None without any."""
    large = [row for row in rows if row["gflop"] >= LARGE and not row["layer"].startswith("linear")]
    ratios = [found["ratio"] for row in large for found in row[precision].values() if found["ratio"]]
    return statistics.geometric_mean(ratios) if ratios else None
