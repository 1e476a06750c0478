"""pix2pix with feature matching and discriminators of two sizes, against pix2pixHD's formulas in PyTorch."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from parity import torch
from replayed_game import replays_exactly
from resumed_game import continues_exactly

import minigan as mg
from minigan import data
from minigan.data import Pair
from minigan.errors import ShapeError
from minigan.gan.translation import Pix2Pix, of_features
from minigan.models import UNetTranslator, patch_discriminators

F = torch.nn.functional
LR = 0.01
VALUES = np.random.default_rng(0).integers(0, 256, (40, 3, 16, 16)).astype(np.uint8)
PAIRS = Pair(VALUES, VALUES[:, :1] // 2)


class Both(NamedTuple):
    """A batch."""

    target: Any
    source: Any


def players(scales, norm="instance"):
    with mg.random.using(mg.random.Stream(0)):
        G = UNetTranslator(1, 3, 2, 4, norm, dropout=0)
        return G, patch_discriminators(4, 16, scales, width=4, halvings=1, norm=norm)


def sgd(player):
    return mg.optim.SGD(player.parameters(), LR)


def game_of(scales=2, **parts):
    G, D = players(scales)
    options = {"generator_optimizer": sgd(G), "discriminator_optimizer": sgd(D), "feature_matching": 10.0, **parts}
    game = Pix2Pix(G, D, **options)
    game.meet(PAIRS)
    return game


def drawn():
    return data.shuffled_batches(PAIRS, 4)


def layers_in_torch(of_one):
    """The same layers of patches, with the same weights."""
    found = []
    for layer in of_one:
        if isinstance(layer, mg.nn.Conv2d):
            o, i, k, _ = layer.weight.shape
            conv = torch.nn.Conv2d(i, o, k, layer.options["stride"], layer.options["padding"]).double()
            conv.load_state_dict({name: torch.tensor(t.numpy()) for name, t in layer.state_dict().items()})
            found.append(conv)
        else:
            norm = isinstance(layer, mg.nn.InstanceNorm2d)
            found.append(torch.nn.InstanceNorm2d(o) if norm else torch.nn.LeakyReLU(0.2))
    return found


def seen_in_torch(layers, x):
    """(scores, what each LeakyReLU gives)."""
    seen = []
    for layer in layers:
        x = layer(x)
        if isinstance(layer, torch.nn.LeakyReLU):
            seen.append(x)
    return x, seen


@pytest.mark.parametrize("scales", [1, 2])
def test_a_step_with_feature_matching(scales, rng):
    """D's step by plain losses; G's by scores, ten times the features' differences, and the distance."""
    G, D = players(scales)
    G.to(dtype="float64")
    D.to(dtype="float64")
    critics = [layers_in_torch(each) for each in (D.discriminators if scales > 1 else [D])]
    game = Pix2Pix(
        *(G, D), generator_optimizer=sgd(G), discriminator_optimizer=sgd(D), l1_weight=7.0, feature_matching=10.0
    )
    x, y = rng.standard_normal((2, 1, 16, 16)), rng.uniform(-1, 1, (2, 3, 16, 16))
    made, weights = G(mg.tensor(x)), [p.numpy() for p in G.parameters()]
    found = game.play(lambda k: Both(mg.tensor(y), mg.tensor(x)))
    source, target = torch.tensor(x), torch.tensor(y)
    fake = torch.tensor(made.numpy(), requires_grad=True)

    def seen(image):
        joined = torch.cat([source, image], 1)
        return [seen_in_torch(critic, F.avg_pool2d(joined, 2) if k else joined) for k, critic in enumerate(critics)]

    parameters = [p for critic in critics for layer in critic for p in layer.parameters()]
    pairs = list(zip(seen(target), seen(fake.detach()), strict=True))
    d_loss = sum(F.softplus(-real).mean() + F.softplus(other).mean() for (real, _), (other, _) in pairs) / (2 * scales)
    with torch.no_grad():
        for p, g in zip(parameters, torch.autograd.grad(d_loss, parameters), strict=True):
            p -= LR * g
    pairs = list(zip(seen(target), seen(fake), strict=True))
    differs = sum(F.l1_loss(b, a.detach()) for (_, real), (_, other) in pairs for a, b in zip(real, other, strict=True))
    of_scores, differs = sum(F.softplus(-other).mean() for _, (other, _) in pairs) / scales, differs / scales
    apart = (fake - target).abs().mean()
    expected = {"d_loss": d_loss, "g_loss": of_scores, "features": differs, "l1": apart}
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value.item(), rel=1e-9), name
    (slope,) = torch.autograd.grad(of_scores + 10 * differs + 7 * apart, fake)
    moved = [p.numpy() for p in G.parameters()]
    for p, before in zip(G.parameters(), weights, strict=True):
        p.copy_(before)
    grads = mg.grad(G(mg.tensor(x)), G.parameters(), mg.tensor(slope.numpy()))
    for p, before, g in zip(moved, weights, grads, strict=True):
        np.testing.assert_allclose(p, before - LR * g.numpy(), rtol=1e-9, atol=1e-12)
    names = [name for name, _ in D.named_parameters()]
    for name, p, theirs in zip(names, D.parameters(), parameters, strict=True):
        np.testing.assert_allclose(p.numpy(), theirs.detach().numpy(), rtol=1e-9, atol=1e-12, err_msg=name)


def test_features_are_as_far_apart_as_the_sum_over_layers_in_the_mean_over_sizes():
    a = [[mg.tensor(np.array([[1.0, 3.0]])), mg.tensor(np.array([[2.0]]))], [mg.tensor(np.array([[5.0, 5.0, 8.0]]))]]
    b = [[mg.tensor(np.array([[0.0, 0.0]])), mg.tensor(np.array([[4.0]]))], [mg.tensor(np.array([[5.0, 5.0, 5.0]]))]]
    assert of_features(a, b).item() == pytest.approx((2.0 + 2.0 + 1.0) / 2)


@pytest.mark.parametrize("scales", [1, 2])
def test_it_is_replayed_and_resumed(scales):
    replays_exactly(lambda: game_of(scales), drawn)
    continues_exactly(*(game_of(scales) for _ in range(3)), drawn())


def test_without_weight_nothing_is_matched():
    assert "features" not in game_of(feature_matching=0.0).play(drawn())
    with pytest.raises(ShapeError, match="Pix2Pix: feature_matching: expected a finite number >= 0, got -1"):
        game_of(feature_matching=-1.0)
