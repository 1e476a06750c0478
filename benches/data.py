"""How fast pictures become batches: a folder read whole, a folder decoded ahead, and batches from memory.

A training step has to wait for its batch only if it takes less time than these.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

import minigan as mg

BATCH = 64


def pictures(folder, count):
    """`count` JPEG files of 256x192 pixels."""
    rng = np.random.default_rng(0)
    for k in range(count):
        blobs = Image.fromarray(rng.integers(0, 256, (12, 16, 3)).astype(np.uint8))
        blobs.resize((256, 192), Image.Resampling.BICUBIC).save(folder / f"{k:06}.jpg", quality=90)


def milliseconds(draw, batches):
    """The time that one batch takes, the first aside."""
    draw(0)
    start = time.perf_counter()
    for k in range(1, batches + 1):
        draw(k)
    return 1000 * (time.perf_counter() - start) / batches


def main():
    p = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    p.add_argument("--folder", help="pictures to read instead of generated ones")
    p.add_argument("--count", type=int, default=2000, help="pictures to generate (default: 2000)")
    p.add_argument("--side", type=int, default=64, help="pixels of the squares they are fitted to (default: 64)")
    settings = p.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(settings.folder or made)
        if settings.folder is None:
            pictures(folder, settings.count)
        start = time.perf_counter()
        images, _ = mg.data.image_folder(folder, settings.side)
        print(f"image_folder: {len(images) / (time.perf_counter() - start):.0f} files/s")
        batch = min(BATCH, len(images))
        with mg.data.FolderBatches(folder, batch, settings.side) as ahead:
            each = milliseconds(ahead.at, max(len(images) // batch, 1))
        print(f"FolderBatches: {each:.2f} ms a batch of {batch}, {1000 * batch / each:.0f} images/s")
        for options in ({}, {"flip": True}, {"flip": True, "crop": settings.side // 16}):
            each = milliseconds(mg.data.Batches(images, batch, **options).at, 50)
            named = ", ".join(f"{name}={value}" for name, value in options.items())
            print(f"Batches({named}): {each:.2f} ms a batch of {batch}")


if __name__ == "__main__":
    main()
