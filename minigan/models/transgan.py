"""TransGAN's networks: a generator and a discriminator of attention between patches, without convolutions."""

import math

from .. import nn, ops
from ..errors import ShapeError
from ..random import Stream
from ..tensor import Tensor, as_tensor, zeros
from .players import Players, glorot

HEADS = 4
SMALLEST = 7  # pixels of the first picture's side, or a little more
FINER = 2  # pixels of the finest patches' side


class TransformerBlock(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)), for tokens (N, size size, dim) of a picture (Vaswani et al. 2017).

    A token looks at those of its cell of grid x grid ones, at all if that is the picture. The mlp is four times as wide
    inside, with `gelu`. Norms are `nn.LayerNorm`, or with `pixel_norm` that of a token's length, as in TransGAN's G.
    """

    def __init__(self, dim: int, size: int, grid: int, pixel_norm: bool, *, rng: Stream | None = None) -> None:
        self.size, self.grid = size, grid
        self.norm1, self.norm2 = (
            nn.RMSNorm(dim, 1e-8, False) if pixel_norm else nn.LayerNorm(dim, 1e-6) for _ in range(2)
        )
        self.attention = nn.MultiheadAttention(dim, HEADS, batch_first=True, rng=rng)
        self.wider, self.narrower = nn.Linear(dim, 4 * dim, rng=rng), nn.Linear(4 * dim, dim, rng=rng)

    def forward(self, x: Tensor) -> Tensor:
        """Of x's shape."""
        h = self.norm1(x)
        cells = h if self.grid == self.size else self._in_cells(h)
        seen, _ = self.attention(cells, cells, cells)
        x = x + (seen if self.grid == self.size else self._as_picture(seen, x.shape))
        return x + self.narrower(gelu(self.wider(self.norm2(x))))

    def _in_cells(self, x: Tensor) -> Tensor:
        n, _, dim = x.shape
        count, grid = self.size // self.grid, self.grid
        cells = ops.transpose(ops.reshape(x, (n, count, grid, count, grid, dim)), (0, 1, 3, 2, 4, 5))
        return ops.reshape(cells, (n * count * count, grid * grid, dim))

    def _as_picture(self, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        n, _, dim = shape
        count, grid = self.size // self.grid, self.grid
        rows = ops.transpose(ops.reshape(x, (n, count, count, grid, grid, dim)), (0, 1, 3, 2, 4, 5))
        return ops.reshape(rows, shape)


def gelu(x: Tensor) -> Tensor:
    """x Phi(x), Phi the normal distribution, by a tanh (Hendrycks and Gimpel 2016)."""
    return 0.5 * x * (1 + ops.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


class TransGenerator(nn.Module):
    """TransGAN's generator (Jiang et al. 2021): tokens of a small picture from z, `depth` blocks at each size.

    From one size to the next the numbers of a token become four tokens of a quarter of them (pixel shuffle): width at
    the full size, four times as many at half. Each size has learned places. A 1x1 convolution and tanh make the image.
    """

    def __init__(
        self,
        side: int,
        z_dim: int,
        channels: int,
        width: int,
        depth: int = 2,
        grid: int = 16,
        *,
        rng: Stream | None = None,
    ) -> None:
        sizes = _sizes(side)
        dims = [width * 4**k for k in range(len(sizes))][::-1]
        self.sizes, self.dims = sizes, dims
        self.linear = nn.Linear(z_dim, sizes[0] ** 2 * dims[0], rng=rng)
        self.places = [_places(size * size, dim, rng) for size, dim in zip(sizes, dims, strict=True)]
        self.blocks = [
            nn.Sequential(*(TransformerBlock(dim, size, _cell(size, grid), True, rng=rng) for _ in range(depth)))
            for size, dim in zip(sizes, dims, strict=True)
        ]
        self.image = nn.Sequential(nn.Conv2d(width, channels, 1, rng=rng), nn.Tanh())

    @staticmethod
    def held(side: int, z_dim: int, channels: int, width: int, depth: int = 2) -> int:
        """How many numbers it holds."""
        sizes = _sizes(side)
        dims = [width * 4**k for k in range(len(sizes))][::-1]
        blocks = sum(depth * d * (12 * d + 9) + size * size * d for size, d in zip(sizes, dims, strict=True))
        return (z_dim + 1) * sizes[0] ** 2 * dims[0] + blocks + channels * (width + 1)

    def forward(self, z: Tensor) -> Tensor:
        """Images (N, channels, side, side) in [-1, 1] of noise (N, z_dim)."""
        z = as_tensor(z, "TransGenerator")
        x = ops.reshape(self.linear(z), (len(z), self.sizes[0] ** 2, self.dims[0]))
        for k, (places, blocks) in enumerate(zip(self.places, self.blocks, strict=True)):
            if k > 0:
                x = _tokens(ops.pixel_shuffle(_picture(x, self.sizes[k - 1]), 2))
            x = blocks(x + places)
        return self.image(_picture(x, self.sizes[-1]))


class PatchFeatures(nn.Module):
    """TransGAN's discriminator but for its score: `depth` blocks of tokens, then of half as many a side, and so on.

    The first tokens are patches of 2x2 pixels. Where they have become fewer, by the mean of four, patches twice as
    large are joined to them, so that each has 4 width numbers in the end. A token of its own looks at the last ones in
    one more block: it is the features.
    """

    def __init__(
        self,
        side: int,
        channels: int,
        width: int,
        depth: int = 2,
        grid: int = 16,
        *,
        rng: Stream | None = None,
    ) -> None:
        scales = 3 if side % (4 * FINER) == 0 else 2
        sizes = [side // (FINER << k) for k in range(scales)]
        parts = [width, width, 2 * width] if scales == 3 else [2 * width, 2 * width]
        dims = [sum(parts[: k + 1]) for k in range(scales)]
        self.sizes = sizes
        self.patches = [
            nn.Conv2d(channels, part, FINER << k, stride=FINER << k, rng=rng) for k, part in enumerate(parts)
        ]
        self.places = [_places(size * size, dim, rng) for size, dim in zip(sizes, dims, strict=True)]
        self.blocks = [
            nn.Sequential(*(TransformerBlock(dim, size, _cell(size, grid), False, rng=rng) for _ in range(depth)))
            for size, dim in zip(sizes, dims, strict=True)
        ]
        self.token = nn.Parameter(zeros((1, 1, dims[-1])))
        nn.init.normal_(self.token, std=0.02, rng=rng)
        self.last = TransformerBlock(dims[-1], sizes[-1], sizes[-1], False, rng=rng)
        self.norm = nn.LayerNorm(dims[-1], 1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 4 width) of images (N, channels, side, side)."""
        x = as_tensor(x, "PatchFeatures")
        tokens = self.blocks[0](_tokens(self.patches[0](x)) + self.places[0])
        for k in range(1, len(self.sizes)):
            fewer = _tokens(ops.avg_pool2d(_picture(tokens, self.sizes[k - 1]), 2))
            joined = ops.concatenate([fewer, _tokens(self.patches[k](x))], 2)
            tokens = self.blocks[k](joined + self.places[k])
        own = ops.broadcast_to(self.token, (len(x), 1, tokens.shape[2]))
        looked = self.last(ops.concatenate([own, tokens], 1))
        return self.norm(looked[:, 0])


def transgan(
    side: int = 32,
    z_dim: int = 256,
    *,
    channels: int = 3,
    width: int = 64,
    generator_width: int | None = None,
    depth: int = 2,
    grid: int = 16,
    outputs: int = 1,
    rng: Stream | None = None,
) -> Players:
    """TransGAN's players (Jiang et al. 2021) for images of side x side pixels, 7 to 13 times 2, 4, 8, ...

    G is a `TransGenerator`, D a linear layer of `PatchFeatures`; the paper has width 64 and 5, 4 and 2 blocks for 32
    pixels, where here are `depth` at each size. Tokens look at no more than grid x grid others. Absolute places stand
    for the paper's relative ones. Weights are Glorot-uniform. The paper's loss is `wasserstein` with a gradient
    penalty, Adam 1e-4, (0, 0.99), images changed at random for D (`Sight(augment="translation,cutout,color")`). Noise
    is N(0, 1). ShapeError if a side or a width, a multiple of 4, does not fit.
    """
    for name, n in (("width", width), ("generator_width", generator_width or width)):
        if n % HEADS:
            raise ShapeError(
                f"transgan: {name}: expected a multiple of {HEADS}, which is how many heads there are, got {n}"
            )
    G = TransGenerator(side, z_dim, channels, generator_width or width, depth, grid, rng=rng)
    features = PatchFeatures(side, channels, width, depth, grid, rng=rng)
    return glorot(G, nn.Sequential(features, nn.Linear(4 * width, outputs, rng=rng)), rng)


def _sizes(side: int) -> list[int]:
    """The sides of pictures from the smallest to the full one; ShapeError if there is but one."""
    sizes = [side]
    while sizes[0] % 2 == 0 and sizes[0] // 2 >= SMALLEST:
        sizes.insert(0, sizes[0] // 2)
    if len(sizes) == 1 or sizes[0] >= 2 * SMALLEST:
        raise ShapeError(f"transgan: expected a side of 7 to 13 times 2, 4, 8, ... pixels, got {side}")
    return sizes


def _cell(size: int, grid: int) -> int:
    """The largest cells of at most grid x grid tokens into which a picture splits."""
    return next(n for n in range(min(size, grid), 0, -1) if size % n == 0)


def _places(count: int, dim: int, rng: Stream | None) -> nn.Parameter:
    """Where a token lies, learned: (1, count, dim)."""
    places = nn.Parameter(zeros((1, count, dim)))
    nn.init.normal_(places, std=0.02, rng=rng)
    return places


def _tokens(image: Tensor) -> Tensor:
    """(N, C, H, W) as (N, H W, C): of a channels-last image a view."""
    n, c, height, width = image.shape
    return ops.transpose(ops.reshape(image, (n, c, height * width)), (0, 2, 1))


def _picture(tokens: Tensor, size: int) -> Tensor:
    """(N, size size, C) as (N, C, size, size)."""
    n, _, c = tokens.shape
    return ops.reshape(ops.transpose(tokens, (0, 2, 1)), (n, c, size, size))
