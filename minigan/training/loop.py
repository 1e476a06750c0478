"""The training loop: rounds of a game, with what is logged, drawn, judged and saved on the way."""

import itertools
import math
import shlex
import statistics
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import KW_ONLY, asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import export, viz
from ..backend import to_numbers
from ..data import Samples
from ..errors import CheckpointError, NonFiniteLoss, ProcessError
from ..gan import Game
from ..gan.rehearsal import first_nonfinite_since, first_spoilt, gradient_norms, gradients, keep
from ..judge import Gauge, Look, Yardstick
from ..judge.verdict import beside_plain, has_failed, verdict
from ..system import disk
from ..system.machine import blas_info
from ..system.signals import INTERRUPTED, stopped_by_signals
from ..system.terminal import progress, say
from ..tensor import Tensor
from . import checkpoint
from .folder import AT_THE_END, SUMS, TRACKING, RunFolder, Timings
from .hooks import Hook, Hooks, Running
from .length import UNKNOWN, Clock
from .means import Means
from .record import COLUMNS, PLAYERS
from .settings import Settings
from .team import Team, strays

READ_BACK = 20  # steps between two looks at the losses: between them nothing waits for the device
APART = 50  # steps between two verdicts, unless --sample-every asks for more
CHUNK = 64  # samples drawn at a time to be judged
FAILED = 3  # the exit status of a run that was stopped because it does not train

Picture = Callable[[Game, Samples, Path], None]


@dataclass
class Loop:
    """Rounds of the game until the last step, with what is written on the way."""

    team: Team
    samples: Samples
    settings: Settings
    folder: RunFolder
    picture: Picture
    _: KW_ONLY
    per_epoch: int
    last: int
    about_samples: dict[str, Any]
    begun: float  # when the program began, by time.perf_counter
    gauge: Gauge | None = None  # what --evaluate-every measures with
    hooks: Hooks = field(default_factory=Hooks)

    def __post_init__(self) -> None:
        self.game: Game = self.team.game
        self.yardstick = Yardstick(self.samples.drawn)
        self.step = int(self.game.step.item())
        self.saved = self.step  # the step of the newest checkpoint
        self.waiting: list[dict[str, Tensor]] = []  # losses not yet read back
        self.untold: dict[int, dict[str, Path]] = {}  # pictures that hooks are to be told of, by step
        self.settled = -1  # the step at which the game was last made ready for samples
        self.clock = time.perf_counter()
        self.shown: dict[str, float] = {}
        self.recent = Means()  # of the log since the last look
        self.looks: list[Look] = []
        self.interruptions: list[float] = []  # seconds of what was done after a step, where something was
        self.is_kept = False  # is there the state at the last read-back, to find where a NaN arises?
        self.timings = Timings(self.folder, self.step, self.team.group.size)
        self.summed = self.game.group.seconds  # as it was at the last read-back
        spent = sum(self.timings.seconds.values()) + time.perf_counter() - self.begun
        self.time = Clock(self.settings.minutes or 0.0, spent)

    def run(self) -> int:
        """0 when the last step is done, INTERRUPTED when a signal stopped it, FAILED when its verdict did.

        What it did is saved in each case.
        """
        if self.step >= self.last:
            given = {"--minutes": self.settings.minutes, "--steps": self.settings.steps}
            more = next((option for option, value in given.items() if value is not None), "--epochs")
            say(f"{self.folder.path}: finished, {self.step} steps; nothing to do (a larger {more} continues it)")
            self.looks = self.folder.looks()
            self.save_generator()  # the run may have been killed before it was written
            if not all((self.folder.path / name).exists() for name in AT_THE_END):
                self.finish()
            return 0
        self.begin()
        each = f"{self.settings.batch_size} {self.samples.noun}"
        steps = f"{self.settings.minutes:g} minutes of steps" if self.last == UNKNOWN else f"{self.last} steps"
        say(f"{self.settings.data}: {steps} of {each}, {self.per_epoch} an epoch")
        with stopped_by_signals() as stop:
            self.team.stop = stop
            failed = self.rounds(stop)
            self.save()
        if self.step < self.last:
            if failed:
                self.finish()
                say(f"Stopped at {self.place()} by --early-stop. {self.looks[-1].explained}")
                return FAILED
            say(f"\nStopped at {self.place()}{self.how_to_continue()}")
            return INTERRUPTED
        self.finish()
        return 0

    def begin(self) -> None:
        """Samples of the untrained generator; or what is left of an earlier part of the run, up to its checkpoint."""
        try:
            export.description(export.of_game(self.game))
        except CheckpointError as error:
            say(f"no generator file will be written: {error}")
        counts = [session.get("processes", 1) for session in self.timings.sessions[-2:]]
        if not self.settings.sync_norm and counts[0] != counts[-1]:
            say(f"note: --no-sync-norm on {counts[-1]} processes is another game than on {counts[0]} before")
        self.looks = self.folder.begin(self.step)
        last = None if self.last == UNKNOWN else self.last
        self.hooks.begin(Running(self.folder, self.settings, self.game, self.step, last))
        if self.step == 0:
            self.draw_samples()
        for step, row in self.folder.rows([]):
            if not self.looks or step > self.looks[-1].step:
                self.recent.add(row)
        if not self.looks:
            self.look()
        self.keep_state()

    def rounds(self, stop: Collection[int]) -> bool:
        """Play until the last step, or until `stop` holds something; True if --early-stop ended it."""
        failed, before = False, len(self.looks)
        with progress(total=None if self.last == UNKNOWN else self.last, initial=self.step, unit="step") as bar:
            while self.step < self.last and not stop and not failed:
                self.waiting.append(self.team.play())
                self.step += 1
                bar.update()
                told = False
                if self.step % READ_BACK == 0 or (self.last == UNKNOWN and self.steps_are_slow()):
                    self.read_back()
                    if self.last == UNKNOWN and (told := self.ask_the_clock()):
                        bar.total = self.last
                    bar.set_postfix_str(f"{self.summary()}  {self.looks[-1].verdict}")
                self.after_step(quiet=not bar.disable, told=told)
                failed = self.settings.early_stop and len(self.looks) > before and has_failed(self.looks)
        return failed

    def steps_are_slow(self) -> bool:
        """Do so few of them take so long that the clock should not wait for READ_BACK of them?

        On a GPU it is compiling kernels that takes the first ones long.
        """
        return self.settings.device == "cpu" and self.time.waits_since(self.clock)

    def ask_the_clock(self) -> bool:
        """Fix the length of a run by minutes once its speed is known; True if it is now."""
        playing = sum(self.timings.seconds.values()) - self.seconds_aside()
        before_any = [self.seconds_aside() / max(len(self.looks), 1)]  # the first one loads what others find loaded
        aside = partial(self.aside_within, look=statistics.median(self.interruptions or before_any))
        self.last = self.time.steps(self.step, playing, aside, self.game.pace(), self.game.warm_up)
        if self.last == UNKNOWN:
            return False
        self.team.by_all(partial(lasts, rounds=self.last))
        self.folder.write_config(self.settings, self.last, self.about_samples)
        say(f"{self.settings.minutes:g} minutes are {self.last} steps, by the speed of those up to {self.step}")
        return True

    def aside_within(self, steps: int, look: float) -> float:
        """Seconds of what is not training within so many more steps and at their end, if a look takes that long.

        Samples are looked at whenever they are drawn or evaluated.
        """
        end = self.step + steps

        def times(every: int) -> int:
            return end // every - self.step // every

        early = 0 if self.settings.sample_every else sum(self.step < k <= end for k in self.early_looks())
        seconds = look * (times(self.settings.sample_every or self.per_epoch) + early + 2)
        if self.gauge is not None and self.settings.evaluate_every:
            seconds += (look + self.gauge.seconds) * (times(self.settings.evaluate_every) + 1)
        return seconds

    def place(self) -> str:
        """Where the run stands."""
        return f"step {self.step}" if self.last == UNKNOWN else f"step {self.step} of {self.last}"

    def after_step(self, quiet: bool, told: bool) -> None:
        """Samples, a look and checkpoints where they are due; one also says the run's length once that is `told`."""
        before = self.seconds_aside()
        end, end_of_epoch = self.step == self.last, self.step % self.per_epoch == 0
        often = self.settings.sample_every
        drawn = end or (self.due(often) if often is not None else end_of_epoch or self.step in self.early_looks())
        evaluated = self.gauge is not None and (end or self.due(self.settings.evaluate_every))
        if drawn:
            self.draw_samples()
        if evaluated or (drawn and (end or often is not None or self.step - self.looks[-1].step >= APART)):
            self.look(evaluated)
        if end or end_of_epoch or evaluated or told or self.due(self.settings.checkpoint_every):
            self.save()
        if (spent := self.seconds_aside() - before) > 0:
            self.interruptions.append(spent)
        if end_of_epoch and not quiet:
            epoch = f"epoch {self.step // self.per_epoch}, step {self.step}"
            say(f"{epoch}: {self.summary()}  {self.looks[-1].sentence}")

    def seconds_aside(self) -> float:
        """How long the run has spent on other things than steps."""
        return sum(seconds for what, seconds in self.timings.seconds.items() if what not in ("training", SUMS))

    def due(self, every: int | None) -> bool:
        """Is this one of the steps of what is done every so many, if it is?"""
        return every is not None and self.step % every == 0

    def early_looks(self) -> set[int]:
        """Steps of the first epoch at which samples are drawn too: most of what there is to see happens then."""
        return {self.per_epoch // n for n in (16, 8, 4, 2)} - {0}

    def read_back(self) -> None:
        """Fetch the losses since last time, check them, log them."""
        if not self.waiting:
            return
        with self.game.group.waiting():
            values = iter(to_numbers([value.data for losses in self.waiting for value in losses.values()]))
        rows = [{name: next(values) for name in losses} for losses in self.waiting]
        seconds = time.perf_counter() - self.clock
        sums, self.summed = self.game.group.seconds - self.summed, self.game.group.seconds
        self.timings.add("training", seconds - sums)
        if sums:
            self.timings.add(SUMS, sums)
        rate = len(rows) * self.game.batches_per_step * self.settings.batch_size / seconds
        first = self.step - len(rows) + 1
        self.waiting.clear()
        good = list(itertools.takewhile(lambda row: all(map(math.isfinite, row.values())), rows))
        logged = [{**row, "images_per_s": round(rate, 1)} for row in good]
        numbered = [{"step": s, **row} for s, row in enumerate(logged, first)]
        if numbered:
            self.folder.append_log(numbered)
        for row in numbered:
            self.recent.add(row)
            self.shown |= row  # what is computed in some steps only stays until the next of them

        def told(hook: Hook) -> None:
            for step, row in enumerate(logged, first):
                hook.stepped(step, row)
                if step in drawn:
                    hook.sampled(step, drawn[step])

        drawn, self.untold = self.untold, {}
        self.tell(told)
        if len(good) < len(rows):
            name, value = next((k, v) for k, v in rows[len(good)].items() if not math.isfinite(v))
            whose = f" of the {PLAYERS[name[:2]]}" if name[:2] in PLAYERS else ""
            self.give_up(first + len(good), f"{name}{whose} is {value}")
        self.keep_state()
        self.clock = time.perf_counter()

    def keep_state(self) -> None:
        """With --debug-nan, remember the state, so that the steps until the next read-back can be played again."""
        if self.settings.debug_nan and not first_spoilt(self.game):
            self.team.by_all(keep)
            self.is_kept = True

    def give_up(self, step: int, what: str) -> None:
        """Raise NonFiniteLoss that says what is not finite and, with --debug-nan, where that began."""
        dry = self.settings.dry_run  # whose folder is gone when this is read
        if not self.is_kept:
            where = f"to find the op: the same command with {'' if dry else '--resume '}--debug-nan"
        else:
            where = self.team.by_all(partial(first_nonfinite_since, step=step))
        left = "" if dry else f" {self.folder.what_is_kept()}"
        raise NonFiniteLoss(f"step {step}: {what}; training stopped{left}; {where}")

    def how_to_continue(self) -> str:
        """The end of a sentence that says how a run that was stopped goes on; a dry run does not."""
        if self.settings.dry_run:
            return ""
        command = f", or minigan resume {shlex.quote(str(self.folder.path))}" if self.settings.name == "train" else ""
        return f"; everything is saved. To continue: the same command with --resume{command}"

    def summary(self) -> str:
        """The newest losses and the speed, for the terminal."""
        names = {"d_loss": "D", "g_loss": "G"}
        losses = [
            f"{names.get(k, k)} {v:.3f}"
            for k, v in self.shown.items()
            if k in names or viz.of_critic(k)[0] not in COLUMNS
        ]
        return "  ".join([*losses, f"{self.shown['images_per_s']:.0f} {self.samples.noun}/s"]) if self.shown else ""

    @contextmanager
    def aside(self, what: str) -> Iterator[None]:
        """Within the block, time is not counted as training."""
        before = time.perf_counter()
        yield
        seconds = time.perf_counter() - before
        self.timings.add(what, seconds)
        self.clock += seconds

    def tell(self, what: Callable[[Hook], None]) -> None:
        """`Hooks.tell`, in time that is not training."""
        if self.hooks:
            with self.aside(TRACKING):
                self.hooks.tell(what)

    def settle(self) -> None:
        """Have the game ready to be sampled from, once a step."""
        if self.settled != self.step:
            with self.aside("samples"):
                self.game.settle()
            self.settled = self.step

    def draw_samples(self) -> None:
        """samples/step_NNNNNNNN.png: what the generator makes of the same noise each time."""
        path = self.folder.samples / f"step_{self.step:08d}.png"
        self.settle()
        with self.aside("samples"), disk.naming(path):
            self.picture(self.game, self.samples, path)
        if not self.hooks:
            return
        pictures = self.folder.pictures(self.step)
        if self.waiting:
            self.untold[self.step] = pictures  # until the losses of this step are
        else:
            self.tell(lambda hook: hook.sampled(self.step, pictures))

    def drawn(self, count: int, stream: str) -> np.ndarray:
        """So many samples of the game as it stands, of the same noise each time, which nothing else draws."""
        parts = [
            self.game.sample(min(CHUNK, count - k), stream=stream, at=k // CHUNK).numpy()
            for k in range(0, count, CHUNK)
        ]
        return np.concatenate(parts)

    def look(self, evaluated: bool = False) -> None:
        """Judge the run as it stands, from its losses since the last look, its gradients, and samples if it makes some.

        If it is to be `evaluated`, by the gauge too.
        """
        self.read_back()
        self.settle()
        with self.aside("health"):
            numbers = self.of_samples(evaluated) if self.game.generates else {}
            numbers |= self.recent.take()
            given: Mapping[str, np.ndarray] = {}
            if self.hooks.see_gradients:
                norms, given = self.team.by_all(gradients)
            else:
                norms = self.team.by_all(gradient_norms)
            numbers |= {f"{name}_grad": length for name, length in norms.items()}
            loss = getattr(self.game, "loss", None)
            look = verdict(
                self.step,
                numbers,
                self.looks,
                loss=getattr(loss, "name", ""),
                logistic=bool(getattr(loss, "logistic", False)),
                options=self.settings.extra,
            )
            self.folder.append_look(look)
            self.looks.append(look)
        if given:
            self.tell(lambda hook: hook.gradients(self.step, given))
        self.tell(lambda hook: hook.looked(look))
        if measured := {name: value for name, value in numbers.items() if name.startswith("frechet")}:
            self.tell(lambda hook: hook.evaluated(self.step, measured))

    def of_samples(self, evaluated: bool) -> dict[str, float]:
        """What the yardstick says of the game's samples and, if they are to be `evaluated`, the gauge."""
        samples = self.drawn(self.yardstick.count, "health")
        numbers = {"floor": self.yardstick.floor, **self.yardstick.measure(samples)}
        if evaluated and self.gauge is not None:
            distance = self.gauge.measure(self.drawn(self.gauge.count, "evaluation"))
            numbers |= {"frechet": distance, "frechet_floor": self.gauge.floor}
        return numbers

    def save(self) -> None:
        """A checkpoint and the generator alone, once every number is known to be finite."""
        self.read_back()
        if self.step == self.saved:
            return
        self.settle()
        with self.aside("checkpoints"):
            if self.team.group.size > 1 and (stray := self.team.by_all(strays)):
                raise ProcessError(
                    f"step {self.step}: {stray}: a turn moves by the gradients of a process's own rows, where "
                    f"optimizer.minimize(loss) or ops.averaged(gradients) takes everybody's; training stopped "
                    f"{self.folder.what_is_kept()}"
                )
            if spoilt := first_spoilt(self.game):
                self.give_up(self.step, f"{spoilt} is not finite")
            self.folder.sync_log()
            meta = {"settings": asdict(self.settings), "images": self.about_samples, "blas": blas_info()}
            look = self.looks[-1]
            said = meta | {"total_steps": None if self.last == UNKNOWN else self.last}
            names = ("distance", "frechet") if look.step == self.step else ()
            measured = {name: look.numbers.get(name) for name in names}
            path = checkpoint.save(
                self.folder.checkpoints, self.game.state, said, self.step, keep=self.settings.keep, **measured
            )
            self.saved = self.step
            self.save_generator()
        self.tell(lambda hook: hook.checkpointed(self.step, path))
        self.timings.write(self.step)

    def save_generator(self) -> None:
        """generator.safetensors and a file for each further network of the game, where a file can describe it."""
        about = {"run": self.settings.title}
        written_by: dict[Path, Callable[[Path], Path]] = {
            self.folder.generator: partial(export.save_of_game, game=self.game, **about)
        }
        for name, network in export.further_of_game(self.game, **about).items():
            path = self.folder.path / f"{name}.safetensors"
            written_by[path] = partial(export.save_generator, generator=network)
        for path, write in written_by.items():
            try:
                write(path)
            except export.NotDescribed:
                with disk.naming(path):
                    path.unlink(missing_ok=True)

    def finish(self) -> None:
        """losses.png and samples.gif, where the time went, and lines that say where everything is."""
        with self.aside("samples"), disk.naming(self.folder.path):
            viz.loss_curves(self.folder.read_log(), self.folder.path / "losses.png", self.settings.title)
            frames = sorted(self.folder.samples.glob("step_*.png"))
            if left_out := viz.save_gif(frames, self.folder.path / "samples.gif"):
                names = ", ".join(path.name for path in left_out)
                say(f"{self.folder.path}: samples.gif is without {names}: damaged, or of another size")
        self.timings.write(self.step)
        if not self.settings.dry_run and self.step >= self.last:
            page = self.folder.path / "report.html"
            say(f"Done: {self.summary()}. {page} shows the run; samples, curves and checkpoints are beside it")
            if SUMS in (spent := self.timings.seconds):
                share = spent[SUMS] / max(spent[SUMS] + spent["training"], 1e-9)
                say(f"Sums over processes, waiting included, took {share:.0%} of training")

    def conclude(self, metrics: Mapping[str, float]) -> None:
        """Say how the run stands, its numbers of held-out samples among what the last look says, if it has some."""
        if not self.looks:
            return
        look = beside_plain(self.looks[-1], metrics)
        if look != self.looks[-1]:
            self.folder.append_look(look)
            self.looks[-1] = look
            self.tell(lambda hook: hook.looked(look))
        if not self.settings.dry_run:
            say(look.explained)


def lasts(game: Game, _batches: Any, rounds: int) -> None:
    """The game has so many rounds."""
    game.lasts(rounds)
