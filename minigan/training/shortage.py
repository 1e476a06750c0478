"""What a run needs of its device's memory: said before it begins if it is too much, and where memory runs out."""

import contextlib
import math
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import MiniganError, NotEnoughMemory
from ..gan import Game, MemoryNeed, memory_needed
from ..gan.footprint import plainly_fits
from ..kernels import headroom
from ..system.terminal import LESS, is_out_of_memory, say
from . import checkpoint
from .folder import RunFolder
from .settings import Settings

SPARE = 0.95  # the part of what is free that a batch may take which is named as one that fits


def check(game: Game, batches: Any, shape: tuple[int, ...], settings: Settings, batch: int) -> None:
    """NotEnoughMemory if rounds of `batch` samples of that shape do not fit; a dry run says what they need."""
    parts = game.group.size * game.parts
    batch = -(-batch // parts)  # what is computed at once by one process
    if not settings.dry_run and plainly_fits(game, shape, batch):
        return
    try:
        with game.alone():
            need = memory_needed(game, batches, batch)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        told = _whole(batch, parts)
        raise NotEnoughMemory(f"a batch of {told} does not fit on this device, nor does any other ({error})") from None
    free = headroom.free(settings.device)
    if settings.dry_run:
        shares = f"weights and optimizers {_amount(need.state)}, training {_amount(need.training(batch))}"
        left = "" if free == math.inf else f"; {_amount(free)} are free"
        whole = _amount(need.state + need.training(batch))
        say(f"memory: {whole} at batch {_whole(batch, parts)}, beside the data ({shares}){left}")
    if need.least(batch) > free:
        raise NotEnoughMemory(_too_much(need, batch, free, parts, resumed=settings.resume))


@contextmanager
def explained(game: Game, batches: Any, settings: Settings, folder: RunFolder) -> Iterator[None]:
    """Within the block, running out of memory is a NotEnoughMemory: which batch would fit, what is kept of the run."""
    try:
        yield
    except Exception as error:
        if isinstance(error, MiniganError) or not is_out_of_memory(error):
            raise
        traceback.clear_frames(error.__traceback__)  # in which the arrays of the round live on
        problem = str(error) or type(error).__name__
    else:
        return
    kept = "" if settings.dry_run else f" {folder.what_is_kept()}"  # the folder of a dry run is gone when this is read
    advice = LESS
    with contextlib.suppress(MiniganError, MemoryError, RuntimeError):  # it may be too little for any round
        parts = game.group.size * game.parts
        batch = -(-settings.batch_size // parts)
        with game.alone():
            need, free = memory_needed(game, batches, batch), headroom.free(settings.device)
        advice = _too_much(need, batch, free, parts, resumed=bool(kept and checkpoint.find(folder.checkpoints)))
    raise NotEnoughMemory(f"after step {game.rounds} memory ran out ({problem}); training stopped{kept}; {advice}")


def _too_much(need: MemoryNeed, batch: int, free: float, parts: int, *, resumed: bool) -> str:
    """What a batch needs, what is there, and the batch that would fit in a run that begins or is resumed.

    `batch` samples are one of the `parts` that are computed by themselves.
    """
    there = need.state + need.data + free  # with what has been taken for the game already
    most = batch // 2 if need.least(batch) <= free else batch  # where it ran out though it was not refused
    fits, how = min(need.largest_batch(SPARE * free), most), "would"
    if not fits:
        fits, how = min(need.largest_batch(SPARE * free, tight=True), most), "may"
    fits *= parts
    options = f"{'--resume --allow-change batch_size ' if resumed else ''}--batch-size {fits}"
    would = f"{fits} {how} fit ({options})" if fits else "and no other would fit"
    told = f"a batch of {_whole(batch, parts)} needs {_amount(need.total(batch))} on this device"
    return f"{told}, {_amount(there)} are free; {would}"


def _whole(batch: int, parts: int) -> str:
    """The batch of so many parts, in words."""
    return f"{batch}" if parts == 1 else f"{batch * parts} ({batch} at once)"


def _amount(number: float) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"
