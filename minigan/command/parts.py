"""The options of `minigan train`: what a game can be put together from, in the order of its help."""

import argparse
from functools import partial
from typing import Any

from ..errors import ShapeError
from ..gan import Sight, losses, penalties
from ..gan.augmentations import AUGMENTATIONS, names
from ..system.options import Options, nonempty
from ..training import labels, parser, positive
from ..training.settings import natural
from .networks import LATENTS, NETWORKS, OUTPUTS, SCALED, flag, shaped, untaken


def part_options(prog: str, of: str, description: str) -> Options:
    """The options of a run and of all that it can be put together from; `of` is what the program takes beside them."""
    p = parser("train", description, epochs=5, batch_size=64)
    p.prog, p.usage = prog, f"{prog} {of} [options]"
    labels.add_options(p)
    _add_parts(p)
    _add_moves(p)
    _add_tricks(p)
    _add_regularisers(p)
    return p


def _add_parts(p: Options) -> None:
    """Networks, and what they are to win at."""
    parts = p.add_argument_group("parts")
    by_name: dict[str, Any] = {"metavar": "NAME"}
    shown = f"the two networks: {', '.join(NETWORKS)} (default: dcgan28)"
    parts.add_argument("--model", choices=NETWORKS, default="dcgan28", help=shown, **by_name)
    parts.add_argument(
        "--loss",
        choices=losses.LOSSES,
        default="nonsaturating",
        help=f"{', '.join(losses.LOSSES)} (default: nonsaturating)",
        **by_name,
    )
    parts.add_argument("--penalty", choices=penalties.PENALTIES, help=", ".join(penalties.PENALTIES), **by_name)
    parts.add_argument("--penalty-weight", type=float, default=10.0, help="times the penalty (default: 10)")
    parts.add_argument(
        "--penalty-every",
        type=positive,
        default=1,
        metavar="STEPS",
        help="how often, so many times as much (default: 1)",
    )
    shown = "times the mean square of D's scores of real images, 0.001 say"
    parts.add_argument("--drift", type=float, default=0.0, metavar="WEIGHT", help=shown)
    parts.add_argument("--clip", type=float, help="limit D's weights to [-CLIP, CLIP]")
    parts.add_argument("--max-norm", type=float, help="limit the length of each of D's units' weights")
    parts.add_argument("--latent", choices=LATENTS, help="noise (default: the model's)")
    parts.add_argument("--z-dim", type=positive, help="its dimensions (default: the model's)")
    shown = f"of images, for {shaped('side')} (default: 32)"
    parts.add_argument("--side", type=positive, default=32, help=shown)
    parts.add_argument("--channels", type=int, choices=[1, 3], default=3, help="likewise (default: 3)")
    parts.add_argument(
        "--width", type=positive, default=32, help="of the maps next to the image, likewise (default: 32)"
    )
    shown = f"of those in G, for {shaped('generator_width')} (default: --width, of fastgan half of it; of "
    shown += "dcgan28 and wgan_gp28, 64)"
    parts.add_argument("--generator-width", type=positive, metavar="WIDTH", help=shown)
    norms: dict[str, Any] = {"type": _norm, "metavar": "batch|layer|none"}
    shown = "in the D of wgan_gp28, dcgan, resnet and fastgan (default: none with a penalty, --one-pass or resnet, "
    shown += "else batch)"
    parts.add_argument("--norm", default="auto", help=shown, **norms)
    parts.add_argument("--generator-norm", default="batch", help="in dcgan's and resnet's G (default: batch)", **norms)
    parts.add_argument(
        "--attention",
        type=int,
        default=0,
        metavar="SIZE",
        help="in both players of resnet, biggan and unet, at maps of so many pixels",
    )
    shown = f"so many Ds: for images, images halved, and so on; for {', '.join(SCALED)} (default: 1)"
    parts.add_argument("--scales", type=positive, default=1, metavar="N", help=shown)
    parts.add_argument("--noiseless", action="store_true", help="no noise between the layers of stylegan2's G")
    parts.add_argument(
        "--grow", type=float, default=0.5, metavar="SHARE", help="of the run, in which progan grows (default: 0.5)"
    )
    parts.add_argument(
        "--fade", type=float, default=0.5, metavar="SHARE", help="of it, in which a new size fades in (default: 0.5)"
    )
    parts.add_argument(
        "--activation",
        choices=["leaky_relu", "prelu", "relu"],
        default="leaky_relu",
        help="in dcgan's D (default: leaky_relu)",
    )
    parts.add_argument("--padding", type=int, default=0, help="around the image in wgan_gp28's D (default: 0)")
    parts.add_argument("--output", choices=OUTPUTS, default="tanh", help="of lab28's G (default: tanh)")
    parts.add_argument("--unit-range", action="store_true", help="real images in [0, 1], which the pictures ignore")
    for name in sorted({name for network in NETWORKS.values() for name in network.takes}):
        p.idle(flag(name), partial(_not_for_its_model, name))
    p.idle("--scales", lambda o: "" if o.model in SCALED else f"is for {', '.join(SCALED)}")
    p.idle_without("--penalty", lambda o: o.penalty, "--penalty-weight", "--penalty-every")


def _add_moves(p: Options) -> None:
    """How both players learn."""
    moves = p.add_argument_group("moves")
    moves.add_argument("--d-steps", type=positive, default=1, help="turns of D for each of G (default: 1)")
    moves.add_argument("--repeat", type=positive, default=1, help="rounds on the same real images (default: 1)")
    moves.add_argument(
        "--optimizer", choices=["adam", "rmsprop", "sgd"], default="adam", help="of both (default: adam)"
    )
    moves.add_argument("--lr", type=float, default=2e-4, help="learning rate (default: 0.0002)")
    moves.add_argument("--d-lr", type=float, help="the discriminator's, if it is another")
    moves.add_argument(
        "--lr-schedule",
        choices=["constant", "linear", "cosine"],
        default="constant",
        help="how learning rates fall until the end of the run (default: constant)",
    )
    moves.add_argument(
        "--lr-end", type=float, default=0.0, metavar="SHARE", help="what is left of them at the end (default: 0)"
    )
    moves.add_argument(
        "--warmup", type=natural, default=0, metavar="STEPS", help="in which they rise at first (default: 0)"
    )
    moves.add_argument("--beta1", type=float, default=0.5, help="Adam's (default: 0.5)")
    moves.add_argument("--beta2", type=float, default=0.999, help="Adam's (default: 0.999)")
    moves.add_argument("--momentum", type=float, default=0.0, help="SGD's (default: 0)")
    moves.add_argument(
        "--one-pass", action="store_true", help="both move at once, by one pass of D, without batch norm there: faster"
    )
    moves.add_argument("--unroll", type=int, default=0, help="G's gradient runs through so many steps of D")
    moves.add_argument("--consensus", type=float, default=0.0, help="weight of the joint gradient's length")
    shown = "noise is first moved to where D scores it higher, so far: 0.9 say (LOGAN)"
    moves.add_argument("--latent-optimisation", type=float, default=0.0, metavar="ALPHA", help=shown)
    shown = "damping of that step (default: 0.1)"
    moves.add_argument("--latent-damping", type=float, default=0.1, metavar="BETA", help=shown)
    shown = "times its squared length, in both losses (default: 0.1)"
    moves.add_argument("--latent-cost", type=float, default=0.1, metavar="WEIGHT", help=shown)
    p.idle_without("--lr-schedule linear or cosine", lambda o: o.lr_schedule != "constant", "--lr-end")
    p.idle_without("--optimizer adam", lambda o: o.optimizer == "adam", "--beta1", "--beta2")
    p.idle_without("--optimizer sgd", lambda o: o.optimizer == "sgd", "--momentum")
    p.idle_without("--latent-optimisation", lambda o: o.latent_optimisation, "--latent-damping", "--latent-cost")
    for option in ("--d-steps", "--repeat", "--one-pass"):
        p.idle(option, lambda o: "changes nothing with --consensus: both move at once" if o.consensus else "")


def _add_tricks(p: Options) -> None:
    """What documents recommend beside."""
    tricks = p.add_argument_group("tricks")
    tricks.add_argument("--ema", type=float, help="sample from averaged weights with this decay, 0.999 say")
    tricks.add_argument(
        "--ema-ramp", type=float, default=0.0, metavar="SHARE", help="its half-life is at most this share of the steps"
    )
    tricks.add_argument("--label-smoothing", type=float, default=1.0, help="D's target for real images, 0.9 say")
    shown = "hinge's are drawn anew for each score, from LOW to 1, 0.8 say"
    tricks.add_argument("--margins", type=float, default=1.0, metavar="LOW", help=shown)
    tricks.add_argument("--flip-labels", type=float, default=0.0, help="share of D's labels that are wrong")
    tricks.add_argument("--instance-noise", type=float, default=0.0, help="deviation of noise on all that D sees")
    tricks.add_argument("--noise-steps", type=positive, help="steps over which that noise falls to 0")
    tricks.add_argument("--replay", type=int, default=0, help="half of D's fakes come from so many earlier ones")
    tricks.add_argument("--dropout", type=float, default=0.0, help="after each ReLU of G, in training and in samples")
    tricks.add_argument("--joint-batches", action="store_true", help="real and fake in one batch for D's batch norm")
    tricks.add_argument("--pack", type=positive, default=1, help="images that D sees at once")
    tricks.add_argument("--stddev", action="store_true", help="dcgan's D sees how much a batch differs")
    shown = "D also sees so many numbers that say how close a sample is to the others, 100 say (default: 0)"
    tricks.add_argument("--minibatch-discrimination", type=natural, default=0, metavar="N", help=shown)
    tricks.add_argument("--spectral-norm", action="store_true", help="in every layer of D")
    tricks.add_argument("--generator-spectral-norm", action="store_true", help="in every layer of G, as SAGAN has it")
    tricks.add_argument("--san", action="store_true", help="D's last layer is a direction, learnt apart (SAN)")
    tricks.add_argument(
        "--path-length",
        type=float,
        default=0.0,
        metavar="WEIGHT",
        help="styles of stylegan2 are to change images evenly, 2 say",
    )
    tricks.add_argument(
        "--path-length-every",
        type=positive,
        default=4,
        metavar="STEPS",
        help="how often, so many times as much (default: 4)",
    )
    shown = "of the average that lengths are to be near (default: 0.99)"
    tricks.add_argument("--path-length-decay", type=float, default=0.99, help=shown)
    shown = "keep the outputs of each of G's layers from being alike, 1e-4 in BigGAN"
    tricks.add_argument("--orthogonal", type=float, default=0.0, metavar="WEIGHT", help=shown)
    p.idle_without("--ema", lambda o: o.ema, "--ema-ramp")
    p.idle_without("--loss hinge", lambda o: o.loss == "hinge", "--margins")
    p.idle_without("--instance-noise", lambda o: o.instance_noise, "--noise-steps")
    p.idle_without("--path-length", lambda o: o.path_length, "--path-length-every", "--path-length-decay")


def _add_regularisers(p: Options) -> None:
    """What helps where data are few."""
    few = p.add_argument_group("learning from little data")
    changes, some = ", ".join(AUGMENTATIONS), "NAME,..."
    shown = f"change all that D sees at random: {changes} with commas (or +) between; or ada, "
    shown += "or ada: and these, as often as D is too sure"
    few.add_argument("--augment", type=_augment, default="", metavar="[ada:]NAME,...", help=shown)
    shown = "mean sign of D's scores of real images, above which p rises (default: 0.6)"
    few.add_argument("--pseudo", action="store_true", help="fakes among D's real images, as often as D is too sure")
    few.add_argument("--ada-target", type=float, default=0.6, metavar="R", help=shown)
    shown = "real images in which p goes from never to always (default: 500000)"
    few.add_argument("--ada-images", type=positive, default=500_000, metavar="N", help=shown)
    weight: dict[str, Any] = {"type": float, "default": 0.0, "metavar": "WEIGHT"}
    few.add_argument("--lecam", help="keep scores near averages of the other side's, 0.3 say", **weight)
    few.add_argument("--lecam-decay", type=float, default=0.99, help="of these averages (default: 0.99)")
    shown = "in which the averages learn, and nothing is asked for (default: 1000)"
    few.add_argument("--lecam-after", type=natural, default=1000, metavar="STEPS", help=shown)
    few.add_argument("--consistency", help="D is to score a real image as it does changed, 10 say", **weight)
    few.add_argument("--fake-consistency", help="likewise fakes, 10 say", **weight)
    shown = "how they are changed, as by --augment (default: translation)"
    few.add_argument("--consistency-by", type=_changes, default="translation", metavar=some, help=shown)
    few.add_argument("--cutmix", help="unet's D is to score pixels of images cut together as before, 1 say", **weight)
    shown = "of D's steps, which are on such images, the whole fake (default: 0.5)"
    few.add_argument("--cutmix-share", type=float, default=0.5, metavar="SHARE", help=shown)
    few.add_argument("--cutmix-steps", type=positive, metavar="STEPS", help="in which it rises from none to that")
    few.add_argument("--latent-consistency", help="D is to score fakes of near noise alike, 5 say", **weight)
    shown = "and G to make them differ (default: 0.5)"
    few.add_argument("--latent-variety", **{**weight, "default": 0.5}, help=shown)
    few.add_argument("--latent-step", type=float, default=0.03, help="deviation of that noise (default: 0.03)")
    few.add_argument("--reconstruction", help="fastgan's D is to give back real images, 1 say", **weight)
    few.add_argument(
        "--top-k", type=float, default=1.0, metavar="SHARE", help="of its fakes that G learns from, 0.5 say"
    )
    few.add_argument("--top-k-steps", type=positive, metavar="STEPS", help="in which it falls from all to that share")
    shown = "begin with the weights that the last checkpoint of a run holds, or a checkpoint; settings are not taken"
    few.add_argument("--start-from", type=nonempty, metavar="RUN|FILE", help=shown)
    shown = "of D's layers with weights, or blocks, the first N stay as they are (FreezeD; default: 0)"
    few.add_argument("--freeze-d", type=natural, default=0, metavar="N", help=shown)
    p.idle_without("--start-from", lambda o: o.start_from, "--freeze-d")
    p.idle_without(
        "--augment ada or --pseudo", lambda o: o.augment.startswith("ada") or o.pseudo, "--ada-target", "--ada-images"
    )
    p.idle_without("--lecam", lambda o: o.lecam, "--lecam-decay", "--lecam-after")
    p.idle_without(
        "--consistency or --fake-consistency", lambda o: o.consistency or o.fake_consistency, "--consistency-by"
    )
    p.idle_without("--cutmix", lambda o: o.cutmix, "--cutmix-share", "--cutmix-steps")
    p.idle_without("--latent-consistency", lambda o: o.latent_consistency, "--latent-variety", "--latent-step")
    p.idle_without("--model fastgan", lambda o: o.model == "fastgan", "--reconstruction")
    p.idle_without("--top-k below 1", lambda o: o.top_k < 1, "--top-k-steps")


def _not_for_its_model(name: str, chosen: argparse.Namespace) -> str:
    return untaken(name, chosen.model)


def _augment(text: str) -> str:
    """What --augment says, "" for none."""
    if text == "none":
        return ""
    try:
        Sight(augment=text)
    except ShapeError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("Sight: augment ")) from None
    return text.replace("+", ",")


def _changes(text: str) -> str:
    """Names of changes, with commas between."""
    try:
        return ",".join(names("changes", text))
    except ShapeError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _norm(name: str) -> str | None:
    """The name of a norm, None for "none"."""
    if name not in ("auto", "batch", "layer", "none"):
        raise argparse.ArgumentTypeError(f"expected batch, layer or none, got {name!r}")
    return None if name == "none" else name
