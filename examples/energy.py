"""Train a GAN whose discriminator is an autoencoder: EBGAN (Zhao et al. 2017) or BEGAN (Berthelot et al. 2017).

    python examples/energy.py --model ebgan --steps 500
    python examples/energy.py --model began --batch-size 16 --steps 5000
    python examples/energy.py --model began --networks began --side 64 --channels 3 --width 64 --depth 2 \
        --gamma 0.5 --proportion 1e-3 --lr 1e-4 --data FOLDER

The energy of an image is how far its reconstruction is from it. EBGAN pulls images' energies down and pushes fakes' up
to a margin, and keeps the codes of fakes apart. BEGAN balances the two by k, so that fakes' energy is gamma times the
images', and M says how far both have come. At the end the energies of held-out images and of samples are printed.

Both play on EBGAN's networks, whose energy is a distance, some fifty times the mean absolute error of BEGAN's: so k
moves at 1e-4 instead of the paper's 1e-3. The lower gamma, the fewer digits: at 0.75 the generator draws ones alone,
which are the easiest to reconstruct. BEGAN's own networks (--networks began) take any size, and far longer: on digits
they drew nothing in 2 500 steps.
"""

import sys
from typing import Any

import minigan as mg
from minigan import data, training
from minigan.data import Samples, Shape
from minigan.gan import BEGAN, EBGAN, Game, uniform_latent
from minigan.training import Settings, positive

HELD_OUT = 1000  # images, and as many samples, that are measured
RATES = {"ebgan": 1e-3, "began": 5e-4}  # Adam's, for both players


def build(settings: Settings) -> Game:
    extra, rng = settings.extra, mg.random.Stream(settings.seed)
    if extra["networks"] == "ebgan":
        G, D = mg.models.ebgan28(extra["z_dim"], rng=rng)
    else:
        shape = {"channels": extra["channels"], "width": extra["width"], "depth": extra["depth"]}
        G, D = mg.models.began(extra["side"], extra["z_dim"], rng=rng, **shape)
    G.to(settings.device)
    D.to(settings.device)
    lr = extra["lr"] or RATES[extra["model"]]
    parts: dict[str, Any] = {
        "latent": uniform_latent(extra["z_dim"]),
        "generator_optimizer": mg.optim.Adam(G.parameters(), lr, (0.5, 0.999)),
        "discriminator_optimizer": mg.optim.Adam(D.parameters(), lr, (0.5, 0.999)),
        "seed": settings.seed,
    }
    if extra["model"] == "ebgan":
        return EBGAN(G, D, margin=extra["margin"], pull_away=extra["pull_away"], **parts)
    return BEGAN(G, D, gamma=extra["gamma"], proportion=extra["proportion"], **parts)


def shape(settings: Settings) -> Shape:
    extra = settings.extra
    return (1, 28, 28) if extra["networks"] == "ebgan" else (extra["channels"], extra["side"], extra["side"])


def measure(game: Any, samples: Samples, settings: Settings) -> dict[str, float]:
    """Mean energies of images that were not trained on and of samples; for BEGAN also M of them."""
    n = 64 if settings.dry_run else HELD_OUT
    known = samples.name in data.DATASETS  # else there are no others
    images = data.held_out(samples, few=settings.dry_run, shape=shape(settings))[0] if known else samples.values
    real_images = mg.tensor(data.scaled(images[:n]), device=settings.device)
    with mg.nn.evaluating(game.discriminator):
        real = game.discriminator(real_images)
        fake = game.discriminator(game.sample(n, stream="measured"))
    found = {"energy_real": real.numpy().mean().item(), "energy_fake": fake.numpy().mean().item()}
    if isinstance(game, BEGAN):
        found["convergence"] = found["energy_real"] + abs(game.gamma * found["energy_real"] - found["energy_fake"])
    return found


def options() -> training.Options:
    p = training.parser("energy", __doc__, epochs=2, batch_size=64)
    p.add_argument("--model", choices=["ebgan", "began"], default="ebgan", help="the game (default: ebgan)")
    p.add_argument("--networks", choices=["ebgan", "began"], default="ebgan", help="(default: ebgan, 28x28 pixels)")
    p.add_argument("--lr", type=float, help="Adam's learning rate for both (default: 0.001, for BEGAN 0.0005)")
    p.add_argument(
        "--z-dim", type=positive, default=64, help="dimensions of the noise and of began's codes (default: 64)"
    )
    p.add_argument("--margin", type=float, default=10.0, help="EBGAN: fakes are pushed up to it (default: 10)")
    p.add_argument("--pull-away", type=float, default=0.1, help="EBGAN: times the pulling-away term (default: 0.1)")
    p.add_argument("--gamma", type=float, default=1.0, help="BEGAN: fakes' energy over images' (default: 1)")
    p.add_argument("--proportion", type=float, default=1e-4, help="BEGAN: how fast k moves (default: 0.0001)")
    p.add_argument("--side", type=positive, default=28, help="of began's images, a multiple of 4 (default: 28)")
    p.add_argument("--channels", type=int, choices=[1, 3], default=1, help="of began's images (default: 1)")
    p.add_argument("--width", type=positive, default=16, help="maps of began's first layer (default: 16)")
    p.add_argument("--depth", type=positive, default=1, help="began's convolutions at each size (default: 1)")
    p.idle_without("--model ebgan", lambda o: o.model == "ebgan", "--margin", "--pull-away")
    p.idle_without("--model began", lambda o: o.model == "began", "--gamma", "--proportion")
    sizes = ("--side", "--channels", "--width", "--depth")
    p.idle_without("--networks began", lambda o: o.networks == "began", *sizes)
    return p


if __name__ == "__main__":
    sys.exit(training.main(build, options(), shape, measure=measure))
