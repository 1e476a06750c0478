"""What the commands that take a trained generator share: their options, its file, what they say at the end."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from .. import export
from ..backend import DEVICES
from ..errors import CheckpointError, ShapeError
from ..gan.latents import SourceImages
from ..system.options import Options, nonempty
from ..system.terminal import answer, say, shown
from ..training import RunFolder


def options(name: str, about: str) -> Options:
    """The options of `minigan NAME`, to which it adds its own."""
    p = Options(f"minigan {name}", about)
    p.add_argument("--json", action="store_true", help="say what was done as JSON, for a program to read")
    return p


def of_generator(name: str, about: str) -> Options:
    """The options of a command that takes a generator and draws of it."""
    p = options(name, about)
    p.add_argument("source", type=nonempty, metavar="RUN|FILE", help="a run's folder, or a generator.safetensors")
    p.add_argument("--seed", type=int, default=0, help="the same seed draws the same samples (default: 0)")
    p.add_argument("--device", choices=DEVICES, default="cpu", help="where to compute (default: cpu)")
    return p


def out_to(p: Options, default: str, about: str) -> None:
    """Add --out, a path."""
    p.add_argument("--out", type=nonempty, default=default, metavar="PATH", help=f"{about} (default: {default})")


def check_out(chosen: argparse.Namespace, *endings: str) -> str:
    """The ending of --out in small letters; ShapeError unless it is one of these."""
    if (ending := kind_of(chosen.out)) not in endings:
        raise ShapeError(f"--out {chosen.out}: expected a name that ends in {' or '.join(endings)}")
    return ending


def check_folder(chosen: argparse.Namespace) -> None:
    """CheckpointError if --out, or what leads there, is something else than a folder."""
    there = next((place for place in (Path(chosen.out), *Path(chosen.out).parents) if place.exists()), None)
    if there is not None and not there.is_dir():
        raise CheckpointError(f"--out {chosen.out}: expected a folder, {shown(there)} is a file; give another --out")


def generator_of(given: str, device: str) -> export.Generator:
    """What makes samples of noise, of a file or of a run's folder; CheckpointError if it makes them of images."""
    found = read(given, device)
    if found.source is not None:
        raise CheckpointError(f"{given}: makes images of images, `minigan translate` shows how; this asks for samples")
    return found


def translator_of(given: str, device: str) -> tuple[export.Generator, SourceImages]:
    """What makes images of images, of a file or of a run's folder, and of which; CheckpointError if there is none."""
    found = read(given, device)
    if found.source is None:
        raise CheckpointError(
            f"{given}: makes samples of noise, `minigan sample` draws some; this asks for a translator"
        )
    if (made := found.sample(1)).ndim != 4:
        raise CheckpointError(f"{given}: makes {made.shape[1:]} numbers of an image; this asks for a translator")
    return found, found.source


def read(given: str, device: str = "cpu") -> export.Generator:
    """What is in a file, or in a run's folder, whatever it makes of what; CheckpointError if there is none."""
    source = Path(given)
    if not source.exists():
        raise CheckpointError(f"{source}: no such run or generator file")
    if source.is_dir():
        return RunFolder(source).load_generator(device)
    return export.load_generator(source, device)


def numbers(text: str) -> list[int]:
    """The integers in "3,1,4", as a type of options."""
    try:
        return [int(number) for number in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected numbers with commas between, got {text!r}") from error


def kind_of(name: str) -> str:
    """What --out is a name of: "folder", or a file's ending in small letters."""
    is_folder = name.endswith(("/", os.sep)) or Path(name).is_dir() or not Path(name).suffix
    return "folder" if is_folder else Path(name).suffix.lower()


def titled(source: str) -> str:
    """What a picture's title calls a generator: its run's folder or its file, without what leads there."""
    return shown(Path(source).resolve().name)


def done(chosen: argparse.Namespace, about: dict[str, Any]) -> int:
    """Say what was done, and where it is."""
    if chosen.json:
        answer(json.dumps({"out": chosen.out, **about}, indent=2))
    else:
        say(chosen.out)
    return 0
