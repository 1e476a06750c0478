"""`minigan translate`: what a trained translator makes of pictures of any size."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from .. import viz
from ..data import list_pictures, scaled
from ..data.pictures import read_whole
from ..errors import CheckpointError, DataError, ShapeError
from ..export import Generator
from ..gan.latents import SourceImages
from ..system import disk
from ..system.options import Options, nonempty
from ..system.terminal import progress, say, shown
from ..tensor import tensor
from ..training import positive
from ..training.settings import natural
from . import tiles
from .generators import done, of_generator, translator_of

Through = Callable[[np.ndarray], np.ndarray]  # of an image (C, H, W) in [-1, 1], of any size

OPAQUE = 255
ABOUT = """Let a trained translator make pictures of pictures.

    minigan translate RUN photo.jpg other.png --out made/     pictures, each of its own size
    minigan translate RUN FOLDER --out made/                  all that a folder holds
    minigan translate RUN/inverse.safetensors FOLDER          the way back, of a CycleGAN

A picture is turned upright by its EXIF tag and keeps its size, or as many times that as the translator makes; what is
transparent stays so. Large ones go through the network in tiles that overlap, so that its memory is bounded. Each is
written as a PNG of its name.

A translator that was trained with --made holes fills what is transparent, and leaves all else as it is.
"""


UPSCALED = """Let a generator that makes images larger do so with pictures.

    minigan upscale RUN photo.jpg --out larger/

As `minigan translate`, which says what becomes of pictures; RUN is one of examples/super_resolution.py, say.
"""


def translate(arguments: Sequence[str]) -> int:
    """Pictures of pictures."""
    p = _options("translate", ABOUT)
    shown = "of the domains that the translator knows, the one to go to (default: 0)"
    p.add_argument("--label", type=natural, metavar="N", help=shown)
    chosen = p.parse_args(arguments)
    return _translated(chosen, *translator_of(chosen.source, chosen.device))


def upscale(arguments: Sequence[str]) -> int:
    """Larger pictures of pictures; CheckpointError if the generator makes them no larger."""
    p = _options("upscale", UPSCALED)
    p.set_defaults(label=None)
    chosen = p.parse_args(arguments)
    generator, source = translator_of(chosen.source, chosen.device)
    made = generator.sample(1).shape[2:]
    if made <= source.shape[1:]:
        raise CheckpointError(f"{chosen.source}: makes {made} pixels of {source.shape[1:]}; minigan translate uses it")
    return _translated(chosen, generator, source)


def _translated(chosen: argparse.Namespace, generator: Generator, source: SourceImages) -> int:
    """What the generator makes of the pictures on the command line, in a folder."""
    if chosen.label is not None and not 0 <= chosen.label < (generator.classes or 0):
        known = "it is told no domain" if generator.classes is None else f"it knows 0 to {generator.classes - 1}"
        raise ShapeError(f"--label {chosen.label}: {known}")
    files = list(_files(chosen.pictures))
    out = Path(chosen.out)
    targets = _targets(files, out)
    out.mkdir(parents=True, exist_ok=True)
    of = tiles.multiple(generator.network)
    tile = max(chosen.tile // of, 1) * of
    overlap = min(chosen.overlap, tiles.widest(tile, of))
    damaged: dict[Path, str] = {}
    fills = source.channels in (2, 4)  # the last says where a hole is
    with progress(total=len(files), unit="picture", delay=1) as bar:
        for file, target in zip(files, targets, strict=True):
            try:
                pixels, alpha = read_whole(file, source.channels - fills)
                if fills and (alpha is None or alpha.all()):
                    raise DataError("nothing of it is transparent, which is what the translator fills")
            except (DataError, OSError) as error:
                damaged[file] = str(error)
                continue
            with disk.naming(target):
                network = partial(_network, generator, chosen.label)
                through = partial(tiles.through, network, tile=tile, overlap=overlap, of=of)
                made = _filled(through, pixels, alpha) if fills else _made(through, pixels, alpha)
                viz.save_png(made, target, scale=1)
            bar.update()
    for file, reason in damaged.items():
        say(f"{shown(file)}: left out: {reason}")
    if len(damaged) == len(files):
        raise DataError(f"none of the {len(files)} pictures could be read")
    return done(chosen, {"n": len(files) - len(damaged), "generator": generator.about})


def _options(name: str, about: str) -> Options:
    p = of_generator(name, about)
    p.without("--seed")
    p.add_argument("pictures", nargs="+", type=nonempty, metavar="PICTURE|FOLDER", help="what pictures are made of")
    p.add_argument("--out", type=nonempty, default=f"{name}d", metavar="FOLDER", help=f"(default: {name}d)")
    shown = "pixels a side that go through the network at once (default: 512)"
    p.add_argument("--tile", type=positive, default=512, metavar="PIXELS", help=shown)
    shown = "by which tiles overlap, and fade into each other (default: 32)"
    p.add_argument("--overlap", type=natural, default=32, metavar="PIXELS", help=shown)
    return p


def _files(given: Sequence[str]) -> Iterator[Path]:
    """The pictures that are named, and those below folders."""
    for name in given:
        path = Path(name)
        if path.is_dir():
            yield from list_pictures(path).pictures
        elif path.exists():
            yield path
        else:
            raise DataError(f"{shown(path)}: no such picture or folder")


def _targets(files: Sequence[Path], out: Path) -> list[Path]:
    """Where each goes; CheckpointError for two that would go to one place, or one that would take a picture's."""
    targets = [out / f"{file.stem}.png" for file in files]
    for k, target in enumerate(targets):
        if target in targets[:k]:
            raise CheckpointError(
                f"{shown(files[k])}: another picture has that name too, both would be {shown(target)}"
            )
        if target.exists() and target.resolve() in {file.resolve() for file in files}:
            raise CheckpointError(f"{shown(target)}: is one of the pictures; give another --out")
    return targets


def _network(generator: Generator, label: int | None, part: np.ndarray) -> np.ndarray:
    """What the generator makes of images (1, C, h, w)."""
    return generator.generate(tensor(part), None if label is None else np.array([label])).numpy()


def _made(through: Through, pixels: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """The picture (H, W), (H, W, 3) or, where it is transparent, (H, W, 4), that is made of pixels (H, W, C)."""
    made = viz.to_uint8(through(_image(pixels))).transpose(1, 2, 0)
    if alpha is None:
        return made[..., 0] if made.shape[2] == 1 else made
    times = made.shape[0] // alpha.shape[0]
    return np.concatenate([made.repeat(3 // made.shape[2], 2), alpha.repeat(times, 0).repeat(times, 1)[..., None]], 2)


def _filled(through: Through, pixels: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Pixels (H, W, C) with what is transparent drawn anew; what is half transparent is half of each."""
    assert alpha is not None
    there = (alpha == OPAQUE)[None].astype(np.float32)
    source = np.concatenate([_image(pixels) * there, 1 - 2 * there])
    made = viz.to_uint8(through(source)).transpose(1, 2, 0)
    share = alpha[..., None] / OPAQUE
    filled = np.rint(share * pixels + (1 - share) * made).astype(np.uint8)
    return filled[..., 0] if filled.shape[2] == 1 else filled


def _image(pixels: np.ndarray) -> np.ndarray:
    """float32 (C, H, W) in [-1, 1] of pixels (H, W, C)."""
    return scaled(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
