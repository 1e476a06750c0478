"""The discriminator of U-Net GAN, which scores an image and each of its pixels; BigGAN's generator plays against it."""

from .. import nn, ops
from ..random import Stream
from ..tensor import Tensor, as_tensor
from .biggan import BigGenerator, shrink_scores, start_orthogonal
from .players import Players
from .resnet import attending, halved, residual_steps, widths


class UNetDiscriminator(nn.Module):
    """Scores (N, 2, H, W) of images (N, channels, H, W): that of the image, at each pixel the same; that of the pixel.

    Schonfeld et al. 2020. An encoder of residual blocks halves the image; its last maps, added up over pixels, give the
    score of the image. A decoder doubles them again, and joins to the maps of each size those of the encoder; of its
    last ones a 1x1 convolution makes the pixels' scores. So the mean over an image's scores has both alike, whatever
    the loss makes of each. With `classes` both scores are those of an image of its class, by projection.
    """

    def __init__(
        self,
        side: int,
        channels: int,
        width: int,
        classes: int = 0,
        attention: int = 0,
        *,
        rng: Stream | None = None,
    ) -> None:
        steps = residual_steps("unet", side, attention)
        maps = widths(side, width, steps)
        times = halved(side, steps)
        self.encoder: list[nn.Module] = []
        for k in range(times):
            before, first = channels if k == 0 else maps[k - 1], k == 0
            block = nn.ResidualBlock(before, maps[k], "down", hidden_channels=maps[k], preactivation=not first, rng=rng)
            self.encoder.append(nn.Sequential(block, *attending(side >> (k + 1), attention, maps[k], rng)))
        last = maps[times - 1]
        self.score = nn.Linear(last, 1, rng=rng)
        self.decoder: list[nn.Module] = []
        for k in reversed(range(times)):
            joined = last if k == times - 1 else 2 * maps[k]
            self.decoder.append(nn.ResidualBlock(joined, maps[max(k - 1, 0)], "up", rng=rng))
        self.pixels = nn.Conv2d(maps[0], 1, 1, rng=rng)
        self.embedding = nn.Embedding(classes, last, rng=rng) if classes else None
        self.embedding_of_pixels = nn.Embedding(classes, maps[0], rng=rng) if classes else None

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores (N, 2, H, W), told labels (N,) if it has classes."""
        x = as_tensor(x, "UNetDiscriminator")
        found: list[Tensor] = []
        for block in self.encoder:
            found.append(block(found[-1] if found else x))
        features = ops.sum(ops.relu(found[-1]), (2, 3))
        whole = self.score(features)
        h = found.pop()
        for k, block in enumerate(self.decoder):
            h = block(h if k == 0 else ops.concatenate([h, found.pop()], 1))
        h = ops.relu(h)
        pixels = self.pixels(h)
        if self.embedding is not None and self.embedding_of_pixels is not None:
            whole = whole + ops.sum(self.embedding(labels) * features, 1, keepdims=True)
            asked = ops.expand_dims(self.embedding_of_pixels(labels), (2, 3))
            pixels = pixels + ops.sum(asked * h, 1, keepdims=True)
        whole = ops.broadcast_to(ops.expand_dims(whole, (2, 3)), pixels.shape)
        return ops.concatenate([whole, pixels], 1)


def unet(
    side: int = 32,
    z_dim: int = 120,
    *,
    channels: int = 3,
    width: int = 64,
    generator_width: int | None = None,
    classes: int = 0,
    shared_dim: int = 128,
    attention: int = 0,
    rng: Stream | None = None,
) -> Players:
    """U-Net GAN's players (Schonfeld et al. 2020) for images of side x side pixels, 4, 5, 6 or 7 times 4, 8, 16, ...

    `biggan`'s generator and a `UNetDiscriminator`, with the same maps, weights and conditions as there: G(z) and D(x),
    with `classes` G(z, y) and D(x, y). Losses take the mean of all scores; a penalty is on the slope of that mean. The
    paper adds `Regularisers(cutmix=1)` to `hinge`, 5e-4 for D and 1e-4 for G, and averages weights: 1 beside that mean,
    as its program has it, where its formula adds both scores' losses up. ShapeError if a side or a size does not fit.
    """
    G = BigGenerator(side, z_dim, channels, generator_width or width, classes, shared_dim, attention, rng=rng)
    D = UNetDiscriminator(side, channels, width, classes, attention, rng=rng)
    start_orthogonal(G, D, rng)
    shrink_scores(D.score, D.embedding, side >> len(D.encoder), rng)
    return Players(G, D)
