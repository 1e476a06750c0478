"""What was logged as curves to draw: thinned so that no spike is lost, and put together where it is compared."""

from typing import Any

import numpy as np

from ...viz import LARGEST, LINES, SCORES, of_critic
from .. import record
from ..record import Run, Series

POINTS = 2000  # drawn of a curve at most
PLAYERS = {  # names and tones, the colours of the page's style
    prefix: (name, tone) for tone, (prefix, name) in enumerate(record.PLAYERS.items())
}
TONES = {"d_real": 3, "d_fake": 2}
ALL_TONES = range(8)  # that the page has colours for
NAMED = {  # columns of health.jsonl: what a curve is called, and its tone
    "distance": ("samples", 1),
    "floor": ("other data", 3),
    "frechet": ("samples", 1),
    "frechet_floor": ("other real images", 3),
    "generator_grad": PLAYERS["g_"],
    "discriminator_grad": PLAYERS["d_"],
}
FRECHET = "Fréchet distance"
GRADIENT = "_grad"
SPEED = "images_per_s"
SPEED_TITLE = "samples per second"


def charts(run: Run) -> list[dict[str, Any]]:
    """The charts of a run, in the order in which they are read: losses, scores and quality first, speed last."""
    first = [("log", "loss"), ("log", "score"), ("health", FRECHET)]
    groups: dict[tuple[str, str], dict[str, Series]] = {name: {} for name in first}
    measured = {name: series for name, series in run.health.items() if name not in run.log}  # the rest are its means
    for source, columns in (("log", run.log), ("health", measured)):
        for name, series in columns.items():
            groups.setdefault((source, _group(name)), {})[name] = series
    speed = groups.pop(("log", SPEED), None)
    if speed is not None:
        groups["log", SPEED_TITLE] = speed
    return [
        {
            "title": title.replace("_", " "),
            "curves": _apart([_curve(name, *group[name]) for name in sorted(group, key=_place)]),
        }
        for (_, title), group in groups.items()
        if group
    ]


def _place(name: str) -> tuple[int, str]:
    """Where a column comes in its chart: first what `viz.LINES` has, in that order."""
    order = [*LINES]
    plain, _ = of_critic(name)
    return order.index(plain) if plain in order else len(order), name


def _group(name: str) -> str:
    """What a column is compared with: the discriminator's d_x and the generator's g_x share a chart."""
    plain, critic = of_critic(name)
    if plain in SCORES:
        return f"score, {critic}" if critic else "score"
    if name.endswith(GRADIENT):
        return "length of the gradient"
    if name == "floor":  # the distance of other data
        return "distance"
    if name in ("frechet", "frechet_floor"):
        return FRECHET
    return name[2:] if name[:2] in PLAYERS and len(name) > 2 else name


def _curve(name: str, steps: np.ndarray, values: np.ndarray) -> dict[str, Any]:
    plain, _ = of_critic(name)
    label, tone = PLAYERS.get(name[:2], (name.replace("_", " "), 3))
    label = SPEED_TITLE if name == SPEED else LINES[plain][0] if plain in LINES else label.removesuffix(" grad")
    label, tone = NAMED.get(name, (label, tone))
    return {"name": label, "tone": TONES.get(plain, tone), **thin(steps, values)}


def _apart(curves: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The curves of a chart, of which a later one with the tone of an earlier one has one that is free, if any is."""
    free = iter([tone for tone in ALL_TONES if tone not in {curve["tone"] for curve in curves}])
    seen: set[int] = set()
    for curve in curves:
        if curve["tone"] in seen:
            curve["tone"] = next(free, curve["tone"])
        seen.add(curve["tone"])
    return curves


def thin(steps: np.ndarray, values: np.ndarray, most: int = POINTS) -> dict[str, Any]:
    """A curve of at most `most` points: x, y, and in `bad` the steps whose value is not finite, where y is None.

    Of a longer one, y is the mean of each bucket of about `per` rows, x the step in its middle, and low and high are
    its extremes: `most` / 2 buckets, each drawn from low to high.
    """
    finite = np.isfinite(values)
    if len(values) <= most:
        return {"x": steps.tolist(), "y": _plain(values), "bad": steps[~finite].tolist()}
    edges = np.linspace(0, len(values), most // 2 + 1).astype(int)
    first, last = edges[:-1], edges[1:] - 1
    with np.errstate(all="ignore"):  # a bucket without a finite value has no mean
        low = np.minimum.reduceat(np.where(finite, values, np.inf), first)
        high = np.maximum.reduceat(np.where(finite, values, -np.inf), first)
        mean = np.add.reduceat(np.where(finite, values, 0), first) / np.add.reduceat(finite.astype(int), first)
    x = steps[(first + last) // 2]
    whole = np.logical_and.reduceat(finite, first)
    return {
        "x": x.tolist(),
        "y": _plain(mean),
        "low": _plain(low),
        "high": _plain(high),
        "bad": x[~whole].tolist(),
        "per": len(values) // len(x),
    }


def _plain(values: np.ndarray) -> list[float | None]:
    """Five digits, more than a screen shows; None for what JSON has no number for."""
    return [float(f"{value:.5g}") if abs(value) < LARGEST else None for value in values.tolist()]
