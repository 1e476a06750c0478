"""Directions of a generator's space: found in its weights, in its styles, or between two classes of samples."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import nn
from ..errors import DataError, ShapeError
from ..judge import Judge
from ..models.biggan import BigGenerator
from ..models.conditional import OneHotGenerator
from .space import DRAWN, Points, Space

FEWEST = 10  # samples of a class from which the middle of its points is told


@dataclass(frozen=True)
class Directions:
    """Directions of a space: unit vectors (k, dim), the first the strongest, and how far points spread along each (k,).

    `shares` (k,) says how strong each is: of all that the method measures along every direction, its share.
    """

    kind: str
    vectors: np.ndarray
    deviations: np.ndarray
    shares: np.ndarray
    layers: tuple[int, ...] | None = None

    def moved(self, space: Space, points: Points, k: int, strengths: np.ndarray) -> Points:
        """points (n, ...) moved along direction k by each strength, in deviations: (len(strengths) * n, ...).

        All points by the first strength come first. Directions of some layers move these alone, in w+. ShapeError if
        there is no direction k.
        """
        if not 0 <= k < len(self.vectors):
            raise ShapeError(f"directions go from 0 to {len(self.vectors) - 1}, got {k}")
        step = self.vectors[k] * self.deviations[k]
        points = (Space(space.generator, "w+") if points.kind == "w+" else space).checked(points)
        if self.layers is not None:
            points = space.widened(points)
        if points.kind == "w+":
            mask = np.ones(points.values.shape[1]) if self.layers is None else np.zeros(points.values.shape[1])
            mask[list(self.layers or ())] = 1
            step = mask[:, None] * step
        moved = points.values + strengths.reshape(-1, *[1] * points.values.ndim) * step
        values = moved.reshape(-1, *points.values.shape[1:]).astype(np.float32)
        labels = None if points.labels is None else np.tile(points.labels, len(strengths))
        return Points(points.kind, values, labels)


def factorised(space: Space, count: int = 10, layers: Sequence[int] | None = None) -> Directions:
    """The `count` directions that change most of what the first layer makes, all others held (SeFa).

    Shen and Zhou 2021 ("Closed-form factorization of latent semantics in GANs"): the eigenvectors of A^T A with the
    largest eigenvalues, A (outputs, dim) the weight of the layer that takes the noise; for styles those of the affine
    layers of all convolutions, or of these `layers`, one under the other. No sample is drawn to find them. ShapeError
    if no layer is known to take the noise, or layers are asked for of a generator without styles.
    """
    A = first_weight(space, layers).astype(np.float64)
    values, vectors = np.linalg.eigh(A.T @ A)
    return _found(space, _leading(vectors, count), values[::-1], layers)


def principal(space: Space, count: int = 10, layers: Sequence[int] | None = None, seed: int = 0) -> Directions:
    """The `count` principal components of 4096 styles (GANSpace): along the first, styles differ most.

    Härkönen et al. 2020. They are of the styles themselves, and `layers` says only which ones they move. ShapeError
    for a generator without styles, whose noise has no directions of its own.
    """
    if space.styles is None or space.kind == "z":
        raise ShapeError("principal components are those of styles, and this generator's points are noise: all alike")
    w = Space(space.generator, "w").draw(DRAWN, seed).values.astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(w, rowvar=False))
    return _found(space, _leading(vectors, count), values[::-1], layers)


def between_classes(
    space: Space, judge: Judge, first: int, second: int, layers: Sequence[int] | None = None, seed: int = 0
) -> Directions:
    """The direction from the middle of the points whose samples the judge reads as one class to that of another.

    Of 4096 samples; at 0 a sample is as it was, further on it becomes more of the second. DataError if fewer than ten
    samples are read as one of them, or the judge knows no such class.
    """
    if judge.classes is None or not {first, second} <= set(range(judge.classes)):
        raise DataError(f"{judge.name} reads {judge.classes or 'no'} classes, asked for {first} and {second}")
    single = space if space.kind == "z" else Space(space.generator, "w")
    drawn = single.draw(DRAWN, seed)
    read = judge.predict(single.pictures(drawn))
    middles = []
    for asked in (first, second):
        own = drawn.values[read == asked].astype(np.float64)
        if len(own) < FEWEST:
            raise DataError(f"{len(own)} of {DRAWN} samples are read as {asked}, of which it takes {FEWEST} or more")
        middles.append(own.mean(0))
    step = middles[1] - middles[0]
    return _found(space, (step / np.linalg.norm(step))[None], np.ones(1), layers)


def first_weight(space: Space, layers: Sequence[int] | None = None) -> np.ndarray:
    """(outputs, dim): the weight of what takes points of the space, those of several layers one under the other."""
    if space.styles is not None and space.kind != "z":
        taking = [*(c.conv.affine for c in space.styles.convolutions), space.styles.to_image[-1].conv.affine]
        chosen = range(len(taking)) if layers is None else layers
        return np.concatenate([taking[k].weight.numpy() for k in chosen])
    if layers is not None:
        raise ShapeError("layers are chosen in w or w+, where each takes a style; noise goes into the first alone")
    network = space.generator.network
    if isinstance(network, OneHotGenerator):
        network = network.network
    if isinstance(network, BigGenerator):
        return _of_parts(network)
    layer = next((m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)), None)
    if layer is None:
        raise ShapeError(f"no layer of this {type(network).__name__} is known to take the noise")
    weight, dim = layer.weight.numpy(), len(space.centre)
    matrix = weight.reshape(len(weight), -1)
    if isinstance(layer, nn.ConvTranspose2d):  # whose weight has the inputs first
        matrix = matrix.T
    if matrix.shape[1] < dim:
        raise ShapeError(f"the first layer takes {matrix.shape[1]} numbers, the noise has {dim}")
    return matrix[:, :dim]  # behind the noise comes the class


def _of_parts(network: BigGenerator) -> np.ndarray:
    """The weight of all that take a part of the noise: the first layer its own, the norms of each block theirs."""
    first = network.linear.weight.numpy()
    taking = [(0, first)]
    for k, block in enumerate(network.blocks):
        at = first.shape[1] + k * network.part
        layers = [layer for layer in block.modules() if isinstance(layer, nn.Linear)]
        taking += [(at, layer.weight.numpy()[:, -network.part :]) for layer in layers]  # before it comes the class
    return np.concatenate([np.pad(w, ((0, 0), (at, network.z_dim - at - w.shape[1]))) for at, w in taking])


def _leading(vectors: np.ndarray, count: int) -> np.ndarray:
    """The last of the columns, the last one first; an eigenvector has no sign: its largest number is made positive."""
    rows = vectors.T[::-1][:count]
    return rows * np.sign(rows[np.arange(len(rows)), np.abs(rows).argmax(1)])[:, None]


def _found(space: Space, vectors: np.ndarray, strengths: np.ndarray, layers: Sequence[int] | None) -> Directions:
    """Directions along these unit vectors (k, dim), with how far points spread along them."""
    single = space if space.kind == "z" else Space(space.generator, "w")
    deviations = (single.draw(DRAWN, 1).values @ vectors.T.astype(np.float32)).std(0)
    shares = strengths[: len(vectors)] / strengths.sum()
    kept = None if layers is None else tuple(layers)
    return Directions(single.kind, vectors.astype(np.float32), deviations, shares, kept)
