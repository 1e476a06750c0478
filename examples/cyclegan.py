"""Train CycleGAN (Zhu et al. 2017): two domains and no pairs; a network makes one of the other, another leads back.

    python examples/cyclegan.py                                     font digits to handwritten ones, and back
    python examples/cyclegan.py --data FOLDER --target FOLDER --side 64         --stream if memory cannot hold them
    python examples/cyclegan.py --system discogan                   Kim et al. 2017
    python examples/cyclegan.py --system dualgan                    Yi et al. 2017
    python examples/cyclegan.py --system cycada                     Hoffman et al. 2018: what labels say is kept
    python examples/cyclegan.py --system cut                        Park et al. 2020: one network, no way back
    python examples/cyclegan.py --system unit                       Liu et al. 2017: by a code that both domains share
    python examples/cyclegan.py --system munit                      Huang et al. 2018: many of one, in drawn styles

Residual generators with instance norm, discriminators of patches. In OUT/samples: images of the first domain over what
is made of them. generator.safetensors leads there, inverse.safetensors back; `minigan translate` takes both.
DualGAN's critics have a gradient penalty here and move once in a step; the paper clips their weights and moves them
several times, its authors' program has cross entropies and moves translators twice.

At the end, where a judge knows the domains: `read_as_before` is the share of translated held-out images that it reads
as their label says, `frechet` how far they are from the second domain by its features, beside `frechet_before` of the
images as they were and `frechet_floor` of real ones; `diversity` is how different two translations of an image look to
it, where styles are drawn.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import minigan as mg
from minigan import training
from minigan.data import Samples, Shape, count_classes
from minigan.errors import ShapeError
from minigan.gan import losses, penalties
from minigan.gan.translation import CUT, MUNIT, UNIT, CyCADA, CycleGAN, TwoWay, l1, l2
from minigan.training import Settings, positive, sides, translations

CLOSE = {"loss": losses.nonsaturating, "adversarial": 1.0, "cycle": 1.0, "identity": 0.0, "distance": l2}
SYSTEMS: dict[str, dict[str, Any]] = {
    "cyclegan": {"loss": losses.lsgan, "adversarial": 2.0, "cycle": 10.0, "identity": 5.0, "distance": l1},
    "discogan": {**CLOSE, "pool": 0},
    "dualgan": {
        **{"loss": losses.wasserstein, "adversarial": 1.0, "cycle": 10.0, "identity": 0.0, "distance": l1},
        **{"penalty": penalties.gradient_penalty, "pool": 0},
    },
    "cycada": CLOSE,
}
WAYS = [*SYSTEMS, "cut", "unit", "munit"]


def build(settings: Settings) -> TwoWay | CUT:
    source, target = sides.shapes(settings)
    if target[1] % 4:
        raise ShapeError(f"--side {target[1]}: expected a multiple of 4, as generators halve images twice")
    built = {"cycada": cycada, "cut": cut, "unit": unit, "munit": munit}.get(settings.extra["system"], cycle)
    with mg.random.using(mg.random.Stream(settings.seed)):
        return built(settings, source, target)


def translator(settings: Settings, source: Shape, target: Shape) -> mg.nn.Sequential:
    size = {"width": settings.extra["width"], "blocks": settings.extra["blocks"]}
    return mg.models.resnet_translator(source[0], target[0], **size).to(settings.device)


def critic(settings: Settings, shape: Shape, norm: str | None = "instance") -> mg.nn.Module:
    size = {name: settings.extra[name] for name in ("scales", "width", "halvings")}
    return mg.models.patch_discriminators(*shape[:2], **size, norm=norm).to(settings.device)


def optimizers(settings: Settings, *players: Sequence[mg.nn.Module]) -> tuple[list[mg.optim.Adam], list]:
    """One for each group of players, and what makes their rates fall in the second half of the run."""
    rates = {"lr": settings.extra["lr"], "betas": (0.5, 0.999)}
    made = [mg.optim.Adam(mg.nn.parameters_of(*group), **rates) for group in players]
    return made, [mg.optim.Course(each, partial(mg.optim.late_linear, 0.5)) for each in made]


def cycle(settings: Settings, source: Shape, target: Shape) -> CycleGAN:
    return cycled(CycleGAN, settings, source, target)


def cycada(settings: Settings, source: Shape, target: Shape) -> CyCADA:
    if source != target:
        raise ShapeError(
            f"--system cycada: expected domains of one shape, as one classifier reads both, got {source} and {target}"
        )
    return cycled(
        partial(CyCADA, semantic=settings.extra["semantic"]), settings, source, target, reader(settings, target)
    )


def reader(settings: Settings, shape: Shape) -> mg.nn.Sequential:
    """A classifier of images, which learns to read the sources of cycada."""
    channels, side, _ = shape
    first = mg.nn.Conv2d(channels, 16, 5, padding=2), mg.nn.ReLU(), mg.nn.MaxPool2d(2, 2)
    second = mg.nn.Conv2d(16, 32, 5, padding=2), mg.nn.ReLU(), mg.nn.MaxPool2d(2, 2)
    classes = count_classes(settings.data, labels=settings.labels_from)
    last = mg.nn.Flatten(), mg.nn.Linear(32 * (side // 4) ** 2, 128), mg.nn.ReLU(), mg.nn.Linear(128, classes)
    return mg.nn.Sequential(*first, *second, *last).to(settings.device)


def cycled(
    system: Callable[..., CycleGAN],
    settings: Settings,
    source: Shape,
    target: Shape,
    classifier: mg.nn.Module | None = None,
) -> CycleGAN:
    """The game of two translators and two critics, and of a classifier if it has one."""
    parts = SYSTEMS[settings.extra["system"]]
    norm = None if "penalty" in parts else "instance"
    translators = translator(settings, source, target), translator(settings, target, source)
    critics = critic(settings, target, norm), critic(settings, source, norm)
    told = {} if classifier is None else {"classifier": classifier}
    adam, courses = optimizers(settings, (*translators, *told.values()), critics)
    return system(
        *(*translators, *critics),
        translators_optimizer=adam[0],
        discriminators_optimizer=adam[1],
        **parts,
        **told,
        shape=target,
        source_shape=source,
        schedules=courses,
        seed=settings.seed,
    )


def cut(settings: Settings, source: Shape, target: Shape) -> CUT:
    G, D, width = translator(settings, source, target), critic(settings, target), settings.extra["width"]
    seen = {0: source[0], 4: width, 7: 2 * width, 10: 4 * width, 10 + settings.extra["blocks"]: 4 * width}
    heads = mg.models.PatchHeads(list(seen), list(seen.values())).to(settings.device)
    adam, courses = optimizers(settings, (G, heads), (D,))
    return CUT(
        *(G, heads, D),
        translator_optimizer=adam[0],
        discriminator_optimizer=adam[1],
        identity=source == target,
        schedules=courses,
        seed=settings.seed,
    )


def unit(settings: Settings, source: Shape, target: Shape) -> UNIT:
    size = {"width": settings.extra["width"], "blocks": settings.extra["blocks"]}
    translators = mg.models.unit_translators(source[0], target[0], **size)
    for each in translators:
        each.to(settings.device)
    return coded(UNIT, settings, source, target, translators)


def munit(settings: Settings, source: Shape, target: Shape) -> MUNIT:
    size = {"width": settings.extra["width"], "blocks": settings.extra["blocks"]}
    channels, style_dim = (source[0], target[0]), settings.extra["style_dim"]
    encoders = [mg.models.content_encoder(c, **size) for c in channels]
    decoders = [mg.models.StyledDecoder(c, style_dim, **size) for c in reversed(channels)]
    readers = [mg.models.image_encoder(c, style_dim, width=size["width"], norm=None) for c in reversed(channels)]
    translators = [mg.models.StyledTranslator(*both, style_dim) for both in zip(encoders, decoders, strict=True)]
    for each in (*translators, *readers):
        each.to(settings.device)
    return coded(MUNIT, settings, source, target, translators, readers)


def coded(
    system: type[TwoWay],
    settings: Settings,
    source: Shape,
    target: Shape,
    translators: Sequence[mg.nn.Module],
    readers: Sequence[mg.nn.Module] = (),
) -> TwoWay:
    """The game of these translators, and of readers of styles if it has some."""
    critics = critic(settings, target), critic(settings, source)
    adam, courses = optimizers(settings, (*translators, *readers), critics)
    return system(
        *(*translators, *readers, *critics),
        translators_optimizer=adam[0],
        discriminators_optimizer=adam[1],
        shape=target,
        schedules=courses,
        seed=settings.seed,
    )


def load(settings: Settings, limit: int | None) -> Samples:
    labelled = "and the classifier of cycada learns from them" if settings.extra["system"] == "cycada" else ""
    return sides.load_domains(settings, limit, labelled=labelled)


def measure(game: TwoWay | CUT, samples: Samples, settings: Settings) -> dict[str, float]:
    held = sides.domains_held_out(settings)
    if held is None:
        return {}
    return translations.measured_between(game, settings, *held, styled=settings.extra["system"] == "munit")


def options() -> training.Options:
    p = training.parser("cyclegan", __doc__, epochs=1, batch_size=16)
    sides.add_domain_options(p, source="digits", target="mnist", labels=True)
    p.add_argument("--system", choices=WAYS, default="cyclegan", help="(default: cyclegan)")
    p.add_argument("--width", type=positive, default=32, help="maps next to the image (default: 32; the paper: 64)")
    p.add_argument("--blocks", type=positive, default=3, help="of the generators (default: 3; the paper: 6 or 9)")
    shown = "how often discriminators halve an image; a score sees 16, 34, 70 pixels with 1, 2, 3 (default: 2)"
    p.add_argument("--halvings", type=positive, default=2, metavar="N", help=shown)
    p.add_argument("--style-dim", type=positive, default=8, help="numbers in a style of munit (default: 8)")
    shown = "of what cycada reads in translations (default: 1)"
    p.add_argument("--semantic", type=float, default=1.0, metavar="WEIGHT", help=shown)
    p.add_argument("--scales", type=positive, default=1, metavar="N", help=sides.SCALES)
    shown = "learning rate, which falls to 0 in the second half of the run (default: 0.0002)"
    p.add_argument("--lr", type=float, default=2e-4, help=shown)
    p.idle_without("--system cycada", lambda o: o.system == "cycada", "--semantic", "--labels-from")
    p.idle_without("--system munit", lambda o: o.system == "munit", "--style-dim")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    return translations.main(build, options(), load, measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
