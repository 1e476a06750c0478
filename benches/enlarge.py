"""Pictures made four times as large: bicubic interpolation, SRResNet, SRGAN and ESRGAN after so many minutes each.

    python benches/enlarge.py FOLDER                             24 to 96 pixels a side, five minutes each
    python benches/enlarge.py FOLDER --judge JUDGE --systems realesrgan     small pictures as they are found

Each system is trained by `examples/super_resolution.py`, which also measures what it makes of held-out pictures:
PSNR, SSIM, and how far it is from the pictures to the eyes of a judge, which is taught on the folder first unless
--judge names one. Out come a table and a picture: pixels as they are given, bicubic, each system, the picture itself.
Runs stay in --out, and what is there is not done again: stopped, the same command goes on. Nothing else should run
meanwhile.
"""

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from runs import MINIGAN, ROOT, run, train, training_seconds
from steps.machine import kernels_in_use

import minigan as mg
from minigan import viz
from minigan.gan.translation import making
from minigan.nn import in_chunks
from minigan.system.machine import processor
from minigan.training import Settings, sides, translations

sys.path.append(str(ROOT / "examples"))
import super_resolution

FACTOR = 4
FAST = ["--width", "16", "--batch-size", "8", "--lr", "1e-3"]
SYSTEMS = {
    "srresnet": ["--blocks", "4"],
    "srgan": ["--blocks", "4", "--warm-up", "500"],
    "esrgan": ["--blocks", "2", "--warm-up", "300"],
    "realesrgan": ["--blocks", "2", "--warm-up", "200"],
}
TITLES = {"srresnet": "SRResNet", "srgan": "SRGAN", "esrgan": "ESRGAN", "realesrgan": "Real-ESRGAN"}
LARGEST = 130_000  # bytes of the picture


class Enlarged(NamedTuple):
    """A system's row: what it measures, and how it was trained; and where its run is."""

    name: str
    measures: dict[str, float]
    steps: int
    minutes: float
    folder: Path


def words(system: str, args: argparse.Namespace) -> list[str]:
    """The options of super_resolution.py that train it."""
    about = ["--data", str(args.folder), "--side", str(args.side), "--judge", str(args.judge), "--seed", str(args.seed)]
    return ["--system", system, *FAST, *SYSTEMS[system], *about, "--minutes", str(args.minutes)]


def enlarged(system: str, args: argparse.Namespace) -> Enlarged:
    """What its run says, which is trained as far as it is not done."""
    folder = args.out / f"{system}_{args.minutes:g}min_{args.seed}"
    if not (folder / "metrics.json").exists():
        train(folder, [str(ROOT / "examples" / "super_resolution.py"), *words(system, args)])
    measures = json.loads((folder / "metrics.json").read_text())
    steps = mg.export.load_generator(folder / "generator.safetensors").about["step"]
    return Enlarged(system, measures, steps, training_seconds(folder) / 60, folder)


def table(rows: list[Enlarged]) -> str:
    """Measures of bicubic interpolation, then of each system."""
    names = {"psnr": (".1f", "PSNR, dB"), "ssim": (".3f", "SSIM"), "looks": (".3f", "to the judge's eyes")}
    lines = ["| | " + " | ".join(name for _, name in names.values()) + " | steps | minutes |", "|---|" + "---:|" * 5]

    def line(title: str, measures: dict[str, float], end: str, after: str = "") -> str:
        return f"| {title} | " + " | ".join(format(measures[k + after], form) for k, (form, _) in names.items()) + end

    lines.append(line("bicubic", rows[0].measures, " | | |", "_bicubic"))
    lines += [line(TITLES[row.name], row.measures, f" | {row.steps} | {row.minutes:.1f} |") for row in rows]
    return "\n".join(lines)


def picture(rows: list[Enlarged], args: argparse.Namespace) -> None:
    """Write held-out pictures, one in a row: pixels, bicubic, what each system makes, the picture."""
    settings = Settings.parsed(super_resolution.options(), words(rows[0].name, args), "super_resolution")
    held = sides.load_held_out(settings).drawn[args.shown]
    make = making(f"{super_resolution.sources_of(settings)}:{FACTOR}")
    ways: list[Callable[[mg.Tensor], mg.Tensor]] = [partial(super_resolution.bicubic, factor=FACTOR)]
    ways += [mg.export.load_generator(row.folder / "generator.safetensors").network for row in rows]
    given = in_chunks(lambda x: make(x, mg.random.Stream(args.seed, "shown")), held)
    columns = [viz.to_uint8(given), *(viz.to_uint8(in_chunks(way, given)) for way in ways), held]
    images = np.concatenate([np.stack(row) for row in zip(*translations.alike_in_size(columns), strict=True)])
    save(viz.grid(images, len(columns)), args.out / "enlarged.png")


def save(image: np.ndarray, path: Path) -> None:
    """Write it in few colours, twice as large if that takes no more room than a page has."""
    from PIL import Image

    few = Image.fromarray(image).quantize(160)
    few.resize((2 * few.width, 2 * few.height), Image.Resampling.NEAREST).save(path, "PNG", optimize=True)
    if path.stat().st_size > LARGEST:
        few.save(path, "PNG", optimize=True)


def options() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=Path, metavar="FOLDER", help="of pictures")
    usual = ["srresnet", "srgan", "esrgan"]
    p.add_argument("--systems", nargs="+", choices=SYSTEMS, default=usual, metavar="NAME", help=", ".join(SYSTEMS))
    p.add_argument("--minutes", type=float, default=5.0, help="of training each (default: 5)")
    p.add_argument("--side", type=int, default=96, help="pixels of what is made (default: 96)")
    p.add_argument("--seed", type=int, default=0, help="(default: 0)")
    p.add_argument("--judge", type=Path, metavar="FILE", help="of `minigan judge train` (default: taught first)")
    p.add_argument(
        "--shown",
        type=int,
        nargs="+",
        default=[0, 1, 2, 3],
        metavar="N",
        help="held-out pictures drawn (default: 0 1 2 3)",
    )
    p.add_argument(
        "--out", type=Path, default=Path("runs/enlarge"), help="the folder of the runs (default: runs/enlarge)"
    )
    return p


def main() -> None:
    """Train what is not done yet, print the table and draw the picture."""
    args = options().parse_args()
    print(f"{processor()}, kernels {kernels_in_use()}", flush=True)
    if args.judge is None:
        args.out.mkdir(parents=True, exist_ok=True)
        args.judge = args.out / f"judge_{args.side}.safetensors"
        if not args.judge.exists():
            run([*MINIGAN, "judge", "train", str(args.folder), "--side", str(args.side), "--out", str(args.judge)])
    rows = [enlarged(system, args) for system in args.systems]
    print(table(rows))
    picture(rows, args)


if __name__ == "__main__":
    main()
