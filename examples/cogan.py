"""Train CoGAN (Liu and Tuzel 2016): two domains drawn of the same noise, which belong together though no pair was seen.

    python examples/cogan.py                                   digits, and drawings of edges of digits
    python examples/cogan.py --made turned                     digits, and digits on their sides
    python examples/cogan.py --data FOLDER --target FOLDER --side 64

Two generators with all but their last layer in common, two discriminators with all but their first. In OUT/samples:
images of the first domain over those of the second that are drawn of the same noise. generator.safetensors draws the
first, source_generator.safetensors the second.

At the end: `pixels_agree` is the share of pixels in which a drawn source is what --made makes of the drawn target, both
as black and white, as the paper measures it, beside `pixels_agree_apart` of sources and targets of other noise. Of two
domains that a judge reads, `read_alike` is the share of pairs in which it reads the same.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import minigan as mg
from minigan import judge, training, viz
from minigan.data import Samples, load_images
from minigan.gan.translation import CoGAN
from minigan.training import Settings, positive, sides, translations

MEASURED, SHOWN = 1000, 32  # pairs


def build(settings: Settings) -> CoGAN:
    extra = settings.extra
    source, (channels, side, _) = sides.shapes(settings)
    size = {"channels": channels, "source_channels": source[0], "width": extra["width"]}
    players = mg.models.coupled(side, extra["z_dim"], **size, rng=mg.random.Stream(settings.seed))
    for player in players:
        player.to(settings.device)
    adam = [mg.optim.Adam(mg.nn.parameters_of(*both), extra["lr"], (0.5, 0.999)) for both in (players[:2], players[2:])]
    return CoGAN(
        *players,
        z_dim=extra["z_dim"],
        generators_optimizer=adam[0],
        discriminators_optimizer=adam[1],
        make=sides.made_by(extra),
        seed=settings.seed,
    )


def load(settings: Settings, limit: int | None) -> Samples:
    if settings.extra["target"]:
        return sides.load_domains(settings, limit)
    return load_images(settings.data, limit, sides.target_shape(settings))


def picture(game: CoGAN, samples: Samples, path: Path) -> None:
    rows = translations.alike_in_size([viz.to_uint8(images.numpy()) for images in game.pairs(SHOWN)])
    viz.save_png(viz.grid(viz.in_pairs(*rows), 8), path)


def measure(game: CoGAN, samples: Samples, settings: Settings) -> dict[str, float]:
    target, source = game.pairs(MEASURED)
    found = {}
    if game.make is not None:
        made = game.make(target, mg.random.Stream(0, "measured")).numpy() > 0
        drawn = source.numpy() > 0
        found["pixels_agree"] = float((made == drawn).mean())
        found["pixels_agree_apart"] = float((made == np.roll(drawn, 1, 0)).mean())
    reader = judge.suited(samples, settings.device)
    if game.make is None and reader is not None and reader.classes and target.shape == source.shape:
        found["read_alike"] = float((reader.predict(target.numpy()) == reader.predict(source.numpy())).mean())
    return found


def options() -> training.Options:
    p = training.parser("cogan", __doc__, epochs=2, batch_size=64)
    sides.add_drawn_domains(p, made="edges")
    p.add_argument("--z-dim", type=positive, default=100, help="numbers in the noise (default: 100)")
    p.add_argument("--width", type=positive, default=32, help="maps next to the image (default: 32)")
    p.add_argument("--lr", type=float, default=2e-4, help="learning rate (default: 0.0002)")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    parts = {"load": load, "picture": picture, "measure": measure}
    return training.main(build, options(), sides.target_shape, **parts, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
