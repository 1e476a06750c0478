"""Judges that ship, each by its name: who wants numbers that others can compare takes the same judge as they."""

from pathlib import Path

from ..data import Samples
from ..errors import CheckpointError
from ..system.options import meant
from . import reader
from .reader import Judge

WEIGHTS = Path(__file__).parent / "weights"
SHIPPED = {"digits": ("mnist", "digits"), "fashion": ("fashion_mnist",), "cifar10": ("cifar10",)}
"""The judges that ship, and the data sets whose images each can read; `python benches/judges.py make` makes them."""
KNOWN = 0.75  # of the labels that a judge reads right if it knows what the images show; by chance it is a tenth
ASKED = 500  # images that it is asked about


def load(name_or_file: str | Path, device: str = "cpu") -> Judge:
    """The judge of that name among `SHIPPED`, or in a file of `Judge.save`.

    CheckpointError if there is neither, or the file is damaged or holds something else.
    """
    if str(name_or_file) in SHIPPED:
        return reader.read(WEIGHTS / f"{name_or_file}.safetensors", device)
    if not Path(name_or_file).exists():
        near = meant(str(name_or_file), SHIPPED)
        raise CheckpointError(
            f"{name_or_file}: no such file, and no judge of that name{near}; those that ship are {', '.join(SHIPPED)}"
        )
    return reader.read(name_or_file, device)


def suited(samples: Samples, device: str = "cpu") -> Judge | None:
    """The judge among those that ship that knows what these samples show, None if none does.

    The one of their data set, if that has a name; else one that reads images of their shape and gives three quarters of
    the first 500 the labels they have. Images with a border are cropped by the judge as it reads them.
    """
    images = samples.drawn
    for name, sets in SHIPPED.items():
        judge = load(name, device)
        if images.ndim != 4 or not judge.reads(images.shape[1:]):
            continue
        if samples.name in sets:
            return judge
        if samples.labels is not None and judge.accuracy(images[:ASKED], samples.labels[:ASKED]) >= KNOWN:
            return judge
    return None
