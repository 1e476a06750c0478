"""Beginning with the weights of another run, and discriminators whose first layers stay as they are (FreezeD)."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .. import nn
from ..errors import CheckpointError, ShapeError
from ..gan import ScoreGame
from ..nn.state import copy_all
from ..system.terminal import say
from ..tensor import Tensor
from ..training import RunFolder, Settings, checkpoint, record

PLAYERS = ("generator", "discriminator")
FROM = "started_from"  # what a run's settings call the seal of the checkpoint that it began with


def begin(game: ScoreGame, settings: Settings) -> None:
    """Give players and averages the weights that --start-from names, and the settings the seal of that checkpoint.

    Not if a run is resumed that has a checkpoint of its own. CheckpointError if the weights do not fit, or are not
    those that the run began with.
    """
    extra, folder = settings.extra, RunFolder(Path(settings.out))
    if not extra["start_from"]:
        return
    before = _seal(folder) if settings.resume else None
    if settings.resume and checkpoint.find(folder.checkpoints):
        extra[FROM] = before
        return
    path, arrays, about = _read(Path(extra["start_from"]))
    seal = about["sha256"]
    if before not in (None, seal):
        raise CheckpointError(f"--start-from: {path} is not what the run in {folder.path} began with ({before})")
    anew = take(game, arrays, f"--start-from: {path}")
    say(f"begins with the weights of {path}{'; anew: ' if anew else ''}{', '.join(anew)}")
    extra[FROM] = seal


def take(game: ScoreGame, arrays: Mapping[str, Any], whose: str) -> list[str]:
    """Copy a checkpoint's weights into the players and averages of a game; the layers that begin anew, by name.

    They may be the first of the generator and the last of the discriminator, which labels shape, or --san. A game that
    averages has the generator's weights as its average, if the checkpoint has no other. CheckpointError, and nothing
    copied, if another tensor does not fit.
    """
    own, theirs = _of_players(game.state), _of_players(arrays)
    if not all(any(_player(name) == player for name in theirs) for player in PLAYERS):
        raise CheckpointError(f"{whose}: it holds no weights of a generator and a discriminator")
    if not any(_player(name) == "ema" for name in theirs):
        made = {name.removeprefix("generator."): t for name, t in theirs.items() if _player(name) == "generator"}
        theirs |= {f"ema.{name}": t for name, t in made.items()}
    if game.ema is None:
        theirs = {name: t for name, t in theirs.items() if _player(name) != "ema"}
    anew = []
    for layer in _ends(game):
        ours, given = ({n: t.shape for n, t in held.items() if _layer(n) == layer} for held in (own, theirs))
        if ours != given:
            anew += [layer] if ours and _player(layer) != "ema" else []
            own, theirs = ({n: t for n, t in held.items() if _layer(n) != layer} for held in (own, theirs))
    copy_all(own, theirs, whose, by="weights")
    return anew


def learning(D: nn.Module, frozen: int) -> list[Tensor]:
    """The parameters of D that move, if the first so many of its layers with weights, or blocks of them, do not.

    Running statistics of a frozen layer follow the samples all the same: in training they decide nothing. ShapeError
    if D is no sequence of layers, or has no more of them.
    """
    network = getattr(D, "network", D)
    if not frozen:
        return D.parameters()
    blocks = [block for block in network if block.parameters()] if isinstance(network, nn.Sequential) else []
    if frozen >= len(blocks):
        raise ShapeError(f"--freeze-d {frozen}: D has {len(blocks)} layers with weights, and the last has to learn")
    held = {id(p) for block in blocks[:frozen] for p in block.parameters()}
    return [p for p in D.parameters() if id(p) not in held]


def _read(path: Path) -> tuple[Path, Mapping[str, Any], Mapping[str, Any]]:
    """(path, arrays, what it says beside them) of a run's last checkpoint, or of a checkpoint."""
    if path.is_dir():
        return RunFolder(path).load_newest()
    if not path.exists():
        raise CheckpointError(f"--start-from: {path}: no such run or checkpoint")
    return path, *checkpoint.load(path)


def _seal(folder: RunFolder) -> str | None:
    """The seal that a run's settings hold, if there are some."""
    try:
        return record.read_settings(folder.path, []).extra.get(FROM)
    except CheckpointError:
        return None


def _of_players(state: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors of both players and of averages by name, a network's that is told classes as those of its own."""
    named = {name: t for name, t in state.items() if _player(name) in (*PLAYERS, "ema") and name != "ema.updates"}
    return {name.replace(".network.", ".", 1): t for name, t in named.items()}


def _ends(game: ScoreGame) -> list[str]:
    """The names of the generator's first layer, among averages too, and of the discriminator's last."""
    first, last = (_names(player) for player in (game.generator, game.discriminator))
    return [f"generator.{first[0]}", f"ema.{first[0]}", f"discriminator.{last[-1]}"]


def _names(player: nn.Module) -> list[str]:
    """Of each layer with parameters."""
    layers: Iterable[str] = (_layer(f".{name}") for name, _ in player.named_parameters())
    return [name.removeprefix(".").removeprefix("network.") for name in layers]


def _player(name: str) -> str:
    return name.split(".", 1)[0]


def _layer(name: str) -> str:
    return name.rsplit(".", 1)[0]
