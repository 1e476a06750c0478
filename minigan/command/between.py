"""`minigan interpolate` and `minigan path-length`: what lies between two points of a generator's space."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .. import latent, random, viz
from ..errors import DataError, ShapeError
from ..judge import perceptual
from ..latent.path_length import WAYS
from ..latent.space import Points, Space, checked_labels, joined
from ..system import disk
from ..system.options import nonempty
from ..system.terminal import answer, progress
from ..training import positive
from .generators import check_out, done, generator_of, numbers, of_generator, out_to
from .reading import add_judge, judge_for

MILLISECONDS = 120  # that a film shows a frame


def interpolate(arguments: Sequence[str]) -> int:
    """What lies between pairs of samples, or between points that were found."""
    p = of_generator("interpolate", "Draw the ways between pairs of samples, a row or a film for each.")
    p.add_argument("--pairs", type=positive, default=8, help="how many ways (default: 8)")
    p.add_argument("--frames", type=positive, default=10, help="samples on each, its ends included (default: 10)")
    p.add_argument("--space", choices=latent.KINDS, help="noise or styles (default: w where there are styles, else z)")
    p.add_argument(
        "--points",
        type=nonempty,
        nargs="+",
        metavar="FILE",
        help="ways from each point of these files to the next, as `minigan project` writes them, instead of samples",
    )
    p.add_argument(
        "--path",
        choices=["circle", "line"],
        help="great circle or straight line (default: circle for normal noise, line for all else)",
    )
    p.add_argument(
        "--label",
        type=int,
        help="the class, of a conditional one (default: each way's own, in the data's proportion if known, else 0)",
    )
    out_to(p, "interpolation.png", "a .png, a way a row, or a .gif")
    for option in ("--pairs", "--label"):
        p.idle(option, lambda o: "changes nothing beside --points, which say it" if o.points else "")
    chosen = p.parse_args(arguments)
    ending = check_out(chosen, ".png", ".gif")
    out = Path(chosen.out)
    generator = generator_of(chosen.source, chosen.device)
    if chosen.points is None:
        space = Space(generator, chosen.space)
        first, second = _pairs(space, chosen.pairs, chosen.label, chosen.seed)
    else:
        space, first, second = _of_files(Space(generator, chosen.space), chosen.points)
    circle = None if chosen.path is None else chosen.path == "circle"
    t = np.linspace(0, 1, chosen.frames, dtype=first.values.dtype)
    way = space.between(first.values, second.values, t, circle)  # (frames, pairs, ...)
    labels = None if first.labels is None else np.tile(first.labels, len(t))
    samples = space.pictures(Points(space.kind, way.reshape(-1, *way.shape[2:]), labels))
    if samples.ndim != 4:
        raise ShapeError(f"interpolate draws images, this generator makes samples of shape {samples.shape[1:]}")
    images = viz.to_uint8(samples).reshape(*way.shape[:2], *samples.shape[1:])
    with disk.naming(out):
        if ending == ".gif":
            film(images, out)
        else:
            viz.save_png(viz.grid(images.swapaxes(0, 1).reshape(-1, *samples.shape[1:]), chosen.frames), out)
    path = "circle" if space.is_circle(circle) else "line"
    return done(chosen, {"path": path, "space": space.kind, "generator": generator.about})


def film(frames: np.ndarray, out: Path) -> None:
    """Write images (frames, n, C, h, w) as an animation there and back, n side by side, 8 in a row at most."""
    there_and_back = [*range(len(frames)), *range(len(frames) - 2, 0, -1)]
    pictures = [viz.grid(frames[k], min(frames.shape[1], 8)) for k in there_and_back]
    viz.animate(pictures, out, milliseconds=MILLISECONDS)


def _pairs(space: Space, pairs: int, label: int | None, seed: int) -> tuple[Points, Points]:
    """The points of 2 pairs samples, of which two that follow each other are the ends of a way and have its class."""
    z = space.generator.latent(2 * pairs, random.Stream(seed, "interpolation")).numpy()
    asked = None if label is None else checked_labels([label], pairs, space.generator.classes)
    if asked is None and space.generator.classes is not None:
        drawn = space.generator.labels(pairs, seed)
        asked = np.zeros(pairs, np.int64) if drawn is None else drawn
    return space.of_noise(z[::2], asked), space.of_noise(z[1::2], asked)


def _of_files(space: Space, files: Sequence[str]) -> tuple[Space, Points, Points]:
    """Each point of the files but the last, and the one behind it; in the space that holds them all.

    The class on a way is that of its first end.
    """
    read = [latent.read_points(file) for file in files]
    widest = max((points.kind for points in read), key=latent.KINDS.index)
    if latent.KINDS.index(widest) > latent.KINDS.index(space.kind):
        space = Space(space.generator, widest)
    points = joined([space.checked(each) for each in read])
    if len(points) < 2:
        raise DataError(f"{files[0]}: holds one point, a way needs two")
    return space, points[:-1], points[1:]


def path_length(arguments: Sequence[str]) -> int:
    """How much images change for each step through a generator's space."""
    p = of_generator(
        "path-length",
        "Measure the perceptual path length (Karras et al. 2019): how much images change, to a judge's eyes, for each\n"
        "step from one sample to another. The smaller, the more evenly. Numbers compare only with those of the same\n"
        "judge, space, way and epsilon: the papers' are by VGG.",
    )
    p.add_argument("--n", type=positive, default=2000, help="steps that are measured (default: 2000; paper: 100000)")
    p.add_argument("--space", choices=latent.KINDS[:2], help="noise or styles (default: w if there are, else z)")
    p.add_argument("--way", choices=WAYS, default="full", help="steps all along a way, or at its end (default: full)")
    p.add_argument("--epsilon", type=float, default=1e-4, help="length of a step, a way being 1 (default: 1e-4)")
    p.add_argument("--labels", type=numbers, metavar="N,...", help="classes in turn, of a conditional generator")
    add_judge(p)
    chosen = p.parse_args(arguments)
    generator = generator_of(chosen.source, chosen.device)
    space = Space(generator, chosen.space)
    judge = judge_for(chosen, space.pictures(space.draw(1)))
    if judge is None:
        raise DataError(
            "path-length: no judge knows these images; `minigan judge train DATA` makes one, for --judge FILE"
        )
    labels = checked_labels(chosen.labels, chosen.n, generator.classes)
    how = {"epsilon": chosen.epsilon, "way": chosen.way, "labels": labels, "seed": chosen.seed}
    with progress(total=chosen.n, unit="step", delay=1) as bar:
        found = latent.path_length(space, perceptual(judge), chosen.n, told=lambda k: bar.update(k - bar.n), **how)
    about = {"mean": found.mean, "error": found.error, "n": chosen.n, "space": space.kind, "way": chosen.way}
    about |= {"epsilon": chosen.epsilon, "judge": judge.name, "generator": generator.about}
    if chosen.json:
        answer(json.dumps(about, indent=2))
    else:
        within = f"of {chosen.n} steps in {space.kind} ({chosen.way}), seen by {judge.name}"
        answer(f"path length {found.mean:.4g}, give or take {1.96 * found.error:.2g}, {within}")
    return 0
