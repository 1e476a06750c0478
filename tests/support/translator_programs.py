"""Programs of translators by their command lines, and folders of pictures for them."""

import numpy as np
from example_scripts import example
from PIL import Image

from minigan.training import Settings


def settings(script, *words):
    """What examples/SCRIPT.py is told by these words."""
    return Settings.parsed(example(script).options(), [*map(str, words)], script)


def pictures(folder, count, start=0, size=(20, 18)):
    """The folder, with so many pictures of random colours, `size` their height and width."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(start)
    for k in range(count):
        Image.fromarray(rng.integers(0, 256, (*size, 3)).astype(np.uint8)).save(folder / f"{k:03d}.png")
    return folder
