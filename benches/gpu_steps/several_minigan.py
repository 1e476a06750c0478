"""Sums over GPUs, and a game that several processes play, in each of these processes.

All make the same calls: how many does not depend on how long they take.
"""

from typing import Any

from minigan import backend, processes
from minigan.errors import MissingExtra
from minigan.kernels import nccl
from minigan.processes import Group

from .clocks import Clock
from .in_minigan import digits_game
from .layers_minigan import graphed

CHAIN = 20  # sums in one captured graph
COMPARED = 10  # rounds whose losses are told


def connect() -> tuple[Group | None, dict[str, Any]]:
    """(the group of all processes on a GPU each, what it is); None, and why, where NCCL is missing."""
    try:
        group = processes.NCCLGroup(processes.world())
    except MissingExtra as error:
        return None, {"skipped": str(error)}
    return group, {"processes": group.size, "gpus": nccl.devices(), "nccl": nccl.library().get_version()}


def sums(clock: Clock, group: Group, elements: list[int], times: int) -> dict[str, dict[str, float]]:
    """Microseconds of a sum of so many float32, called one by one and as parts of a graph; GB/s of the latter."""
    found = {}
    for n in elements:
        x = backend.array_module("cuda").zeros(n, dtype="float32")  # other numbers would grow from sum to sum
        call = lambda x=x: group.sum(x)
        replay = graphed(call, CHAIN)
        clock.milliseconds(call, max(1, times // 10))
        called = clock.milliseconds(call, times)
        clock.milliseconds(replay, 2)
        captured = clock.milliseconds(replay, max(1, times // CHAIN)) / CHAIN
        found[str(n)] = {
            "called_us": called * 1e3,
            "in_a_graph_us": captured * 1e3,
            "gb_per_s": x.nbytes / captured / 1e6,
        }
    return found


def rounds(clock: Clock, group: Group, batch: int, images: int, count: int, rehearse: bool) -> dict[str, Any]:
    """Milliseconds of a round of the example's game, of so many; the losses of the first, which capture its turns."""
    game, batches = digits_game(batch, images, rehearse)
    game.distribute(group)
    losses = [backend.to_numbers([t.data for t in game.play(batches).values()]) for _ in range(COMPARED)]
    if not all(turn.graph is not None for turn in game._turns[1].values()):
        raise RuntimeError("the rounds were not captured")
    ms = clock.milliseconds(lambda: game.play(batches), count)
    return {"batch": batch, "milliseconds": ms, "images_per_s": batch / ms * 1e3, "losses": losses}
