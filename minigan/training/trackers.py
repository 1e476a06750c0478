"""The trackers that a command line names."""

from collections.abc import Callable, Sequence

from .hooks import Hook
from .tensorboard import TensorBoard

TRACKERS: dict[str, Callable[[], Hook]] = {"tensorboard": TensorBoard}  # by the names that --log takes


def trackers(names: Sequence[str]) -> list[Hook]:
    """The hooks of these names, each once; MissingExtra where what one needs is not installed."""
    return [TRACKERS[name]() for name in dict.fromkeys(names)]
