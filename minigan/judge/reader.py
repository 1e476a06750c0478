"""A judge of generated images: a network that minigan trained, whose features and classes say what it sees in them."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..data import Shape, scaled
from ..errors import CheckpointError, DataError, MiniganError
from ..models import Classifier, classifier28, picture_classifier
from ..nn import evaluating, in_chunks
from ..nn.state import copy_all
from ..random import Stream
from ..system import disk, stored
from ..system.disk import BLANK, is_whole, sealed
from ..tensor import Tensor
from .whitening import Whitening, blocks, from_arrays, to_arrays, widths

PLAIN, WHITENED = FORMATS = 1, 2  # of a file: without whitening, and with it
KEY = "minigan.judge"  # in the metadata of a file that holds one
MOST = 1 << 12  # of any number that says how large a network is
NETWORKS: dict[str, Callable[..., Classifier]] = {
    "classifier28": classifier28,
    "picture_classifier": picture_classifier,
}
"""What a judge may be made of, by the name that its file has for it."""


class Form(NamedTuple):
    """Which network a judge has: its name among NETWORKS, and what it is called with."""

    network: str
    options: dict[str, int]

    @property
    def shape(self) -> Shape:
        """Channels, height and width of an image that it reads."""
        side = self.options.get("side", 28)
        return self.options["channels"], side, side

    def build(self, rng: Stream | None = None) -> Classifier:
        """The network with weights from `rng`."""
        return NETWORKS[self.network](**self.options, rng=rng)


def form28(channels: int = 1, classes: int = 10, features: int = 128) -> Form:
    """`models.classifier28` of images (channels, 28, 28)."""
    return Form("classifier28", {"channels": channels, "classes": classes, "features": features})


def form_of(shape: Shape, classes: int, maps: int = 128, features: int = 64) -> Form:
    """`models.picture_classifier` of square images of this shape; DataError if they are not square, or too small."""
    channels, side, width = shape
    if side != width or not 8 <= side <= MOST:
        raise DataError(f"a judge reads square images of 8 pixels a side or more, got {shape}")
    options = {"side": side, "channels": channels, "classes": classes, "maps": maps, "features": features}
    return Form("picture_classifier", options)


class Judge:
    """Reads images (N, *shape): uint8, or float in [-1, 1] as generators make them.

    A judge of grey images reads larger ones too, and grey ones of three channels, as `data.load_images` frames them
    for a network: the middle of each, the mean of its channels. `name` and `about` say where it comes from: `accuracy`,
    `seed`, `epochs`, `data`, `date`, `parameters`. One that was taught `rotations` has features, but no classes.
    Its features are those of its last layer, or with `whitening` those of all its stages: see `whiten`.
    """

    def __init__(
        self,
        classifier: Classifier,
        form: Form,
        *,
        name: str = "judge",
        whitening: Sequence[Whitening] = (),
        **about: Any,
    ) -> None:
        self.classifier = classifier
        self.form = form
        self.whitening = whitening
        self.name = name
        self.about = about

    @property
    def shape(self) -> Shape:
        """Channels, height and width of an image that it reads."""
        return self.form.shape

    @property
    def classes(self) -> int | None:
        """How many classes it tells apart; None for one that was taught without labels."""
        return None if self.about.get("taught") == "rotations" else self.form.options["classes"]

    @property
    def width(self) -> int:
        """How many features it makes of an image."""
        return sum(each.directions.shape[1] for each in self.whitening) or self.form.options["features"]

    @property
    def test_accuracy(self) -> float | None:
        """The share of held-out images that it reads right, if that was measured."""
        return self.about.get("accuracy")

    def predict(self, images: np.ndarray) -> np.ndarray:
        """The class of each image: int64 (N,). DataError from a judge without classes."""
        if self.classes is None:
            raise DataError(f"the judge {self.name} was taught {self.about['taught']}: it knows features, no classes")
        return self.logits(images).argmax(1)

    def probabilities(self, images: np.ndarray) -> np.ndarray | None:
        """How likely each class is: float32 (N, classes), rows that add up to 1; None from a judge without classes."""
        if self.classes is None:
            return None
        logits = self.logits(images)
        weights = np.exp(logits - logits.max(1, keepdims=True))
        return weights / weights.sum(1, keepdims=True)

    def features(self, images: np.ndarray) -> np.ndarray:
        """What the network makes of each image before it decides: float32 (N, width).

        They are what its last layer gives, at least 0. Those of a judge that was whitened come from every stage, and
        are of mean 0 and variance 1 over the images that whitened it.
        """
        if not self.whitening:
            return self._in_chunks(images, self.classifier.body)
        return np.concatenate([white(x) for white, x in zip(self.whitening, self._blocks(images), strict=True)], 1)

    def whiten(self, images: np.ndarray) -> None:
        """Have `features` be, from now on, the mean of each map of each stage and the last layer, each block whitened.

        Of these images each block then has mean 0, variances 1 and no correlations: see `whitening`. What the network
        learnt and decides stays as it is. DataError if the images are all the same, or fewer than fifty.
        """
        self.whitening = [Whitening.of(block) for block in self._blocks(images)]

    def accuracy(self, images: np.ndarray, labels: np.ndarray) -> float:
        """The share of images whose class is their label; DataError unless there is one for each."""
        if labels.shape != images.shape[:1]:
            raise DataError(f"Judge: expected a label for each image, got {images.shape} and {labels.shape}")
        return float((self.predict(images) == labels).mean())

    def logits(self, images: np.ndarray) -> np.ndarray:
        """What the head makes of the features: float32 (N, classes), or (N, 4) of a judge that was taught rotations."""
        return self._in_chunks(images, lambda x: self.classifier.head(self.classifier.body(x)))

    def reads(self, shape: tuple[int, ...]) -> bool:
        """Can it read images of this shape (channels, height, width)?"""
        own = self.shape
        framed = own[0] == 1 and len(shape) == 3 and shape[0] in (1, 3) and shape[1] >= own[1] and shape[2] >= own[2]
        return tuple(shape) == own or framed

    def save(self, path: str | Path, *, half: bool = False) -> Path:
        """`path`, a safetensors file that `load` reads, with float16 weights if `half`; CheckpointError if it fails."""
        path = Path(path)
        written = WHITENED if self.whitening else PLAIN
        about = {"format": written, "sha256": BLANK.decode(), "name": self.name, **self.form._asdict()}
        arrays = {key: t.data for key, t in _tensors(self.classifier).items()}
        if half:
            arrays = {key: a.astype("float16") if a.dtype.kind == "f" else a for key, a in arrays.items()}
        arrays |= to_arrays(self.whitening)
        disk.write(path, sealed(stored.content(arrays, {KEY: json.dumps({**about, "about": self.about})})))
        return path

    def _blocks(self, images: np.ndarray) -> list[np.ndarray]:
        """What each stage sees: (N, maps) of each, and (N, features) of the last layer."""
        body = self.classifier.body
        return np.split(self._in_chunks(images, partial(blocks, body)), np.cumsum(widths(body))[:-1], 1)

    def _in_chunks(self, images: np.ndarray, network: Callable[[Tensor], Tensor]) -> np.ndarray:
        if images.ndim != 4 or len(images) == 0:
            raise DataError(f"Judge: expected images (N, {_text(self.shape)}), at least one, got {images.shape}")
        if not self.reads(images.shape[1:]):
            raise DataError(f"Judge: {self.name} reads images (N, {_text(self.shape)}), got {images.shape}")
        if not np.isfinite(images).all():
            raise DataError("Judge: an image with a NaN or an infinity cannot be read")
        with evaluating(*self.classifier):
            return in_chunks(network, self._framed(images), self.classifier.head.parameters()[0].device)

    def _framed(self, images: np.ndarray) -> np.ndarray:
        channels, side, _ = self.shape
        images = centre(images, side)
        if images.shape[1] == channels:
            return images
        return (scaled(images) if images.dtype == np.uint8 else images).mean(1, keepdims=True)


def centre(images: np.ndarray, side: int = 28) -> np.ndarray:
    """The middle side x side pixels of images (N, C, H, W)."""
    top, left = (images.shape[2] - side) // 2, (images.shape[3] - side) // 2
    return images[:, :, top : top + side, left : left + side]


def read(path: str | Path, device: str = "cpu") -> Judge:
    """The judge in a file of `Judge.save`; CheckpointError naming the file and what is wrong with it."""
    arrays, metadata, content = stored.read(path)
    if KEY not in metadata:
        raise CheckpointError(f"{path}: holds no judge; `minigan judge train` writes a file with one")
    try:
        about = disk.parsed(metadata[KEY])
        if about["format"] not in FORMATS:
            known = " and ".join(map(str, FORMATS))
            raise CheckpointError(f"written in format {about['format']}, this minigan reads {known}")
        if not is_whole(content, about["sha256"]):
            raise CheckpointError("its checksum is not the one it was written with")
        judge = _described(about, arrays)
    except MemoryError:
        raise
    except (MiniganError, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = str(error) if isinstance(error, CheckpointError) else f"describes no judge ({error!r})"
        raise CheckpointError(f"{path}: {reason}") from error
    for part in judge.classifier:
        part.to(device)
    return judge


def _described(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Judge:
    """The judge that a file describes, with these weights; nothing is built that would be larger than they are."""
    form = Form(about["network"], options := dict(about["options"]))
    if form.network not in NETWORKS or not all(type(n) is int and 0 < n <= MOST for n in options.values()):
        raise CheckpointError(f"expected one of {', '.join(NETWORKS)}, and its sizes, got {form.network} {options}")
    largest = max((array.size for array in arrays.values()), default=0)
    if options.get("maps", 1) ** 2 > largest or options["features"] * options["classes"] > largest:
        raise CheckpointError(f"its weights are not those of {form.network} {options}")
    classifier = form.build(Stream(0, "overwritten"))
    whitening = from_arrays(arrays, widths(classifier.body)) if about["format"] == WHITENED else []
    weights = {name: array for name, array in arrays.items() if name not in to_arrays(whitening)}
    copy_all(_tensors(classifier), weights, "a judge")
    return Judge(classifier, form, name=str(about["name"]), whitening=whitening, **about["about"])


def _tensors(classifier: Classifier) -> dict[str, Tensor]:
    """Every parameter and buffer by the name that a file has for it."""
    parts = classifier._asdict().items()
    return {f"{part}.{name}": t for part, network in parts for name, t in network.state_dict().items()}


def _text(shape: Shape) -> str:
    return ", ".join(map(str, shape))
