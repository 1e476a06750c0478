"""What translators learn from: pairs of images, two domains, or images of which the sources are made on the way."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..data import (
    DATASETS,
    LabelledDomains,
    Pair,
    Pictures,
    Samples,
    Shape,
    data_set,
    held_out,
    is_pictures,
    load_images,
    pairs_by_name,
    pairs_of_halves,
    pictures_in,
    read_all,
)
from ..data.pairs import SIDES
from ..errors import DataError, ShapeError
from ..gan.translation import MAKINGS, Making, making, source_shape
from ..gan.translation.making import BY_FACTORS
from ..random import Stream
from ..system.options import Options, nonempty
from ..system.terminal import say, shown
from .settings import Settings, natural, positive

FEW_HELD = 20  # pairs that a dry run measures with
HELD, SHARE = 200, 10  # pairs that are held out to measure with, and at most one of so many
SCALES = "so many discriminators: of images, of images halved, and so on (default: 1)"  # what --scales asks for
Extra = Mapping[str, Any]  # the options that a program has beside those of every run


def add_options(p: Options, *, made: str, made_of: Mapping[str, str] | None = None, side: int = 32) -> None:
    """Give a program of pairs --target, --halves and --made, of which `made` is the default; and their sizes.

    `made_of` are the defaults of --made with some values of --system.
    """
    p.without("--labels-from", "--images")
    p.named("--data").help = "images, or with --target the sources of those; auto (default) means mnist, else digits"
    group = p.add_argument_group("pairs")
    _add_made(p, group, made, made_of or {})
    _add_target(group, "pictures that have the names of those in --data, which are their sources")
    shown = "each picture of --data is two beside each other: this one is the source"
    group.add_argument("--halves", choices=SIDES, help=shown)
    _add_held_out(group)
    add_sizes(group, side)
    p.idle("--halves", lambda o: "changes nothing with --target" if o.target else "")
    p.idle("--made", lambda o: "changes nothing with --halves" if o.halves else "")


def _add_made(p: Options, group: Any, default: str, of: Mapping[str, str]) -> None:
    names = ", ".join(name for name in MAKINGS if name not in BY_FACTORS)
    defaults = ", ".join([default, *(f"of {system} {name}" for system, name in of.items())])
    shown = f"make the sources of the images: {names} (default: {defaults})"
    group.add_argument("--made", type=_made, default=default, metavar="NAME", help=shown)
    if of:
        p.follows("--made", lambda o: of.get(o.system, default))
    p.idle("--made", lambda o: "changes nothing with --target" if o.target else "")


def _made(name: str) -> str:
    """A name of what makes sources as large as images, as a type of options."""
    try:
        making(name)
    except ShapeError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("making: ")) from None
    if name.partition(":")[0] in BY_FACTORS:
        raise argparse.ArgumentTypeError(
            f"{name} makes smaller images, which examples/super_resolution.py makes larger"
        )
    return name


def _add_target(group: Any, shown: str) -> None:
    shown = f"{shown}; or a file of arrays, as --data is one then, in the same order"
    group.add_argument("--target", type=nonempty, metavar="FOLDER|FILE", help=shown)


def add_images(p: Options, *, side: int) -> None:
    """Give a program of smaller sources, which it makes of images itself or finds, --target, sizes, and a judge."""
    p.without("--labels-from", "--images")
    group = p.add_argument_group("images")
    _add_target(group, "large pictures that have the names of those in --data, which are then small ones of your own")
    _add_held_out(group)
    add_sizes(group, side)


def _add_held_out(group: Any) -> None:
    shown = f"pairs to measure with, which are not learnt from (default: {HELD}, a tenth at most)"
    group.add_argument("--held-out", type=natural, default=HELD, metavar="N", help=shown)
    add_judge(group)


def add_total_variation(p: Options) -> None:
    """Give a program --total-variation, of what its generator makes."""
    shown = "of the mean difference of neighbouring pixels in G's loss, which smooths (default: 0)"
    p.add_argument("--total-variation", type=float, default=0.0, metavar="WEIGHT", help=shown)


def add_judge(group: Any) -> None:
    """Whose eyes measure."""
    shown = "whose eyes: a judge that ships, or a file of `minigan judge train` (default: who knows the images)"
    group.add_argument("--judge", type=nonempty, metavar="NAME|FILE", help=shown)


def add_domain_options(p: Options, *, source: str, target: str, side: int = 28, labels: bool = False) -> None:
    """Give a program of two domains --target, with these data sets for --data and for it; and the size of images.

    If it learns from `labels` of the first, --labels-from is theirs.
    """
    shown = f"images that others are made of: a data set, a folder, a file (default: {source})"
    if labels:
        p.named("--labels-from").help = "each folder in that of --data is a class"
    else:
        p.without("--labels-from")
    _add_domains(p, source, shown, target, f"images like those that are to be made, likewise (default: {target})", side)
    p.together("--data", "--target", why=f"without both, images of {source} are made into such as those of {target}")


def add_drawn_domains(p: Options, *, made: str, side: int = 28) -> None:
    """Give a program that draws images of two domains --target, or --made, of which this is the default; and sizes."""
    shown = "images of one domain, with --target the first of two; auto (default) means mnist, else digits"
    p.without("--labels-from")
    group = _add_domains(p, "auto", shown, None, "images of the other domain (default: what is --made of --data)", side)
    _add_made(p, group, made, {})


def _add_domains(p: Options, source: str, of_source: str, target: str | None, of_target: str, side: int) -> Any:
    p.without("--images")
    p.set_defaults(data=source)
    p.named("--data").help = of_source
    group = p.add_argument_group("domains")
    group.add_argument("--target", type=nonempty, default=target, metavar="NAME|PATH", help=of_target)
    add_sizes(group, side)
    return group


def add_sizes(group: Any, side: int) -> None:
    """The sizes of images."""
    shown = (
        "pixels a side of an image: a picture is laid over white where it is transparent, scaled to cover the square, "
        f"and cropped at its centre (default: {side})"
    )
    group.add_argument("--side", type=positive, default=side, help=shown)
    shown = "of an image, 1 or 3 (default: those of a data set that has a name, else 3)"
    group.add_argument("--channels", type=int, choices=[1, 3], help=shown)


def shapes(settings: Settings) -> tuple[Shape, Shape]:
    """(of a source, of a target): channels, height, width."""
    extra = settings.extra
    shape = channels(extra.get("target") or settings.data, extra), extra["side"], extra["side"]
    made = made_by(extra)
    if "factor" in extra and extra["side"] % extra["factor"]:
        raise ShapeError(f"--side {extra['side']}: expected a multiple of --factor {extra['factor']}")
    side = extra["side"] // extra.get("factor", 1)
    return ((shape[0], side, side) if made is None else source_shape(made, shape)), shape


def target_shape(settings: Settings) -> Shape:
    """Channels, height and width of a target."""
    return shapes(settings)[1]


def channels(source: str, extra: Extra) -> int:
    """Of images of that name or path: what is asked for, else what a data set has, else 3."""
    if extra["channels"] is not None:
        return int(extra["channels"])
    name = data_set(source)
    return 3 if name is None else DATASETS["mnist" if name == "auto" else name].shape[0]


def made_by(extra: Extra) -> Making | None:
    """How sources are made of images, if they are."""
    named = extra.get("made")
    return None if named is None or extra.get("target") or extra.get("halves") else making(named)


def load_pairs(settings: Settings, limit: int | None) -> Samples:
    """The pairs that are learnt from, or images of which their sources are made; `limit` of them, if it is given."""
    if (pictures := _pictures(settings)) is None:
        return _parts(_arrays(settings, limit), settings)[0]
    return _read(pictures.chosen(_split(len(pictures.pictures), settings)[0]), settings, limit)


def load_held_out(settings: Settings) -> Samples:
    """Those that are held out to measure with."""
    few = FEW_HELD if settings.dry_run else None
    if (pictures := _pictures(settings)) is None:
        return _parts(_arrays(settings, few), settings)[1]
    return _read(pictures.chosen(_split(len(pictures.pictures), settings)[1]), settings, few, most_whole=False)


def load_domains(settings: Settings, limit: int | None, *, labelled: str = "") -> Samples:
    """Images of both domains, which do not belong together one by one; with --stream their folders are read later.

    With the labels of sources if `labelled` says why they are needed. DataError if there are none, and for --stream if
    neither domain is a folder of pictures.
    """
    shape_of, extra = shapes(settings), settings.extra
    names = settings.data, extra["target"]
    if settings.stream and not any(map(is_pictures, names)):
        both = " and ".join(map(shown, names))
        raise DataError(f"--stream reads folders of pictures, and neither of {both} is one")
    labels_from = (settings.labels_from, None) if labelled else (None, None)
    of, target = (_domain(*each, settings, limit) for each in zip(names, shape_of, labels_from, strict=True))
    kind: Any = LabelledDomains if labelled else Pair
    told = [of.needed_labels(labelled)] if labelled else []
    on_disk = None
    if settings.stream:
        parts = (each.drawn if each.on_disk is None else each.on_disk for each in (target, of))
        on_disk = kind(*parts, *(of.on_disk.numbers if of.on_disk is not None else told))
    return Samples(kind(target.drawn, of.drawn, *told), None, of.name, paired=False, on_disk=on_disk)


def _domain(name: str, shape: Shape, labels: str | None, settings: Settings, limit: int | None) -> Samples:
    """Images of one domain, and labels as `load_images` has them.

    Of what is streamed `limit` of them, if it is given, but all of what is no folder.
    """
    streamed = settings.stream and is_pictures(name)
    few = limit if settings.dry_run or streamed or not settings.stream else None
    found = load_images(name, few, shape, labels=labels)
    return found._replace(on_disk=pictures_in(name, shape[1], shape[0], labels=labels)) if streamed else found


def domains_held_out(settings: Settings) -> tuple[Samples, Samples] | None:
    """(source, target): images of both that were not learnt from, with labels.

    None, with a note on the terminal, if a domain is no data set that has some.
    """
    found = []
    for name, shape in zip((settings.data, settings.extra["target"]), shapes(settings), strict=True):
        if name not in DATASETS:
            known = ", ".join(DATASETS)
            say(f"note: nothing is measured at the end: {shown(name)} has no held-out images, which {known} have")
            return None
        images, labels = held_out(Samples(np.empty(0), None, name), few=settings.dry_run, shape=shape)
        found.append(Samples(images, labels, name))
    return found[0], found[1]


def _pictures(settings: Settings) -> Pictures | None:
    """The pictures that pairs, or images of which their sources are made, are read from; None if it is other data."""
    extra, ((_, source_side, _), (channels, side, _)) = settings.extra, shapes(settings)
    if target := extra.get("target"):
        folders = [is_pictures(name) for name in (target, settings.data)]
        if not any(folders):
            return None
        if not all(folders):
            one, other = f"--target {shown(target)}", f"--data {shown(settings.data)}"
            folder, none = (one, other) if folders[0] else (other, one)
            raise DataError(
                f"{none} is no folder of pictures, and {folder} is one: pairs are two of those, or two files of arrays"
            )
        return pairs_by_name(target, settings.data, side, channels, source_size=source_side)
    if extra.get("halves"):
        return pairs_of_halves(settings.data, side, channels, source=extra["halves"])
    return pictures_in(settings.data, side, channels) if is_pictures(settings.data) else None


def _arrays(settings: Settings, limit: int | None) -> Samples:
    """What is no folder of pictures: images, or pairs of which each half is a file of them.

    DataError if there are more of one half than of the other.
    """
    target, (source_shape, shape) = settings.extra.get("target"), shapes(settings)
    if not target:
        return load_images(settings.data, limit, shape)
    targets, sources = load_images(target, limit, shape), load_images(settings.data, limit, source_shape)
    counts = len(targets.drawn), len(sources.drawn)
    if len(set(counts)) > 1:
        both = f"--target {shown(target)} has {counts[0]} images, --data {shown(settings.data)} {counts[1]}"
        raise DataError(f"{both}: pairs belong together one by one")
    return sources._replace(values=Pair(targets.drawn, sources.drawn), labels=None)


def _read(pictures: Pictures, settings: Settings, limit: int | None, *, most_whole: bool = True) -> Samples:
    """Samples of pictures, `limit` of them if it is given; DataError if most are damaged, unless that may be so."""
    values = pictures.batch(read_all(pictures, limit, most_whole=most_whole)[0])
    return Samples(values, None, str(Path(settings.data).resolve()), on_disk=pictures)


def _parts(samples: Samples, settings: Settings) -> tuple[Samples, Samples]:
    """(what is learnt from, what is held out)."""
    learnt, held = (
        samples._replace(
            values=taken(samples.values, which), labels=None if samples.labels is None else samples.labels[which]
        )
        for which in _split(len(samples.drawn), settings)
    )
    return learnt, held


def _split(count: int, settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    """(what is learnt from, what is held out) of so many: which, is drawn by chance, and the same each time."""
    held = min(settings.extra["held_out"], count // SHARE)
    order = Stream(0, "held out").permutation(count)
    return np.sort(order[held:]), np.sort(order[:held])


def taken(values: Any, which: Any) -> Any:
    """Some of the samples."""
    return type(values)(*(array[which] for array in values)) if isinstance(values, tuple) else values[which]
