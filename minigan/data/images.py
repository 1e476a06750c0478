"""Image sets: MNIST, CIFAR-10 and folders, as (uint8 images N,C,H,W; int64 labels or None)."""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

from ..errors import DataError
from . import files

Images = tuple[np.ndarray, np.ndarray | None]

MNIST_MIRRORS = [
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
]
MNIST_SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
MNIST_SPLITS = {
    "train": ("train", slice(None)),
    "test": ("t10k", slice(None)),
    "train-55k": ("train", slice(5000, None)),
    "validation-5k": ("train", slice(0, 5000)),
}


def mnist(split: str = "train") -> Images:
    """MNIST: (uint8 images (N, 1, 28, 28), int64 labels (N,)); LeCun et al. 1998.

    `split` is "train" (60 000), "test" (10 000), or TensorFlow's cut of the training set, "train-55k" and
    "validation-5k". Files are taken from $MINIGAN_DATA, else from the user's cache, else downloaded there.
    Raises DataError if they cannot be had or are broken.
    """
    if split not in MNIST_SPLITS:
        raise DataError(f"mnist: expected one of {', '.join(MNIST_SPLITS)}, got {split!r}")
    prefix, part = MNIST_SPLITS[split]
    names = [f"{prefix}-images-idx3-ubyte.gz", f"{prefix}-labels-idx1-ubyte.gz"]
    folder = files.find("mnist", names)
    if folder is None:
        folder = files.cache_folder() / "mnist"
        for name in names:
            if not (folder / name).is_file():
                files.download(name, MNIST_MIRRORS, MNIST_SHA256[name], folder)
    images, labels = read_idx(folder / names[0]), read_idx(folder / names[1])
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise DataError(f"{folder / names[0]}: images of shape {images.shape} do not go with labels {labels.shape}")
    return images[part, None], labels[part].astype(np.int64)


def read_idx(path: str | Path) -> np.ndarray:
    """The array in an IDX file of unsigned bytes, gzipped or not; DataError naming the file and its defect."""
    path = Path(path)
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be decompressed ({error})") from error
    if len(content) < 4 or content[:3] != b"\x00\x00\x08" or not 1 <= content[3] <= 4:
        raise DataError(
            f"{path}: not an IDX file of unsigned bytes (it begins with {content[:4].hex(' ') or 'nothing'})"
        )
    ndim = content[3]
    header = 4 + 4 * ndim
    if len(content) < header:
        raise DataError(f"{path}: the header is cut off after {len(content)} bytes")
    shape = struct.unpack(f">{ndim}I", content[4:header])
    expected = int(np.prod(shape, dtype=np.int64))
    if len(content) - header != expected:
        raise DataError(f"{path}: the header promises {shape}, {expected} bytes, but {len(content) - header} follow")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


CIFAR_RECORD = 1 + 3 * 32 * 32


def cifar10(split: str = "train", folder: str | Path | None = None) -> Images:
    """CIFAR-10 in its binary form: (uint8 images (N, 3, 32, 32), int64 labels (N,)); Krizhevsky 2009.

    `split` is "train" (data_batch_*.bin) or "test" (test_batch*.bin), all such files in `folder`, by default
    $MINIGAN_DATA/cifar10. Raises DataError if there is none or one is broken.
    """
    patterns = {"train": "data_batch_*.bin", "test": "test_batch*.bin"}
    if split not in patterns:
        raise DataError(f"cifar10: expected train or test, got {split!r}")
    candidates = [Path(folder)] if folder is not None else files.folders("cifar10")
    paths = next((found for c in candidates if (found := sorted(c.glob(patterns[split])))), [])
    if not paths:
        raise DataError(f"cifar10: no {patterns[split]} in {', '.join(map(str, candidates))}")
    batches = []
    for path in paths:
        content = np.frombuffer(path.read_bytes(), np.uint8)
        if content.size == 0 or content.size % CIFAR_RECORD:
            raise DataError(f"{path}: {content.size} bytes are not a whole number of records of {CIFAR_RECORD}")
        batches.append(content.reshape(-1, CIFAR_RECORD))
    records = np.concatenate(batches)
    labels = records[:, 0].astype(np.int64)
    if labels.max() > 9:
        raise DataError(f"{paths[0].parent}: label {labels.max()} is not one of CIFAR-10's 0..9")
    return records[:, 1:].reshape(-1, 3, 32, 32), labels


IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}


def image_folder(path: str | Path, size: int, channels: int = 3) -> Images:
    """Every picture below `path`, in order of name: (uint8 images (N, channels, size, size), None).

    Each is turned upright by its EXIF tag, converted to grey (channels 1) or RGB (3), scaled so that its shorter
    side is `size`, and cropped at the centre. Raises DataError naming a file that cannot be read.
    """
    from PIL import Image, ImageOps

    path = Path(path)
    if channels not in (1, 3):
        raise DataError(f"image_folder: expected 1 or 3 channels, got {channels}")
    if not path.is_dir():
        raise DataError(f"{path}: no such folder")
    names = sorted(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    if not names:
        raise DataError(f"{path}: holds no picture ({', '.join(sorted(IMAGE_SUFFIXES))})")
    images = np.empty((len(names), size, size, channels), np.uint8)
    for i, name in enumerate(names):
        try:
            with Image.open(name) as opened:
                upright = ImageOps.exif_transpose(opened).convert("L" if channels == 1 else "RGB")
                fitted = ImageOps.fit(upright, (size, size), Image.Resampling.LANCZOS)
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise DataError(f"{name}: cannot be read as a picture ({error})") from error
        images[i] = np.asarray(fitted).reshape(size, size, channels)
    return images.transpose(0, 3, 1, 2), None
