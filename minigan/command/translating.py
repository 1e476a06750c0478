"""`minigan translate`: what a trained translator makes of pictures of any size."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import random, viz
from ..data import list_pictures, scaled
from ..data.pictures import read_whole
from ..errors import CheckpointError, DataError, ShapeError
from ..export import Generator
from ..gan.latents import SourceImages
from ..system import disk
from ..system.options import Options, nonempty
from ..system.terminal import BY_SHARE, progress, shown, warn
from ..tensor import tensor
from ..training import positive
from ..training.settings import natural
from . import tiles
from .filling import OPAQUE, Masks, holed, holes_told, opacity
from .generators import check_folder, done, of_generator, translator_of
from .tiles import Network

Through = Callable[[Network, np.ndarray], Iterator[np.ndarray]]  # `tiles.through`, told how

ABOUT = """Let a trained translator make pictures of pictures.

    minigan translate RUN photo.jpg other.png --out made/     pictures, each of its own size
    minigan translate RUN FOLDER --out made/                  all that a folder holds
    minigan translate RUN photo.jpg --styles 3                three of each, where styles are drawn: BicycleGAN, MUNIT
    minigan translate RUN/inverse.safetensors FOLDER          the way back, of a CycleGAN

Pictures are such as its sources were: drawings of edges for one that learnt from edges.

A picture is turned upright by its EXIF tag and keeps its size, or as many times that as the translator makes; what is
transparent stays so, and the translator is given what the file shows there. (While it trains, a picture is laid over
white where it is transparent, scaled to cover a square and cropped at its centre.) Large ones go through the network in
tiles that overlap, so that memory is bounded. Each is written as a PNG of its name, with --styles as NAME_1.png,
NAME_2.png and so on; one of a folder lies below --out as it lies in the folder.

Where a network has instance norm, as those of CycleGAN, StarGAN and MUNIT have, each tile has the mean and variance of
its own pixels, and what is made of a large picture depends on --tile: one as large as the picture is best.

A translator that was trained with --made holes fills what is transparent, or with --masks what is white in the picture
of the same name there, and leaves all else as it is. So does one of --made hole, which has only met pictures of one
size in which the middle was missing, half of each side.
"""


UPSCALED = """Let a generator that makes images larger do so with pictures.

    minigan upscale RUN photo.jpg --out larger/

As `minigan translate`, which says what becomes of pictures; RUN is one of examples/super_resolution.py, say. Memory
holds the larger picture, three or four bytes a pixel, and a row of tiles: a smaller --tile needs less.
"""


def translate(arguments: Sequence[str]) -> int:
    """Pictures of pictures."""
    p = _options("translate", ABOUT)
    shown = "of the domains that the translator knows, the one to go to (default: 0)"
    p.add_argument("--label", type=natural, metavar="N", help=shown)
    shown = "so many of each picture, where the translator draws styles, codes or what it drops (default: 1)"
    p.add_argument("--styles", type=positive, metavar="N", help=shown)
    p.named("--seed").help = "the same seed draws the same styles, for each picture alike (default: 0)"
    shown = "pictures of the same names and sizes, white where something is to be filled"
    p.add_argument("--masks", type=nonempty, metavar="FOLDER", help=shown)
    chosen = p.parse_args(arguments)
    check_folder(chosen)
    generator, source = translator_of(chosen.source, chosen.device)
    if chosen.masks and holes_told(generator) is None:
        raise ShapeError(f"--masks {chosen.masks}: {chosen.source} was not trained with --made holes or hole")
    if asked := sorted({"styles", "seed"} & p.given):
        _check_draws(generator, chosen, *asked)
    return _translated(chosen, generator, source)


def upscale(arguments: Sequence[str]) -> int:
    """Larger pictures of pictures; CheckpointError if the generator makes them no larger."""
    p = _options("upscale", UPSCALED)
    p.without("--seed")
    p.set_defaults(label=None, styles=None, masks=None)
    chosen = p.parse_args(arguments)
    check_folder(chosen)
    generator, source = translator_of(chosen.source, chosen.device)
    made = generator.sample(1).shape[2:]
    if made <= source.shape[1:]:
        raise CheckpointError(f"{chosen.source}: makes {made} pixels of {source.shape[1:]}; minigan translate uses it")
    return _translated(chosen, generator, source)


def _check_draws(generator: Generator, chosen: argparse.Namespace, *asked: str) -> None:
    """ShapeError that names what was asked for if the generator draws nothing by itself."""
    if not generator.draws:
        options = " and ".join(f"--{name} {getattr(chosen, name)}" for name in asked)
        raise ShapeError(f"{options}: {chosen.source} draws no styles, and makes one picture of each")


def _translated(chosen: argparse.Namespace, generator: Generator, source: SourceImages) -> int:
    """What the generator makes of the pictures on the command line, in a folder."""
    if chosen.label is not None and not 0 <= chosen.label < (generator.classes or 0):
        known = "it is told no domain" if generator.classes is None else f"it knows 0 to {generator.classes - 1}"
        raise ShapeError(f"--label {chosen.label}: {known}")
    out = Path(chosen.out)
    given = list(_given(chosen.pictures, out))
    targets = _targets(given, out, chosen.styles)
    of = tiles.multiple(generator.network)
    tile = max(chosen.tile // of, 1) * of
    size = {"tile": tile, "overlap": min(chosen.overlap, tiles.widest(tile, of)), "of": of}
    damaged: dict[Path, str] = {}
    largest = 0  # side of a picture
    told = holes_told(generator)
    masks = Masks(chosen.masks) if chosen.masks else None
    with progress(total=len(given), bar_format=BY_SHARE, delay=1) as bar:
        for k, ((file, place), named) in enumerate(zip(given, targets, strict=True), 1):
            bar.set_postfix_str(f"picture {k} of {len(given)}", refresh=False)
            try:
                pixels, alpha = read_whole(file, source.channels - (told or 0))
                if told is not None:
                    alpha = opacity(pixels, alpha, masks, place)
            except (DataError, OSError) as error:
                damaged[file] = str(error)
                bar.update()
                continue
            largest = max(largest, *pixels.shape[:2])
            share = 1 / (tiles.count(*pixels.shape[:2], **size) * len(named))
            for style, target in enumerate(named):
                rng = random.Stream(chosen.seed, "generated").at(style)
                network = partial(_network, generator, chosen.label, rng, partial(bar.update, share))
                with disk.naming(target):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    through = partial(tiles.through, **size)
                    if told is None or alpha is None:
                        made = _made(network, through, pixels, alpha)
                    else:
                        made = _filled(network, through, pixels, alpha, told)
                    viz.save_png(made, target, scale=1)
    if (layer := tiles.seeing_all(generator.network)) and (whole := tiles.filled_up(largest, of)) > tile:
        warn(
            f"note: {layer} sees each tile by itself, so that what is made depends on --tile {tile}; --tile {whole} "
            "takes the largest picture as a whole, if memory allows"
        )
    for file, reason in damaged.items():
        warn(f"{shown(file)}: left out: {reason}")
    if len(damaged) == len(given):
        raise DataError(f"nothing is written: {len(given)} of {len(given)} pictures were left out")
    return done(chosen, {"n": len(given) - len(damaged), "generator": generator.about})


def _options(name: str, about: str) -> Options:
    p = of_generator(name, about)
    p.add_argument("pictures", nargs="+", type=nonempty, metavar="PICTURE|FOLDER", help="what pictures are made of")
    p.add_argument("--out", type=nonempty, default=f"{name}d", metavar="FOLDER", help=f"(default: {name}d)")
    shown = "pixels a side that go through the network at once (default: 512)"
    p.add_argument("--tile", type=positive, default=512, metavar="PIXELS", help=shown)
    shown = "by which tiles overlap, and fade into each other (default: 32)"
    p.add_argument("--overlap", type=natural, default=32, metavar="PIXELS", help=shown)
    return p


def _given(names: Sequence[str], out: Path) -> Iterator[tuple[Path, Path]]:
    """(file, its place below the folder that was named, or its name) of the pictures that are asked for.

    Of a folder, all but those that lie below `out`, if that is in it.
    """
    for name in names:
        path = Path(name)
        if path.is_dir():
            inside = out.resolve() if path.resolve() in out.resolve().parents else None
            for file in list_pictures(path).pictures:
                if inside is None or inside not in file.resolve().parents:
                    yield file, file.relative_to(path)
        elif path.exists():
            yield path, Path(path.name)
        else:
            raise DataError(f"{shown(path)}: no such picture or folder")


def _targets(given: Sequence[tuple[Path, Path]], out: Path, styles: int | None) -> list[list[Path]]:
    """Where each goes, a place for each of its styles.

    CheckpointError for two that would go to one place, or one that would take a picture's.
    """
    files = {file.resolve() for file, _ in given}
    taken: set[Path] = set()
    found = []
    for file, place in given:
        ends = [""] if styles is None else [f"_{k + 1}" for k in range(styles)]
        targets = [out / place.parent / f"{place.stem}{end}.png" for end in ends]
        for target in targets:
            if target in taken:
                raise CheckpointError(
                    f"{shown(file)}: another picture has that name too, both would be {shown(target)}"
                )
            if target.exists() and target.resolve() in files:
                raise CheckpointError(f"{shown(target)}: is one of the pictures; give another --out")
        taken.update(targets)
        found.append(targets)
    return found


def _network(
    generator: Generator, label: int | None, rng: random.Stream, told: Callable[[], Any], part: np.ndarray
) -> np.ndarray:
    """What the generator makes of images (1, C, h, w), for the same draws each time; then `told` is called."""
    labels = None if label is None else np.array([label])
    made = generator.generate(tensor(part), labels, rng=rng.at(rng.step)).numpy()
    told()
    return made


def _made(network: Network, through: Through, pixels: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """The picture (H, W), (H, W, 3) or, where it is transparent, (H, W, 4), that is made of pixels (H, W, C)."""
    height, width = pixels.shape[:2]
    picture = np.empty((0, 0, 0), np.uint8)
    done = 0
    for band in through(lambda part: network(scaled(part)), pixels.transpose(2, 0, 1)):
        rows = viz.to_uint8(band).transpose(1, 2, 0)
        times = rows.shape[1] // width
        if not picture.size:
            picture = np.empty((times * height, times * width, rows.shape[2] if alpha is None else 4), np.uint8)
        there = slice(done, done + len(rows))
        picture[there, :, : 3 if alpha is not None else None] = rows
        if alpha is not None:
            picture[there, :, 3] = alpha[np.arange(there.start, there.stop) // times].repeat(times, 1)
        done += len(rows)
    return picture[..., 0] if picture.shape[2] == 1 else picture


def _filled(network: Network, through: Through, pixels: np.ndarray, alpha: np.ndarray, told: int) -> np.ndarray:
    """Pixels (H, W, C) with what is transparent drawn anew; what is half transparent is half of each.

    The network is told of holes in so many channels.
    """
    filled = np.empty_like(pixels)
    done = 0
    for band in through(lambda part: network(holed(part, told)), np.dstack([pixels, alpha]).transpose(2, 0, 1)):
        there = slice(done, done + band.shape[1])
        share = alpha[there][..., None] / OPAQUE
        made = viz.to_uint8(band).transpose(1, 2, 0)
        filled[there] = np.rint(share * pixels[there] + (1 - share) * made)
        done = there.stop
    return filled[..., 0] if filled.shape[2] == 1 else filled
