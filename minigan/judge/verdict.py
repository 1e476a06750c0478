"""Is it training? A verdict from the numbers that matter, with what each finding means and what to do about it."""

import math
from collections.abc import Callable, Container, Mapping, Sequence
from typing import NamedTuple

from ..viz import of_critic

EARLY = 100  # steps before which nothing is said of the samples
LEVELS = ("healthy", "watch", "failing")
VERDICTS = ("early", *LEVELS)  # early: before anything can be said
MEASURED = ("distance", "diversity", "spacing")  # of samples, by a yardstick
BELOW = "below "  # begins the title of what is said of a plain way that is nearer
PATIENCE = 3  # looks in a row that fail before a run is stopped early


class Finding(NamedTuple):
    """One thing to say about a run: how bad, what, and what it means."""

    level: str  # "info", "watch" or "failing"
    title: str
    explanation: str


class Look(NamedTuple):
    """What was seen of a run at a step: the numbers, the verdict, and why."""

    step: int
    numbers: dict[str, float]
    verdict: str
    findings: list[Finding]

    @property
    def sentence(self) -> str:
        """The verdict, and the worst of the findings in a few words, for the terminal."""
        bad = [finding.title for finding in self.findings if finding.level == self.verdict]
        named = " and ".join(bad[:2])
        shown = ", ".join(f"{name} {self.numbers[name]:.2f}" for name in (*MEASURED, "frechet") if name in self.numbers)
        return f"{self.verdict}{': ' + named if named else ''}{f' ({shown})' if shown else ''}"

    @property
    def explained(self) -> str:
        """The verdict, and a line for each finding of its level that says what it means."""
        reasons = [f"- {finding.explanation}" for finding in self.findings if finding.level == self.verdict]
        return "\n".join([f"Verdict: {self.sentence}", *reasons])


def verdict(
    step: int,
    numbers: Mapping[str, float],
    before: Sequence[Look],
    *,
    loss: str,
    logistic: bool,
    options: Container[str] = (),
) -> Look:
    """The look at a run at this step, after the looks `before`.

    `numbers` are `Yardstick.measure`'s and its `floor`; the means since the last look of the log's d_loss, d_real and
    d_fake, of a further discriminator d_real_NAME and d_fake_NAME; and PLAYER_grad, the length of each player's
    gradient. What is missing is not judged. `loss` is the name of the game's loss; with `logistic`, d_real and d_fake
    are probabilities. `options` are those of the program, as in "d_lr": no other is advised.
    """
    findings = _of_samples(step, numbers, before, options)
    for name in _critics(numbers):
        if logistic:
            findings += _of_probabilities(numbers, name, options)
        if loss == "wasserstein":
            findings += _of_critic(numbers, before, name, options)
    findings += _of_gradients(numbers)
    if step < EARLY:  # too early for more than a warning
        findings = [f._replace(level="info") if f.level == "watch" else f for f in findings]
    findings += _of_measuring(numbers)
    worst = max((LEVELS.index(f.level) for f in findings if f.level in LEVELS), default=0)
    said = "early" if worst == 0 and step < EARLY else LEVELS[worst]
    return Look(step, dict(numbers), said, sorted(findings, key=_urgency))


def beside_plain(look: Look, metrics: Mapping[str, float]) -> Look:
    """The look, with a finding for each plain way by which held-out images come nearer to their targets.

    `metrics` have the run's `psnr`, in decibels, and `psnr_NAME` of each plain way, of bicubic interpolation say; and
    `looks` of each, if a judge knows the images, of which less is nearer. Without them the look is as it was.
    """
    ways = [name.removeprefix("psnr_") for name in metrics if name.startswith("psnr_") and "psnr" in metrics]
    level = "info" if look.step < EARLY else "watch"
    found = [_below(way, level, metrics) for way in ways if metrics["psnr"] < metrics[f"psnr_{way}"]]
    others = [finding for finding in look.findings if not finding.title.startswith(BELOW)]
    said = "watch" if found and (look.verdict, level) == ("healthy", "watch") else look.verdict
    return look._replace(findings=sorted([*found, *others], key=_urgency), verdict=said)


def _below(way: str, level: str, metrics: Mapping[str, float]) -> Finding:
    """That a plain way of that name is nearer."""
    own, other, name = metrics["psnr"], metrics[f"psnr_{way}"], way.replace("_", " ")
    why = "Train it for longer, on more data, or with a larger weight of the distance of pixels."
    if metrics.get("looks", math.inf) < metrics.get(f"looks_{way}", -math.inf):
        why = "To the judge's eyes they are nearer all the same: a critic buys looks with pixels."
    words = (
        f"The PSNR of held-out images is {own:.2f} dB, and {other:.2f} dB by {name}, which has learnt nothing. {why}"
    )
    return Finding(level, f"{BELOW}{name}", words)


def _urgency(finding: Finding) -> int:
    return ("failing", "watch", "info").index(finding.level)


def _measured(numbers: Mapping[str, float]) -> bool:
    """Do the numbers say how the samples are?"""
    return all(math.isfinite(numbers.get(name, math.nan)) for name in MEASURED)


def _of_measuring(numbers: Mapping[str, float]) -> list[Finding]:
    """Why nothing can be said of the samples, at any step."""
    if numbers.get("spread") == 0:
        return [
            Finding(
                "watch",
                "data without spread",
                "The data that samples are compared with are all the same, so how far samples are from them, and how "
                "varied, cannot be told. Is that what was to be learnt from (--data)?",
            )
        ]
    if set(MEASURED) <= set(numbers) and not _measured(numbers):
        return [
            Finding(
                "failing",
                "samples are not finite",
                "Some values of the samples are NaN or infinite; --debug-nan finds the op that makes them.",
            )
        ]
    return []


def _advice(options: Container[str], ways: Mapping[str, str]) -> str:
    """A sentence of the ways whose option the program has, with a space before it; "" if it has none of them."""
    known = [way for option, way in ways.items() if option in options]
    if not known:
        return ""
    said = ", or ".join([*filter(None, [", ".join(known[:-1])]), known[-1]])
    return f" {_capital(said)}."


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]


AGAINST_D = {"penalty": "penalise it (--penalty r1)", "d_lr": "slow it down (--d-lr)"}


def _of_samples(
    step: int, numbers: Mapping[str, float], before: Sequence[Look], options: Container[str]
) -> list[Finding]:
    if not _measured(numbers) or step < EARLY:
        return []
    found = []
    diversity, spacing = numbers["diversity"], numbers["spacing"]
    if diversity < 0.1:
        found.append(
            Finding(
                "failing",
                "mode collapse",
                f"Samples vary by {diversity:.0%} of what the data vary: nearly one sample for every noise. A "
                "discriminator that is nearly linear, or far ahead, pushes all samples the same way."
                + _advice(options, AGAINST_D | {"pack": "let it see several samples at once (--pack 2)"}),
            )
        )
    elif min(diversity, 2 * spacing) < 0.4:
        found.append(
            Finding(
                "watch",
                "little variety",
                f"Samples vary by {diversity:.0%} of what the data vary, and a sample's nearest other is at "
                f"{spacing:.0%} of the data's: some kinds may be missing.",
            )
        )
    return found + _of_the_way(step, numbers, [look for look in before if _measured(look.numbers)], options)


class Ruler(NamedTuple):
    """A distance of samples to the data: its name among the numbers, that of other data's, and how it is told."""

    name: str
    floor: str
    told: str
    other: str
    shown: Callable[[float], str]  # a number in words
    far: float  # times the floor: from there on nothing is to be recognised
    worse: float  # times the best: samples that are farther have become worse


def _three_digits(x: float) -> str:
    return f"{x:.0f}" if x >= 1000 else f"{x:.3g}"


READ = Ruler(
    "frechet", "frechet_floor", "The Fréchet distance of samples is", "of real images", _three_digits, 100, 1.7
)
MEASURED_SO = "The distance of samples' features to the data's is"
RULERS = (READ, Ruler("distance", "floor", MEASURED_SO, "of other data", "{:.2f}".format, 4, 1.3))
"""A reader of images is believed before the yardstick.

By `benches/verdict.py` both rank generators alike, and four floors of the yardstick's are a hundred of the reader's.
Below two the yardstick sees no difference, where the reader still sees a factor of five. A Frechet distance is a
squared one, so 1.7 times of it is 1.3 times of the other.
"""


def _of_the_way(
    step: int, numbers: Mapping[str, float], before: Sequence[Look], options: Container[str]
) -> list[Finding]:
    """How far samples have come, by the best ruler that has measured them."""
    looks = [(look.step, look.numbers) for look in before] + [(step, numbers)]
    ruler = next(r for r in RULERS if any(math.isfinite(held.get(r.name, math.nan)) for _, held in looks))
    way = [(at, held[ruler.name]) for at, held in looks if math.isfinite(held.get(ruler.name, math.nan))]
    (_, first), (_, distance) = way[0], way[-1]
    seen = [(at, value) for at, value in way[:-1] if at >= EARLY]
    where, best = min([*seen, way[-1]], key=lambda point: point[1])
    floor = next((held[ruler.floor] for _, held in reversed(looks) if ruler.floor in held), None)
    state = f"{ruler.told} {ruler.shown(distance)}"
    state += "" if floor is None else f" ({ruler.other} {ruler.shown(floor)})"
    floor = floor or 0.0
    if len(seen) >= 3 and min(distance, *(value for _, value in seen[-2:])) > ruler.worse * best + floor:
        words = f"{state}; it was {ruler.shown(best)} at step {where}, whose checkpoint is kept if it was the best."
        return [Finding("watch", "samples get worse", words)]
    if len(seen) >= 5 and distance > (ruler.far * floor or 1.0) and distance > 0.95 * seen[-5][1]:
        ways = {
            "lr": "lower the rates (--lr)",
            "d_steps": "try another balance of the players (--d-steps)",
            "penalty": "try another penalty (--penalty)",
        }
        words = f"{state}; five looks ago it was {ruler.shown(seen[-5][1])}.{_advice(options, ways)}"
        return [Finding("watch", "no progress", words)]
    words = f"{state}; at the first look it was {ruler.shown(first)}."
    return [Finding("info", "distance to the data", words)] if first > 0 else []


def _critics(numbers: Mapping[str, float]) -> list[str]:
    """The discriminators that scored both sides: "" if it is the only one or the first, and names of others."""
    found = [name for plain, name in map(of_critic, numbers) if plain == "d_real"]
    return [name for name in found if set(_sides(name)) <= set(numbers)]


def _sides(name: str) -> tuple[str, str]:
    """The names of that discriminator's mean scores, of real samples and of fakes."""
    return (f"d_real_{name}", f"d_fake_{name}") if name else ("d_real", "d_fake")


def _estimate(numbers: Mapping[str, float], name: str) -> float:
    """E critic(real) - E critic(fake)."""
    real, fake = _sides(name)
    return numbers[real] - numbers[fake]


def _of_probabilities(numbers: Mapping[str, float], name: str, options: Container[str]) -> list[Finding]:
    real, fake = (numbers[side] for side in _sides(name))
    who = f"{name} D".lstrip().replace("_", " ")
    said = f"{_capital(who)} takes real samples for real with {real:.1%}, fakes with {fake:.1%}"
    if real > 0.97 and fake < 0.03:
        return [
            Finding(
                "watch",
                f"{who} wins",
                f"{said}: it hardly errs, its loss is near zero, and what it tells the generator says little of "
                "where to go."
                + _advice(
                    options,
                    AGAINST_D
                    | {
                        "label_smoothing": "smooth its labels (--label-smoothing 0.9)",
                        "halvings": "let a score see fewer pixels (--halvings)",
                    },
                ),
            )
        ]
    if not name and real - fake < 0.02 and numbers.get("distance", 0.0) > 1.5:
        return [
            Finding(
                "watch",
                "D sees no difference",
                f"{said}, though samples are far from the data: it has too little capacity, too strong a penalty, or "
                "too low a learning rate.",
            )
        ]
    return []


def _of_critic(
    numbers: Mapping[str, float], before: Sequence[Look], name: str, options: Container[str]
) -> list[Finding]:
    estimate, of = _estimate(numbers, name), f" of {name}" if name else ""
    if estimate < 0:
        return [
            Finding(
                "watch",
                f"critic{of} behind",
                f"The critic{of} scores fakes higher than real samples, by {-estimate:.3g} on average. At its optimum "
                "E critic(real) - E critic(fake) is the Wasserstein distance, which is positive: it lags behind the "
                "generator."
                + _advice(
                    options, {"d_steps": "give it more steps (--d-steps)", "d_lr": "give it a higher rate (--d-lr)"}
                ),
            )
        ]
    seen = [_estimate(look.numbers, name) for look in before if name in _critics(look.numbers)]
    peak = max([*seen, estimate])
    return [
        Finding(
            "info",
            f"Wasserstein estimate{of}",
            f"E critic(real) - E critic(fake) is {estimate:.3g}, at most {peak:.3g} so far: the distance of samples "
            "and data, times the critic's Lipschitz constant. It is positive, and falls as samples come closer; d_loss "
            "is its negative plus the penalty, so that d_loss rises towards zero.",
        )
    ]


def _of_gradients(numbers: Mapping[str, float]) -> list[Finding]:
    found = []
    for name, length in numbers.items():
        if not name.endswith("_grad"):
            continue
        player = name.removesuffix("_grad")
        if not math.isfinite(length) or length > 1e4:
            found.append(
                Finding(
                    "watch",
                    f"{player}'s gradient is huge",
                    f"The {player}'s gradient is {length:.3g} long. Clip it, lower the rate, or raise eps of Adam; "
                    "--debug-nan finds the op if it turns into NaN.",
                )
            )
        elif length < 1e-6:
            found.append(
                Finding(
                    "failing" if player == "generator" else "watch",
                    f"{player}'s gradient vanishes",
                    f"The {player}'s gradient is {length:.3g} long: it does not move any more. With the minimax loss "
                    "that is what happens once D wins; the non-saturating one keeps its slope.",
                )
            )
    return found


def has_failed(looks: Sequence[Look]) -> bool:
    """Have the last PATIENCE looks all failed?"""
    return len(looks) >= PATIENCE and all(look.verdict == "failing" for look in looks[-PATIENCE:])
