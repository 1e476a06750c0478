"""`minigan edit` and `minigan mix`: samples moved along directions of a generator's space, and styles put together."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import latent, viz
from ..errors import DataError, ShapeError
from ..judge import Judge
from ..latent import Directions, Points, Space
from ..latent.space import DRAWN, checked_labels, layers_of
from ..system import disk
from ..system.options import Options, nonempty
from ..training import positive
from .between import film
from .generators import check_out, done, generator_of, numbers, of_generator, out_to, titled
from .reading import add_judge, judge_for

EDITED = """Move samples along directions of a generator's space.

    minigan edit RUN                                one sample along the strongest directions, a row for each
    minigan edit RUN --direction 2 --n 8            eight samples along direction 2
    minigan edit RUN --by classes --from 4 --to 9   from what a judge reads as one class to another
    minigan edit RUN --points projection.npz        the first image that `minigan project` found; with --direction all

Directions are those that change most of what the first layer makes (sefa: Shen and Zhou 2021), the principal components
of StyleGAN2's styles (pca: GANSpace, Härkönen et al. 2020), or from the middle of one class to that of another.
Strengths are in standard deviations of points along the direction; 0 is the sample itself.
"""
MIXED = """Draw samples that take their coarse styles from one sample and the fine ones from another (StyleGAN2).

On the left are the samples that rows take their coarse styles from, above those that columns take --layers from.
"""


def edit(arguments: Sequence[str]) -> int:
    """Samples along directions."""
    chosen = _edit_options().parse_args(arguments)
    ending = check_out(chosen, ".png", ".gif")
    generator = generator_of(chosen.source, chosen.device)
    space = Space(generator, chosen.space)
    layers = None if chosen.layers is None else layers_of(chosen.layers, space.layers)
    judge = _judge(chosen, space) if chosen.by == "classes" else None
    found = _directions(chosen, space, layers, judge)
    points = _points(chosen, space, judge)
    low, high = chosen.strength or (-3.0 if judge is None else 0.0, 3.0)
    strengths = np.linspace(low, high, chosen.columns)
    if chosen.direction is None and chosen.by != "classes":
        shown_ways = [found.moved(space, points, k, strengths) for k in range(len(found.vectors))]
        words = [f"{k}  {share:.0%}" for k, share in enumerate(found.shares)]
    else:
        k = chosen.direction or 0
        shown_ways = [found.moved(space, points[[i]], k, strengths) for i in range(len(points))]
        words = [str(i) for i in range(len(points))]
    images = np.stack([viz.to_uint8(_images(space, way)) for way in shown_ways])  # (rows, columns, C, h, w)
    out = Path(chosen.out)
    with disk.naming(out):
        if ending == ".gif":
            film(images.swapaxes(0, 1), out)
        else:
            block = viz.Block(images, words, [f"{s:+.2g}" if abs(s) > 1e-9 else "0" for s in strengths])
            viz.blocks([block], out, _heading(chosen, found))
    about: dict[str, Any] = {"by": chosen.by, "space": space.kind, "shares": found.shares.tolist()}
    return done(chosen, {**about, "strengths": strengths.tolist(), "generator": generator.about})


def _edit_options() -> Options:
    p = of_generator("edit", EDITED)
    p.add_argument("--by", choices=["sefa", "pca", "classes"], default="sefa", help="which directions (default: sefa)")
    p.add_argument("--from", dest="first", type=int, metavar="CLASS", help="of --by classes")
    p.add_argument("--to", dest="second", type=int, metavar="CLASS", help="of --by classes")
    p.add_argument("--count", type=positive, default=6, help="how many directions (default: 6)")
    p.add_argument("--direction", type=int, metavar="K", help="this one alone, of several samples")
    p.add_argument("--n", type=positive, default=6, help="how many samples go along one direction (default: 6)")
    p.add_argument(
        "--strength",
        type=_strengths,
        metavar="A..B",
        help="how far, in deviations: --strength=-2..4, or 3 for -3..3 (default: 3, from class to class 0..3)",
    )
    p.add_argument("--columns", type=positive, default=7, help="strengths from A to B (default: 7)")
    p.add_argument("--layers", metavar="A..B", help="of styles: move those of these layers alone")
    p.add_argument("--space", choices=latent.KINDS, help="noise or styles (default: w where there are styles, else z)")
    p.add_argument("--points", type=nonempty, metavar="FILE", help="points of `minigan project`, instead of samples")
    p.add_argument("--labels", type=numbers, metavar="N,...", help="classes in turn, of a conditional generator")
    add_judge(p)
    out_to(p, "edit.png", "a .png, or a .gif")
    by_classes = lambda o: o.by == "classes"
    p.idle_without("--by classes", by_classes, "--from", "--to", "--judge", "--data")
    p.idle("--count", lambda o: "changes nothing with --by classes, which is one direction" if by_classes(o) else "")
    p.idle("--direction", lambda o: "changes nothing with --by classes, which is one" if by_classes(o) else "")
    one = lambda o: o.direction is not None or by_classes(o)
    p.idle_without("--direction or --by classes: else it is one sample", one, "--n")
    p.idle("--labels", lambda o: "changes nothing beside --points, which have theirs" if o.points else "")
    return p


def _judge(chosen: argparse.Namespace, space: Space) -> Judge:
    """Who reads the classes."""
    if chosen.first is None or chosen.second is None:
        raise ShapeError("--by classes: expected two classes, --from CLASS --to CLASS")
    judge = judge_for(chosen, space.pictures(space.draw(1)))
    if judge is None:
        raise DataError("--by classes: no judge knows these images; --judge FILE names one")
    return judge


def _directions(chosen: argparse.Namespace, space: Space, layers: list[int] | None, judge: Judge | None) -> Directions:
    if judge is not None:
        return latent.between_classes(space, judge, chosen.first, chosen.second, layers, chosen.seed)
    count = chosen.count if chosen.direction is None else max(chosen.direction + 1, 1)
    if chosen.by == "sefa":
        return latent.factorised(space, count, layers)
    return latent.principal(space, count, layers, chosen.seed)


def _points(chosen: argparse.Namespace, space: Space, judge: Judge | None) -> Points:
    """The points that are moved: those of a file, or of samples, with a judge of the class that is left."""
    one = chosen.direction is None and judge is None
    if chosen.points is not None:
        points = latent.read_points(chosen.points)
        return points[:1] if one else points
    n = DRAWN if judge is not None else 1 if one else chosen.n
    drawn = space.draw(n, chosen.seed, checked_labels(chosen.labels, n, space.generator.classes))
    if judge is None:
        return drawn
    return drawn[np.flatnonzero(judge.predict(space.pictures(drawn)) == chosen.first)[: chosen.n]]


def _images(space: Space, points: Points) -> np.ndarray:
    images = space.pictures(points)
    if images.ndim != 4:
        raise ShapeError(f"this command draws images, this generator makes samples of shape {images.shape[1:]}")
    return images


def _heading(chosen: argparse.Namespace, found: Directions) -> str:
    layers = "" if found.layers is None else f", layers {chosen.layers}"
    if chosen.by == "classes":
        what = f"from class {chosen.first} to {chosen.second}"
    elif chosen.direction is None:
        what = f"directions by {chosen.by}, and their shares"
    else:
        what = f"direction {chosen.direction} by {chosen.by}"
    return f"{titled(chosen.source)}: {what}{layers}, in deviations of {found.kind}"


def _strengths(text: str) -> tuple[float, float]:
    """A..B, or one number for both sides of 0."""
    first, between, last = text.partition("..")
    try:
        low, high = (float(first), float(last)) if between else (-float(first), float(first))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected A..B or a number, got {text!r}") from None
    if not (np.isfinite(low) and np.isfinite(high)):
        raise argparse.ArgumentTypeError(f"expected finite numbers, got {text!r}")
    return low, high


def mix(arguments: Sequence[str]) -> int:
    """Samples of two samples' styles each."""
    p = of_generator("mix", MIXED)
    p.add_argument("--rows", type=positive, default=5, help="samples that give coarse styles (default: 5)")
    p.add_argument("--columns", type=positive, default=6, help="samples that give fine styles (default: 6)")
    p.add_argument("--layers", metavar="A..B", help="that are fine, from 0 (default: the upper half)")
    p.add_argument("--truncation", type=float, default=1.0, metavar="PSI", help="as in `minigan sample` (default: 1)")
    p.add_argument("--labels", type=numbers, metavar="N,...", help="classes in turn, of a conditional generator")
    out_to(p, "mix.png", "a .png")
    chosen = p.parse_args(arguments)
    check_out(chosen, ".png")
    generator = generator_of(chosen.source, chosen.device)
    space = Space(generator, "w+")
    fine = layers_of(chosen.layers or f"{space.layers // 2}..{space.layers - 1}", space.layers)
    n = chosen.rows + chosen.columns
    drawn = space.draw(n, chosen.seed, checked_labels(chosen.labels, n, generator.classes))
    w = space.truncated(drawn, chosen.truncation).values
    coarse, above = w[: chosen.rows], w[chosen.rows :]
    both = coarse[:, None].repeat(chosen.columns, 1)
    both[:, :, fine] = above[:, fine]
    corner = np.zeros_like(w[:1])
    table = np.concatenate(
        [np.concatenate([corner, above])[None], np.concatenate([coarse[:, None], both], 1)]
    )  # (1 + rows, 1 + columns, layers, dim)
    labels = None if drawn.labels is None else np.zeros(table.shape[0] * table.shape[1], np.int64)
    images = viz.to_uint8(_images(space, Points("w+", table.reshape(-1, *w.shape[1:]), labels)))
    images = images.reshape(*table.shape[:2], *images.shape[1:])
    images[0, 0] = 255
    out = Path(chosen.out)
    with disk.naming(out):
        title = f"{titled(chosen.source)}: coarse styles of the left, layers {_told(fine)} of those above"
        viz.blocks([viz.Block(images)], out, title)
    return done(chosen, {"layers": fine, "truncation": chosen.truncation, "generator": generator.about})


def _told(layers: list[int]) -> str:
    """2..5, or 1, 3."""
    whole = layers == list(range(layers[0], layers[-1] + 1)) and len(layers) > 1
    return f"{layers[0]}..{layers[-1]}" if whole else ", ".join(map(str, layers))
