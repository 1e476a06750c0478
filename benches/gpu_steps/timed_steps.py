"""The stage that times whole steps: the variants of each workload in turns, after their losses have been compared."""

import statistics
from typing import Any

from .children import Child, ChildError
from .compiling import collect
from .plan import COMPILED, TRUSTED, VARIANTS, variant, workload
from .runner import Job, described

# Of the very first loss, of all of the first step, of the next ones. Adam's first steps amplify rounding: PyTorch's own
# two memory formats differ by 7e-5 in the first step of a DCGAN at 64x64 and by 0.1 in the sixth at 28x28.
TOLERANCES = {"fp32": (1e-4, 1e-2, 0.5), "tf32": (1e-2, 0.1, 0.5)}
PREPARED = 60  # seconds at most for a variant to take its first steps
TURN = 30  # seconds at most for a block of them
COMPILING = 0.25  # of this stage's time, if torch.compile has not finished before
MAIN_JOB = 0.15  # of this stage's time, for the main job


class Crew:
    """A child process for each variant, replaced when it fails."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.children: dict[str, Child] = {}
        for name in VARIANTS:
            if self.skipped(name, "gan") is None:
                self.children[name] = job.child(variant(name).library, name)

    def skipped(self, name: str, kind: str) -> str | None:
        """Why this variant does not apply here; None if it does."""
        words = variant(name)
        if words.frozen and kind != "gan":
            return "there is no generator's turn"
        return "there are no CUDA graphs without a GPU" if self.job.session.rehearse and words.how == "graph" else None

    def ask(self, name: str, request: str, limit: float, /, **arguments: Any) -> Any:
        try:
            return self.children[name].ask(request, limit, **arguments)
        except ChildError:
            self.children[name].close()
            self.children[name] = self.job.child(variant(name).library, name)
            raise


def steps(job: Job) -> None:
    """Times of every workload in every variant, then the main job."""
    crew = Crew(job)
    compiled = collect(job, COMPILING * job.left())
    main_job = MAIN_JOB * job.left()
    names = job.session.workloads
    for k, name in enumerate(names):
        seconds = (job.left() - main_job) / (len(names) - k)
        measure(job, crew, name, compiled[name], job.left() - seconds)
        job.session.save()
    job.result["main_job"] = {}
    for name in (n for n in VARIANTS if variant(n).library == "minigan"):
        found = job.attempt(f"main job, {name}", lambda name=name: play_main_job(job, crew, name))
        job.result["main_job"][name] = found


def play_main_job(job: Job, crew: Crew, name: str) -> dict[str, float]:
    """Images per second of the example's DCGAN, batches drawn and all."""
    plan, words = job.plan, variant(name)
    return crew.ask(
        *(name, "main_job", max(job.left(), 1)),
        batch=plan.soak_batch,
        images=plan.images,
        seconds=plan.block,
        graphs=words.how == "captured",
        precision=words.precision,
    )


def measure(job: Job, crew: Crew, name: str, compiled: dict[str, Any], reserve: float) -> None:
    """One workload; no further turn begins when `reserve` seconds of the stage are left."""
    work = workload(name, job.session.rehearse)
    found: dict[str, Any] = {}
    job.result[name] = {"title": work.title, "batch": work.batch, "variants": found}
    for chosen in VARIANTS:
        found[chosen] = opened(job, crew, name, chosen, work.kind)
    found[COMPILED] = compiled
    judge_losses(job, name, found)
    job.result[name]["gflop"] = job.attempt(f"{name}, flops", lambda: count_flops(crew, found))
    take_turns(job, crew, name, found, reserve)
    for entry in found.values():
        summarise(entry, work.batch, job.result[name]["gflop"])


def opened(job: Job, crew: Crew, name: str, chosen: str, kind: str) -> dict[str, Any]:
    """A variant's first losses, or why there are none."""
    reason = crew.skipped(chosen, kind)
    if reason is not None:
        return {"skipped": reason}
    try:
        if job.left() <= 0:
            raise ChildError(f"{chosen}: no time was left")
        return crew.ask(chosen, "open", min(PREPARED, job.left()), name=name, chosen=chosen, losses=job.plan.losses)
    except ChildError as error:
        job.errors.append(f"{name}, {error}")
        return {"error": str(error)}


def judge_losses(job: Job, name: str, found: dict[str, dict[str, Any]]) -> None:
    """Compare every variant's first losses with PyTorch's eager ones, before anything is timed."""
    have = [chosen for chosen, entry in found.items() if "losses" in entry]
    if not have:
        return
    trusted = TRUSTED if TRUSTED in have else have[0]
    job.result[name]["losses_held_against"] = trusted
    for chosen in have:
        entry = found[chosen]
        entry["deviations"] = deviations(entry["losses"], found[trusted]["losses"])
        if (eager := chosen.replace("captured", "eager")) != chosen and eager in have:
            entry["losses_equal_eager_ones"] = entry["losses"] == found[eager]["losses"]  # to the last bit
        entry["agrees"] = agrees(entry["deviations"], variant(chosen).precision)
        if not entry["agrees"]:
            job.errors.append(f"{name}, {chosen}: losses deviate from those of {trusted} by {entry['deviations']}")


def deviations(ours: list[list[Any]], theirs: list[list[Any]]) -> list[float]:
    """How far the very first losses are apart, then the losses of each step."""
    return [deviation(ours[0][:1], theirs[0][:1]), *(deviation(a, b) for a, b in zip(ours, theirs, strict=True))]


def deviation(ours: list[Any], theirs: list[Any]) -> float:
    """The largest difference, relative to the largest of theirs; infinite if a number is not finite."""
    if any(isinstance(value, str) for value in (*ours, *theirs)):  # how JSON carries nan and inf
        return float("inf")
    return max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) / max(max(map(abs, theirs)), 1e-12)


def agrees(found: list[float], precision: str) -> bool:
    """True if the losses are the same up to rounding and what the optimizers make of it."""
    first, step, later = TOLERANCES[precision]
    return found[0] <= first and found[1] <= step and all(value <= later for value in found[2:])


def count_flops(crew: Crew, found: dict[str, dict[str, Any]]) -> float | None:
    """GFLOP of a step as minigan takes it."""
    if "losses" not in found["minigan eager"]:
        return None
    return crew.ask("minigan eager", "flops", TURN) / 1e9


def take_turns(job: Job, crew: Crew, name: str, found: dict[str, dict[str, Any]], reserve: float) -> None:
    """Time one block of each variant after the other, a few rounds, so that a GPU that slows down slows them all."""
    ready = [chosen for chosen, entry in found.items() if "losses" in entry]
    for turn in range(job.plan.rounds):
        start = turn % max(len(ready), 1)
        for chosen in ready[start:] + ready[:start]:
            if job.left() <= reserve and turn:
                return
            try:
                asked = {"seconds": job.plan.block}
                late = max(min(TURN, job.left()), 1)
                if chosen == COMPILED:
                    block = job.session.compilers[name].ask("time", late, **asked)
                else:
                    block = crew.ask(chosen, "time", late, **asked)
                found[chosen].setdefault("blocks", []).append(block)
            except ChildError as error:
                found[chosen]["error"] = described(error)
                job.errors += [f"{name}, {error}"] if chosen != COMPILED else []  # it is not required to run
                ready = [other for other in ready if other != chosen]


def summarise(entry: dict[str, Any], batch: int, gflop: float | None) -> None:
    """Add the median of the blocks and what follows from it; a variant without blocks gets no figure.

    Its rate counts the arithmetic that minigan's step needs, whatever the variant itself does.
    """
    blocks = entry.pop("blocks", None)
    if not blocks:
        return
    times = [ms for ms, _ in blocks]
    entry["block_milliseconds"] = times
    entry["steps_timed"] = sum(count for _, count in blocks)
    entry["milliseconds"] = statistics.median(times)
    entry["images_per_s"] = batch / entry["milliseconds"] * 1e3
    entry["tflop_per_s"] = None if gflop is None else gflop / entry["milliseconds"]
