"""Networks that are told a text: what its words say, joined to the noise of one and to the maps of the other."""

import itertools

from .. import nn, ops
from ..backend import Array
from ..errors import ShapeError
from ..kernels.calls import made
from ..random import Stream
from ..tensor import Tensor, as_tensor
from .players import Players, doubled, glorot, halvings


class WordFeatures(nn.Module):
    """Features of a text: the mean over its words of a vector for each, which is learnt.

    With a `window` of more than one, what is averaged is what a dense layer with leaky ReLU 0.2 makes of so many words
    in a row, a convolution over the text: then it matters in which order words are. Texts are tokens int64 (N, L): 1 to
    `words` are words, and 0 stands where there is none.
    """

    def __init__(self, words: int, features: int, window: int = 1, *, rng: Stream | None = None) -> None:
        self.features, self.window = features, window
        self.embedding = nn.Embedding(words + 1, features, rng=rng)
        self.dense = nn.Linear(window * features, features, rng=rng) if window > 1 else None

    def forward(self, text: Tensor) -> Tensor:
        """(N, features) of tokens (N, L); features (N, features) are returned as they are. ShapeError for others."""
        text = as_tensor(text, "WordFeatures")
        if text.ndim != 2 or (text.dtype.kind == "f" and text.shape[1] != self.features):
            raise ShapeError(
                f"WordFeatures: expected tokens (N, L) or features (N, {self.features}), got {text.dtype} {text.shape}"
            )
        if text.dtype.kind == "f":
            return text
        vectors = self.embedding(text)
        there = Tensor(made(_there, text.data, vectors.dtype.name))
        if self.dense is not None:
            before = self.window // 2
            padded = ops.pad(vectors * there, ((0, 0), (before, self.window - 1 - before), (0, 0)))
            rows = [padded[:, k : k + text.shape[1]] for k in range(self.window)]
            vectors = ops.leaky_relu(self.dense(ops.concatenate(rows, 2)), 0.2)
        return ops.sum(vectors * there, 1) / Tensor(made(_counted, there.data))


def _there(tokens: Array, dtype: str) -> Array:
    """(N, L, 1): 1 where there is a word, else 0."""
    return (tokens != 0).astype(dtype)[..., None]


def _counted(there: Array) -> Array:
    """(N, 1): how many words there are, 1 if there are none."""
    return there.sum(1).clip(1)


class TextGenerator(nn.Module):
    """G(z, t): features of the text, made few by `compress`, are appended to the noise of a network of both."""

    def __init__(self, network: nn.Module, text: nn.Module, compress: nn.Module) -> None:
        self.network = network
        self.text = text
        self.compress = compress

    def forward(self, z: Tensor, text: Tensor) -> Tensor:
        """What the network makes of noise (N, z_dim) and of texts, or their features, as `text` takes them."""
        return self.network(ops.concatenate([z, self.compress(self.text(text))], 1))


class TextDiscriminator(nn.Module):
    """D(x, t): features of the text, made few by `compress`, are repeated at each place of the maps of a body.

    `score` makes scores of both together.
    """

    def __init__(self, body: nn.Module, text: nn.Module, compress: nn.Module, score: nn.Module) -> None:
        self.body = body
        self.text = text
        self.compress = compress
        self.score = score

    def forward(self, x: Tensor, *texts: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Scores (N, 1) of images with a text each; of the same images with several texts, a tuple of scores."""
        maps = self.body(x)
        found = tuple(self._score(maps, text) for text in texts)
        return found[0] if len(found) == 1 else found

    def _score(self, maps: Tensor, text: Tensor) -> Tensor:
        told = self.compress(self.text(text))
        planes = ops.reshape(told, (*told.shape, 1, 1))
        return self.score(ops.concatenate([maps, ops.broadcast_to(planes, (*told.shape, *maps.shape[2:]))], 1))


def gan_cls(
    words: int,
    side: int = 28,
    z_dim: int = 100,
    *,
    channels: int = 1,
    width: int = 32,
    features: int = 64,
    told: int = 32,
    window: int = 1,
    rng: Stream | None = None,
) -> Players:
    """The networks of Reed et al. 2016 (figure 2) for texts of so many words, with embeddings that are learnt too.

    Each player has `WordFeatures` of its own, of which a dense layer with leaky ReLU 0.2 makes `told` numbers (paper:
    128 of the 1024 of an encoder that was trained before). G: they and the noise as maps of 4 to 7 pixels a side, then
    4x4 transposed convolutions of stride 2 to the image, batch norm and ReLU between, tanh. D: 4x4 convolutions of
    stride 2 back to those maps, joined there to the text, a 1x1 convolution of both and a dense layer, leaky ReLU 0.2
    between. Maps are `width` next to the image and twice as many at each halving, 8 width at most. D has no batch norm,
    as the digits' networks of `models.conditional` have none, and weights are Glorot-uniform. Noise is U(-1, 1).
    ShapeError for a side that is not 4, 5, 6 or 7 times 2, 4, 8, ... pixels.
    """
    steps = halvings("gan_cls", side)
    rest, maps = side >> steps, doubled(width, steps - 1, 3)

    def of_text() -> tuple[nn.Module, nn.Module]:
        text = WordFeatures(words, features, window, rng=rng)
        return text, nn.Sequential(nn.Linear(features, told, rng=rng), nn.LeakyReLU(0.2))

    up: list[nn.Module] = [
        nn.Linear(z_dim + told, maps[-1] * rest * rest, rng=rng),
        nn.Unflatten(1, (maps[-1], rest, rest)),
    ]
    for i, o in itertools.pairwise([*maps[::-1], channels]):
        up += [nn.BatchNorm2d(i), nn.ReLU(), nn.ConvTranspose2d(i, o, 4, 2, 1, rng=rng)]
    down: list[nn.Module] = []
    for i, o in itertools.pairwise([channels, *maps]):
        down += [nn.Conv2d(i, o, 4, 2, 1, rng=rng), nn.LeakyReLU(0.2)]
    score = nn.Sequential(
        nn.Conv2d(maps[-1] + told, maps[-1], 1, rng=rng),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(maps[-1] * rest * rest, 1, rng=rng),
    )
    generator = TextGenerator(nn.Sequential(*up, nn.Tanh()), *of_text())
    return glorot(generator, TextDiscriminator(nn.Sequential(*down), *of_text(), score), rng)
