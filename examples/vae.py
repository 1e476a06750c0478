"""Train a variational autoencoder (Kingma and Welling 2014): digits from a bound on the likelihood, no opponent.

One hidden layer of 500 units each way and 20 latent dimensions, as the paper has it for MNIST; Adam instead of Adagrad,
ReLU instead of tanh. At the end it prints the bound on images it has not seen, in nats an image. In OUT/samples,
left: images decoded from draws of the prior; right: images of the training set over their reconstructions.
"""

import sys
from collections.abc import Sequence

import numpy as np

import minigan as mg
from minigan import training
from minigan.data import Samples, held_out
from minigan.errors import DataError
from minigan.gan import VAE
from minigan.nn import in_chunks
from minigan.training import positive, say


def build(settings: training.Settings) -> VAE:
    extra = settings.extra
    players = mg.models.vae28(extra["z_dim"], extra["hidden"], rng=mg.random.Stream(settings.seed))
    encoder, decoder = (player.to(settings.device) for player in players)
    optimizer = mg.optim.Adam([*encoder.parameters(), *decoder.parameters()], extra["lr"])
    return VAE(encoder, decoder, z_dim=extra["z_dim"], optimizer=optimizer, seed=settings.seed)


def measure(game: VAE, samples: Samples, settings: training.Settings) -> dict[str, float]:
    try:
        images, _ = held_out(samples, few=settings.dry_run)
    except DataError as error:
        say(f"the bound is not measured: {error}")
        return {}
    rng = game.stream("test").at(0)
    terms = in_chunks(lambda x: mg.stack(game.terms(x, rng), axis=1), images, settings.device)
    error, divergence = np.mean(terms, axis=0, dtype=np.float64)
    return {"test_elbo": -error - divergence, "test_reconstruction": error, "test_kl": divergence}


def options() -> training.Options:
    p = training.parser("vae", __doc__, epochs=20, batch_size=128)
    p.add_argument("--lr", type=float, default=1e-3, help="Adam's learning rate (default: 0.001)")
    p.add_argument("--z-dim", type=positive, default=20, help="latent dimensions (default: 20)")
    p.add_argument("--hidden", type=positive, default=500, help="units of the hidden layers (default: 500)")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    return training.main(build, options(), picture=training.reconstruction_grid, measure=measure, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
