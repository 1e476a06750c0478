"""Who is told of a run while it trains: trackers and viewers, each a `Hook`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..gan import Game
from ..judge import Look
from ..system.signals import INTERRUPTED
from ..system.terminal import shown, warn
from .folder import RunFolder
from .settings import Settings


@dataclass(frozen=True)
class Running:
    """A run that begins, or goes on from a checkpoint."""

    folder: RunFolder
    settings: Settings
    game: Game  # as it stands; its weights change with every step
    step: int  # the last one that is done: what is told is of those after it, and what was told of them before is void
    last: int | None  # how many steps there are; None until --minutes has fixed it


class Hook:
    """Is told of a run while it trains. Each method does nothing: a tracker or a viewer has those that it wants.

    The first of several processes calls them, in the thread that trains, which waits for them: what takes long belongs
    into a thread of the hook's. Nothing is read from the device for a hook that would not be read without one, and what
    is told is in the files of the run already, but for `gradients`. What is of an earlier step is told first. An error
    of `begun` is the run's, before its first step. After an error in another method the hook is told nothing more,
    which is said on stderr, and the run goes on.
    """

    def begun(self, run: Running) -> None:
        """The run begins, or goes on after the step `run.step`."""

    def stepped(self, step: int, losses: Mapping[str, float]) -> None:
        """A row of log.csv by its columns: losses and scores of a step, and images_per_s. All of them are finite.

        They are read from the device some steps at a time, so this may come up to twenty steps after the step.
        """

    def sampled(self, step: int, pictures: Mapping[str, Path]) -> None:
        """Samples were drawn: PNG files by the prefix of their names, "" for step_N.png."""

    def looked(self, look: Look) -> None:
        """The run was judged: a line of health.jsonl, with its numbers, its verdict and what was found."""

    def gradients(self, step: int, gradients: Mapping[str, np.ndarray]) -> None:
        """What each parameter is given next, by "player.parameter", when the run is judged while it trains."""

    def evaluated(self, step: int, numbers: Mapping[str, float]) -> None:
        """Samples were measured: by --evaluate-every, or by the program at the end, as in metrics.json."""

    def checkpointed(self, step: int, path: Path) -> None:
        """A checkpoint was written: its arrays are at `path`."""

    def ended(self, step: int, status: int) -> None:
        """The run has ended after that step, by that exit status.

        0 done, 3 stopped by --early-stop, 130 by a signal, 1 after an error.
        """


class Hooks:
    """Those of a run: told together, and left out one by one where they fail."""

    def __init__(self, hooks: Sequence[Hook] = ()) -> None:
        self.hooks = list(hooks)
        self.listening: list[Hook] = []  # that have begun, and not failed since

    def __bool__(self) -> bool:
        return bool(self.listening)

    @property
    def see_gradients(self) -> bool:
        """Does one of them ask for gradients?"""
        return any(type(hook).gradients is not Hook.gradients for hook in self.listening)

    def begin(self, run: Running) -> None:
        """Tell each that the run begins; an error of one is raised."""
        for hook in self.hooks:
            hook.begun(run)
            self.listening.append(hook)

    def tell(self, what: Callable[[Hook], None]) -> None:
        """Call `what` with each; one that raises is named on stderr, and told nothing more."""
        for hook in list(self.listening):
            try:
                what(hook)
            except Exception as error:
                self.listening.remove(hook)
                why = shown(f"{type(error).__name__}: {error}")
                warn(f"{type(hook).__name__} failed ({why}): the run goes on without it, and its files have everything")

    @contextmanager
    def ending(self, step: Callable[[], int]) -> Iterator[list[int]]:
        """A block in which a run trains, and a list into which its exit status goes: at its end the hooks are told.

        `step` tells the last step that is done.
        """
        status: list[int] = []
        try:
            yield status
        except BaseException as error:
            status[:] = [INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1]
            raise
        finally:
            self.tell(lambda hook: hook.ended(step(), status[0]))
