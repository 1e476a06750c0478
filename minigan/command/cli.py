"""The command line: `minigan COMMAND`, beside the examples and sharing their code."""

import argparse
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .. import export, random, viz
from ..backend import DEVICES
from ..errors import CheckpointError, ShapeError
from ..gan import lerp, slerp
from ..gan.latents import NormalLatent
from ..kernels.installation import about_kernels, config_lines, versions
from ..system import disk
from ..system.launcher import check_alone
from ..system.machine import __version__, blas_info
from ..system.options import Options, meant, nonempty
from ..system.terminal import answer, ending, say, shown
from ..tensor import tensor
from ..training import RunFolder, Settings, positive, record, report, start
from ..training.settings import flat
from . import evaluate, judging, recipe, sweep
from . import reproduce as tables
from .presets import PRESETS

Arguments = Sequence[str]
STATUSES = """exit status:
  0 done, 1 an error, which is named on stderr, 2 a wrong command line, 3 a run stopped by --early-stop,
  130 stopped by Ctrl-C, SIGTERM or SIGHUP: a run saves its state first"""
TOGETHER = ("train", "resume", "sweep", "reproduce")  # commands that mpiexec or srun may start several times
RESUMED = """Continue a run from its last checkpoint, with the settings it was started with.

What does not decide the result may be given anew:

    --minutes, --epochs, --steps, --checkpoint-every, --sample-every, --evaluate-every, --keep, --early-stop,
    --debug-nan

So may any other option if --allow-change names it. The defaults below are those of a new run.
"""


def main(arguments: Arguments | None = None) -> int:
    """Run the command that the command line names; the exit status of the program."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = f"minigan {given[0]}" if given and given[0] in COMMANDS else "minigan"
    return ending(name, lambda: _command_of(given))


def _command_of(given: list[str]) -> int:
    """Do what the words say; the exit status."""
    commands = "\n".join(f"  {name:12} {about}" for name, (_, about) in COMMANDS.items())
    p = Options(
        "minigan",
        "GANs from scratch, on NumPy or CuPy.",
        epilog=f"commands:\n{commands}\n\nminigan COMMAND --help says more.\n\n{STATUSES}",
    )
    p.add_argument("--version", action="version", version=f"minigan {__version__}")
    p.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=", ".join(COMMANDS))
    if not given:
        p.print_help(sys.stderr)
        return 2
    chosen = p.parse_args(given[:1]).command
    if chosen not in TOGETHER:
        check_alone()
    command, _ = COMMANDS[chosen]
    return command(given[1:])


# --- training ---------------------------------------------------------------------------------------------------


def train(arguments: Arguments) -> int:
    """A run of any loss, penalty and network."""
    return recipe.train(arguments, prog="minigan train")


def resume(arguments: Arguments) -> int:
    """A run from its last checkpoint, with its own settings but for what the command line says."""
    p = recipe.part_options("minigan resume", "RUN", RESUMED)
    p.without("--out", "--resume")
    p.add_argument("out", type=nonempty, metavar="RUN", help="the run's folder")
    run = p.parse_known_args(arguments)[0].out
    before = RunFolder(Path(run)).settings()
    if before.name != "train":
        raise CheckpointError(
            f"{run}: made by {before.name}.py; continue it by the same command with --out {run} --resume"
        )
    saved = {name: value for name, value in flat(asdict(before)).items() if name != "name"}
    p.set_defaults(**{**saved, "resume": True, "allow_change": []})
    return start(recipe.build, Settings.parsed(p, arguments, "train"), recipe.shape)


# --- what a generator makes -------------------------------------------------------------------------------------


def sample(arguments: Arguments) -> int:
    """Samples of a trained generator, as a picture, pictures, or an array."""
    p = _of_generator("sample", "Draw samples of a trained generator.")
    p.add_argument("--n", type=positive, default=64, help="how many (default: 64)")
    p.add_argument(
        "--labels",
        type=_numbers,
        metavar="N,...",
        help="classes to draw in turn, of a conditional one (default: in the data's proportion if known, else all)",
    )
    p.add_argument(
        "--truncation",
        type=float,
        metavar="BOUND",
        help="draw again what of the noise is further from 0: better samples, and more alike, 0.5 say (BigGAN)",
    )
    p.add_argument("--columns", type=positive, help="of a grid (default: near a square)")
    p.add_argument(
        "--out",
        type=nonempty,
        default="samples.png",
        metavar="PATH",
        help="a grid (.png), an array (.npy, in [-1, 1]), or a folder with a PNG for each (default: samples.png)",
    )
    p.idle_without("a grid, --out NAME.png", lambda o: _kind(o.out) == ".png", "--columns")
    chosen = p.parse_args(arguments)
    if _kind(chosen.out) not in (".png", ".npy", "folder"):
        raise ShapeError(f"--out {chosen.out}: expected a name that ends in .png or .npy, or in / for a folder")
    generator = _generator(chosen.source, chosen.device)
    labels = None if chosen.labels is None else np.resize(np.array(chosen.labels), chosen.n)
    samples = generator.sample(chosen.n, seed=chosen.seed, labels=labels, truncation=chosen.truncation).numpy()
    with disk.naming(Path(chosen.out)):
        _write(chosen.out, samples, chosen.columns, chosen.source)
    return _done(chosen, {"n": chosen.n, "shape": list(samples.shape[1:]), "generator": generator.about})


def interpolate(arguments: Arguments) -> int:
    """What lies between pairs of samples."""
    p = _of_generator("interpolate", "Draw the ways between pairs of samples, a row or a film for each.")
    p.add_argument("--pairs", type=positive, default=8, help="how many ways (default: 8)")
    p.add_argument("--frames", type=positive, default=10, help="samples on each, its ends included (default: 10)")
    p.add_argument(
        "--path",
        choices=["circle", "line"],
        help="great circle or straight line between the noise (default: circle for normal noise, line for other)",
    )
    p.add_argument(
        "--label",
        type=int,
        help="the class, of a conditional one (default: each way's own, in the data's proportion if known, else 0)",
    )
    p.add_argument(
        "--out",
        type=nonempty,
        default="interpolation.png",
        metavar="PATH",
        help="a .png, a way a row, or a .gif (default: interpolation.png)",
    )
    chosen = p.parse_args(arguments)
    out, kind = Path(chosen.out), _kind(chosen.out)
    if kind not in (".png", ".gif"):
        raise ShapeError(f"--out {chosen.out}: expected a name that ends in .png or .gif")
    generator = _generator(chosen.source, chosen.device)
    ends = generator.latent(2 * chosen.pairs, random.Stream(chosen.seed, "interpolation")).numpy()
    circle = isinstance(generator.latent, NormalLatent) if chosen.path is None else chosen.path == "circle"
    between = slerp if circle else lerp
    t = np.linspace(0, 1, chosen.frames, dtype=ends.dtype)
    z = between(ends[::2], ends[1::2], t).astype(ends.dtype)  # (frames, pairs, dim)
    labels = None
    if chosen.label is not None or generator.classes is not None:
        drawn = generator.labels(chosen.pairs, chosen.seed) if chosen.label is None else None
        labels = np.resize(chosen.label or 0 if drawn is None else drawn, z.shape[:2]).ravel()
    samples = generator.generate(tensor(z.reshape(-1, z.shape[-1])), labels).numpy()
    if samples.ndim != 4:
        raise ShapeError(f"interpolate draws images, this generator makes samples of shape {samples.shape[1:]}")
    images = viz.to_uint8(samples).reshape(*z.shape[:2], *samples.shape[1:])
    with disk.naming(out):
        if kind == ".gif":
            columns = min(chosen.pairs, 8)
            there_and_back = [*range(chosen.frames), *range(chosen.frames - 2, 0, -1)]
            viz.animate([viz.grid(images[k], columns) for k in there_and_back], out, milliseconds=120)
        else:
            viz.save_png(viz.grid(images.swapaxes(0, 1).reshape(-1, *samples.shape[1:]), chosen.frames), out)
    return _done(chosen, {"path": "circle" if circle else "line", "generator": generator.about})


# --- what is known of a run -------------------------------------------------------------------------------------


def report_of(arguments: Arguments) -> int:
    """The page of a run, and its verdict."""
    p = _command("report", "Write a run's report, one HTML page, and say how the run stands.")
    p.add_argument("run", type=nonempty, metavar="RUN", help="the run's folder")
    p.add_argument("--out", type=nonempty, metavar="PATH", help="the page (default: RUN/report.html)")
    chosen = p.parse_args(arguments)
    held = record.read(Path(chosen.run))
    chosen.out = str(report.write(held, chosen.out and Path(chosen.out)))
    about: dict[str, Any] = {"system": held.title, "step": int(held.steps[-1])}
    about["numbers"] = {name: float(values[-1]) for name, (_, values) in held.health.items()}
    if held.looks:
        about["verdict"] = held.looks[-1].verdict
        about["findings"] = [finding._asdict() for finding in held.looks[-1].findings]
    if held.evaluation is not None:
        about["evaluation"] = held.evaluation.as_json()
    if chosen.json:
        return _done(chosen, about)
    lines = [f"{held.title}, step {about['step']}: {chosen.out}"]
    if held.looks:
        lines.append(f"Verdict: {about['verdict']}")
        lines += [f"- {finding['title']}: {finding['explanation']}" for finding in about["findings"]]
    answer("\n".join(lines))
    return 0


def config(arguments: Arguments) -> int:
    """Settings of a preset or a run, or of this installation."""
    p = _command("config", "Show the settings of a preset or of a run; without either, what minigan runs on.")
    p.add_argument(
        "of", nargs="?", type=nonempty, metavar="PRESET|RUN", help=f"a run's folder, or one of {', '.join(PRESETS)}"
    )
    chosen = p.parse_args(arguments)
    if chosen.of is None:
        if chosen.json:
            answer(json.dumps({"versions": versions(), "kernels": about_kernels(), "blas": blas_info()}, indent=2))
        else:
            answer("\n".join(config_lines()))
        return 0
    if chosen.of not in PRESETS and not Path(chosen.of).exists():
        near = meant(chosen.of, PRESETS) or f", of which there are {', '.join(PRESETS)}"
        raise CheckpointError(f"{chosen.of}: no such run, and no preset{near}")
    if chosen.of in PRESETS:
        options = recipe.options([chosen.of, "--data", "FOLDER"])  # some presets ask for one
        settings: dict[str, Any] = vars(options.parse_args([chosen.of]))
        about = PRESETS[chosen.of]
        heading = f"{about.about} ({about.source})"
    else:
        settings = flat(asdict(RunFolder(Path(chosen.of)).settings()))
        heading = chosen.of
    if chosen.json:
        answer(json.dumps(settings, indent=2))
    else:
        answer("\n".join([heading, *(f"  {name:20} {value}" for name, value in settings.items())]))
    return 0


# --- what they share --------------------------------------------------------------------------------------------


def _command(name: str, about: str) -> Options:
    p = Options(f"minigan {name}", about)
    p.add_argument("--json", action="store_true", help="say what was done as JSON, for a program to read")
    return p


def _of_generator(name: str, about: str) -> Options:
    p = _command(name, about)
    p.add_argument("source", type=nonempty, metavar="RUN|FILE", help="a run's folder, or a generator.safetensors")
    p.add_argument("--seed", type=int, default=0, help="the same seed draws the same samples (default: 0)")
    p.add_argument("--device", choices=DEVICES, default="cpu", help="where to compute (default: cpu)")
    return p


def _generator(given: str, device: str) -> export.Generator:
    """The generator of a file, or of a run's folder."""
    source = Path(given)
    if not source.exists():
        raise CheckpointError(f"{source}: no such run or generator file")
    if source.is_dir():
        return RunFolder(source).load_generator(device)
    return export.load_generator(source, device)


def _numbers(text: str) -> list[int]:
    try:
        return [int(number) for number in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected numbers with commas between, got {text!r}") from error


def _kind(name: str) -> str:
    """What --out is a name of: "folder", or a file's ending in small letters."""
    is_folder = name.endswith(("/", os.sep)) or Path(name).is_dir() or not Path(name).suffix
    return "folder" if is_folder else Path(name).suffix.lower()


def _write(name: str, samples: np.ndarray, columns: int | None, title: str) -> None:
    """The samples as an array, a picture or a folder of pictures, as the name says."""
    out, kind = Path(name), _kind(name)
    if kind == ".npy":
        content = io.BytesIO()
        np.save(content, samples)
        disk.write(out, content.getvalue())
    elif kind == ".png" and samples.ndim == 2:
        viz.panels([viz.Panel(shown(title), {"samples": samples[:, :2]})], out)
    elif kind == ".png":
        viz.save_png(viz.grid(viz.to_uint8(samples), columns), out)
    elif samples.ndim == 2:
        raise ShapeError(f"--out {name}: a folder takes pictures, this generator makes samples of shape (2,)")
    else:
        out.mkdir(parents=True, exist_ok=True)
        names = [f"{k:05d}.png" for k in range(len(samples))]
        if others := sorted({path.name for path in out.iterdir()} - set(names)):
            raise CheckpointError(
                f"{name}: holds {others[0]}, and whoever reads a folder of samples takes all of it for samples; "
                "give another folder, or empty this one"
            )
        for picture_name, picture in zip(names, viz.to_uint8(samples), strict=True):
            viz.save_png(viz.grid(picture[None], 1, gap=0), out / picture_name, scale=1)


def _done(chosen: argparse.Namespace, about: dict[str, Any]) -> int:
    """Say what was done, and where it is."""
    if chosen.json:
        answer(json.dumps({"out": chosen.out, **about}, indent=2))
    else:
        say(chosen.out)
    return 0


COMMANDS: dict[str, tuple[Callable[[Arguments], int], str]] = {
    "train": (train, "train any loss with any penalty on any network, or a preset"),
    "sweep": (sweep.command, "train every choice of settings from a grid, and compare the runs"),
    "resume": (resume, "continue a run from its last checkpoint"),
    "sample": (sample, "draw samples of a trained generator"),
    "interpolate": (interpolate, "draw what lies between samples"),
    "evaluate": (evaluate.main, "measure how good a run's samples are, as one table"),
    "report": (report_of, "write a run's page, and say how it stands"),
    "judge": (judging.judge, "train a judge of pictures, or say what one is"),
    "reproduce": (tables.command, "compute a table of a paper again, its figures beside ours"),
    "config": (config, "show settings, or what minigan runs on"),
}
