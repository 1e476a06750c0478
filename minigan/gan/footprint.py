"""What a game needs of its device's memory, known before it is played at its whole batch.

Rounds of smaller batches are played, watched and taken back. Of what a round holds at its peak one part is the same for
any batch, the gradients of weights say, and the rest grows with it.
"""

import bisect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .. import backend
from ..backend import Array, xp
from ..errors import ShapeError
from ..kernels import headroom
from ..tensor import Tensor, mapped
from .game import Drawn, Game, Source
from .rehearsal import rehearsal

MOST = 1 << 40  # samples, more than any batch has
SMALLEST = 4  # samples of the first round that is played to be watched
ALIGNED = 24  # a batch that may have to be split into equal parts has a divisor in common with this
SEARCHED = 1 << 20  # rounds, among which one has to do all that any does
LARGE = 8  # times what does not grow with the batch, where what grows is all that counts
TAPES = 16  # arrays of the size of a layer's output that a round is taken to hold, where nothing was played


@dataclass(frozen=True)
class MemoryNeed:
    """Bytes that a game needs on its device while it is trained, of which `state` and `data` are there already."""

    device: str
    state: int  # weights, buffers, optimizers' slots, averages
    data: int  # samples that the batches keep there
    fixed: float  # the peak of a round of n samples is fixed + n sample
    sample: float
    replayed: bool  # are turns replayed, in memory of their own?

    def least(self, batch: int) -> float:
        """Bytes that training with that batch takes beside what is there already, if none is lost between arrays.

        They are a round's peak; that of the replays; a copy of the state, which judging or saving a run makes; and what
        libraries take for themselves.
        """
        return self.state + (1 + self.replayed) * self._peak(batch) + headroom.SCRATCH

    def training(self, batch: int) -> float:
        """`least` and the bytes that may be lost between arrays."""
        return self.least(batch) + headroom.lost(self.device, self._peak(batch))

    def total(self, batch: int) -> float:
        """All bytes that training with that batch needs, `state` and `data` too."""
        return self.state + self.data + self.training(batch)

    def largest_batch(self, free: float, *, tight: bool = False) -> int:
        """The largest batch with which training fits into so many free bytes, in round numbers; 0 if none does.

        With `tight`, the largest that fits if no bytes are lost between arrays.
        """
        needed = self.least if tight else self.training
        most = max(bisect.bisect_right(range(MOST), free, key=needed) - 1, 0)
        step = 1 << max(most.bit_length() - 5, 0)
        return most // step * step

    def _peak(self, batch: int) -> float:
        return self.fixed + batch * self.sample


def memory_needed(game: Game, batches: Callable[[int], Drawn] | Source, batch: int | None = None) -> MemoryNeed:
    """What training `game` needs of its device's memory, on batches as `Game.play` takes them.

    `batch` is how many samples they are to have, by default what the first has. Rounds of smaller batches are played,
    of at most half as many samples and in a quarter of the free memory, and taken back: the game is as it was. The
    error of the game if it cannot be played.
    """
    device = game.step.device
    if batch is None:
        batch = _size(batches) or len(_first(batches(0) if callable(batches) else batches.at(0)))
    state = sum(t.data.nbytes for t in game.state.values())
    part = math.gcd(batch, ALIGNED)
    smallest = -(-SMALLEST // part) * part
    found = _Found(game, batches)
    first = {smallest, 2 * smallest} if 2 * smallest <= batch else {batch - batch // 2, batch}
    found.play(min(first))  # libraries take what they keep: it does not count, as it is no longer free either
    found.play(*first)
    if not found.peaks:
        found.play(batch)
    fixed, sample = found.line()
    half = batch // 2
    if sample:
        half = int(min(half, max(headroom.free(device) / 4 - fixed, 0) / sample))
        if device == "cpu":  # where rounds take long; a GPU has slabs of windows to fill
            half = int(min(half, LARGE * fixed / sample))
    half = half // part * part
    if half >= 4 * smallest:
        found.play(half // 2 // part * part, half)
        fixed, sample = found.line()
    return MemoryNeed(device, state, getattr(batches, "nbytes", 0), fixed, sample, game.graphs)


def plainly_fits(game: Game, shape: tuple[int, ...], batch: int) -> bool:
    """Is there room for batches of samples of that shape even if each layer were as large as its input allows?

    That is known without playing: each unit of a layer gives as many numbers as a sample has, or one where the layer is
    not laid over an image or a sequence.
    """
    units = 0
    for player in game.players.values():
        for p in player.parameters():
            laid = p.ndim > 2 or len(shape) == 2
            units += max(p.shape[:2], default=1) * (math.prod(shape) if laid else 1) * p.dtype.itemsize
    state = sum(t.data.nbytes for t in game.state.values())
    return 4 * state + TAPES * batch * units < headroom.free(game.step.device) / 4


class _Found:
    """The peaks of rounds of several batches."""

    def __init__(self, game: Game, batches: Callable[[int], Drawn] | Source) -> None:
        self._game = game
        self._batches = batches
        self.peaks: dict[int, int] = {}
        self._refused = ShapeError("memory_needed: no round was played")

    def play(self, *sizes: int) -> None:
        """Play a round of each of these batches that the game takes."""
        for n in sorted(sizes):
            sized = _Sized(self._batches, n)
            with rehearsal(self._game), headroom.watching(self._game.step.device) as sized.watch:
                self._game.rounds = self._fullest()
                try:
                    self._game.play(sized.at if callable(self._batches) else sized)
                except ShapeError as error:  # such a batch does not split into packs, say
                    self._refused = error
                else:
                    self.peaks[n] = sized.watch.most()

    def _fullest(self) -> int:
        """A number of rounds after which each turn is played in the way that does most; ShapeError if there is none."""
        game = self._game
        for k in range(game.rounds, game.rounds + SEARCHED):
            if not any(game.variant(turn, k) for turn in game.schedule):
                return k
        raise ShapeError(
            f"{type(game).__name__}.variant: expected 0 for all turns of some round, got none in {SEARCHED} rounds"
        )

    def line(self) -> tuple[float, float]:
        """(fixed, sample): the line through the two largest batches that were played.

        Of so few samples that the peaks do not rise, all of the larger one counts as theirs: no batch fits for ever.
        """
        if not self.peaks:
            raise self._refused
        n, *smaller = sorted(self.peaks, reverse=True)
        peak = float(self.peaks[n])
        rise = (peak - self.peaks[smaller[0]]) / (n - smaller[0]) if smaller else 0.0
        sample = min(rise, peak / n) if rise > 0 else peak / n
        return peak - n * sample, sample


class _Sized:
    """A source whose batches are brought to n samples, by repeating or leaving out some; the watch sees the rest."""

    watch: headroom.Watch

    def __init__(self, batches: Any, n: int) -> None:
        self._batches = batches
        self._n = n
        self.resident = getattr(batches, "resident", False)

    def prepare(self, k: int) -> None:
        """Do what the host has to do before the k-th batch can be drawn."""
        self._batches.prepare(k)

    def at(self, k: Any) -> Drawn:
        """The k-th batch."""
        self.watch.most()
        drawn = self._batches(k) if callable(self._batches) else self._batches.at(k)
        sized = mapped(drawn, self._sized)
        del drawn
        self.watch.look_away()
        return sized

    def _sized(self, part: Any) -> Any:
        return None if part is None else self._taken(part.data if isinstance(part, Tensor) else part)

    def _taken(self, array: Array) -> Array:
        if array.ndim == 4:
            array, axes = backend.in_memory_order(array)
        taken = array[xp(array).arange(self._n) % len(array)]
        return taken.transpose(axes) if array.ndim == 4 else taken


def _size(batches: Any) -> int:
    return getattr(batches, "batch_size", 0)


def _first(drawn: Drawn) -> Any:
    return drawn[0] if isinstance(drawn, tuple) else drawn
