"""A generator alone, in one small file: what draws samples, without what it takes to train.

The file is safetensors, whose names are those of a `state_dict`, which PyTorch reads too. Its metadata hold the network
as a tree of layers with their arguments, the noise it is fed with, and a checksum. Loading builds layers from a list of
known ones and executes nothing. What building them and drawing one sample may cost is limited, for a file may be
anybody's.
"""

import copy
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import nn, random
from ..data import Vocabulary
from ..errors import CheckpointError, DTypeError, ShapeError, brief, described
from ..gan import ConditionalGame, Game, Latent, LatentCode, TextGame
from ..gan.conditional import check_counts, classes_drawn
from ..gan.game import STANDING, STANDING_BATCHES
from ..gan.latents import NormalLatent, SourceImages, UniformLatent, truncated_latent
from ..gan.translation import Translation
from ..gan.translation.making import made_by_name
from ..kernels.installation import versions
from ..nn import Module, evaluating
from ..nn.cost import bounded
from ..recording import no_grad
from ..system import disk, stored
from ..system.disk import BLANK, is_whole, sealed
from ..tensor import Tensor, tensor
from .blueprint import NotDescribed, built, check_size, tree_of

CHUNK = 256  # samples made at a time
MOST = 1 << 20  # of classes, of numbers in the noise, and of letters in a description
FORMAT = 1
LATENTS: dict[str, Any] = {"uniform": UniformLatent, "normal": NormalLatent, "code": LatentCode, "images": SourceImages}


@dataclass(frozen=True)
class Texts:
    """What a generator of texts knows: its words, and some of the captions that it learnt from, int64 (n, length)."""

    vocabulary: Vocabulary
    captions: np.ndarray

    @classmethod
    def of(cls, words: Sequence[str], captions: Any) -> "Texts":
        """They are checked: ShapeError or DataError if the captions are not made of these words, or there are none."""
        tokens = np.asarray(captions)
        if tokens.ndim != 2 or not tokens.size or not all(isinstance(word, str) for word in words):
            raise ShapeError(f"Texts: expected words and captions (n, length) of them, got {tokens.shape}")
        found = cls(Vocabulary(tuple(words), tokens.shape[1]), tokens)
        found.vocabulary.texts(tokens)
        return found

    def drawn(self, n: int, rng: random.Stream) -> np.ndarray:
        """n of the captions, each drawn for itself."""
        return self.captions[rng.integers(len(self.captions), n, "cpu")]


@dataclass
class Generator:
    """A network that makes samples of noise: G(z), or G(z, y) where `classes` is how many y there are.

    Or of images, where `latent` is `gan.latents.SourceImages`: a translator.

    `about` says where it comes from: the run's name, its step, versions. `counts` is how often each class is in the
    data, if that is known: samples then have classes in that proportion. A network of `texts` is told captions instead,
    as their vocabulary has them (`Vocabulary.tokens`), where others are told labels.
    """

    network: Module
    latent: Latent
    classes: int | None = None
    about: dict[str, Any] = field(default_factory=dict)
    counts: Sequence[float] | None = None
    texts: Texts | None = None

    def generate(self, z: Tensor, labels: np.ndarray | None = None, *, rng: random.Stream | None = None) -> Tensor:
        """Samples (n, ...) of noise z (n, dim), with running statistics, a few at a time.

        `labels` are integers (n,) below `classes`, by default 0, 1, ... in turn; or captions (n, length), by default
        some that it knows. ShapeError if they do not fit. What the network `draws` itself it draws from `rng`, by
        default from a stream that begins anew each time.
        """
        if not isinstance(z, Tensor) or z.ndim < 2:
            raise ShapeError(f"Generator: expected a Tensor of noise (n, dim), got {type(z).__name__} {np.shape(z)}")
        n = len(z)
        asked: list[Tensor] = []
        if self.texts is not None:
            captions = self.texts.drawn(n, random.Stream(0)) if labels is None else np.asarray(labels)
            if captions.ndim != 2 or len(captions) != n:
                raise ShapeError(f"Generator: expected captions ({n}, length), got {captions.shape}")
            self.texts.vocabulary.texts(captions)
            asked = [tensor(captions.astype(np.int64))]
        elif self.classes is not None:
            labels = np.arange(n) % self.classes if labels is None else np.asarray(labels)
            if labels.shape != (n,) or labels.dtype.kind not in "iu" or labels.min(initial=0) < 0:
                raise ShapeError(f"Generator: expected {n} labels, integers from 0, got {labels.dtype} {labels.shape}")
            if labels.max(initial=0) >= self.classes:
                raise ShapeError(f"Generator: labels go from 0 to {self.classes - 1}, got {labels.max()}")
            asked = [tensor(labels.astype(np.int64))]
        elif labels is not None:
            raise ShapeError("Generator: this network takes no labels")
        device = next((p.device for p in self.network.parameters()), "cpu")
        with evaluating(self.network), random.using(random.Stream(0, "generated") if rng is None else rng):
            parts = [
                self.network(*(x[k : k + CHUNK].to(device) for x in (z, *asked))).numpy()
                for k in range(0, max(n, 1), CHUNK)
            ]
        return tensor(np.concatenate(parts))

    @property
    def source(self) -> SourceImages | None:
        """What a translator is fed with; None of a generator of noise."""
        return self.latent if isinstance(self.latent, SourceImages) else None

    @property
    def draws(self) -> bool:
        """Does the network draw something beside what it is given, a style say, so that it makes many of one source?"""
        rng = random.Stream(0, "generated")
        self.generate(self.latent(1, random.Stream(0)), rng=rng)
        return rng.begun

    def sample(self, n: int, *, seed: int = 0, labels: np.ndarray | None = None) -> Tensor:
        """n samples, the same ones for the same seed; the first ones are those of any n, up to rounding."""
        stream = random.Stream(seed, "generator")
        return self.generate(self.latent(n, stream), self.labels(n, seed) if labels is None else labels)

    def truncated(self, bound: float) -> "Generator":
        """A copy of this generator whose noise lies in [-bound, bound] (`gan.truncated_latent`).

        Batch norm has the statistics of such samples there, as in BigGAN: those of all would blur them.
        """
        found = replace(self, latent=truncated_latent(self.latent, bound), network=copy.deepcopy(self.network))
        device = next((p.device for p in found.network.parameters()), "cpu")

        def batch(k: int) -> None:
            inputs = [found.latent(STANDING, random.Stream(0, "standing statistics").at(k)).to(device)]
            if (labels := self.any_labels(STANDING, k)) is not None:
                inputs.append(tensor(labels.astype(np.int64)).to(device))
            found.network(*inputs)

        with no_grad(), random.using(random.Stream(0, "settled")):
            nn.take_standing_statistics(found.network.train(), batch, STANDING_BATCHES)
        return found

    def labels(self, n: int, seed: int = 0) -> np.ndarray | None:
        """n classes drawn in the data's proportion, int64 (n,), the same ones for the same seed; None if unknown.

        Of a network of texts, n of the captions that it knows, (n, length).
        """
        if self.texts is not None:
            return self.texts.drawn(n, random.Stream(seed, "generator's captions"))
        return (
            None if self.counts is None else classes_drawn(self.counts, n, random.Stream(seed, "generator's classes"))
        )

    def any_labels(self, n: int, seed: int = 0) -> np.ndarray | None:
        """n classes, in the data's proportion if it is known, else in turn; None of a network that takes none.

        Of a network of texts, n captions.
        """
        drawn = self.labels(n, seed)
        if self.classes is None:
            return drawn
        return np.arange(n) % self.classes if drawn is None else drawn


def of_game(game: Game, **about: Any) -> Generator:
    """The game's generator as it is being trained, whose memory it shares; `about` is kept with it.

    And `made`, the name of what a translator's sources are made by, if they are.
    """
    if not game.generates:
        raise NotDescribed(f"{type(game).__name__} makes no samples")
    counts = game.counts.numpy().tolist() if isinstance(game, ConditionalGame) and game.counts is not None else None
    texts = None
    if isinstance(game, TextGame):
        if not game.words:
            raise NotDescribed("TextGame: it was not told which `words` its tokens are, so no file can tell")
        texts = Texts.of(game.words, game.met)
    try:
        network = game.sampling_network()
    except NotImplementedError as error:
        raise NotDescribed(f"{error}: it draws no samples of noise") from error
    if not hasattr(game, "latent"):
        raise NotDescribed(f"{type(game).__name__} has no latent: it draws no samples of noise")
    if isinstance(game, Translation) and (made := made_by_name(game.make)) is not None:
        about |= {"made": made}
    return Generator(network, game.latent, game.classes, {"step": game.rounds, **about}, counts, texts)


def further_of_game(game: Game, **about: Any) -> dict[str, Generator]:
    """What the game trains beside its generator that has a file of its own, by name."""
    about = {"step": game.rounds, **about}
    return {
        name: Generator(network, latent, None, about) for name, (network, latent) in game.further_networks().items()
    }


def save_of_game(path: str | Path, game: Game, **about: Any) -> Path:
    """`save_generator` of the game's generator as it stands, with averaged weights if the game averages them."""
    generator = of_game(game, **about)
    average = game.sampling_average()
    return save_generator(path, generator, None if average is None else average.shadow)


def description(generator: Generator) -> dict[str, Any]:
    """The generator without its weights, as JSON can hold it.

    NotDescribed names a layer that no file describes, or what would be too much for whoever loads the file.
    """
    latent = next((name for name, kind in LATENTS.items() if type(generator.latent) is kind), None)
    if latent is None:
        raise NotDescribed(
            f"this generator's noise is drawn by {brief(generator.latent, 200)}, which no file can describe"
        )
    about = {
        "format": FORMAT,
        "network": tree_of(generator.network),
        "latent": {"kind": latent, **{name: tree_of(value) for name, value in vars(generator.latent).items()}},
        "classes": tree_of(generator.classes),
        "counts": tree_of(generator.counts),
        **({} if generator.texts is None else {"texts": _told(generator.texts)}),
        "about": generator.about,
        "versions": versions(),
    }
    try:
        _short(json.dumps(about))
        _check(about, generator.network.num_parameters(buffers=True))
        with bounded(generator.network):
            generator.sample(1)
    except CheckpointError as error:
        raise NotDescribed(str(error)) from error
    return about


def save_generator(path: str | Path, generator: Generator, weights: Mapping[str, Tensor] | None = None) -> Path:
    """Write the generator to `path`, with its own weights or these; CheckpointError if it cannot be written."""
    if not isinstance(generator, Generator):
        raise DTypeError(
            "save_generator: expected a path and a Generator, save_generator(path, Generator(network, latent)), "
            f"got {described(path)} and {described(generator)}"
        )
    path = Path(path)
    arrays = {name: t.data for name, t in (weights or generator.network.state_dict()).items()}
    about = {"sha256": BLANK.decode(), **description(generator)}
    disk.write(path, sealed(stored.content(arrays, {"minigan": json.dumps(about)})))
    return path


def load_generator(path: str | Path, device: str = "cpu") -> Generator:
    """The generator in a file of `save_generator`; CheckpointError naming the file and what is wrong with it."""
    arrays, metadata, content = stored.read(path)
    if "minigan" not in metadata:
        raise CheckpointError(
            f"{path}: these are weights without a network; build the network and load them with `load_weights`"
        )
    try:
        about = disk.parsed(_short(metadata["minigan"]))
        if about["format"] != FORMAT:
            raise CheckpointError(f"written in format {about['format']}, this minigan reads {FORMAT}")
        if not is_whole(content, about["sha256"]):
            raise CheckpointError("its checksum is not the one it was written with")
        generator = from_description(about, arrays)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # whatever a description that somebody made up leads to
        raise CheckpointError(f"{path}: describes no generator ({error!r})") from error
    generator.network.to(device)
    return generator


def from_description(about: Mapping[str, Any], arrays: Mapping[str, Any]) -> Generator:
    """The generator that `description` describes, with these weights, after it has drawn a sample.

    CheckpointError if they do not fit it, or if building it or the sample would cost more than a file may ask for,
    before it does.
    """
    _check(about, sum(np.size(a) for a in arrays.values()))
    latent = dict(about["latent"])
    kind = LATENTS[latent.pop("kind")]
    with random.using(random.Stream(0, "overwritten")):  # loading leaves the default stream alone
        network = built(about["network"])
    network.load_state_dict(arrays)
    texts = Texts.of(**about["texts"]) if "texts" in about else None
    generator = Generator(network, kind(**latent), about["classes"], dict(about["about"]), about.get("counts"), texts)
    with bounded(network):
        generator.sample(1)
    return generator


def _told(texts: Texts) -> dict[str, Any]:
    """Words and captions as JSON can hold them."""
    return {"words": list(texts.vocabulary.words), "captions": texts.captions.tolist()}


def _short(text: str) -> str:
    """The same; CheckpointError if a description has no need to be that long."""
    if len(text) > MOST:
        raise CheckpointError(f"describes its generator in more than {MOST} letters")
    return text


def _check(about: Mapping[str, Any], size: int) -> None:
    """CheckpointError if what `description` says is too much for weights of `size` numbers, or nothing to build."""
    noise = {name: value for name, value in about["latent"].items() if name != "kind"}
    classes = 1 if about["classes"] is None else about["classes"]
    if not all(_is_of_noise(*item) for item in noise.items()) or not _is_count(classes) or not classes:
        raise CheckpointError(f"describes no generator: noise {noise} and {classes} classes make no sense")
    if (counts := about.get("counts")) is not None:
        check_counts("Generator", counts, about["classes"])
    check_size(about["network"], size)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < MOST


def _is_of_noise(name: str, value: Any) -> bool:
    """Is this a value that the field of a latent may have?"""
    if name == "dtype":
        return value in ("float32", "float64", "f4", "f8")
    return type(value) in (int, float) and math.isfinite(value) if name in ("low", "high") else _is_count(value)
