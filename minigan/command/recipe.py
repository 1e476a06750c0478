"""Any score loss with any penalty on any network, or a system of a document by its name: what `minigan train` trains.

Networks, losses, penalties, moves and tricks are parts; an option chooses each. A preset is a set of options.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from functools import partial
from typing import Any

from .. import optim, random
from ..data import DATASETS, Shape
from ..gan import Moves, PathLengths, Regularisers, ScoreGame, Sight, Turn, alternate, losses, penalties
from ..system.options import Options
from ..system.terminal import answer, ending
from ..training import Hook, Settings, labels, start
from . import start_from
from .networks import LATENTS, NETWORKS, Extra, kind_of_game, players, sized, z_dim
from .parts import part_options
from .presets import PRESETS

DESCRIPTION = """Train any score loss with any penalty on any network, or a system of a document by its name.

    {prog} wgan_gp                    a preset; any option may be given after it
    {prog} wgan_gp --as-printed       with the mistakes of its document
    {prog} faces_wgan --data FOLDER --side 48 --width 32
    {prog} --model dcgan28 --loss hinge --penalty r1 --data mnist
    {prog} --list                     all presets, and where they come from

Without a preset the defaults are a DCGAN's; a Wasserstein loss wants a penalty or --clip, Adam with --beta1 0, and
several --d-steps. Every trick is a switch and goes with every loss, penalty and network, but for a few that are refused
and say why; so do --clusters and --labels, which both players are then told.
"""
SEEN = (
    "pack",
    "instance_noise",
    "noise_steps",
    "replay",
    "joint_batches",
    "augment",
    "pseudo",
    "ada_target",
    "ada_images",
)
MOVED = tuple(field.name for field in fields(Moves))
STEADIED = tuple(field.name for field in fields(Regularisers))


def shape(settings: Settings) -> Shape:
    """Of one image that the networks are made for: (channels, height, width)."""
    extra = settings.extra
    return (extra["channels"], extra["side"], extra["side"]) if sized(extra) else (1, 28, 28)


def optimizer(extra: Extra, params: list, lr: float) -> optim.Optimizer:
    """The optimizer that --optimizer names."""
    return {
        "adam": lambda: optim.Adam(params, lr, (extra["beta1"], extra["beta2"])),
        "rmsprop": lambda: optim.RMSProp(params, lr),
        "sgd": lambda: optim.SGD(params, lr, extra["momentum"]),
    }[extra["optimizer"]]()


def schedule(extra: Extra) -> list[Turn] | None:
    """Who moves: D --d-steps times and G once, in the last of them if they share a pass; --repeat on the same batch."""
    if extra["consensus"]:
        return None
    turns = alternate(d_steps=extra["d_steps"])
    if extra["one_pass"]:
        turns[-2:] = [Turn("one_pass_turn")]
    again = [turn._replace(fresh_batch=False) for turn in turns]
    return turns + again * (extra["repeat"] - 1)


def courses(extra: Extra, optimizers: Iterable[optim.Optimizer]) -> list[optim.Schedule]:
    """What --lr-schedule makes of the learning rates over the length of the run, with --warmup at its start."""
    shapes: dict[str, Callable[[int], Callable[[int], float]]] = {
        "constant": lambda steps: optim.constant(),
        "linear": partial(optim.linear, 1.0, extra["lr_end"]),
        "cosine": partial(optim.cosine, floor=extra["lr_end"]),
    }
    if extra["lr_schedule"] == "constant" and not extra["warmup"]:
        return []
    return [optim.Course(each, shapes[extra["lr_schedule"]], extra["warmup"]) for each in optimizers]


def path_lengths(extra: Extra) -> PathLengths | None:
    """What --path-length adds to G's loss, None without it."""
    weight, decay, every = (extra[name] for name in ("path_length", "path_length_decay", "path_length_every"))
    return PathLengths(weight, decay, every) if weight else None


def build(settings: Settings) -> ScoreGame:
    """The game of these settings."""
    extra, classes = settings.extra, labels.classes(settings)
    with random.using(random.Stream(settings.seed)):
        G, D = players(extra, classes)
    G.to(settings.device)
    D.to(settings.device)
    d_lr = extra["lr"] if extra["d_lr"] is None else extra["d_lr"]
    loss = losses.LOSSES[extra["loss"]]
    if extra["label_smoothing"] != 1 or extra["flip_labels"]:
        loss = losses.noisy_labels(loss, extra["label_smoothing"], extra["flip_labels"])
    if extra["margins"] != 1:
        loss = losses.random_margins(loss, extra["margins"])
    g_optimizer = optimizer(extra, G.parameters(), extra["lr"])
    d_optimizer = optimizer(extra, start_from.learning(D, extra["freeze_d"]), d_lr)
    kind, told = kind_of_game(extra, classes)
    game = kind(
        G,
        D,
        **told,
        loss=loss,
        penalty=penalties.PENALTIES.get(extra["penalty"]),
        penalty_weight=extra["penalty_weight"],
        penalty_every=extra["penalty_every"],
        latent=LATENTS[extra["latent"] or NETWORKS[extra["model"]].latent](z_dim(extra)),
        generator_optimizer=g_optimizer,
        discriminator_optimizer=d_optimizer,
        schedules=courses(extra, (g_optimizer, d_optimizer)),
        schedule=schedule(extra),
        sight=Sight(
            **{name: extra[name] for name in SEEN},
            prepare=(lambda x: (x + 1) * 0.5) if extra["unit_range"] else None,
        ),
        moves=Moves(**{name: extra[name] for name in MOVED}),
        regularisers=Regularisers(**{name: extra[name] for name in STEADIED}),
        path_lengths=path_lengths(extra),
        ema=optim.EMA(G, extra["ema"], extra["ema_ramp"]) if extra["ema"] else None,
        seed=settings.seed,
    )
    start_from.begin(game, settings)
    return game


def options(
    arguments: Sequence[str] | None = None,
    prog: str = "train.py",
    description: str = DESCRIPTION,
    more: Callable[[Options], None] = lambda p: None,
) -> Options:
    """The parser, with the defaults of the preset that `arguments` name; `prog` is what the program is called.

    `more` adds options of a program that takes others too.
    """
    p = part_options(prog, "[PRESET]", description.format(prog=prog))
    more(p)
    p.add_argument("preset", nargs="?", choices=PRESETS, metavar="PRESET", help="a system by its name, see --list")
    p.add_argument("--list", action=Listing, nargs=0, default=argparse.SUPPRESS, help="name every preset and exit")
    p.add_argument("--as-printed", action="store_true", help="with the mistakes that the preset's document prints")
    p.idle_without("a PRESET", lambda o: o.preset, "--as-printed")
    p.meanings |= dict.fromkeys(DATASETS, "a value of --data")
    chosen, _ = p.parse_known_args(arguments)
    if chosen.preset:
        preset = PRESETS[chosen.preset]
        p.set_defaults(out=f"runs/{chosen.preset}", **preset.options)
        p.set_defaults(**preset.adapted(p.parse_known_args(arguments)[0]))
        if chosen.as_printed:
            if not preset.as_printed:
                p.error(f"--as-printed: {preset.source} prints nothing else for {chosen.preset}")
            p.set_defaults(**preset.as_printed)
        if preset.needs_folder and chosen.data == "auto" and not chosen.dry_run:
            p.error(f"{chosen.preset} learns from pictures: give a folder of them with --data FOLDER")
    return p


class Listing(argparse.Action):
    """--list: every preset on the terminal."""

    def __call__(self, parser: argparse.ArgumentParser, *args: Any) -> None:
        """Print and exit."""
        lines = []
        for name, preset in PRESETS.items():
            lines.append(f"{name:14} {preset.about} ({preset.source})")
            if preset.mistakes:
                lines.append(f"{'':14} --as-printed: {preset.mistakes}")
        answer("\n".join(lines))
        parser.exit()


def train(arguments: Sequence[str] | None, prog: str, hooks: Sequence[Hook] = ()) -> int:
    """Train what the command line says, and tell the hooks of it; 0 when done, or why it was stopped."""
    return start(build, Settings.parsed(options(arguments, prog), arguments, "train"), shape, hooks=hooks)


def main(arguments: Sequence[str] | None = None, prog: str = "train.py", hooks: Sequence[Hook] = ()) -> int:
    """Train what the command line says, and tell the hooks of it; the exit status of the program."""
    return ending(prog, lambda: train(arguments, prog, hooks))
