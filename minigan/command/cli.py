"""The command line: `minigan COMMAND`, beside the examples and sharing their code."""

import argparse
import ast
import io
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .. import viz
from ..errors import CheckpointError, ShapeError
from ..export import Generator
from ..kernels.installation import about_kernels, config_lines, versions
from ..latent.space import Space, checked_labels
from ..system import disk, toml
from ..system.launcher import check_alone
from ..system.machine import __version__, blas_info
from ..system.options import Options, meant, nonempty
from ..system.terminal import answer, ending, shown
from ..training import RunFolder, Settings, positive, record, report, start, studies
from ..training.settings import as_now, flat
from . import between, editing, evaluate, exporting, judging, projecting, recipe, sweep, translating, watch
from . import reproduce as tables
from .generators import done, generator_of, kind_of, numbers, of_generator, options, out_to
from .parts import part_options
from .presets import PRESETS

Arguments = Sequence[str]
STATUSES = """exit status:
  0 done, 1 an error, which is named on stderr, 2 a wrong command line, 3 a run stopped by --early-stop,
  130 stopped by Ctrl-C, SIGTERM or SIGHUP: a run saves its state first"""
TOGETHER = ("train", "resume", "sweep", "reproduce")  # commands that mpiexec or srun may start several times
OF_ONE_RUN = {"name", "preset", "as_printed", "out", "resume", "allow_change", "dry_run"}  # what no file passes on
RESUMED = """Continue a run from its last checkpoint, with the settings it was started with.

What does not decide the result may be given anew:

    --minutes, --epochs, --steps, --checkpoint-every, --sample-every, --evaluate-every, --keep, --log, --early-stop,
    --debug-nan

So may any other option if --allow-change names it. The defaults below are those of a new run.
"""
EXAMPLES = Path("examples")  # where scripts are found by their names alone
CONFIGURED = """Show the settings of a preset, of a run or of a script; without any, what minigan runs on.

    minigan config wgan_gp                   a preset of minigan train
    minigan config RUN                       a run, by its folder
    minigan config examples/pix2pix.py       a script that trains, whose options' defaults they are
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
    p = part_options("minigan resume", "RUN", RESUMED)
    p.without("--out", "--resume")
    p.add_argument("out", type=nonempty, metavar="RUN", help="the run's folder")
    run = p.parse_known_args(arguments)[0].out
    before = RunFolder(Path(run)).settings()
    if before.name != "train":
        raise CheckpointError(
            f"{run}: made by {before.name}.py; continue it by the same command with --out {run} --resume"
        )
    saved = {name: value for name, value in as_now(asdict(before)).items() if name != "name"}
    p.set_defaults(**{**saved, "resume": True, "allow_change": []})
    return start(recipe.build, Settings.parsed(p, arguments, "train"), recipe.shape)


# --- what a generator makes -------------------------------------------------------------------------------------


def sample(arguments: Arguments) -> int:
    """Samples of a trained generator, as a picture, pictures, or an array."""
    p = of_generator("sample", "Draw samples of a trained generator.")
    p.add_argument("--n", type=positive, default=64, help="how many (default: 64)")
    p.add_argument(
        "--labels",
        type=numbers,
        metavar="N,...",
        help="classes to draw in turn, of a conditional one (default: in the data's proportion if known, else all)",
    )
    p.add_argument(
        "--text",
        action="append",
        type=str,
        metavar="WORDS",
        help="what to draw, of a generator that is told texts; given again, in turn (default: what it learnt from)",
    )
    p.add_argument("--columns", type=positive, help="of a grid (default: near a square)")
    p.add_argument(
        "--truncation",
        type=float,
        metavar="BOUND",
        help="better samples, and more alike, 0.6 say: draw again what of the noise is further from 0 (BigGAN); of "
        "StyleGAN2, styles at that share of their way from the mean style",
    )
    out_to(p, "samples.png", "a grid (.png), an array (.npy, in [-1, 1]), or a folder with a PNG for each")
    p.idle_without("a grid, --out NAME.png", lambda o: kind_of(o.out) == ".png", "--columns")
    chosen = p.parse_args(arguments)
    if kind_of(chosen.out) not in (".png", ".npy", "folder"):
        raise ShapeError(f"--out {chosen.out}: expected a name that ends in .png or .npy, or in / for a folder")
    generator = generator_of(chosen.source, chosen.device)
    labels = _told(generator, chosen)
    if chosen.truncation is not None and (space := Space(generator)).styles is not None:
        drawn = space.draw(chosen.n, chosen.seed, checked_labels(chosen.labels, chosen.n, generator.classes))
        samples = space.pictures(space.truncated(drawn, chosen.truncation))
    else:
        if chosen.truncation is not None:
            generator = generator.truncated(chosen.truncation)
        samples = generator.sample(chosen.n, seed=chosen.seed, labels=labels).numpy()
    with disk.naming(Path(chosen.out)):
        _write(chosen.out, samples, chosen.columns, chosen.source)
    return done(chosen, {"n": chosen.n, "shape": list(samples.shape[1:]), "generator": generator.about})


# --- what is known of a run -------------------------------------------------------------------------------------


def report_of(arguments: Arguments) -> int:
    """The page of a run, and its verdict."""
    p = options("report", "Write a run's report, one HTML page, and say how the run stands.")
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
        return done(chosen, about)
    lines = [f"{held.title}, step {about['step']}: {chosen.out}"]
    if held.looks:
        lines.append(f"Verdict: {about['verdict']}")
        lines += [f"- {finding['title']}: {finding['explanation']}" for finding in about["findings"]]
    answer("\n".join(lines))
    return 0


def config(arguments: Arguments) -> int:
    """Settings of a preset or a run, or of this installation."""
    p = options("config", CONFIGURED)
    shown = f"a run's folder, a script's file, or one of {', '.join(PRESETS)}"
    p.add_argument("of", nargs="?", type=nonempty, metavar="PRESET|RUN|SCRIPT", help=shown)
    p.add_argument("--toml", action="store_true", help="as a file for --config")
    p.idle_without("a PRESET, a RUN or a SCRIPT", lambda o: o.of is not None, "--toml")
    p.idle("--json", lambda o: "is another form than --toml" if o.toml else "")
    chosen = p.parse_args(arguments)
    if chosen.of is None:
        if chosen.json:
            answer(json.dumps({"versions": versions(), "kernels": about_kernels(), "blas": blas_info()}, indent=2))
        else:
            answer("\n".join(config_lines()))
        return 0
    heading, settings = _settings_of(chosen.of)
    if chosen.json:
        answer(json.dumps(settings, indent=2))
    elif chosen.toml:
        answer(f"# {heading}\n{_as_toml(settings)}".rstrip())
    else:
        answer("\n".join([heading, *(f"  {name:20} {value}" for name, value in settings.items())]))
    return 0


def _settings_of(name: str) -> tuple[str, dict[str, Any]]:
    """(what it is in words, its settings by name) of a preset, a run or a script; CheckpointError if it is none."""
    path, beside = Path(name), EXAMPLES / f"{name}.py"
    if name in PRESETS:
        known = recipe.options([name, "--data", "FOLDER"])  # some presets ask for one
        return f"{PRESETS[name].about} ({PRESETS[name].source})", vars(known.parse_args([name]))
    if not path.exists() and beside.is_file():
        path = beside
    if path.suffix == ".py" and path.is_file():
        return _settings_of_script(path)
    if not path.exists():
        near = meant(name, [*PRESETS, *(script.stem for script in EXAMPLES.glob("*.py"))])
        listed = f", of which there are {', '.join(PRESETS)}; a script is named by its file, such as "
        raise CheckpointError(f"{name}: no such run, and no preset{near or listed + str(EXAMPLES / 'pix2pix.py')}")
    return name, flat(asdict(RunFolder(path).settings()))


def _settings_of_script(path: Path) -> tuple[str, dict[str, Any]]:
    """The first line of a script, and what its options are if none is given; it is not run.

    CheckpointError unless it is a script that makes its options by a function of that name, and can be imported.
    """
    try:
        parts = ast.parse(path.read_text(encoding="utf-8"), path.name).body
    except (OSError, SyntaxError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read as a script ({error})") from error
    made = [part.args for part in parts if isinstance(part, ast.FunctionDef) and part.name == "options"]
    if not made or made[0].args:
        raise CheckpointError(f"{path}: has no function options() without arguments, which scripts that train have")
    try:
        script = studies.script(path.parent, path.stem)
    except Exception as error:  # whatever its own lines raise
        raise CheckpointError(f"{path}: cannot be imported ({type(error).__name__}: {error})") from error
    values = vars(script.options().parse_args([]))
    return (script.__doc__ or str(path)).splitlines()[0], {"name": path.stem, **values}


def _as_toml(settings: dict[str, Any]) -> str:
    """Settings as a file for --config has them: None as the word for it, where an option is something else without."""
    kept = {name: value for name, value in settings.items() if name not in OF_ONE_RUN}
    if settings.get("name", "train") != "train":  # another program's: what it sets itself, and what all have
        usual = asdict(Settings(name=""))
        return toml.written({name: value for name, value in kept.items() if name not in usual or value != usual[name]})
    plain = recipe.options([])
    return toml.written(
        {
            name: "none" if value is None and plain.get_default(name) is not None else value
            for name, value in kept.items()
        }
    )


# --- what they share --------------------------------------------------------------------------------------------


def _told(generator: Generator, chosen: argparse.Namespace) -> np.ndarray | None:
    """What a generator is told by --labels or --text, in turn, for each sample; ShapeError if it is told another."""
    if generator.texts is None:
        if chosen.text:
            raise ShapeError(f"--text: {chosen.source} is told no texts")
        return None if chosen.labels is None else np.resize(np.array(chosen.labels), chosen.n)
    if chosen.labels is not None:
        raise ShapeError(f"--labels: {chosen.source} is told texts: --text")
    if not chosen.text:
        return None
    tokens = generator.texts.vocabulary.tokens(chosen.text)
    return tokens[np.arange(chosen.n) % len(tokens)]


def _write(name: str, samples: np.ndarray, columns: int | None, title: str) -> None:
    """The samples as an array, a picture or a folder of pictures, as the name says."""
    out, kind = Path(name), kind_of(name)
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


COMMANDS: dict[str, tuple[Callable[[Arguments], int], str]] = {
    "train": (train, "train any loss with any penalty on any network, or a preset"),
    "sweep": (sweep.command, "train every choice of settings from a grid, and compare the runs"),
    "resume": (resume, "continue a run from its last checkpoint"),
    "sample": (sample, "draw samples of a trained generator"),
    "interpolate": (between.interpolate, "draw what lies between samples"),
    "project": (projecting.project, "find the points of a generator's space that make given images"),
    "edit": (editing.edit, "move samples along directions of a generator's space"),
    "mix": (editing.mix, "draw samples with the coarse styles of some and the fine ones of others"),
    "path-length": (between.path_length, "measure how evenly samples change between two of them"),
    "translate": (translating.translate, "make pictures of pictures, of any size"),
    "upscale": (translating.upscale, "make pictures larger by a trained generator"),
    "export": (exporting.export_generator, "write a trained generator as a page that draws, or as an ONNX model"),
    "evaluate": (evaluate.main, "measure how good a run's samples are, as one table"),
    "report": (report_of, "write a run's page, and say how it stands"),
    "watch": (watch.command, "show a run's page in a browser as the run goes on"),
    "judge": (judging.judge, "train a judge of pictures, or say what one is"),
    "reproduce": (tables.command, "compute a table of a paper again, its figures beside ours"),
    "config": (config, "show settings, or what minigan runs on"),
}
