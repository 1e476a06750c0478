"""From the command line of `minigan sweep` to the runs of its grid, each parsed as `minigan train` parses it."""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import MiniganError
from ..sweep import Unit, grid
from ..system.options import Options, nonempty, taken_out
from ..training import Settings, positive
from ..training.settings import flat
from . import recipe
from .networks import flag

PROG = "minigan sweep"
WHAT = """Train a run for every choice of settings from a grid, side by side, and compare them on one page.

    {prog} --grid loss=hinge,wasserstein penalty=r1,gradient_penalty seed=0..4 --data mnist --minutes 2
    {prog} sngan --grid lr=1e-4,2e-4 ema=none,0.999 --epochs 5 --workers 4
    {prog} --grid preset=wgan,wgan_gp,hinge seed=0..2 --data mnist --steps 2000
    mpiexec -n 9 {prog} ...         eight runs at once, on the machines that mpiexec or srun was given
    {prog} ... --print              the commands, for a scheduler; nothing is trained

Whatever `minigan train` takes may be given once for all runs. An option in the grid has its values with commas between;
a..b is every whole number from a to b. Of a switch they are yes and no; none leaves out an option that has no default.
Each run is what `minigan train` makes of that, in a folder in --out with its values in its name, where output.log has
what it says.

What is finished stays: the same command goes on where it was stopped, tries again what failed, and takes more values on
top. A run that fails is named, and the others go on; the exit status is 1 then. Ctrl-C has all of them save.
"""
OWN = {"grid", "workers", "threads", "print", "json", "out", "dry_run", "help", "list"}  # what is no setting of a run


class Line(NamedTuple):
    """A command line: the sweep's own options, the words that are for every run, the parser, where to write."""

    own: argparse.Namespace
    common: list[str]
    options: Options
    out: str


def parsed(arguments: Sequence[str]) -> Line:
    """What the command line says; ends the program where it makes no sense, or the grid is none of `minigan train`."""
    options = recipe.options(arguments, PROG, WHAT, _add_options)
    chosen, left = options.parse_known_args(arguments)
    if left:
        options.error(f"not expected: {' '.join(left)}")
    if not chosen.grid:
        options.error("what is to be varied? --grid loss=hinge,lsgan seed=0..4, say")
    if chosen.print and (idle := sorted(options.given & {"workers", "json", "dry_run"})):
        options.error(f"{flag(idle[0])} changes nothing beside --print")
    if (count := grid.count(chosen.grid)) > grid.MOST:
        options.error(f"--grid: {count} runs, which are more than {grid.MOST}")
    for k, entry in enumerate(chosen.grid):
        _check(options, entry, chosen.grid[:k], chosen.preset)
    own, common = taken_out(arguments, _add_own_options)
    own.dry_run = chosen.dry_run
    return Line(own, common, options, own.into or f"sweeps/{chosen.preset or 'train'}")


def _add_options(p: Options) -> None:
    """The sweep's options, in the place of those that one run alone can have."""
    p.without("--out", "--resume", "--allow-change")
    _add_own_options(p.add_argument_group("sweep"))


def _add_own_options(p: Any) -> None:
    p.add_argument(
        "--grid",
        type=grid.entry,
        nargs="+",
        action="extend",
        metavar="NAME=VALUE,...",
        help="options of `minigan train`, or preset, and their values",
    )
    shown = "where to write, a folder for each run (default: sweeps/PRESET, sweeps/train without one)"
    p.add_argument("--out", dest="into", type=nonempty, metavar="DIR", help=shown)
    shown = "runs at once (default: as many as keep the cores at work, one on a GPU; under mpiexec, all but the first)"
    p.add_argument("--workers", type=positive, metavar="N", help=shown)
    p.add_argument("--threads", type=positive, metavar="T", help="of each of them (default: 1)")
    p.add_argument("--print", action="store_true", help="print the command of each run that is left, and train nothing")
    p.add_argument("--json", action="store_true", help="say what came out as JSON, for a program to read")


# --- the grid ---------------------------------------------------------------------------------------------------


def _check(options: Options, entry: grid.Entry, before: Sequence[grid.Entry], preset: str | None) -> None:
    """End the program if the entry is no option of a run, or stands elsewhere too, or does not take a value."""
    name = entry.name
    options.about = f"--grid {name}: "
    if name in ("resume", "allow_change"):
        options.error("what was begun goes on by itself")
    if name in OWN:
        options.error("is for the whole sweep")
    action = _action(options, name)
    if action.dest in options.given or (name == "preset" and preset):
        options.error("is also given for all runs")
    if action.dest in [_action(options, other.name).dest for other in before]:
        options.error("is there twice")
    for value in entry.values:
        options.about = f"--grid {name}={value}: "
        if _is_switch(action):
            if value not in ("yes", "no"):
                options.error("is a switch, expected yes or no")
        elif (why := options.refusal(action, value)) and (value != "none" or action.default is not None):
            options.error(why if value != "none" or not preset else f"{why}; {preset} has {action.default}")
    options.about = ""


def _action(options: Options, name: str) -> argparse.Action:
    """The option of that name, or the preset; ends the program if there is none."""
    return options.positional(name) or options.named(flag(name))


def _is_switch(action: argparse.Action) -> bool:
    return action.nargs == 0


def _words(options: Options, values: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """What stands on a command line of these values: (the preset, options)."""
    preset, words = [], []
    for name, value in values.items():
        action = _action(options, name)
        if name == "preset":
            preset = [value]
        elif _is_switch(action):
            words += [flag(name)] if value == "yes" else []
        elif not options.refusal(action, value):
            words.append(f"{flag(name)}={value}")
    return preset, words


def units(line: Line, out: Path) -> list[Unit]:
    """The runs; ends the program where `minigan train` refuses one, or two are the same."""
    found: list[Unit] = []
    names: dict[str, str] = {}  # of runs by all their settings
    for values in grid.combinations(line.own.grid):
        preset, varied = _words(line.options, values)
        words = [*preset, *line.common, *varied]
        options = recipe.options(words, PROG)
        options.about = f"--grid {grid.run_name(values)}: "
        unit = Unit(values, out / grid.folder_name(values), words, Settings.parsed(options, words, "train"))
        settings = flat(asdict(unit.settings))
        for name, value in values.items():
            _check_left_out(options, line.options, name, value, settings)
        other = names.setdefault(json.dumps(settings), unit.name)
        if other != unit.name:
            options.error(f"is the same run as {other}")
        found.append(unit)
    return found


def _check_left_out(options: Options, common: Options, name: str, value: str, settings: Mapping[str, Any]) -> None:
    """End the program if a value is one of an option that is left out, and a preset gives it another one."""
    action = _action(common, name)
    now = settings[action.dest]
    off = action.const is False  # of a switch that turns something off
    if _is_switch(action) and value == "no" and now != off:
        options.error(f"{settings['preset']} has it, and no option takes it away")
    if value == "none" and common.refusal(action, value) and now is not None:
        options.error(f"{settings['preset']} has {now}, and no option takes it away")


def check_built(runs: Sequence[Unit]) -> None:
    """The first MiniganError of making the players of these runs, which names the run: nothing is computed then.

    Seeds make no difference there.
    """
    built = set()
    for unit in runs:
        key = json.dumps(flat(asdict(replace(unit.settings, seed=0))))
        if key not in built:
            built.add(key)
            try:
                recipe.build(replace(unit.settings, device="cpu"))
            except MiniganError as error:
                raise type(error)(f"{unit.name}: {error}") from error
