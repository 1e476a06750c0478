"""Rounds of a game that are played to be looked at and then taken back.

All that a game is lies in its state, and what it draws depends on the seed and the step alone: so its state may be
kept, a round played, and the state put back, and nothing tells afterwards.
"""

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from .. import backend
from ..backend import Array, xp
from ..op import Op
from ..recording import mode, observe, pass_name
from ..tensor import Tensor
from .game import Game


class Kept:
    """A copy of a game's state, to be put back."""

    def __init__(self, game: Game) -> None:
        self.game = game
        self.rounds = game.rounds
        self.arrays = {name: xp(t.data).array(t.data) for name, t in game.state.items()}

    def put_back(self) -> None:
        """Make the game's state what it was."""
        for name, t in self.game.state.items():
            t.data[...] = self.arrays[name]
            t.written("rehearsal")
        self.game.rounds = self.rounds


def keep(game: Game, _batches: Any = None) -> None:
    """Have the state of the game kept for `first_nonfinite_since`."""
    game.kept = Kept(game)


def first_nonfinite_since(game: Game, batches: Any, step: int) -> str:
    """`first_nonfinite` from the state that was kept, which is the game's again then."""
    game.kept.put_back()
    return first_nonfinite(game, batches, step)


@contextmanager
def rehearsal(game: Game) -> Iterator[None]:
    """Rounds played within the block are plain ones, and taken back at its end."""
    kept, graphs = Kept(game), game.graphs
    game.graphs = False
    try:
        yield
    finally:
        game.graphs = graphs
        kept.put_back()


def gradient_norms(game: Game, batches: Any) -> dict[str, float]:
    """The length of the gradient that each optimizer will next be given, by the optimizer's name."""
    return _next_gradients(game, batches, lambda name, grads: None)


def gradients(game: Game, batches: Any) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """(`gradient_norms`, the gradient that each parameter will next be given by "player.parameter"), of one round.

    Of a parameter that nothing moves there is none.
    """
    names = {id(p): f"{name}.{key}" for name, player in game.players.items() for key, p in player.named_parameters()}
    found: dict[str, np.ndarray] = {}

    def copied(name: str, grads: Sequence[Tensor]) -> None:
        given = zip(game.optimizers[name].params, grads, strict=True)
        found.update({names[id(p)]: backend.to_numpy(g.data).copy() for p, g in given if id(p) in names})

    return _next_gradients(game, batches, copied), found


def _next_gradients(game: Game, batches: Any, seen: Callable[[str, Sequence[Tensor]], None]) -> dict[str, float]:
    """`gradient_norms`, and the name of each optimizer and what it will next be given shown to `seen`."""
    squares: dict[str, Tensor] = {}

    def step(name: str, original: Callable[..., None], grads: Sequence[Tensor]) -> None:
        if name not in squares:  # of several steps in a round, the first
            squares[name] = Tensor(sum(xp(g.data).vdot(g.data, g.data) for g in grads))
            seen(name, grads)
        original(grads)

    with rehearsal(game):
        for name, optimizer in game.optimizers.items():
            vars(optimizer)["step"] = partial(step, name, optimizer.step)
        try:
            game.play(batches)
        finally:
            for optimizer in game.optimizers.values():
                vars(optimizer).pop("step", None)
    numbers = backend.to_numbers([s.data for s in squares.values()])
    return {name: float(np.sqrt(number)) for name, number in zip(squares, numbers, strict=True)}


def first_nonfinite(game: Game, batches: Any, step: int) -> str:
    """Where the first NaN or infinity arises when the game is played on until that step is done, in words.

    An op is to blame whose result is not finite though all that it was given is; a weight, if it is its optimizer's
    step that spoils it. The rounds are taken back.
    """
    with rehearsal(game):
        while game.rounds < step:
            spoilt = first_spoilt(game)
            if spoilt:
                return f"before step {game.rounds + 1}, {spoilt} is not finite"
            number = game.rounds + 1
            found = _watched(game, batches)
            if found:
                return f"step {number}: {found}"
            spoilt = first_spoilt(game)
            if spoilt:
                return f"step {game.rounds}: {spoilt} is not finite after its step, while all ops gave finite numbers"
    return f"up to step {step} every number is finite when it is played again"


class _Found(Exception):
    """Ends a round at its first op with a result that is not finite."""


def _watched(game: Game, batches: Any) -> str:
    """What is wrong with the first bad op of the next round, or "" if it is played without one."""

    found: list[tuple[int, str]] = []
    calls, thread = itertools.count(), threading.get_ident()

    def look(op: Op, args: tuple, result: Tensor, order: int) -> None:
        if threading.get_ident() != thread:
            return  # a rank that is a thread looks at its own ops
        number = next(calls)
        if found or _finite(result.data):
            return
        given = [a for a in args if isinstance(a, Tensor)]
        bad = [a.label() for a in given if not _finite(a.data)]
        where = f" in {mode.module}" if mode.module else ""
        of = ", ".join(f"{a.label()} {a.shape}{_range(a.data)}" for a in given)
        blame = f", given what is not finite already: {', '.join(bad)}" if bad else ""
        what = f"{op.name}{where}, {pass_name(order)} pass: the first result that is not finite, from {of}{blame}"
        found.append((number, what))
        if game.group.size == 1:
            raise _Found  # several processes play on together

    with contextlib.suppress(_Found), observe(look):
        game.play(batches)
    size = game.group.size
    # all call the same ops: who found it at the first of these did not get it from another
    everybodys = [(*of_one, rank) for rank, of_ones in enumerate(game.group.everybodys(found)) for of_one in of_ones]
    if not everybodys:
        return ""
    _, what, rank = min(everybodys)
    return what if size == 1 else f"{what}, in process {rank + 1} of {size}"


def first_spoilt(game: Game) -> str:
    """The name of the first tensor of the game's state that is not finite, or ""."""
    return next((name for name, t in game.state.items() if not _finite(t.data)), "")


def _finite(array: Array) -> bool:
    return array.dtype.kind != "f" or bool(xp(array).isfinite(array).all())


def _range(array: Array) -> str:
    """Between which numbers an array lies."""
    if array.dtype.kind != "f" or array.size == 0:
        return ""
    low, high = backend.to_numbers([array.min(), array.max()])
    return f" in [{low:.3g}, {high:.3g}]"
