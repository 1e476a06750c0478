"""Train CycleGAN (Zhu et al. 2017): two domains and no pairs; a network makes one of the other, another leads back.

    python examples/cyclegan.py                                     font digits to handwritten ones, and back
    python examples/cyclegan.py --data FOLDER --target FOLDER --side 64
    python examples/cyclegan.py --system discogan                   Kim et al. 2017
    python examples/cyclegan.py --system dualgan                    Yi et al. 2017
    python examples/cyclegan.py --system cut                        Park et al. 2020: one network, no way back

Residual generators with instance norm, discriminators of patches. In OUT/samples: images of the first domain over what
is made of them. generator.safetensors leads there, inverse.safetensors back; `minigan translate` takes both.

At the end, where a judge knows the domains: `read_as_before` is the share of translated held-out images that it reads
as their label says, `frechet` how far they are from the second domain by its features, beside `frechet_before` of the
images as they were and `frechet_floor` of real ones.
"""

import sys
from collections.abc import Sequence
from functools import partial

import minigan as mg
from minigan import judge, training
from minigan.data import Samples, Shape
from minigan.errors import DataError
from minigan.gan import losses, penalties
from minigan.gan.translation import CUT, CycleGAN, l1, l2
from minigan.metrics import frechet_distance
from minigan.nn import in_chunks
from minigan.training import Settings, positive, say, sides, translations

SYSTEMS = {
    "cyclegan": {"loss": losses.lsgan, "adversarial": 2.0, "cycle": 10.0, "identity": 5.0, "distance": l1, "pool": 50},
    "discogan": {"loss": losses.nonsaturating, "adversarial": 1.0, "cycle": 1.0, "identity": 0.0, "distance": l2},
    "dualgan": {
        **{"loss": losses.wasserstein, "adversarial": 1.0, "cycle": 10.0, "identity": 0.0, "distance": l1},
        "penalty": penalties.gradient_penalty,
    },
}
WAYS = [*SYSTEMS, "cut"]


def build(settings: Settings) -> CycleGAN | CUT:
    extra = settings.extra
    source, target = sides.shapes(settings)
    with mg.random.using(mg.random.Stream(settings.seed)):
        return (cut if extra["system"] == "cut" else cycle)(settings, source, target)


def translator(settings: Settings, source: Shape, target: Shape) -> mg.nn.Sequential:
    size = {"width": settings.extra["width"], "blocks": settings.extra["blocks"]}
    return mg.models.resnet_translator(source[0], target[0], **size).to(settings.device)


def critic(settings: Settings, shape: Shape, norm: str | None = "instance") -> mg.nn.Sequential:
    size = {"width": settings.extra["width"], "halvings": settings.extra["halvings"]}
    return mg.models.patch_discriminator(shape[0], **size, norm=norm).to(settings.device)


def optimizers(settings: Settings, *players: Sequence[mg.nn.Module]) -> tuple[list[mg.optim.Adam], list]:
    """One for each group of players, and what makes their rates fall in the second half of the run."""
    made = [
        mg.optim.Adam([p for player in group for p in player.parameters()], settings.extra["lr"], (0.5, 0.999))
        for group in players
    ]
    return made, [mg.optim.Course(each, partial(mg.optim.late_linear, 0.5)) for each in made]


def cycle(settings: Settings, source: Shape, target: Shape) -> CycleGAN:
    system = SYSTEMS[settings.extra["system"]]
    norm = None if "penalty" in system else "instance"
    translators = translator(settings, source, target), translator(settings, target, source)
    critics = critic(settings, target, norm), critic(settings, source, norm)
    adam, courses = optimizers(settings, translators, critics)
    return CycleGAN(
        *(*translators, *critics),
        translators_optimizer=adam[0],
        discriminators_optimizer=adam[1],
        **{"pool": 0, **system},
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


def measure(game: CycleGAN | CUT, samples: Samples, settings: Settings) -> dict[str, float]:
    try:
        source, target = sides.domains_held_out(settings)
    except DataError as error:
        say(f"nothing is measured: {error}")
        return {}
    reader = judge.suited(target, settings.device)
    if reader is None:
        return {}
    made = in_chunks(game.translate, source.drawn, settings.device)
    half = len(target.drawn) // 2
    real, other = (reader.features(part) for part in (target.drawn[:half], target.drawn[half:]))
    found = {"read_as_before": float((reader.predict(made) == source.labels).mean())}
    for name, images in (("frechet", made), ("frechet_before", source.drawn)):
        found[name] = frechet_distance(reader.features(images[:half]), real)
    return {**found, "frechet_floor": frechet_distance(other, real)}


def options() -> training.Options:
    p = training.parser("cyclegan", __doc__, epochs=1, batch_size=16)
    sides.add_domain_options(p, source="digits", target="mnist")
    p.add_argument("--system", choices=WAYS, default="cyclegan", help="(default: cyclegan)")
    p.add_argument("--width", type=positive, default=32, help="maps next to the image (default: 32; the paper: 64)")
    p.add_argument("--blocks", type=positive, default=3, help="of the generators (default: 3; the paper: 6 or 9)")
    shown = "how often discriminators halve an image; a score sees 16, 34, 70 pixels with 1, 2, 3 (default: 2)"
    p.add_argument("--halvings", type=positive, default=2, metavar="N", help=shown)
    shown = "learning rate, which falls to 0 in the second half of the run (default: 0.0002)"
    p.add_argument("--lr", type=float, default=2e-4, help=shown)
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    return translations.main(build, options(), sides.load_domains, measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
