"""IDX files, MNIST's format, and the two sets that come in it: MNIST and Fashion-MNIST."""

import math
import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import DataError
from ..system import machine
from ..system.terminal import shown
from . import files
from .arrays import Images


class _Archive(NamedTuple):
    """Where one of the two sets comes from; its four files have the same names in both."""

    name: str
    mirrors: list[str]
    sha256: dict[str, str]


MNIST = _Archive(
    "mnist",
    [
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ],
    {
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
)
FASHION_MNIST = _Archive(
    "fashion_mnist",
    [
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
    ],
    {
        "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
)
MOST_BYTES = 32 << 20  # of one of their files: the largest has 26 million
SPLITS = {
    "train": ("train", slice(None)),
    "test": ("t10k", slice(None)),
    "train-55k": ("train", slice(5000, None)),
    "validation-5k": ("train", slice(0, 5000)),
}


def mnist(split: str = "train", path: str | Path | None = None) -> Images:
    """MNIST: (uint8 images (N, 1, 28, 28), int64 labels (N,)); LeCun et al. 1998.

    `split` is "train" (60 000), "test" (10 000), or TensorFlow's cut of the training set, "train-55k" and
    "validation-5k". Files, gzipped or not, are taken from the folder `path`; by default from $MINIGAN_DATA/mnist or
    $MINIGAN_DATA, else from the user's cache, else downloaded there and compared with their SHA-256. Raises DataError
    if they cannot be had, are broken or do not go together.
    """
    return _load(MNIST, split, path)


def fashion_mnist(split: str = "train") -> Images:
    """Fashion-MNIST: (uint8 images (N, 1, 28, 28), int64 labels (N,)); Xiao et al. 2017.

    Ten kinds of clothes, in MNIST's form and with its splits. Files, gzipped or not, are taken from
    $MINIGAN_DATA/fashion_mnist, else from the user's cache, else downloaded there and compared with their SHA-256.
    Never from $MINIGAN_DATA itself, where files of the same names are MNIST's. Raises DataError as `mnist` does.
    """
    return _load(FASHION_MNIST, split)


def holds_mnist(folder: Path) -> bool:
    """True if `folder` has the training images of MNIST, or of a set that has the same names."""
    return files.find([folder], [_spellings(f"{SPLITS['train'][0]}-images-idx3-ubyte.gz")]) is not None


def _load(archive: _Archive, split: str, path: str | Path | None = None) -> Images:
    if split not in SPLITS:
        raise DataError(f"{archive.name}: expected one of {', '.join(SPLITS)}, got {split!r}")
    prefix, part = SPLITS[split]
    names = [f"{prefix}-images-idx3-ubyte.gz", f"{prefix}-labels-idx1-ubyte.gz"]
    folders = files.folders(archive.name, shared=archive is MNIST) if path is None else [Path(path)]
    paths = files.find(folders, [_spellings(name) for name in names])
    if paths is None and path is not None:
        raise DataError(f"{archive.name}: no {' and '.join(names)} in {shown(path)}")
    if paths is None:
        cache = files.cache_folder() / archive.name
        paths = [files.cached(name, archive.mirrors, archive.sha256[name], MOST_BYTES, cache) for name in names]
    images, labels = read_idx(paths[0]), read_idx(paths[1])
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise DataError(f"{shown(paths[0])}: images of shape {images.shape} do not go with labels {labels.shape}")
    if images.shape[1:] != (28, 28):
        raise DataError(f"{shown(paths[0])}: images of {images.shape[1:]} pixels, {archive.name}'s have (28, 28)")
    if labels.max() > 9:
        raise DataError(f"{shown(paths[1])}: label {labels.max()} is not one of {archive.name}'s 0..9")
    return images[part, None], labels[part].astype(np.int64)


def _spellings(name: str) -> list[str]:
    """The names under which this file goes around: unpacked, and with a dot where the official one has a dash."""
    plain = name.removesuffix(".gz")
    dotted = plain.replace("-idx", ".idx")
    return [name, plain, f"{dotted}.gz", dotted]


def is_idx(start: bytes) -> bool:
    """True if what begins so, with 4 bytes or more, claims to be an IDX file of unsigned bytes."""
    return start[:3] == b"\x00\x00\x08" and start[3:4] in (b"\1", b"\2", b"\3", b"\4")


def read_idx(path: str | Path) -> np.ndarray:
    """The array in an IDX file of unsigned bytes, gzipped or not: uint8, with one to four axes.

    No more is read than the header promises, and only if the file can hold that. Raises DataError naming the file
    and its defect.
    """
    path = Path(path)
    where = shown(path)
    with files.reading(path) as content:
        start = content.read(4)
        if not is_idx(start):
            raise DataError(
                f"{where}: not an IDX file of unsigned bytes (it begins with {start.hex(' ') or 'nothing'})"
            )
        sizes = content.read(4 * start[3])
        if len(sizes) < 4 * start[3]:
            raise DataError(f"{where}: the header is cut off after {4 + len(sizes)} bytes")
        shape = struct.unpack(f">{start[3]}I", sizes)
        expected = math.prod(shape)
        promise = f"{where}: the header promises {shape}, {expected} bytes"
        if expected == 0:
            raise DataError(promise)
        if expected > files.most_content(path):
            raise DataError(f"{promise}, more than a file of {path.stat().st_size} bytes can hold")
        if expected > machine.memory():
            raise DataError(f"{promise}, more than this machine's memory")
        values = content.read(expected + 1)  # to the end, where gzip compares its checksum
    if len(values) > expected:
        raise DataError(f"{promise}, but more follow")
    if len(values) < expected:
        raise DataError(f"{promise}, but {len(values)} follow")
    return np.frombuffer(values, np.uint8).reshape(shape)
