"""A discriminator that ends in a direction: SAN's two losses, by hand; which losses have them; in every network."""

import fakecupy
import numpy as np
import pytest
from cuda_games import losses_on_both
from parity import torch
from replayed_game import replays_exactly
from resumed_game import continues_exactly
from single_turn import take

import minigan as mg
from minigan import nn
from minigan.command import networks, recipe
from minigan.errors import ShapeError
from minigan.gan import Moves, Sight, Turn, losses, penalties
from minigan.tensor import Tensor
from minigan.training import Settings

REAL = Tensor(np.random.default_rng(0).normal(size=(6, 2)))
CLASSES = 4


def test_it_computes_what_linear_does_and_in_training_twice(rng):
    layer, plain, x = nn.SlicedLinear(5, 3), nn.Linear(5, 3), Tensor(rng.normal(size=(4, 5)).astype("float32"))
    layer.load_state_dict(plain.state_dict() | {"scale": layer.scale.numpy()})
    layer.rescale()
    features, direction = layer(x)
    np.testing.assert_allclose(features.numpy(), plain(x).numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(direction.numpy() + plain.bias.numpy(), features.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer.eval()(x).numpy(), features.numpy(), rtol=1e-5, atol=1e-6)
    layer.scale.copy_(2 * layer.scale.numpy())
    np.testing.assert_allclose(layer(x).numpy() - plain.bias.numpy(), 2 * direction.numpy(), rtol=1e-5, atol=1e-6)


def test_what_moves_the_features_holds_the_direction_and_the_other_way_round(rng):
    layer = nn.SlicedLinear(5, 2).to(dtype="float64")
    x = Tensor(rng.normal(size=(4, 5)))
    moved = [x, layer.weight, layer.scale, layer.bias]
    features, direction = (mg.sum(mg.square(y)) for y in layer(x))
    assert [g.numpy().any() for g in mg.grad(features, moved)] == [True, False, True, True]
    slopes = mg.grad(direction, moved)
    assert [g.numpy().any() for g in slopes] == [False, True, False, False]
    along = (slopes[1].numpy() * layer.weight.numpy()).sum(1)
    np.testing.assert_allclose(along, 0, atol=1e-12)  # a direction has no length to be moved


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ShapeError, match=r"SlicedLinear: expected \(\.\.\., 5\), got \(4, 3\)"):
        nn.SlicedLinear(5, 2)(mg.ones((4, 3)))
    with pytest.raises(ShapeError, match="SlicedLinear: out_features: expected an integer >= 1, got 0"):
        nn.SlicedLinear(5, 0)


def game(loss=losses.hinge, schedule=None, dtype="float64", lr=1.0, **options):
    mg.random.seed(1)
    G = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2)).to(dtype=dtype)
    D = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.SlicedLinear(8, 1)).to(dtype=dtype)
    return mg.gan.ScoreGame(
        *(G, D),
        loss=loss,
        latent=mg.gan.normal_latent(3, dtype=dtype),
        generator_optimizer=mg.optim.SGD(G.parameters(), lr),
        discriminator_optimizer=mg.optim.SGD(D.parameters(), lr),
        schedule=schedule,
        **options,
    )


sp, s = torch.nn.functional.softplus, torch.sigmoid
PAPER = {  # D's loss and -J' of the generator's, of scores
    "hinge": (lambda r, f: torch.relu(1 - r).mean() + torch.relu(1 + f).mean(), torch.ones_like),
    "wasserstein": (lambda r, f: f.mean() - r.mean(), torch.ones_like),
    "nonsaturating": (lambda r, f: sp(-r).mean() + sp(f).mean(), lambda v: 1 - s(v)),
    "minimax": (lambda r, f: sp(-r).mean() + sp(f).mean(), s),
    "likelihood": (lambda r, f: sp(-r).mean() + sp(f).mean(), torch.exp),
}


def by_hand(played, name, z):
    """(gradients of D's weights by name, its loss) of Takida et al. 2024, with a D without a stop of any gradient.

    The features' gradient is that of the game's loss, the direction's that of its own; both are put together here.
    """
    D = {key: torch.tensor(t.numpy(), requires_grad=True) for key, t in played.discriminator.state_dict().items()}
    of_game, weigh = PAPER[name]

    def parts(x):
        h = torch.tanh(torch.tensor(x) @ D["0.weight"].T + D["0.bias"])
        direction = D["2.weight"] / D["2.weight"].norm()
        return h, direction, D["2.scale"] * (h @ direction.T) + D["2.bias"]

    (h, direction, real), (g, _, fake) = parts(REAL.numpy()), parts(played.generator(z).numpy())
    loss = of_game(real, fake)
    means = [(weigh(v) / weigh(v).sum() * u).sum(0).detach() for v, u in ((real, h), (fake, g))]
    apart = (D["2.scale"].detach() * direction * (means[1] - means[0])).sum()
    held = [D[key] for key in ("0.weight", "0.bias", "2.scale", "2.bias")]
    slopes = dict(zip(("0.weight", "0.bias", "2.scale", "2.bias"), torch.autograd.grad(loss, held), strict=True))
    slopes["2.weight"] = torch.autograd.grad(apart, D["2.weight"])[0]
    return {key: value.numpy() for key, value in slopes.items()}, (loss + apart).item()


@pytest.mark.parametrize("turn", ["discriminator_turn", "simultaneous_turn", "one_pass_turn", "shared_turn"])
@pytest.mark.parametrize("name", PAPER)
def test_the_discriminators_step_is_that_of_the_paper(name, turn):
    played = game(losses.LOSSES[name], [Turn(turn)])
    z = played.latent(6, mg.random.Stream(0))
    played.noise = lambda batch: z
    slopes, loss = by_hand(played, name, z)
    before = {key: t.numpy() for key, t in played.discriminator.state_dict().items()}
    fakes = losses.LOSSES[name].generator(game(losses.LOSSES[name]).discriminator.eval()(played.generator(z)))
    shown = take(played, turn, REAL)
    for key, t in played.discriminator.state_dict().items():
        np.testing.assert_allclose(t.numpy(), before[key] - slopes[key], rtol=1e-9, atol=1e-11, err_msg=key)
    assert shown["d_loss"].item() == pytest.approx(loss, rel=1e-10)
    if turn in ("simultaneous_turn", "one_pass_turn"):  # against D as it was
        assert shown["g_loss"].item() == pytest.approx(fakes.item(), rel=1e-10)


def test_energies_turn_the_direction():
    plain, turned = game(losses.wasserstein), game(losses.lab_printed)
    for p in (turned.discriminator[2].weight, turned.discriminator[2].bias):
        p.copy_(-p.numpy())
    for played in (plain, turned):
        take(played, "discriminator_turn", REAL)
    np.testing.assert_allclose(turned.discriminator[2].weight.numpy(), -plain.discriminator[2].weight.numpy())
    np.testing.assert_allclose(turned.discriminator[0].weight.numpy(), plain.discriminator[0].weight.numpy())


def test_scores_that_weigh_nothing_leave_the_direction_where_it_is():
    played = game(losses.nonsaturating, dtype="float32")
    played.discriminator[2].bias.copy_(np.full(1, 500, "float32"))
    before = played.discriminator[2].weight.numpy()
    take(played, "discriminator_turn", REAL.astype("float32"))
    np.testing.assert_array_equal(played.discriminator[2].weight.numpy(), before)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_which_losses_fall_all_the_way(name):
    loss = losses.LOSSES[name]
    if loss.compares:
        with pytest.raises(ShapeError, match=f"that of {name} compares scores, or rises again"):
            game(loss)
        return
    scores = Tensor(np.linspace(-9.0, 9.0, 37))
    slopes = mg.grad(loss.generator(scores), scores).numpy() * (-1 if loss.lower else 1)
    assert loss.monotone == (slopes <= 0).all()
    if loss.monotone:
        game(loss).play(lambda k: REAL)
    else:
        with pytest.raises(ShapeError, match=f"that of {name} compares scores, or rises again"):
            game(loss)


@pytest.mark.parametrize(
    "options",
    [
        {"penalty": penalties.r1, "penalty_weight": 0.1, "loss": losses.nonsaturating},
        {"moves": Moves(unroll=2)},
        {"moves": Moves(consensus=0.1)},
        {"moves": Moves(latent_optimisation=0.9)},
        {"sight": Sight(joint_batches=True, instance_noise=0.1, replay=32)},
        {"schedule": [Turn("one_pass_turn")]},
    ],
)
def test_it_goes_with_other_switches_replayed_and_resumed(options):
    def make():
        return game(dtype="float32", lr=0.01, **options)

    real = REAL.astype("float32")
    replays_exactly(make, lambda: lambda k: Tensor(real.data * (1 + 0.01 * k)))
    continues_exactly(make(), make(), make(), lambda k: real)


def test_it_is_the_same_on_a_gpu(monkeypatch):
    fakecupy.install(monkeypatch)
    real = REAL.astype("float32")

    def make(device):
        played = game(losses.nonsaturating, dtype="float32", lr=0.01, penalty=penalties.approximated_r1)
        for player in played.players.values():
            player.to(device)
        return mg.gan.ScoreGame(
            *played.players.values(),
            loss=played.loss,
            penalty=played.penalty,
            latent=played.latent,
            generator_optimizer=mg.optim.SGD(played.generator.parameters(), 0.01),
            discriminator_optimizer=mg.optim.SGD(played.discriminator.parameters(), 0.01),
        )

    on_cpu, on_cuda, _ = losses_on_both(make, lambda k: real)
    assert fakecupy.counts.graphs > 0
    for ours, theirs in zip(on_cuda, on_cpu, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-5)


def built(line):
    return recipe.build(Settings.parsed(recipe.options([]), line.split(), "train"))


SMALL = {
    "dcgan": "--side 16 --width 2 --norm none --spectral-norm",
    "sndcgan": "--side 16 --width 2",
    "resnet": "--side 16 --width 2",
    "biggan": "--side 16 --width 2",
    "transgan": "--side 16 --width 4",
    "r3gan": "--side 16 --width 8",
    "stylegan2": "--side 16 --width 2",
    "mlp512": "--side 16",
}


ENDS_OTHERWISE = {"unet", "fastgan", "progan", "msggan", "lapgan"}


@pytest.mark.parametrize("model", sorted({*networks.NETWORKS} - ENDS_OTHERWISE))
def test_every_network_ends_in_one_that_is_what_it_was(model):
    line = f"--model {model} {SMALL.get(model, '')}"
    plain, sliced = built(line), built(f"{line} --san")
    assert [type(m) for m in sliced.discriminator.modules()].count(nn.SlicedLinear) == 1
    shape = plain.sample(2).shape[1:]
    x = Tensor(mg.random.Stream(0).uniform((4, *shape), -1, 1))
    for played in (plain, sliced):
        played.discriminator.eval()
    if "spectral" not in line:  # which the direction does without
        np.testing.assert_allclose(
            sliced.discriminator(x).numpy(), plain.discriminator(x).numpy(), rtol=1e-4, atol=1e-5
        )
    sliced.discriminator.train()
    shown = sliced.play(lambda k: x)
    assert all(np.isfinite(value.item()) for value in shown.values())


@pytest.mark.parametrize("model", sorted({*networks.NETWORKS} - ENDS_OTHERWISE))
def test_every_such_network_may_compare_samples_before_it(model):
    """What D makes of the rest is as it was; the weights of closeness are the last columns of its last layer."""
    line = f"--model {model} {SMALL.get(model, '')}".replace("--spectral-norm", "")
    plain, comparing = (built(f"{line} {more}").discriminator.eval() for more in ("", "--minibatch-discrimination 6"))
    x = Tensor(mg.random.Stream(0).uniform((4, *built(line).sample(1).shape[1:]), -1, 1))
    *_, found, last = comparing
    assert isinstance(found, nn.MinibatchDiscrimination)
    assert (found.T.shape[1], last.weight.shape[1]) == (6, found.T.shape[0] + 6)
    assert np.abs(last.weight.numpy()[:, -6:]).min() > 0
    last.weight.copy_(np.concatenate([last.weight.numpy()[:, :-6], np.zeros_like(last.weight.numpy()[:, -6:])], 1))
    np.testing.assert_allclose(comparing(x).numpy(), plain(x).numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("more", ["--san", "--clusters 3", "--pack 2", "--penalty r1", "--spectral-norm"])
def test_a_game_in_which_d_compares_samples_is_played(more):
    line = f"--model dcgan --side 16 --width 2 --loss hinge --minibatch-discrimination 4 {more}"
    with mg.random.using(mg.random.Stream(0)):
        played = built(line)
    x = mg.random.Stream(1).uniform((8, 3, 16, 16), -1, 1)
    before = [p.numpy() for p in played.discriminator.parameters()]
    batch = (mg.tensor(x), mg.tensor(np.arange(8) % 3)) if played.labelled else mg.tensor(x)
    shown = [played.play(lambda k: batch) for _ in range(2)]
    assert all(np.isfinite(value.item()) for value in shown[-1].values())
    now = [p.numpy() for p in played.discriminator.parameters()]
    assert [p.shape for p in now if p.ndim == 3] == [(16, 4, 5)]
    assert not any(map(np.array_equal, now, before))


def test_a_game_of_labels_has_a_direction_for_each_class():
    mg.random.seed(0)
    G, D = nn.Linear(3 + CLASSES, 2), nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.SlicedLinear(8, CLASSES))
    G, D = mg.models.of_classes(mg.models.Players(G, D), CLASSES)
    played = mg.gan.ConditionalGame(
        *(G, D),
        classes=CLASSES,
        loss=losses.hinge,
        latent=mg.gan.normal_latent(3),
        generator_optimizer=mg.optim.SGD(G.parameters(), 0.1),
        discriminator_optimizer=mg.optim.SGD(D.parameters(), 0.1),
    )
    before = played.state["discriminator.network.2.weight"].numpy()
    played.play(lambda k: (REAL.astype("float32"), mg.tensor(np.array([0, 1, 1, 0, 3, 3]))))
    moved = (played.state["discriminator.network.2.weight"].numpy() != before).any(1)
    assert moved.tolist() == [True, True, False, True]


def test_where_it_has_no_place_it_is_refused():
    with pytest.raises(ShapeError, match="the weights of san"):
        game().accumulate(2)
    G, D = nn.Linear(3, 2), nn.SlicedLinear(2, 1)
    code = mg.gan.LatentCode(noise=0, categories=2, continuous=1)
    parts = dict.fromkeys(("generator_optimizer", "discriminator_optimizer"), mg.optim.SGD(G.parameters(), 0.1))
    with pytest.raises(ShapeError, match="where this game has D read something"):
        mg.gan.InfoGame(G, D, loss=losses.hinge, code=code, **parts)
    with pytest.raises(ShapeError, match="--san: the last layer of mine's D is neither dense nor a convolution"):
        networks.sliced(nn.Sequential(nn.Linear(2, 1), nn.Sigmoid()), "mine")
    with pytest.raises(ShapeError, match="--minibatch-discrimination: the last layer of fastgan's D is neither dense"):
        built("--model fastgan --minibatch-discrimination 3")
    with pytest.raises(ShapeError, match="MinibatchDiscrimination"):
        built("--model dcgan --side 16 --width 2 --one-pass --minibatch-discrimination 3")
