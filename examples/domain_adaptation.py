"""Read images without labels, having learnt from labelled ones of another kind: PixelDA, DANN, ADDA.

    python examples/domain_adaptation.py                     MNIST with labels, MNIST-M without
    python examples/domain_adaptation.py --adversarial 0     the classifier alone, to compare with
    python examples/domain_adaptation.py --system dann       features that hide the domain (Ganin et al. 2016)
    python examples/domain_adaptation.py --system adda       features of each domain's own (Tzeng et al. 2017)
    python examples/domain_adaptation.py --system dann --data digits --target mnist --channels 1
    python examples/domain_adaptation.py --data FOLDER --labels-from folders --target FOLDER --side 64

PixelDA (Bousmalis et al. 2017): a generator makes images of the second kind of images of the first, each with noise of
its own, and a classifier learns from both; in OUT/samples are images over what is made of them. The other two make no
images: a discriminator is not to tell the kind by features. Their pictures are two principal components of the features
of both kinds, in colours of the kind and of the class: that of a source is its label, of a target what is read.
MNIST-M is digits on coloured grounds, made on the way. Of your own data the first kind has labels: each folder in it is
a class, or an .npz file holds them. The classifier is in OUT/classifier.safetensors, which gives scores of each class:
`export.load_generator(PATH).generate(images)`.

At the end `target_accuracy` is the share of the second kind's test set that the classifier reads right,
`source_accuracy` of the first kind's, and of ADDA `target_accuracy_before` what it read before it adapted. The papers,
on grounds cut out of photographs: PixelDA 98.2 %, DANN 76.7 %, without adaptation 63.6 % and 52.3 %. Here grounds are
as strong as digits. In 3000 steps ADDA comes from 33 % to 92 %; DANN, whose features adapt while they are learnt, reads
no more than without (22 %, 28 %). From font digits to handwritten ones, `--data digits` above with --steps 1500, it
reads 86 %, without adaptation 74 %.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

import minigan as mg
from minigan import training, viz
from minigan.data import Samples, count_classes
from minigan.gan import ADDA, DANN
from minigan.gan.adaptation import Adaptation
from minigan.gan.translation import PixelDA
from minigan.nn import Conv2d, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential, Tanh
from minigan.training import Settings, positive, sides, translations
from minigan.training.settings import natural

Z_DIM, FEATURES = 10, 128
SHOWN = 512  # images of each domain in a picture of features
RATES = {"pixelda": 2e-4, "dann": 1e-3, "adda": 2e-4}  # of learning
DOMAINS = {"source": ".", "target": "x"}  # how a point of it is drawn


def build(settings: Settings) -> PixelDA | DANN | ADDA:
    with mg.random.using(mg.random.Stream(settings.seed)):
        return SYSTEMS[settings.extra["system"]](settings)


def classes(settings: Settings) -> int:
    """How many the labels of the first kind have."""
    return count_classes(settings.data, labels=settings.labels_from)


def rate(settings: Settings) -> float:
    chosen = settings.extra["lr"]
    return RATES[settings.extra["system"]] if chosen is None else chosen


def learnt(settings: Settings, *players: Module) -> list[mg.Tensor]:
    return mg.nn.parameters_of(*(player.to(settings.device) for player in players))


def adam(settings: Settings, *players: Module, weight_decay: float = 0.0) -> mg.optim.Adam:
    return mg.optim.Adam(learnt(settings, *players), rate(settings), (0.5, 0.999), weight_decay=weight_decay)


def pixelda(settings: Settings) -> PixelDA:
    extra = settings.extra
    channels, side, _ = sides.target_shape(settings)
    width = extra["width"]
    G = mg.models.resnet_translator(channels + Z_DIM, channels, width=width, blocks=extra["blocks"], norm="batch")
    D = mg.models.image_discriminator(side, channels=channels, width=width, features=256)
    T = Sequential(*mg.models.picture_classifier(side, channels, classes(settings), maps=64, features=64))
    players = mg.models.WithNoise(G, Z_DIM), D, T
    return PixelDA(
        *players,
        translator_optimizer=adam(settings, players[0], T, weight_decay=1e-5),
        discriminator_optimizer=adam(settings, D),
        adversarial=extra["adversarial"],
        task=extra["task"],
        seed=settings.seed,
    )


def extractor(settings: Settings) -> Sequential:
    """Features in [-1, 1]: what has no bounds can hide its domain by growing."""
    channels, side, _ = sides.target_shape(settings)
    first = Conv2d(channels, 16, 5, padding=2), ReLU(), MaxPool2d(2, 2)
    second = Conv2d(16, 32, 5, padding=2), ReLU(), MaxPool2d(2, 2)
    return Sequential(*first, *second, Flatten(), Linear(32 * (side // 4) ** 2, FEATURES), Tanh())


def dann(settings: Settings) -> DANN:
    F, C = extractor(settings), Linear(FEATURES, classes(settings))
    D = Sequential(Linear(FEATURES, 100), ReLU(), Linear(100, 1))
    return DANN(
        *(F, C, D),
        optimizer=mg.optim.Adam(learnt(settings, F, C, D), rate(settings)),
        adversarial=settings.extra["adversarial"],
        seed=settings.seed,
    )


def adda(settings: Settings) -> ADDA:
    source, target, C = extractor(settings), extractor(settings), Linear(FEATURES, classes(settings))
    D = Sequential(Linear(FEATURES, 500), ReLU(), Linear(500, 500), ReLU(), Linear(500, 1))
    return ADDA(
        *(source, target, C, D),
        source_optimizer=mg.optim.Adam(learnt(settings, source, C), 1e-3),
        target_optimizer=adam(settings, target),
        discriminator_optimizer=adam(settings, D),
        warm_up=settings.extra["warm_up"],
        seed=settings.seed,
    )


SYSTEMS: dict[str, Callable[[Settings], PixelDA | DANN | ADDA]] = {"pixelda": pixelda, "dann": dann, "adda": adda}


def load(settings: Settings, limit: int | None) -> Samples:
    return sides.load_domains(settings, limit, labelled="and the classifier learns from them")


def measure(game: PixelDA | DANN | ADDA, samples: Samples, settings: Settings) -> dict[str, float]:
    both = sides.domains_held_out(settings)
    if both is None:
        return {}
    found = {}
    for name, held in zip(("source", "target"), both, strict=True):
        found[f"{name}_accuracy"] = float(np.mean(game.predict(held.drawn) == held.labels))
    if isinstance(game, PixelDA) and game.adversarial:
        found |= translations.measured_between(game, settings, *both)
    if isinstance(game, ADDA):
        found["target_accuracy_before"] = float(np.mean(game.predict(held.drawn, as_sources=True) == held.labels))
    return found


def picture(game: PixelDA | DANN | ADDA, samples: Samples, path: Path) -> None:
    """Translations of sources, or features of both domains."""
    (translations.strips if isinstance(game, PixelDA) else features)(game, samples, path)


def features(game: Adaptation, samples: Samples, path: Path) -> None:
    """Write two principal components of features, in colours of their domain and of their class, to `path`."""
    target, source, labels = (part[:SHOWN] for part in samples.values)
    rows = game.features(source, as_sources=True), game.features(target)
    points = np.split(principal(np.concatenate(rows)), [len(source)])
    figure = viz.empty_figure(figsize=(9, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    read = labels, game.predict(target)
    colours = 10 if max(map(np.max, read)) < 10 else 20
    shown = {"s": 9, "linewidths": 0.8}
    for (domain, marker), at, told in zip(DOMAINS.items(), points, read, strict=True):
        left.scatter(*at.T, **shown, marker=marker, alpha=0.6, label=domain)
        right.scatter(*at.T, **shown, marker=marker, c=told % colours, cmap=f"tab{colours}", vmin=0, vmax=colours - 1)
    left.legend(frameon=False, loc="upper right")
    left.set_title("domain", fontsize=10)
    right.set_title("class", fontsize=10)
    for axes in (left, right):
        axes.set(xticks=[], yticks=[])
    viz.save_figure(figure, path)


def principal(rows: np.ndarray) -> np.ndarray:
    """(N, 2) of rows (N, F): their first two principal components, whose largest weights are positive."""
    centred = rows - rows.mean(0)
    directions = np.linalg.svd(centred, full_matrices=False)[2][:2]
    signs = np.sign(directions[np.arange(2), np.abs(directions).argmax(1)])
    return centred @ (directions * signs[:, None]).T


def options() -> training.Options:
    p = training.parser("domain_adaptation", __doc__, epochs=2, batch_size=32)
    sides.add_domain_options(p, source="mnist", target="mnist_m", labels=True)
    p.add_argument("--system", choices=list(SYSTEMS), default="pixelda", help="(default: pixelda)")
    p.add_argument("--width", type=positive, default=32, help="maps of G and D (default: 32; the paper: 64)")
    p.add_argument("--blocks", type=positive, default=3, help="of G (default: 3; the paper: 6)")
    shown = "of D's say in the others' loss; 0 trains the classifier by the first kind alone (default: 1)"
    p.add_argument("--adversarial", type=float, default=1.0, metavar="WEIGHT", help=shown)
    p.add_argument("--task", type=float, default=1.0, metavar="WEIGHT", help="of the classifier's loss (default: 1)")
    shown = "by the first kind alone, before the features of the second adapt (default: 1000)"
    p.add_argument("--warm-up", type=natural, default=1000, metavar="STEPS", help=shown)
    shown = "learning rate (default: 0.0002, of dann 0.001); before features adapt, that of adda is 0.001"
    p.add_argument("--lr", type=float, help=shown)
    of_images = "--width", "--blocks", "--task", "--evaluate-every"
    p.idle_without("--system pixelda", lambda o: o.system == "pixelda", *of_images)
    p.idle_without("--system pixelda or dann", lambda o: o.system != "adda", "--adversarial")
    p.idle_without("--system adda", lambda o: o.system == "adda", "--warm-up")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    return translations.main(build, options(), load, measure, arguments, picture=picture)


if __name__ == "__main__":
    sys.exit(main())
