"""`minigan project`: the point of a generator's space whose sample is nearest to an image."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import latent, viz
from ..latent import Projection, Search, Space
from ..latent.space import checked_labels
from ..system import disk
from ..system.options import Options, nonempty
from ..system.terminal import answer, progress, shown
from ..training import positive
from .generators import check_out, generator_of, numbers, of_generator, out_to, titled
from .reading import add_judge, judge_for, pictures_of

ABOUT = """Find the points of a generator's space whose samples are nearest to images, and say how near.

    minigan project RUN face.png other.jpg         pictures, fitted to the size that the generator makes
    minigan project RUN --index 0,1,2 --held-out   of the data: images that the generator never saw

The picture has each image over what was found and where they differ. The points lie beside it, in an .npz file that
`minigan interpolate --points` and `minigan edit --points` take. `anomaly` is AnoGAN's score (Schlegl et al. 2017):
large for an image that is unlike all that the generator learnt to draw.
"""
WIDEST = 10  # images beside each other
SEARCHED: dict[str, tuple[Callable[[str], Any], str]] = {
    "steps": (positive, "of each search"),
    "starts": (positive, "searches of each image, of which the best is kept"),
    "lr": (float, "learning rate, in deviations of the space"),
    "noise": (float, "added to the points at first, as a share of their length; paper: 0.05"),
    "features": (float, "weight of what the judge sees, beside the pixels"),
    "prior": (float, "weight of how far out a point lies"),
}
"""The fields of `Search` as options."""


def project(arguments: Sequence[str]) -> int:
    """Points whose samples are nearest to images."""
    p = _options()
    chosen = p.parse_args(arguments)
    if not chosen.images and not chosen.index:
        p.error("expected pictures, or --index K,... of the data")
    check_out(chosen, ".png", ".npz")
    out = Path(chosen.out)
    generator = generator_of(chosen.source, chosen.device)
    space = Space(generator, chosen.space)
    sample = space.pictures(space.draw(1))
    images, names = pictures_of(chosen, sample.shape[1:])
    judge = judge_for(chosen, sample)
    labels = checked_labels(chosen.labels, len(images), generator.classes)
    search = Search(**{name: getattr(chosen, name) for name in SEARCHED})
    with disk.naming(out):
        disk.check_regular(out)
    with progress(total=search.rounds(len(images)), unit="step", delay=1) as bar:
        found = latent.project(space, images, judge, search, labels=labels, seed=chosen.seed, told=bar.update)
    points = out.with_suffix(".npz")
    found.points.save(points)
    if out.suffix.lower() == ".png":
        with disk.naming(out):
            viz.blocks(_blocks(images, found, names), out, _heading(chosen.source, space, judge))
    rows = _rows(found, names)
    if chosen.json:
        about = {"points": str(points), "space": space.kind, "judge": judge and judge.name}
        answer(json.dumps({"out": chosen.out, **about, "images": rows, "generator": generator.about}, indent=2))
    else:
        answer("\n".join([*_table(rows), "", f"{shown(chosen.out)}; the points are in {shown(points)}"]))
    return 0


def _options() -> Options:
    p = of_generator("project", ABOUT)
    p.add_argument("images", nargs="*", type=nonempty, metavar="IMAGE", help="pictures: PNG, JPEG, WEBP, BMP, GIF")
    p.add_argument("--index", type=numbers, metavar="K,...", help="images of the data by their numbers, from 0")
    p.add_argument("--held-out", action="store_true", help="of the data's test set")
    p.add_argument(
        "--space", choices=latent.KINDS, help="noise, one style, or one a layer (default: w if there is, else z)"
    )
    p.add_argument(
        "--labels",
        type=numbers,
        metavar="N,...",
        help="the images' classes, of a conditional generator (default: of the nearest samples)",
    )
    for name, (kind, about) in SEARCHED.items():
        default = getattr(Search, name)
        p.add_argument(f"--{name}", type=kind, default=default, help=f"{about} (default: {default:g})")
    add_judge(p)
    out_to(p, "projection.png", "a .png, with the points in an .npz beside it, or the .npz alone")
    p.idle_without("--index", lambda o: o.index, "--held-out")
    p.idle("--index", lambda o: "changes nothing beside pictures" if o.images else "")
    return p


def _heading(source: str, space: Space, judge: Any) -> str:
    by = "pixels" if judge is None else f"pixels and what {judge.name} sees"
    return f"{titled(source)}: the nearest samples, of points of {space.kind}, by {by}"


def _blocks(images: np.ndarray, found: Projection, names: list[str]) -> list[viz.Block]:
    """Each image, below it what was found, below that how far they are apart."""
    apart = np.minimum(np.abs(found.images - images), 1) * 2 - 1
    stacked = viz.to_uint8(np.stack([images, found.images, apart]))
    return [
        viz.Block(stacked[:, some], ["image", "found", "apart"], [_head(names[k], found, k) for k in some])
        for some in np.array_split(np.arange(len(names)), -(-len(names) // WIDEST))
    ]


def _head(name: str, found: Projection, k: int) -> str:
    lines = [shown(name)[-10:], f"pixels {found.pixels[k]:.3f}".replace("0.", ".")]
    if not np.isnan(found.features[k]):
        lines.append(f"judge {found.features[k]:.3f}".replace("0.", "."))
    return "\n".join(lines)


def _rows(found: Projection, names: list[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for k, name in enumerate(names):
        row: dict[str, Any] = {"image": name, "pixels": float(found.pixels[k])}
        if not np.isnan(found.features[k]):
            row["judge"] = float(found.features[k])
        row["anomaly"] = float(found.anomaly[k])
        if found.points.labels is not None:
            row["label"] = int(found.points.labels[k])
        rows.append(row)
    return rows


def _table(rows: list[dict[str, Any]]) -> list[str]:
    """A line for each image, and one of names above."""
    cells = [list(rows[0])] + [[shown(v) if isinstance(v, str) else f"{v:.4g}" for v in row.values()] for row in rows]
    widths = [max(len(row[k]) for row in cells) for k in range(len(cells[0]))]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in cells]
