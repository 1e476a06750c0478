"""Train any score loss with any penalty on any network, from one command.

    python examples/train.py --model dcgan28 --loss hinge --penalty r1 --data mnist
    python examples/train.py --model dcgan --side 32 --loss relativistic --penalty r1 --data cifar10
    python examples/train.py --model dcgan --side 96 --loss wasserstein --penalty gradient_penalty --data FOLDER

The defaults are a DCGAN's; a Wasserstein loss wants a penalty or --clip, Adam with --beta1 0, and several --d-steps.
"""

import argparse
import sys
from collections.abc import Callable
from typing import NamedTuple

import minigan as mg
from minigan import training
from minigan.gan import ScoreGame, alternate, losses, normal_latent, penalties, uniform_latent
from minigan.models import Players
from minigan.training import Settings, Shape


class Network(NamedTuple):
    """Players by name: how they are made, the noise their document draws, the shape of an image."""

    make: Callable[[Settings], Players]
    z_dim: int
    latent: str
    shape: Callable[[Settings], Shape]


def small(settings: Settings) -> Shape:
    return 1, 28, 28


def chosen(settings: Settings) -> Shape:
    return settings.extra["channels"], settings.extra["side"], settings.extra["side"]


def dcgan(settings: Settings) -> Players:
    extra = settings.extra
    norm = None if extra["penalty"] else "batch"  # a penalty is per sample, batch norm is not
    return mg.models.dcgan(extra["side"], z_dim(settings), channels=extra["channels"], width=extra["width"], norm=norm)


NETWORKS = {
    "mlp28": Network(lambda s: mg.models.mlp28(z_dim(s)), 96, "uniform", small),
    "dcgan28": Network(lambda s: mg.models.dcgan28(z_dim(s)), 96, "uniform", small),
    "wgan_gp28": Network(lambda s: mg.models.wgan_gp28(z_dim(s)), 96, "uniform", small),
    "lab28": Network(lambda s: mg.models.lab28(z_dim(s), output=mg.nn.Tanh), 128, "normal", small),
    "dcgan": Network(dcgan, 100, "uniform", chosen),
    "mlp512": Network(
        lambda s: mg.models.mlp512(s.extra["side"], z_dim(s), channels=s.extra["channels"]), 100, "normal", chosen
    ),
}
LATENTS = {"uniform": uniform_latent, "normal": normal_latent}


def z_dim(settings: Settings) -> int:
    return settings.extra["z_dim"] or NETWORKS[settings.extra["model"]].z_dim


def optimizer(settings: Settings, params: list, lr: float) -> mg.optim.Optimizer:
    extra = settings.extra
    return {
        "adam": lambda: mg.optim.Adam(params, lr, (extra["beta1"], extra["beta2"])),
        "rmsprop": lambda: mg.optim.RMSProp(params, lr),
        "sgd": lambda: mg.optim.SGD(params, lr, extra["momentum"]),
    }[extra["optimizer"]]()


def build(settings: Settings) -> ScoreGame:
    extra = settings.extra
    network = NETWORKS[extra["model"]]
    mg.random.seed(settings.seed)
    G, D = network.make(settings)
    G.to(settings.device)
    D.to(settings.device)
    return ScoreGame(
        G,
        D,
        loss=losses.LOSSES[extra["loss"]],
        penalty=penalties.PENALTIES.get(extra["penalty"]),
        penalty_weight=extra["penalty_weight"],
        clip=extra["clip"],
        latent=LATENTS[extra["latent"] or network.latent](z_dim(settings)),
        generator_optimizer=optimizer(settings, G.parameters(), extra["lr"]),
        discriminator_optimizer=optimizer(settings, D.parameters(), extra["d_lr"] or extra["lr"]),
        schedule=alternate(d_steps=extra["d_steps"]),
        ema=mg.optim.EMA(G, extra["ema"]) if extra["ema"] else None,
        seed=settings.seed,
    )


def shape(settings: Settings) -> Shape:
    return NETWORKS[settings.extra["model"]].shape(settings)


def options() -> argparse.ArgumentParser:
    p = training.parser("train", __doc__, epochs=5, batch_size=64)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("--model", choices=NETWORKS, default="dcgan28", help="the two networks (default: dcgan28)")
    p.add_argument(
        "--loss", choices=losses.LOSSES, default="nonsaturating", metavar="NAME", help=", ".join(losses.LOSSES)
    )
    p.add_argument("--penalty", choices=penalties.PENALTIES, metavar="NAME", help=", ".join(penalties.PENALTIES))
    p.add_argument("--penalty-weight", type=float, default=10.0, help="times the penalty (default: 10)")
    p.add_argument("--clip", type=float, help="limit D's weights to [-CLIP, CLIP]")
    p.add_argument("--d-steps", type=int, default=1, help="discriminator turns for each of the generator (default: 1)")
    p.add_argument("--optimizer", choices=["adam", "rmsprop", "sgd"], default="adam", help="of both (default: adam)")
    p.add_argument("--lr", type=float, default=2e-4, help="learning rate (default: 0.0002)")
    p.add_argument("--d-lr", type=float, help="the discriminator's, if it is another")
    p.add_argument("--beta1", type=float, default=0.5, help="Adam's (default: 0.5)")
    p.add_argument("--beta2", type=float, default=0.999, help="Adam's (default: 0.999)")
    p.add_argument("--momentum", type=float, default=0.0, help="SGD's (default: 0)")
    p.add_argument("--ema", type=float, help="sample from averaged weights with this decay, 0.999 say")
    p.add_argument("--latent", choices=LATENTS, help="noise (default: the model's)")
    p.add_argument("--z-dim", type=int, help="its dimensions (default: the model's)")
    p.add_argument("--side", type=int, default=32, help="of images, for dcgan and mlp512 (default: 32)")
    p.add_argument("--channels", type=int, choices=[1, 3], default=3, help="likewise (default: 3)")
    p.add_argument("--width", type=int, default=32, help="of dcgan's first layer of maps (default: 32)")
    return p


if __name__ == "__main__":
    sys.exit(training.main(build, options(), shape))
