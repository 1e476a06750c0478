"""What the tables of images share: what is learnt, who judges it, numbers on the way, strips of samples."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .. import judge, viz
from ..data import Samples, held_out, load_images
from ..gan import Game
from ..judge import Judge
from ..metrics import frechet_distance
from .cell import Cell
from .results import Results
from .table import Row

CHUNK = 256  # samples that are made at a time
SHOWN = 32  # samples that a cell keeps for a picture


@lru_cache(maxsize=2)
def learnt(name: str, drawn: int, side: int = 28) -> Samples:
    """The training images of a data set; or, in its place, so many digits that are drawn from fonts, if any are.

    Larger ones than 28x28 have a black border.
    """
    return load_images("digits" if drawn else name, drawn or None, (1, side, side))


@lru_cache(maxsize=2)
def reader(name: str, drawn: int, device: str) -> Judge:
    """Who judges what was learnt of that data set: a judge that ships if one knows it, else one taught on the spot."""
    samples = learnt(name, drawn)
    shipped = judge.suited(samples, device)
    return judge.quick_judge(samples, seed=0, device=device) if shipped is None else shipped


@lru_cache(maxsize=2)
def _real_features(name: str, drawn: int, device: str) -> np.ndarray:
    images, _ = held_out(learnt(name, drawn), few=bool(drawn))
    return reader(name, drawn, device).features(images)


def frechet(cell: Cell, images: np.ndarray) -> float:
    """The Frechet distance of images to the held-out ones of the cell's data set, in its judge's features."""
    where = cell.settings["data"], cell.settings["drawn"], cell.device
    return frechet_distance(reader(*where).features(images), _real_features(*where))


def made(game: Game, n: int) -> np.ndarray:
    """n samples of the game, float32: the same for the same weights."""
    parts = [game.sample(min(CHUNK, n - k), at=k // CHUNK).numpy() for k in range(0, n, CHUNK)]
    return np.concatenate(parts)


def moments(steps: int, looks: int) -> list[int]:
    """The steps, evenly spaced, at which a cell is looked at on its way; the last one is among them."""
    return sorted({max(1, round(steps * k / looks)) for k in range(1, looks + 1)})


def note(cell: Cell, step: int, **numbers: float) -> None:
    """Add what was measured at a step to the cell's `curve`: a cell that goes on after a stop measures it again."""
    before = cell.recall("curve")
    kept = before["step"] < step if before else np.zeros(0, bool)
    row = {"step": step, **numbers}
    cell.keep("curve", **{k: np.append(before[k][kept] if before else [], value) for k, value in row.items()})


def keep_samples(cell: Cell, images: np.ndarray) -> None:
    """Keep the first of the images for a picture."""
    first = images[:SHOWN]
    cell.keep("samples", images=first if first.dtype == np.uint8 else viz.to_uint8(first))


def strips(results: Results, count: int = 16) -> Mapping[str, np.ndarray]:
    """For each row with a finished cell, samples of its first one: uint8 (count, C, H, W) by the row's name."""
    found = {}
    for row in results.rows:
        kept = [held for result in results.of(row) if (held := result.kept("samples"))]
        if kept:
            found[row.name] = kept[0]["images"][:count]
    return found


def over_strips(
    shown: Mapping[str, np.ndarray], width: float, height: float, columns: int = 1, strip: float = 0.55
) -> tuple[Any, np.ndarray]:
    """(a figure, its axes (columns,) for curves): they stand in a row of this height over the strips; in inches."""
    below = strip * len(shown)
    figure = viz.empty_figure(figsize=(width, height + 0.2 + below), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=[height, below])
    axes = upper.subplots(1, columns, squeeze=False)[0]
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
    draw_strips(lower.subplots(len(shown), 1, squeeze=False)[:, 0], shown)
    return figure, axes


def draw_strips(axes: Sequence, shown: Mapping[str, np.ndarray], titles: Mapping[str, str] | None = None) -> None:
    """On each of the axes, one strip of images and its name; colours as they are, grey on black."""
    for axis, (name, images) in zip(axes, shown.items(), strict=True):
        picture = viz.grid(images, len(images), gap=1)
        axis.imshow(picture, cmap="gray", vmin=0, vmax=255)
        axis.set_axis_off()
        axis.set_title((titles or {}).get(name, name), fontsize=8, pad=2, loc="left")


def curves(results: Results, row: Row, name: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """(steps, values) of what was noted under that name, one for each finished cell of the row."""
    held = [result.kept("curve") for result in results.of(row)]
    return [(curve["step"], curve[name]) for curve in held if name in curve]
