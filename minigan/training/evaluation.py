"""Evaluating a run: samples of its generator beside the data it learnt from, read by a judge that knows them."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import data
from ..data import Samples, fingerprint, load_images
from ..errors import DataError, ShapeError
from ..export import Generator
from ..judge import Reader, Seen, of_images, of_points, seen, sides, suited
from ..judge.yardstick import RandomFeatures
from ..system.terminal import shown
from ..viz import to_uint8
from . import record
from .folder import RunFolder
from .program import SEEN
from .record import Evaluation
from .settings import Settings, flat

UNLIKELY = 1 << 40  # that a run had such a seed: points of this one and the next are not those learnt from
SAMPLES = 10_000  # as papers have it
NO_JUDGE = "no judge knows these images: features of random filters stand in for one, which have learnt nothing"
NO_HELD_OUT = "of these data nothing is held out: samples are compared with one half of them, real ones are the other"
CHANGED = "the data are not those that the run learnt from: their fingerprint is another"
Stage = Callable[[str], None]


def evaluate(
    run: Path,
    n: int = SAMPLES,
    *,
    reader: Reader | None = None,
    features: Sequence[np.ndarray] | None = None,
    seed: int = 0,
    device: str = "cpu",
    stage: Stage = lambda name: None,
) -> Evaluation:
    """The table of n samples of the generator in the folder `run`, which is also written into its metrics.json.

    Images are read by `reader`, by default the judge that knows them. `features` are those that another tool made in
    place of a reader: of samples, of real images, and of other real images if there is to be a floor. Points are
    compared as they are, if their data set is one of PLANE, without a reader or features. Samples and the images that
    they are compared with are chosen by `seed`; `stage` is told what is done next. CheckpointError if there is no run,
    or no generator; ShapeError if features are not of one length; DataError if the run's data cannot be had, or are too
    few, or if the generator makes images of images.
    """
    if features is not None and len({of.shape[1:] for of in features}) > 1:
        got = " and ".join(str(of.shape) for of in features)
        raise ShapeError(f"evaluation: expected features (N, F) of one F, got {got}")
    folder = RunFolder(run)
    generator = folder.load_generator(device)
    if generator.source is not None:
        raise DataError(f"{run}: makes images of images, not of noise; what its program measured is in metrics.json")
    settings = folder.settings()
    stage("data")
    shape = generator.sample(1).shape[1:]
    before = record.read_metrics(run, [])[1]
    if len(shape) == 1:
        if reader is not None or features is not None:
            raise DataError("evaluation: this generator makes points, which no judge reads and which need no features")
        evaluation = _of_points(settings, generator, n, seed, stage)
    else:
        if len(shape) != 3:
            raise ShapeError(f"the generator makes samples of shape {shape}: an evaluation knows images and points")
        limit = SEEN if settings.stream else None
        fitted = (shape[0], shape[1], shape[2])
        samples = load_images(settings.data, limit, fitted, labels=settings.labels_from, count=settings.images)
        evaluation = _of_images(samples, generator, n, reader, features, seed, before, stage)
        told = generator.texts is not None  # then the data that the run names are images and captions
        if not settings.stream and not told and _changed(run, samples):
            evaluation.notes.append(CHANGED)
    folder.write_evaluation(evaluation)
    return evaluation


def _changed(run: Path, samples: Samples) -> bool:
    """Are the data others than the run says it learnt from?"""
    before = record.read_config(run, [])["images"].get("sha256")
    return before is not None and before != fingerprint(samples.values)["sha256"]


def _of_images(
    samples: Samples,
    generator: Generator,
    n: int,
    reader: Reader | None,
    features: Sequence[np.ndarray] | None,
    seed: int,
    before: Evaluation | None,
    stage: Stage,
) -> Evaluation:
    held = sides(samples, n, seed=seed)
    notes = [] if held.held_out else [NO_HELD_OUT]
    if len(held.other) < n:
        notes.append(f"{len(held.other)} samples, not {n}: there are no more real images to put in their place")
    stage("samples")
    images = _drawn(generator, len(held.other), seed)
    made_with: dict[str, Any] = {}
    if features is None:
        reader = reader or suited(samples)
        if reader is None:
            notes.append(NO_JUDGE)
            reader = RandomFeatures(held.train)
        made_with = _made_with(samples, reader, len(images), len(held.real), seed)
    floors = before.floors if before is not None and made_with and before.made_with == made_with else {}
    stage("features")
    if features is None:
        assert reader is not None
        fake, real = seen(reader, images), Seen(reader.features(held.real))
        other = None if floors else seen(reader, held.other)
    else:
        fake, real, *rest = map(Seen, features)
        other = rest[0] if rest else None
    rows = of_images(images, held, fake, real, other, floors, stage)
    name = "features of another tool" if reader is None else reader.name
    return Evaluation(_step(generator), name, len(fake.features), len(real.features), rows, notes, made_with)


def _made_with(samples: Samples, reader: Reader, count: int, real: int, seed: int) -> dict[str, Any]:
    """What decides what real images reach, as JSON has it."""
    about = {"data": fingerprint(samples.drawn), "reader": reader.name, "about": reader.about}
    return json.loads(json.dumps({**about, "samples": count, "real": real, "seed": seed}))


def _drawn(generator: Generator, n: int, seed: int) -> np.ndarray:
    """Samples as anybody sees them, uint8; DataError if one is NaN or infinite."""
    images = generator.sample(n, seed=seed).numpy()
    if not np.isfinite(images).all():
        raise DataError(
            f"the generator's samples {images.shape} are not all finite, so nothing can be measured of them"
        )
    return to_uint8(images)


def _step(generator: Generator) -> int:
    step = generator.about.get("step")
    return step if isinstance(step, int) else 0


# --- points -----------------------------------------------------------------------------------------------------


class Law(NamedTuple):
    """A distribution in the plane: draw(n, std, seed), where its modes are if it has some, their usual deviation."""

    draw: Callable[[int, float, int], np.ndarray]
    centres: np.ndarray | None = None
    std: float = 0.05


PLANE = {
    "ring": Law(lambda n, std, seed: data.gaussians_ring(n, std=std, seed=seed)[0], data.ring_centres()),
    "grid": Law(lambda n, std, seed: data.gaussians_grid(n, std=std, seed=seed)[0], data.grid_centres()),
    "swiss_roll": Law(lambda n, std, seed: data.swiss_roll(n, seed=seed)),
}
"""Data sets in the plane that an evaluation knows."""


def _of_points(settings: Settings, generator: Generator, n: int, seed: int, stage: Stage) -> Evaluation:
    law = PLANE.get(settings.data)
    if law is None:
        raise DataError(
            f"{shown(settings.data)}: an evaluation knows images, and of points {', '.join(PLANE)}; what "
            f"{settings.name} measured of its samples stands in metrics.json"
        )
    std = flat(vars(settings)).get("std") or law.std
    stage("samples")
    points = generator.sample(n, seed=seed).numpy()
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ShapeError(f"the generator's samples {points.shape} are no finite points of the plane")
    stage("distances")
    real, other = (law.draw(n, std, UNLIKELY + 2 * seed + k) for k in range(2))
    rows = of_points(points, real, other, law.centres, std)
    return Evaluation(_step(generator), "", n, n, rows)
