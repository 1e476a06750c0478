"""How good is what examples/README.md shows: its runs are trained again, measured, and drawn.

    python benches/gallery.py --list            the runs, by the names of their pictures
    python benches/gallery.py wgan_gp r1        some of them; stopped, the same command goes on
    python benches/gallery.py --write           all of them, and the page and its pictures show what came out

Those are meant whose generators make images. Runs and figures stay in --out, and what is there is not done again.
Nothing else should run meanwhile, as the page says how many minutes each took.
"""

import argparse
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from runs import ROOT, figures
from steps.machine import kernels_in_use

from minigan.data import files
from minigan.system.machine import processor

PAGE = ROOT / "examples" / "README.md"
SCRIPTS = {"train", "dcgan_mnist", "conditional", "infogan", "bigan", "vae", "energy", "semi_supervised"}
ROW = re.compile(r"^\| .*`python examples/((\w+)\.py[^`]*)` .*gallery/(\w+)\.png", re.MULTILINE)
MINUTES, FRECHET = 3, 4  # cells of a row
LARGEST = 150_000  # bytes of a picture


class Shown(NamedTuple):
    """A row of the page: the name of its picture, its command."""

    picture: str
    command: str


def rows(page: str) -> Iterator[Shown]:
    """The rows of the page whose runs make images."""
    for found in ROW.finditer(page):
        command, script, picture = found.groups()
        if script in SCRIPTS:
            yield Shown(picture, command)


def measured(shown: Shown, args: argparse.Namespace) -> dict[str, Any]:
    """Figures of the run of a row, which is trained as far as it is not done."""
    script, *words = shlex.split(shown.command)
    words = [str(args.folder) if word == "FOLDER" else word for word in words]
    found = figures(args.out / shown.picture, [str(ROOT / "examples" / script), *words], args.n)
    return {"picture": shown.picture, "command": shown.command, **found}


def said(row: dict[str, Any]) -> tuple[str, str]:
    """The cells of a row: minutes, and the Frechet distance with that of real images behind it."""
    value, floor = row["rows"]["frechet"]
    minutes = row["seconds"] / 60
    return f"{minutes:.1g}" if minutes < 1 else f"{minutes:.0f}", f"{value:.3g} ({floor:.2g})"


def written(page: str, held: dict[str, dict[str, Any]]) -> str:
    """The page with the figures of these runs, by the names of their pictures; of those whose command it shows."""
    lines = page.split("\n")
    for at, line in enumerate(lines):
        for picture, command in rows(line):
            if picture in held and held[picture]["command"] == command:
                cells = line.split(" | ")
                cells[MINUTES], cells[FRECHET] = said(held[picture])
                lines[at] = " | ".join(cells)
    return "\n".join(lines)


def draw(run: Path, picture: Path) -> None:
    """The last samples of a run as a picture that is small enough for a page: NAME_c2 is of those along a code, c2."""
    from PIL import Image

    of_code = list((run / "samples").glob(f"{picture.stem.rpartition('_')[2]}_step_*.png"))
    last = max(of_code or (run / "samples").glob("step_*.png"))
    with Image.open(last) as opened:
        few = opened if opened.mode == "L" else opened.convert("RGB").quantize(128)
        few.save(picture, "PNG", optimize=True)
        if picture.stat().st_size > LARGEST:  # a sample's pixel is two of the picture's
            few.resize((few.width // 2, few.height // 2), Image.Resampling.NEAREST).save(picture, "PNG", optimize=True)


def options() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("pictures", nargs="*", metavar="NAME", help="some of those that --list names (default: all)")
    p.add_argument("--list", action="store_true", help="name the runs and exit")
    p.add_argument(
        "--folder", type=Path, help="pictures in place of FOLDER (default: the anime faces of $MINIGAN_DATA)"
    )
    p.add_argument("--n", type=int, default=10_000, help="samples that are measured, as far as there are data")
    p.add_argument("--out", type=Path, default=Path("runs/gallery"), help="the folder of the runs")
    p.add_argument("--write", action="store_true", help="show what came out on the page")
    return p


def main() -> None:
    """Train and measure what is not done yet, and say or write what came out."""
    parser = options()
    args = parser.parse_args()
    page = PAGE.read_text(encoding="utf-8")
    known = {shown.picture: shown for shown in rows(page)}
    if unknown := set(args.pictures) - set(known):
        parser.error(f"no run {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if args.list:
        print("\n".join(f"{shown.picture:24} python examples/{shown.command}" for shown in known.values()))
        return
    args.folder = args.folder or files.folders("anime_faces")[0]
    file = args.out / "figures.json"
    held = json.loads(file.read_text()) if file.exists() else {}
    print(f"{processor()}, kernels {kernels_in_use()}", flush=True)
    for name in args.pictures or known:
        shown = known[name]
        if held.get(name, {}).get("command") != shown.command:
            held[name] = measured(shown, args)
            file.write_text(json.dumps(held, indent=1))
        minutes, distance = said(held[name])
        print(f"{name:24} {minutes:>4} min  {held[name]['steps']:>6} steps  Fréchet {distance}", flush=True)
        if args.write:
            draw(args.out / name, ROOT / "examples" / "gallery" / f"{name}.png")
    if args.write:
        PAGE.write_text(written(page, {name: held[name] for name in args.pictures or known}), encoding="utf-8")


if __name__ == "__main__":
    main()
