"""What translators make of images, in pictures and in numbers."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import judge as judges
from .. import viz
from ..data import Samples, scaled
from ..gan.translation import Translation
from ..gan.translation.making import FILLED
from ..judge import Judge
from ..metrics import frechet_distance, ms_ssim, psnr, sharpness, ssim
from ..metrics.similarity import WINDOW, scales_of
from ..nn import in_chunks
from ..system.options import Options
from ..tensor import Tensor, tensor
from . import program
from .loop import Picture
from .program import Build, Load, Measure
from .settings import Settings
from .sides import load_held_out, made_by, taken, target_shape

SHOWN = 8  # translations beside each other in a picture, in two rows


def main(
    build: Build,
    options: Options,
    load: Load,
    measure: Measure,
    arguments: Sequence[str] | None,
    *,
    picture: Picture | None = None,
) -> int:
    """The program of a translator, whose pictures are `strips` by default; its exit status. See `training.main`."""
    parts: dict[str, Any] = {"load": load, "picture": picture or strips, "measure": measure}
    return program.main(build, options, target_shape, arguments=arguments, **parts)


def given_and_wanted(game: Translation, samples: Samples) -> tuple[np.ndarray, np.ndarray]:
    """Sources, float32 in [-1, 1], and targets, uint8, of samples: pairs, or images of which the game makes sources."""
    if hasattr(samples.values, "source"):
        return scaled(samples.values.source), samples.drawn
    images = samples.drawn
    return game.sources_of(tensor(scaled(images))).numpy(), images


def judge_of(settings: Settings, samples: Samples) -> Judge | None:
    """The judge that --judge names, or that knows the samples; None if none does."""
    named = settings.extra.get("judge")
    return judges.suited(samples, settings.device) if named is None else judges.load(named, settings.device)


def features(settings: Settings) -> Callable[[Tensor], Tensor] | None:
    """What that judge sees in images of the run, as `judge.perceptual` has it; None if no judge knows them."""
    shape = target_shape(settings)
    name = "mnist" if settings.data == "auto" else settings.data
    found = judge_of(settings, Samples(np.zeros((1, *shape), np.uint8), None, name))
    return None if found is None else judges.perceptual(found)


def measured(
    game: Translation, settings: Settings, beside: Mapping[str, Callable[[Tensor], Tensor]] | None = None
) -> dict[str, float]:
    """How near the game's translations of held-out sources are to their targets.

    On average: PSNR in decibels, SSIM where its window fits, MS-SSIM where images have more scales than one; how sharp
    they are, 1 if as sharp as targets; and, if a judge knows them, how different they look to it (`looks`), and two
    translations of one source, where noise decides too (`diversity`). What each of the ways `beside` makes of sources
    is measured likewise, `psnr_NAME` and so on: by default of a hole, what the mean of the rest makes (`mean_fill`).
    """
    held = load_held_out(settings)
    if not len(held.drawn):
        return {}
    source, target = given_and_wanted(game, held)
    device, judge = game.step.device, judge_of(settings, held)

    def near(images: np.ndarray) -> dict[str, float]:
        size = target.shape[2:]
        ways = {"psnr": psnr, **({"ssim": ssim} if min(size) >= WINDOW else {})}
        ways |= {"ms_ssim": ms_ssim} if scales_of(size) > 1 else {}
        numbers = {name: float(np.mean(way(images, target))) for name, way in ways.items()}
        numbers["sharpness"] = sharpness(images, target)
        return numbers if judge is None else {**numbers, "looks": float(judges.looks(judge, images, target).mean())}

    images = viz.to_uint8(in_chunks(game.translate, source, device))
    numbers = near(images)
    if judge is not None:
        other = viz.to_uint8(in_chunks(partial(game.translate, at=1), source, device))
        if (other != images).any():
            numbers["diversity"] = float(judges.looks(judge, images, other).mean())
    for name, way in (_fills(settings) if beside is None else beside).items():
        plain = viz.to_uint8(in_chunks(way, source, device))
        numbers |= {f"{what}_{name}": value for what, value in near(plain).items()}
    return numbers


def measured_between(
    game: Translation, settings: Settings, source: Samples, target: Samples, *, styled: bool = False
) -> dict[str, float]:
    """How near the game's translations of a domain's images are to another domain, and whether they say the same.

    If a judge knows the other domain: the share of translations that it reads as their sources' labels say
    (`read_as_before`); how far they are from images of that domain by its features (`frechet`), how far the sources are
    (`frechet_before`), and as many other images of the domain itself (`frechet_floor`); and where they are `styled`,
    by styles that are drawn, how different two translations of an image look to it (`diversity`).
    """
    reader = judges.suited(target, settings.device)
    if reader is None:
        return {}
    made = in_chunks(game.translate, source.drawn, settings.device)
    half = len(target.drawn) // 2
    real, *compared = (
        reader.features(images)
        for images in (target.drawn[:half], made[:half], source.drawn[:half], target.drawn[half:])
    )
    names = ("frechet", "frechet_before", "frechet_floor")
    found = {"read_as_before": float((reader.predict(made) == source.labels).mean())}
    found |= {name: frechet_distance(other, real) for name, other in zip(names, compared, strict=True)}
    if styled:
        again = in_chunks(partial(game.translate, at=1), source.drawn, settings.device)
        found["diversity"] = float(judges.looks(reader, *map(viz.to_uint8, (made, again))).mean())
    return found


def _fills(settings: Settings) -> dict[str, Callable[[Tensor], Tensor]]:
    """What fills holes without having learnt anything, if sources have some."""
    named = settings.extra.get("made")
    return {} if made_by(settings.extra) is None or named not in FILLED else {"mean_fill": FILLED[named]}


def strips(game: Any, samples: Samples, path: Path) -> None:
    """Write rows of sources, of what the game makes of them, and of their targets if they have some, to `path`.

    And pictures of the first two alone, whose names begin with before_ and after_, between which the report slides.
    """
    few = samples._replace(values=taken(samples.values, slice(2 * SHOWN)))
    source, target = given_and_wanted(game, few)
    found = in_chunks(game.translate, source, game.step.device)
    rows = [viz.to_uint8(source), viz.to_uint8(found), *([target] if samples.paired else [])]
    viz.save_png(viz.grid(interleaved(rows, SHOWN), SHOWN), path)
    alike = alike_in_size(rows)
    for name, images in zip(("before", "after"), alike, strict=False):
        viz.save_png(viz.grid(images, SHOWN // 2), path.with_name(f"{name}_{path.name}"))


def interleaved(rows: list[np.ndarray], columns: int) -> np.ndarray:
    """Images of several lists, so many of each in a row and the same ones of the next list below them."""
    alike = alike_in_size(rows)
    count = len(rows[0]) // columns * columns or len(rows[0])
    parts = [images[k : k + columns] for k in range(0, count, columns) for images in alike]
    return np.concatenate(parts)


def alike_in_size(rows: list[np.ndarray]) -> list[np.ndarray]:
    """Images of several lists with as many channels, and as large, as the largest of them."""
    most = max(images.shape[1] for images in rows), max(images.shape[2] for images in rows)
    return [_shown(images, *most) for images in rows]


def _shown(images: np.ndarray, channels: int, side: int) -> np.ndarray:
    """Images with as many channels, the first of them if there are more than three, and pixels as large as the side."""
    times = side // images.shape[2]
    images = images[:, :3] if images.shape[1] >= 3 else images[:, :1]
    images = images.repeat(times, 2).repeat(times, 3)
    return images.repeat(3, 1) if images.shape[1] < min(channels, 3) else images
