"""The stage that times whole steps: the variants of each workload in turns, after their losses have been compared."""

import statistics
from typing import Any

from . import compiling
from .children import ChildError
from .crew import Crew
from .plan import COMPILED, TRUSTED, VARIANTS, variant, workload
from .runner import Job, Session, described

# Of the very first loss, of all of the first step, of the next ones. Adam's first steps amplify rounding: PyTorch's own
# two memory formats differ by 7e-5 in the first step of a DCGAN at 64x64 and by 0.1 in the sixth at 28x28.
TOLERANCES = {"fp32": (1e-4, 1e-2, 0.5), "tf32": (1e-2, 0.1, 0.5), "bf16": (5e-2, 0.3, 1.0)}
PREPARED = 60  # seconds at most for a variant to take its first steps
TURN = 30  # seconds at most for a block of them
COMPILING = 0.05  # of this stage's time, if torch.compile has not finished before
TIMING = 0.3  # of a workload's time, for its turns
MAIN_JOB = 0.1  # of this stage's time, for the main job


def prepare(session: Session) -> None:
    """Start what takes long on the host alone and is needed by `steps`: the children, and torch.compile in its own."""
    if session.crew is None:
        session.crew = Crew(session.rehearse)
    compiling.prepare(session)


def steps(job: Job) -> None:
    """Times of every workload in every variant, then the main job. The children end with it, and free their memory."""
    prepare(job.session)
    assert job.session.crew is not None
    try:
        time_all(job, job.session.crew)
    finally:
        job.session.close()


def time_all(job: Job, crew: Crew) -> None:
    """The same, with these children."""
    compiled = compiling.collect(job, COMPILING * job.left())
    main_job = MAIN_JOB * job.left()
    names = job.session.workloads
    for k, name in enumerate(names):
        seconds = (job.left() - main_job) / (len(names) - k)
        if seconds <= 0:
            job.cut(f"{name}: no time was left")
            continue
        measure(job, crew, name, compiled[name], seconds)
        job.session.save()
    job.result["main_job"] = {}
    for name in (n for n in VARIANTS if variant(n).library == "minigan"):
        if job.left() <= 0:
            job.cut(f"main job, {name}: no time was left")
            continue
        found = job.attempt(f"main job, {name}", lambda name=name: play_main_job(job, crew, name))
        job.result["main_job"][name] = found


def play_main_job(job: Job, crew: Crew, name: str) -> dict[str, float]:
    """Images per second of the example's DCGAN, batches drawn and all."""
    plan, words = job.plan, variant(name)
    return crew.ask(
        *(name, "main_job", job.left()),
        batch=plan.soak_batch,
        images=plan.images,
        seconds=plan.block,
        graphs=words.how == "captured",
        precision=words.precision,
    )


def measure(job: Job, crew: Crew, name: str, compiled: dict[str, Any], seconds: float) -> None:
    """One workload, in about so many seconds, of which a part is kept for what is timed."""
    reserve = job.left() - seconds
    work = workload(name, job.session.rehearse)
    found: dict[str, Any] = {}
    job.result[name] = {"title": work.title, "batch": work.batch, "variants": found}
    found |= opened(job, crew, name, work.kind, reserve + TIMING * seconds)
    found[COMPILED] = compiled
    judge_losses(job, name, found)
    job.result[name]["gflop"] = job.attempt(f"{name}, flops", lambda: count_flops(crew, found))
    take_turns(job, crew, name, found, reserve)
    for entry in found.values():
        summarise(entry, work.batch, job.result[name]["gflop"])


def opened(job: Job, crew: Crew, name: str, kind: str, reserve: float) -> dict[str, dict[str, Any]]:
    """Each variant's first losses, or why there are none; no other is begun when `reserve` seconds are left.

    Those of minigan are opened side by side. Those of PyTorch follow one by one, for cuDNN then tries its algorithms,
    which nothing may disturb.
    """
    asked = {"name": name, "losses": job.plan.losses}
    found: dict[str, dict[str, Any]] = {}

    def answer(chosen: str) -> None:
        try:
            found[chosen] = crew.finish(chosen, min(PREPARED, job.left()))
        except ChildError as error:
            found[chosen] = {"error": str(error)}
            job.errors.append(f"{name}, {error}")

    ours = [chosen for chosen in VARIANTS if variant(chosen).library == "minigan"]
    for chosen in ours:
        crew.start(chosen, "open", chosen=chosen, **asked)
    for chosen in ours:
        answer(chosen)
    for chosen in VARIANTS:
        if chosen in ours:
            continue
        if variant(chosen).frozen and kind != "gan":
            found[chosen] = {"skipped": "there is no generator's turn"}
            continue
        if job.left() <= reserve:
            found[chosen] = {"skipped": "no time was left"}
            job.cut(f"{name}, {chosen}")
            continue
        crew.start(chosen, "open", chosen=chosen, **asked)
        answer(chosen)
    return {chosen: found[chosen] for chosen in VARIANTS}


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
                job.cut(f"{name}: {turn} of {job.plan.rounds} rounds were timed")
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
