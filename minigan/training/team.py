"""Processes that train one game: the first decides, writes and speaks, the others do what it says.

Nothing that a process alone can know (a file, the clock, a signal, a verdict) decides for itself what is played: the
first tells. Before each thing that all do together there is one small message, the largest of everybody's numbers: the
first gives the command, the others whether a signal has asked them to stop.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..gan import Game, Losses, Source
from ..processes import Group
from ..system.signals import INTERRUPTED, stopped_by_signals

T = TypeVar("T")
Work = Callable[[Game, Any], T]

NOTHING, PLAY, DO, END = range(4)  # commands
GRACE = 2.0  # seconds in which the first process says what befell all of them, before another does


def strays(game: Game, _batches: Any = None) -> str:
    """The first tensor of the game that is not the same in every process, and in which it differs; "" if there is none.

    That befalls a game whose turn moves by gradients of its own rows alone.
    """
    # the averaged weights' statistics are settled for samples, by the first process alone
    settled = set() if game.ema is None else {f"ema.{k}" for k in game.ema.shadow.keys() - game.ema.parameters().keys()}
    known = {name: t for name, t in game.state.items() if name not in settled}
    mine = {name: hashlib.sha256(np.ascontiguousarray(t.numpy()).tobytes()).digest() for name, t in known.items()}
    first, *others = game.group.everybodys(mine)
    for rank, theirs in enumerate(others, 2):
        for name, digest in first.items():
            if theirs[name] != digest:
                return f"{name} of process {rank} is not that of the first"
    return ""


class Ended(NamedTuple):
    """What the first process tells at the end of the run, or instead of its beginning."""

    status: int


class Team:
    """The processes of a group while they train a game, which is the same on all.

    The first calls `begin` within `leading`, then `play` and `by_all`, at last `end`; the others `wait` and `follow`.
    """

    game: Game
    batches: Source

    def __init__(self, group: Group) -> None:
        self.group = group
        self.stop: list[int] = []  # the signals that are to stop the run: another process's are added
        self._begun = self._over = False
        self._together = False  # are the others in the middle of something that this one does too?

    @contextmanager
    def leading(self) -> Iterator[None]:
        """A block of the first process: an error in it ends the others too."""
        try:
            yield
        except KeyboardInterrupt:
            self.end(INTERRUPTED)
            raise
        except BaseException:
            self.end(1)
            raise

    def begin(self, game: Game, batches: Source, told: dict[str, Any]) -> None:
        """Have the others begin, with what they are `told` and the game as it stands here."""
        self.game, self.batches = game, batches
        if self.group.size > 1:
            self.group.same(told)
            self.group.same({name: t.numpy() for name, t in game.state.items()})
        self._begun = True

    def wait(self) -> Any:
        """What the others are told when they begin; `Ended` when it is over, perhaps before that."""
        told = self.group.same(None)
        if isinstance(told, Ended):
            self.group.ended()
        return told

    def play(self) -> Losses:
        """A round of the game; `stop` holds something from then on if a signal has reached one of them."""
        with self._all_do(PLAY):
            return self.game.play(self.batches)

    def by_all(self, work: Work[T]) -> T:
        """work(game, batches), done by all; `work` is a function of a module, or a `partial` of one."""
        with self._all_do(DO):
            if self.group.size > 1:
                self.group.same(work)
            return work(self.game, self.batches)

    def end(self, status: int) -> None:
        """Tell the others that the run has ended with that exit status, if it has not been said.

        After an error in the middle of what all do together they cannot be told: they are ended from outside then.
        """
        if self.group.size == 1 or self._together or self._over:
            return
        if self._begun:
            self._meet(END)
        self.group.same(Ended(status))
        self._over = True
        self.group.ended()

    def follow(self, game: Game, batches: Source) -> int:
        """Do what the first process says until it says that the run has ended; the exit status that it gives."""
        game.load_state(self.group.same({}))
        with stopped_by_signals() as stop:
            while True:
                command, _ = self._meet(NOTHING, bool(stop))
                try:
                    if command == PLAY:
                        game.play(batches)
                    elif command == DO:
                        work: Any = self.group.same(None)
                        work(game, batches)
                except Exception:
                    time.sleep(GRACE)  # the first has the same error, if it is the game's
                    raise
                if command == END:
                    break
        return self.wait().status

    @contextmanager
    def _all_do(self, command: int) -> Iterator[None]:
        if self.group.size > 1:
            _, stopped = self._meet(command)
            if stopped and not self.stop:
                self.stop.append(0)
        self._together = True
        yield
        self._together = False  # not after an error: then the others are still at it

    def _meet(self, command: int, stopped: bool = False) -> tuple[int, bool]:
        """(the command, has a signal asked one of the others to stop?)."""
        command, flag = self.group.host.max(np.array([command, stopped], np.int64)).tolist()
        return command, bool(flag)
