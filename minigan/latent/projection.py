"""Projection: the point of a generator's space whose sample is nearest to an image, found by gradient."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .. import ops
from ..capture import capture
from ..errors import ShapeError
from ..grad import grad
from ..judge import Judge, looks, perceptual
from ..nn.checks import integer, not_negative
from ..optim import Adam
from ..random import Stream
from ..recording import no_grad
from ..tensor import Tensor
from .space import Points, Space, joined

CANDIDATES = 1024  # samples of which the nearest are where the search starts
TOGETHER = 64  # points that are moved at a time
RISES, FALLS, QUIET = 0.05, 0.25, 0.75  # shares of all steps: the rate rises, falls; from then on there is no noise
ANOMALY = 0.1  # weight of the features in the anomaly score


@dataclass(frozen=True)
class Search:
    """How a point is searched: the sum of three distances is made small.

    Those are the mean squared difference of the pixels, `features` times the perceptual distance by a judge, and
    `prior` times how far the point lies from the middle of its space: the mean of squares in units of the deviation
    there, 1 on average. Adam takes `steps` steps of `lr`, in units of that deviation, from each of `starts` samples.
    `noise` is added to the points in the first steps, falling from that share of their mean length. The paper, which
    begins in the middle and takes 1000 steps, has 0.05; from several samples and in a few hundred steps points end
    nearer without.
    """

    steps: int = 300
    starts: int = 4
    lr: float = 0.1
    noise: float = 0.0
    features: float = 0.3
    prior: float = 0.003

    def __post_init__(self) -> None:
        integer("Search: steps", self.steps, 1)
        integer("Search: starts", self.starts, 1)
        not_negative("Search", lr=self.lr, noise=self.noise, features=self.features, prior=self.prior)

    def rounds(self, n: int) -> int:
        """How many steps it takes to find the points of n images, a few of which are searched at a time."""
        return self.steps * -(-n // self.together)

    @property
    def together(self) -> int:
        """How many images are searched at a time."""
        return max(TOGETHER // self.starts, 1)


@dataclass(frozen=True)
class Projection:
    """What was found of n images: the points, their samples float32 (n, C, H, W), and how far they are from the images.

    `pixels` (n,) are mean squared differences of values in [-1, 1], `features` (n,) perceptual distances by the judge,
    NaN without one. `anomaly` (n,) is AnoGAN's score (Schlegl et al. 2017): 0.9 times the sum of absolute differences
    of the pixels and 0.1 times that of the judge's features, which stand in for the discriminator's; an image that is
    unlike all the generator learnt to draw has a large one.
    """

    points: Points
    images: np.ndarray
    pixels: np.ndarray
    features: np.ndarray
    anomaly: np.ndarray


def project(
    space: Space,
    images: np.ndarray,
    judge: Judge | None = None,
    search: Search | None = None,
    *,
    labels: np.ndarray | None = None,
    seed: int = 0,
    told: Callable[[], None] = lambda: None,
) -> Projection:
    """The points of `space` whose samples are nearest to images (n, C, H, W), float in [-1, 1], and how near they are.

    The search of Karras et al. 2020 (StyleGAN2, appendix D): Adam, a rate that rises in the first twentieth of the
    steps and falls along a cosine in the last quarter, noise that falls with the square of what is left of the first
    three quarters. It begins not in the middle but at the nearest of 1024 samples, of which it moves several and keeps
    the best: what a generator makes of its noise has many local minima (AnoGAN has restarts for them). A conditional
    generator is asked for `labels` (n,), by default for the classes of the samples that it begins with. Points of
    uniform noise stay within its bounds. `told` is called after each step. ShapeError if the images are
    not of the shape that the generator makes.
    """
    search = search or Search()
    shape = space.pictures(space.draw(1)).shape[1:]
    if images.ndim != 4 or images.shape[1:] != shape or not len(images) or images.dtype.kind != "f":
        raise ShapeError(
            f"project: expected images (n, {', '.join(map(str, shape))}), got {images.dtype} {images.shape}"
        )
    images = images.astype(np.float32)
    size = search.together
    parts = []
    for k in range(0, len(images), size):
        some, of_some = images[k : k + size], None if labels is None else labels[k : k + size]
        begun = _starts(space, some, of_some, search.starts, seed)
        parts.append(_searched(space, some, begun, judge, search, seed, told))
    points = joined(parts)
    found = space.pictures(points)
    return Projection(points, found, *_distances(found, images, judge))


def _starts(space: Space, images: np.ndarray, labels: np.ndarray | None, starts: int, seed: int) -> Points:
    """For each image the points of the samples nearest to it, one after the other: (n * starts, ...)."""
    count = max(CANDIDATES, starts)
    chosen = []
    flat = images.reshape(len(images), -1)
    for k, image in enumerate(flat):
        if k == 0 or labels is not None:
            asked = None if labels is None else np.full(count, labels[k])
            drawn = space.draw(count, seed, asked)
            samples = space.pictures(drawn).reshape(count, -1)
        chosen.append(drawn[np.square(samples - image).sum(1).argsort(kind="stable")[:starts]])
    return joined(chosen)


def _searched(
    space: Space,
    images: np.ndarray,
    begun: Points,
    judge: Judge | None,
    search: Search,
    seed: int,
    told: Callable[[], None],
) -> Points:
    """Of each image's points, moved, the one whose sample is nearest."""
    wanted = space.on_device(images.repeat(search.starts, 0))
    labels = None if begun.labels is None else space.on_device(begun.labels)
    centre, scale = space.on_device(space.centre), space.deviation
    units = space.on_device(((begun.values - space.centre) / scale).astype(np.float32))
    embedded = None if judge is None or not search.features else perceptual(judge)
    target = None if embedded is None else embedded(wanted).detach()
    bounds = None if space.bounds is None else [space.on_device((b - space.centre) / scale) for b in space.bounds]
    axes = tuple(range(1, images.ndim))

    def distance(points: Tensor) -> Tensor:
        made = space.images(points * scale + centre, labels)
        found = ops.mean(ops.square(made - wanted), axes)
        if embedded is None or target is None:
            return found
        return found + search.features * ops.sum(ops.square(embedded(made) - target), 1)

    def turn(noise: Tensor) -> Tensor:
        """A step of all points; of each the distance without the prior, where it was."""
        apart = distance(units + noise)
        prior = ops.mean(ops.square(units), tuple(range(1, units.ndim)))
        optimizer.step([grad(ops.sum(apart + search.prior * prior), units)])
        if bounds is not None:
            with no_grad():
                units.copy_(ops.minimum(ops.maximum(units, bounds[0]), bounds[1]), by="project")
        return apart.detach()

    optimizer = Adam([units], search.lr)
    play, stream = capture(turn), Stream(seed, "projection")
    length = math.sqrt(units.shape[-1])
    for step in range(search.steps):
        optimizer.lr = search.lr * rate(step / search.steps)
        strength = search.noise * length * max(1 - step / search.steps / QUIET, 0) ** 2
        play(space.on_device(strength * stream.at(step).normal(units.shape)))
        told()
    with no_grad():
        apart = distance(units).numpy().reshape(len(images), search.starts)
    best = np.arange(len(images)) * search.starts + apart.argmin(1)
    values = units.numpy()[best] * np.float32(scale) + space.centre
    return Points(space.kind, values, None if begun.labels is None else begun.labels[best])


def rate(done: float) -> float:
    """The factor of the learning rate where that share of all steps is done: up, level, down along half a cosine."""
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - done) / FALLS))
    return down * min(1.0, done / RISES)


def _distances(found: np.ndarray, images: np.ndarray, judge: Judge | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each of n pairs: mean squared difference, perceptual distance, anomaly score."""
    apart = (found - images).reshape(len(images), -1)
    pixels, absolute = np.square(apart).mean(1), np.abs(apart).sum(1)
    if judge is None:
        return pixels, np.full(len(images), np.nan, np.float32), (1 - ANOMALY) * absolute
    read = [judge.features(some) for some in (found, images)]
    between = np.abs(read[0] - read[1]).sum(1)
    return pixels, looks(judge, found, images), (1 - ANOMALY) * absolute + ANOMALY * between
