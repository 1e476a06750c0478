"""Make small images large: SRResNet, SRGAN (Ledig et al. 2017), ESRGAN (Wang et al. 2018) and Real-ESRGAN (2021).

    python examples/super_resolution.py --data FOLDER                    SRGAN, 24 to 96 pixels a side
    python examples/super_resolution.py --data FOLDER --system srresnet  by the distance of pixels alone
    python examples/super_resolution.py --data FOLDER --system esrgan --vgg FILE
    python examples/super_resolution.py --data FOLDER --system realesrgan      for small pictures as they are found
    python examples/super_resolution.py --data SMALL --target LARGE            pairs of pictures of the same name

Unless they are given, the small images are made of the large ones: by bicubic interpolation, or, of realesrgan and with
--sources degraded, also blurred, noisy and compressed, twice and at random, so that the network learns to undo that.
With --vgg, a file with torchvision's weights of VGG19, the generator is to make images that look like the large ones to
VGG, by the papers' layers; without it to a judge, that of --judge or one that ships and knows the images. SRGAN's has
these features in place of pixels, and pixels where nobody has features, ESRGAN's both. The generator learns by pixels
alone for the first --warm-up steps. In OUT/samples: small images, what is made of them, the large ones. At the end
held-out images are measured: `psnr`, `ssim`, `ms_ssim`, and `looks` if a judge knows them, beside those of bicubic
interpolation; the verdict says where that is nearer. `minigan upscale RUN PICTURES` makes pictures of any size larger.
"""

import sys
from collections.abc import Sequence
from functools import partial

import minigan as mg
from minigan import judge, training
from minigan.data import Samples
from minigan.gan import losses
from minigan.gan.translation import Restoration, l1, l2, making, squared_length, taxicab
from minigan.gan.translation.making import BY_FACTORS
from minigan.system.options import nonempty
from minigan.training import Settings, positive, sides, translations
from minigan.training.settings import natural

SYSTEMS = {
    "srresnet": {"distance": l2, "pixel": 1.0, "adversarial": 0.0},
    "srgan": {"loss": losses.nonsaturating, "distance": l2, "adversarial": 1e-3},  # and `content`
    "esrgan": {
        **{"loss": losses.relativistic_average, "distance": l1, "pixel": 0.01, "perceptual": 1.0},
        "adversarial": 5e-3,
    },
    "realesrgan": {"loss": losses.nonsaturating, "distance": l1, "pixel": 1.0, "perceptual": 1.0, "adversarial": 0.1},
}
LAYERS = {
    "srgan": ("relu5_4", 2),
    "esrgan": ("conv5_4", 1),
    "realesrgan": ("conv1_2:0.1,conv2_2:0.1,conv3_4,conv4_4,conv5_4", 1),
}
"""Layers of VGG19, and the power of differences of their maps."""


def eyes(settings: Settings) -> dict[str, object]:
    """Whose features G is to come near in, if anybody's, and how far features are apart."""
    extra = settings.extra
    if extra["vgg"] is None:
        return {"features": translations.features(settings)}
    network = mg.models.read_vgg(extra["vgg"]).to(settings.device)
    layers, power = LAYERS[extra["system"]]
    if extra["vgg_layers"] == "lpips":
        return {"features": judge.perceptual_by_vgg(network)}
    seen = mg.models.vgg_features(network, mg.models.vgg_layers(extra["vgg_layers"] or layers), power)
    return {"features": seen, "apart": taxicab if power == 1 else squared_length}


def content(settings: Settings, seen: dict[str, object]) -> dict[str, float]:
    """SRGAN's weights: of features in place of pixels if there are any, of VGG's maps as they are the paper's."""
    if settings.extra["system"] != "srgan":
        return {}
    if seen["features"] is None:
        return {"pixel": 1.0}
    of_length_1 = settings.extra["vgg"] is None or settings.extra["vgg_layers"] == "lpips"
    return {"pixel": 0.0, "perceptual": 1.0 if of_length_1 else 0.006}


def build(settings: Settings) -> Restoration:
    extra = settings.extra
    channels, side, _ = sides.target_shape(settings)
    system = SYSTEMS[extra["system"]]
    size = {"channels": channels, "width": extra["width"], "blocks": extra["blocks"]}
    make = mg.models.rrdbnet if extra["system"] in ("esrgan", "realesrgan") else mg.models.srresnet
    with mg.random.using(mg.random.Stream(settings.seed)):
        G = make(extra["factor"], **size).to(settings.device)
        if extra["system"] == "realesrgan":
            D = mg.models.PixelDiscriminator(channels, extra["width"])
        else:
            D = mg.models.image_discriminator(side, channels=channels, width=extra["width"], features=256)
    seen = eyes(settings)
    adam = [mg.optim.Adam(player.to(settings.device).parameters(), extra["lr"], (0.9, 0.999)) for player in (G, D)]
    return Restoration(
        *(G, D),
        generator_optimizer=adam[0],
        discriminator_optimizer=adam[1],
        **system,
        **seen,
        **content(settings, seen),
        total_variation=extra["total_variation"],
        warm_up=extra["warm_up"],
        make=None if extra["target"] else making(f"{sources_of(settings)}:{extra['factor']}"),
        schedules=[mg.optim.Course(each, partial(mg.optim.late_linear, 0.5)) for each in adam],
        seed=settings.seed,
    )


def sources_of(settings: Settings) -> str:
    """How small images are made of large ones."""
    return settings.extra["sources"] or ("degraded" if settings.extra["system"] == "realesrgan" else "small")


def bicubic(x: mg.Tensor, factor: int) -> mg.Tensor:
    return mg.clip(mg.interpolate(x, scale_factor=factor, mode="bicubic"), -1, 1)


def measure(game: Restoration, samples: Samples, settings: Settings) -> dict[str, float]:
    return translations.measured(game, settings, {"bicubic": partial(bicubic, factor=settings.extra["factor"])})


def options() -> training.Options:
    p = training.parser("super_resolution", __doc__, epochs=10, batch_size=16)
    sides.add_images(p, side=96)
    p.add_argument("--system", choices=sorted(SYSTEMS), default="srgan", help="(default: srgan)")
    shown = "weights of torchvision's vgg19 or vgg16, as safetensors: its features, not a judge's, are in G's loss"
    p.add_argument("--vgg", type=nonempty, metavar="FILE", help=shown)
    shown = "NAME or NAME:WEIGHT with commas between, conv5_3 say, or lpips (default: those of the system's paper)"
    p.add_argument("--vgg-layers", type=nonempty, metavar="LAYERS", help=shown)
    shown = "how small images are made of large ones (default: degraded of realesrgan, else small)"
    p.add_argument("--sources", choices=BY_FACTORS, help=shown)
    p.add_argument("--factor", type=int, choices=[2, 4, 8], default=4, help="how much larger (default: 4)")
    p.add_argument("--width", type=positive, default=32, help="maps of the networks (default: 32; the papers: 64)")
    p.add_argument("--blocks", type=positive, default=4, help="of G (default: 4; the papers: 16, ESRGAN 23)")
    p.add_argument("--warm-up", type=natural, default=500, metavar="STEPS", help="by pixels alone (default: 500)")
    sides.add_total_variation(p)
    shown = "learning rate, which falls to 0 in the second half of the run (default: 0.0002)"
    p.add_argument("--lr", type=float, default=2e-4, help=shown)
    p.idle("--sources", lambda o: "changes nothing with --target" if o.target else "")
    p.idle("--vgg", lambda o: "changes nothing with --system srresnet" if o.system == "srresnet" else "")
    p.idle_without("--vgg", lambda o: o.vgg, "--vgg-layers")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    return translations.main(build, options(), sides.load_pairs, measure, arguments)


if __name__ == "__main__":
    sys.exit(main())
