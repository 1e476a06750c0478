"""Games of residual networks: played, replayed and resumed alike, with blocks that are computed again, and on a GPU."""

import fakecupy
import numpy as np
import pytest
from cuda_games import losses_on_both
from replayed_game import replays_exactly
from resumed_game import continues_exactly

import minigan as mg
from minigan import nn
from minigan.command import recipe
from minigan.models.transgan import TransformerBlock
from minigan.training import Settings

GAMES = {
    "sagan": "--model resnet --side 16 --channels 1 --width 8 --attention 8 --loss hinge --spectral-norm "
    "--generator-spectral-norm --ema 0.9",
    "biggan": "--model biggan --side 16 --channels 1 --width 8 --attention 8 --loss hinge --spectral-norm "
    "--generator-spectral-norm --orthogonal 1e-4 --d-steps 2 --ema 0.9",
    "biggan, told": "--model biggan --side 16 --channels 1 --width 8 --loss nonsaturating --penalty r1 "
    "--ema 0.9 --clusters 3",
    "unet, told": "--model unet --side 16 --channels 1 --width 4 --cutmix 1 --spectral-norm --clusters 3 --lr 5e-5",
    "unet": "--model unet --side 16 --channels 1 --width 4 --loss relativistic --penalty r1 --ema 0.9",
    "transgan": "--model transgan --side 16 --channels 1 --width 4 --loss hinge --penalty r1 --ema 0.9",
    "transgan, told": "--model transgan --side 16 --channels 1 --width 4 --clusters 3",
    "scales, told": "--model resnet --side 32 --channels 1 --width 4 --scales 2 --penalty r1 --clusters 3",
    "wgan_gp": "--model resnet --side 16 --channels 1 --width 4 --norm layer --loss wasserstein "
    "--penalty gradient_penalty --dropout 0.1",
    "stylegan2": "--model stylegan2 --side 8 --channels 1 --width 4 --loss nonsaturating --penalty r1 "
    "--path-length 2 --path-length-every 1",
    "fastgan": "--model fastgan --side 32 --channels 1 --width 4 --loss hinge --reconstruction 1 "
    "--augment color,translation --ema 0.9",
    "progan": "--model progan --side 8 --channels 1 --width 4 --loss wasserstein "
    "--penalty gradient_penalty --drift 0.1",
    "msggan": "--model msggan --side 8 --channels 1 --width 4 --loss hinge --penalty r1 --ema 0.9",
    "lapgan": "--model lapgan --side 8 --channels 1 --width 4 --penalty r1 --ema 0.9",
    "r3gan": "--model r3gan --side 8 --channels 1 --width 8 --loss relativistic --penalty r1_r2",
}


BLOCKS = nn.ResidualBlock, nn.GroupedResidualBlock, TransformerBlock


def game(name, *, again=False, device="cpu"):
    """The game, its residual blocks computed again if that is asked for."""
    arguments = [*GAMES[name].split(), "--latent", "normal", "--z-dim", "6", "--batch-size", "4", "--device", device]
    mg.random.seed(0)
    found = recipe.build(Settings.parsed(recipe.options(arguments), arguments, "train"))
    for player in found.players.values() if again else ():
        for block in player.modules():
            if isinstance(block, BLOCKS):
                nn.checkpointed(block)
    return found


def images(name):
    side = int(GAMES[name].split("--side ")[1].split()[0])
    drawn = np.random.default_rng(0).uniform(-1, 1, (4, 1, side, side)).astype("float32")
    labels = np.array([0, 2, 1, 2])
    return lambda index: (mg.tensor(drawn), mg.tensor(labels)) if "told" in name else mg.tensor(drawn)


@pytest.mark.parametrize("name", GAMES)
def test_replayed_and_resumed_to_the_bit(name):
    replays_exactly(lambda: game(name), lambda: images(name))
    continues_exactly(*(game(name) for _ in range(3)), images(name))


@pytest.mark.parametrize("name", GAMES)
def test_with_blocks_that_are_computed_again(name):
    replays_exactly(lambda: game(name, again=True), lambda: images(name), rounds=8)
    plain, again = game(name), game(name, again=True)
    for _ in range(3):
        expected, found = ({k: v.item() for k, v in g.play(images(name)).items()} for g in (plain, again))
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", GAMES)
def test_on_a_gpu(name, monkeypatch):
    fakecupy.install(monkeypatch)
    on_cpu, on_cuda, _ = losses_on_both(lambda device: game(name, device=device), images(name))
    assert fakecupy.counts.graphs > 0
    for ours, theirs in zip(on_cuda, on_cpu, strict=True):
        assert ours == pytest.approx(theirs, rel=2e-3, abs=1e-3)
