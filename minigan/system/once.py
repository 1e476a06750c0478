"""What a computation decides once, though it is done again: a block that is computed anew for its gradient.

Draws of random numbers, running statistics and power iterations are not functions of what a block is given. They go
through `once`: in a block that is done for the first time they are remembered, and recalled when it is done again. Or a
function is called for several arguments, and nothing but these is to differ (`alike`).
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, TypeVar

from ..errors import GraphError

T = TypeVar("T")
Enter = Callable[[], AbstractContextManager[Any]]


class _Here(threading.local):
    """What this thread is in the middle of."""

    decide: Callable[[Callable[[], Any]], Any] | None = None  # how: None if nothing is to be done again
    within: tuple[Enter, ...] = ()  # the blocks that `entered` has open


_here = _Here()


def once(decide: Callable[[], T]) -> T:
    """decide(), or, in a computation that is done again, what it gave the first time."""
    return decide() if _here.decide is None else _here.decide(decide)


@contextmanager
def entered(enter: Enter) -> Iterator[None]:
    """A block within enter(), which a computation that is begun here is within also when it is done again."""
    before = _here.within
    _here.within = (*before, enter)
    try:
        with enter():
            yield
    finally:
        _here.within = before


class Memory:
    """What a computation decided, in order, and what it was within."""

    def __init__(self) -> None:
        self._decided: list[Any] = []
        self._within = _here.within

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """The block is the first time."""
        before = _here.decide

        def decide(deciding: Callable[[], T]) -> T:
            found = deciding() if before is None else before(deciding)
            self._decided.append(found)
            return found

        with _deciding(decide):
            yield

    @contextmanager
    def recalling(self) -> Iterator[None]:
        """The block is another time.

        GraphError if more is to be decided than was, or if it is within a functional_call that the first was not.
        """
        rest = iter(self._decided)

        def decide(_: Callable[[], T]) -> T:
            try:
                return next(rest)
            except StopIteration:
                raise GraphError(
                    "checkpoint: done again, the function draws numbers that it did not draw before"
                ) from None

        now = _here.within
        if self._within[: len(now)] != now:
            raise GraphError(
                "checkpoint: the gradient is taken within a functional_call that the function itself was not within"
            )
        with ExitStack() as stack, _deciding(decide):
            for enter in self._within[len(now) :]:
                stack.enter_context(entered(enter))
            yield


def alike(function: Callable[..., T]) -> Callable[..., T]:
    """`function`, each of whose calls draws what the first one draws, and none but the first moves statistics."""
    memory: Memory | None = None

    def called(*args: Any) -> T:
        nonlocal memory
        if memory is not None:
            with memory.recalling():
                return function(*args)
        memory = Memory()
        with memory.remembering():
            return function(*args)

    return called


@contextmanager
def _deciding(how: Callable[[Callable[[], Any]], Any]) -> Iterator[None]:
    before, _here.decide = _here.decide, how
    try:
        yield
    finally:
        _here.decide = before
