"""What reads images for a command: pictures from files or a data set, and the judge that knows them."""

import argparse
from pathlib import Path

import numpy as np

from .. import judge as judges
from ..data import Samples, held_out, load_images, scaled
from ..data.pictures import read_picture
from ..errors import CheckpointError, DataError, ShapeError
from ..judge import Judge
from ..system.options import Options, nonempty
from ..system.terminal import shown
from ..training import RunFolder


def add_judge(p: Options) -> None:
    """Add --judge and --data, by which `judge_for` finds one."""
    p.add_argument("--data", type=nonempty, help="what the generator learnt from, if it is not in its run's folder")
    p.add_argument(
        "--judge",
        type=nonempty,
        metavar="NAME|FILE",
        help="whose eyes: a judge that ships, or a file of `minigan judge train` (default: who knows them)",
    )


def data_of(chosen: argparse.Namespace) -> str | None:
    """The name or path of the data that the generator learnt from; None where nobody says it."""
    if chosen.data is not None or not Path(chosen.source).is_dir():
        return chosen.data
    try:
        return RunFolder(Path(chosen.source)).settings().data
    except CheckpointError:
        return None  # of a folder that holds no more than a generator


def judge_for(chosen: argparse.Namespace, images: np.ndarray) -> Judge | None:
    """The judge that --judge names, or that knows the generator's data; None if no judge does.

    DataError if it does not read `images` (n, C, H, W).
    """
    if images.ndim != 4:
        raise DataError(f"a judge reads images, this generator makes samples of shape {images.shape[1:]}")
    data = data_of(chosen)
    if chosen.judge is None:
        known = "mnist" if data == "auto" else data
        return judges.suited(Samples(images, None, known or ""), chosen.device)
    judge = judges.load(chosen.judge, chosen.device)
    if not judge.reads(images.shape[1:]):
        raise DataError(f"{judge.name} reads images {judge.shape}, this generator makes {images.shape[1:]}")
    return judge


def pictures_of(chosen: argparse.Namespace, shape: tuple[int, ...]) -> tuple[np.ndarray, list[str]]:
    """Images float32 (n, *shape) in [-1, 1] of the files in chosen.images, or of chosen.index in the data; their names.

    DataError names a file that holds no picture, or an image that is not there.
    """
    if len(shape) != 3 or shape[1] != shape[2]:
        raise ShapeError(f"pictures are fitted to square images (C, side, side), this generator makes {shape}")
    if chosen.images:
        read = np.stack([_read(Path(file), shape) for file in chosen.images])
        return scaled(read), [Path(file).name for file in chosen.images]
    data = data_of(chosen)
    if data is None:
        raise DataError("--index: of which data? Say it with --data")
    samples = load_images(data, shape=(shape[0], shape[1], shape[2]))
    images = held_out(samples, shape=(shape[0], shape[1], shape[2]))[0] if chosen.held_out else samples.drawn
    if not all(0 <= k < len(images) for k in chosen.index):
        raise DataError(f"{shown(samples.name)}: has images 0 to {len(images) - 1}, got --index {chosen.index}")
    return scaled(np.ascontiguousarray(images[chosen.index])), [f"{Path(samples.name).name} {k}" for k in chosen.index]


def _read(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """uint8 of the generator's shape."""
    try:
        return read_picture(path, shape[1], shape[0]).transpose(2, 0, 1)
    except OSError as error:
        raise DataError(f"{shown(path)}: cannot be read ({error.strerror or error})") from error
    except DataError as error:
        raise DataError(f"{shown(path)}: {error}") from error
