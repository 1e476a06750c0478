"""Read images without labels, having learnt from labelled ones of another kind: PixelDA (Bousmalis et al. 2017).

    python examples/domain_adaptation.py                     MNIST with labels, MNIST-M without
    python examples/domain_adaptation.py --adversarial 0     the classifier alone, to compare with

A generator makes images of the second kind of images of the first, each with noise of its own, and a classifier learns
from both. MNIST-M is digits on coloured grounds, made on the way. In OUT/samples: images over what is made of them. At
the end `target_accuracy` is the share of the second kind's test set that the classifier reads right, `source_accuracy`
of the first kind's. The paper: 63.6 % without adaptation, 98.2 % with it, on grounds cut out of photographs.
"""

import sys
from collections.abc import Sequence

import numpy as np

import minigan as mg
from minigan import training
from minigan.data import LabelledDomains, Samples, load_images
from minigan.gan.translation import PixelDA
from minigan.training import Settings, positive, sides, translations

Z_DIM = 10


def build(settings: Settings) -> PixelDA:
    extra = settings.extra
    channels, side, _ = sides.target_shape(settings)
    width = extra["width"]
    with mg.random.using(mg.random.Stream(settings.seed)):
        G = mg.models.resnet_translator(channels + Z_DIM, channels, width=width, blocks=extra["blocks"], norm="batch")
        D = mg.models.image_discriminator(side, channels=channels, width=width, features=256)
        T = mg.nn.Sequential(*mg.models.picture_classifier(side, channels, 10, maps=64, features=64))
    players = mg.models.WithNoise(G, Z_DIM), D, T
    for player in players:
        player.to(settings.device)
    learnt = [*players[0].parameters(), *T.parameters()]
    return PixelDA(
        *players,
        translator_optimizer=mg.optim.Adam(learnt, extra["lr"], (0.5, 0.999), weight_decay=1e-5),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), extra["lr"], (0.5, 0.999)),
        adversarial=extra["adversarial"],
        task=extra["task"],
        seed=settings.seed,
    )


def load(settings: Settings, limit: int | None) -> Samples:
    shape, extra = sides.target_shape(settings), settings.extra
    source = load_images(settings.data, limit, shape)
    labels = source.needed_labels("and the classifier learns from them")
    target = load_images(extra["target"], limit, shape).drawn
    return Samples(LabelledDomains(target, source.drawn, labels), None, source.name, paired=False)


def measure(game: PixelDA, samples: Samples, settings: Settings) -> dict[str, float]:
    found = {}
    for name, held in zip(("source", "target"), sides.domains_held_out(settings), strict=True):
        found[f"{name}_accuracy"] = float(np.mean(game.predict(held.drawn) == held.labels))
    return found


def options() -> training.Options:
    p = training.parser("domain_adaptation", __doc__, epochs=2, batch_size=32)
    sides.add_domain_options(p, source="mnist", target="mnist_m")
    p.add_argument("--width", type=positive, default=32, help="maps of the networks (default: 32; the paper: 64)")
    p.add_argument("--blocks", type=positive, default=3, help="of G (default: 3; the paper: 6)")
    shown = "of D's scores in G's loss; 0 trains the classifier by the first kind alone (default: 1)"
    p.add_argument("--adversarial", type=float, default=1.0, metavar="WEIGHT", help=shown)
    p.add_argument("--task", type=float, default=1.0, metavar="WEIGHT", help="of the classifier's loss (default: 1)")
    p.add_argument("--lr", type=float, default=2e-4, help="learning rate (default: 0.0002)")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    return translations.main(build, options(), load, measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
