"""SinGAN: who moves when, by which losses, what a scale begins with, what it draws of which size."""

import fakecupy
import numpy as np
import pytest
from cuda_games import losses_on_both
from replayed_game import ROUNDS, replays_exactly
from resumed_game import continues_exactly, numbers
from single_turn import take
from systems import furthest

import minigan as mg
from minigan.errors import ShapeError
from minigan.gan import SinGAN, memory_needed
from minigan.gan.singan import pixel_penalty
from minigan.models.singan import scale_sides, smaller
from minigan.processes import Threads
from minigan.random import Stream
from minigan.tensor import Tensor

PICTURE = np.random.default_rng(0).uniform(-1, 1, (1, 2, 18, 18))


def game(rounds=3, device="cpu", dtype="float32", **options):
    """Scales of 14 and 18 pixels."""
    players = mg.models.singan(18, channels=2, width=3, smallest=12, rng=Stream(0))
    G, D = (player.to(device, dtype) for player in players)
    made = [[mg.optim.Adam(s.parameters(), 5e-4, (0.5, 0.999)) for s in player.scales] for player in (G, D)]
    optimizers = {"generator_optimizers": made[0], "discriminator_optimizers": made[1]}
    return SinGAN(G, D, **optimizers, rounds_per_scale=rounds, **options)


def batch(n=1, dtype="float32"):
    return lambda k: mg.tensor(PICTURE.repeat(n, 0).astype(dtype))


def changed(before, after):
    return {".".join(name.split(".")[:3]) for name, value in before.items() if not np.array_equal(value, after[name])}


def test_sides_from_coarse_to_fine():
    assert scale_sides(64) == [20, 27, 36, 48, 64]
    assert scale_sides(250, smallest=25)[:2] == [25, 33]
    assert scale_sides(20) == [20]
    for wrong in ((64, 1.0, 20), (64, 0.0, 20), (16, 0.75, 20), (64, 0.75, 10)):
        with pytest.raises(ShapeError, match=r"0 < factor < 1 and 11 <= smallest <= side"):
            scale_sides(*wrong)


def test_maps_are_doubled_after_four_scales():
    G, D = mg.models.singan(64, width=8)
    assert [s[1].weight.shape[0] for s in G.scales] == [8, 8, 8, 8, 16]
    assert [s[0].weight.shape[0] for s in D.scales] == [8, 8, 8, 8, 16]
    assert G.num_parameters(buffers=True) <= G.held([20, 27, 36, 48, 64], 3, 8) <= 1.1 * G.num_parameters(buffers=True)


def test_scales_play_one_after_the_other_and_stay_as_they_are():
    played = game(rounds=2)
    coarse = {f"{player}.scales.0" for player in played.players}
    fine = {f"{player}.scales.1" for player in played.players}
    adams = {f"{player}_{{}}_optimizer" for player in ("generator", "discriminator")}

    def moved(names):
        return {name for name in names if not name.startswith(tuple(a.format(k) for a in adams for k in (0, 1)))}

    before = numbers(played)
    for _ in range(2):
        played.play(batch())
    after = numbers(played)
    assert moved(changed(before, after)) == coarse | {"generator.amplitude", "step"}
    for _ in range(3):
        played.play(batch())
    assert moved(changed(after, numbers(played))) == fine | {"generator.amplitude", "step"}
    steps = [played.optimizers[f"{player}_{k}"].t.item() for player in played.players for k in (0, 1)]
    assert steps == [6, 9, 6, 9], "each three times a round"


def test_a_scale_begins_with_the_weights_before_it_and_with_noise_as_more_is_missing():
    played = game(rounds=2)
    for _ in range(2):
        played.play(batch())
    G = played.generator
    with mg.nn.evaluating(G):
        again = mg.interpolate(G.reconstruction(1), (18, 18), mode="bilinear").numpy()
    last = [s.state_dict()["1.weight"].numpy() for s in G.scales]
    played._begin(1, batch())
    assert G.amplitude.numpy() == pytest.approx([1, 0.1 * np.sqrt(((again - PICTURE) ** 2).mean())])
    assert not np.array_equal(*last)
    assert np.array_equal(G.scales[1].state_dict()["1.weight"].numpy(), last[0])


def test_learning_rates_fall_in_the_last_fifth_of_each_scale():
    played, seen = game(rounds=5), []
    for _ in range(11):
        played.play(batch())
        seen.append([round(played.optimizers[f"generator_{k}"].lr / 5e-4, 3) for k in (0, 1)])
    assert seen == [[1, 1]] * 4 + [[0.1, 1]] * 5 + [[0.1, 0.1]] * 2


def slopes(loss, player):
    return [g.numpy() for g in mg.grad(loss, player.parameters())]


@pytest.mark.parametrize("scale", [0, 1])
def test_losses_are_the_papers(scale):
    played, other = (game(rounds=1, dtype="float64", reconstruction_weight=7.0, penalty_weight=0.3) for _ in "ab")
    for g in (played, other):
        g.graphs = False
        for _ in range(scale):
            g.play(batch(2, "float64"))
        g._begin(scale, batch(2, "float64"))
    real = Tensor(PICTURE.repeat(2, 0))
    G, D = other.generator, other.discriminator.scales[scale]
    x = smaller(real, G.sides[scale])
    z = other.latent(2, other.stream("noise").at(0))
    noises = G.split(z)

    def fakes():
        if scale == 0:
            return G.scales[0](noises[0])
        with mg.nn.evaluating(G.scales[0]):
            before = mg.interpolate(G.scales[0](noises[0]), (18, 18), mode="bilinear")
        return before + G.scales[1](before + G.amplitude[1] * noises[1])

    fake = fakes().detach()
    with mg.random.using(other.stream("discriminator").at(0)) as rng:
        penalty = pixel_penalty(D, x, fake, rng=rng)
    shown = take(played, "discriminator_turn", real)
    expected = mg.mean(D(fake)) - mg.mean(D(x)) + 0.3 * penalty
    assert shown["d_loss"].item() == pytest.approx(expected.item())
    assert shown["penalty"].item() == pytest.approx(penalty.item())

    played.discriminator.load_state_dict(other.discriminator.state_dict())
    if scale == 0:
        again = G.scales[0](G.fixed)
    else:
        with mg.nn.evaluating(G.scales[0]):
            before = mg.interpolate(G.scales[0](G.fixed), (18, 18), mode="bilinear")
        again = before + G.scales[1](before)
    error = mg.mean(mg.square(again - x[:1]))
    g_loss = -mg.mean(D(fakes()))
    grads = slopes(g_loss + 7.0 * error, G.scales[scale])
    optimizer, found = played.optimizers[f"generator_{scale}"], []
    optimizer.minimize = lambda loss: found.extend(slopes(loss, played.generator.scales[scale]))
    shown = take(played, "generator_turn", real)
    assert shown["g_loss"].item() == pytest.approx(g_loss.item())
    assert shown["reconstruction"].item() == pytest.approx(error.item())
    for ours, theirs in zip(found, grads, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_the_penalty_is_on_the_slope_at_each_pixel():
    weights = mg.tensor(np.array([3.0, 4.0]).reshape(1, 2, 1, 1))
    real, fake = Tensor(PICTURE), Tensor(-PICTURE)
    assert pixel_penalty(lambda x: x * weights, real, fake, rng=Stream(0)).item() == pytest.approx(16)
    with pytest.raises(ShapeError, match="real images are"):
        pixel_penalty(lambda x: x, real, fake[:, :, 1:], rng=Stream(0))
    rng = np.random.default_rng(1)
    net = mg.nn.Sequential(mg.nn.Conv2d(2, 3, 3), mg.nn.Tanh(), mg.nn.Conv2d(3, 1, 3)).to(dtype="float64")
    w = net.parameters()[0]
    x = Tensor(rng.normal(size=(2, 2, 6, 6)))

    def penalty(w):
        critic = lambda x: mg.nn.functional_call(net, {"0.weight": w}, x)
        return pixel_penalty(critic, x, -x, rng=Stream(0))

    mg.testing.gradcheck(penalty, w, order=1, rtol=1e-5)


def test_images_of_any_size_and_scales_that_have_not_begun():
    played = game(rounds=2)
    z = played.latent(3, Stream(1))
    G = played.generator
    assert (z.shape, G.dim) == ((3, G.dim), 2 * (14 * 14 + 18 * 18))
    for k in range(4):
        played.play(batch())
        with mg.nn.evaluating(G):
            coarse = mg.interpolate(G.scales[0](G.split(z)[0]), (18, 18), mode="bilinear").numpy()
        assert np.array_equal(played.generate(z).numpy(), coarse) == (k < 2)
    assert played.sized(2, 18, 40).shape == (2, 2, 18, 40)
    assert np.array_equal(played.sized(2, 9, 40).numpy(), played.sized(2, 9, 40).numpy())
    assert played.reconstruct().shape == (1, 2, 18, 18)
    with pytest.raises(ShapeError, match=r"expected noise \(N, 1040\), got \(3, 1039\)"):
        G(z[:, 1:])


@pytest.mark.slow
def test_the_picture_is_reconstructed():
    played = game(rounds=60, reconstruction_weight=100.0)
    before = np.square(played.reconstruct().numpy() - PICTURE).mean()
    for _ in range(120):
        played.play(batch())
    assert np.square(played.reconstruct().numpy() - PICTURE).mean() < 0.6 * before


def test_replayed_to_the_bit():
    replays_exactly(lambda: game(ROUNDS), batch, rounds=2 * ROUNDS)


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_resumed_to_the_bit(rounds):
    """At the start of a scale, and within one."""
    continues_exactly(*(game(rounds) for _ in range(3)), batch())


def test_what_it_needs_is_known_of_its_last_scale_and_leaves_it_as_it_was():
    played, twin = game(5), game(5)
    found = memory_needed(played, batch(4))
    assert found.sample > 4 * 18 * 18 * 2
    for _ in range(6):
        ours, theirs = played.play(batch()), twin.play(batch())
        assert {k: v.item() for k, v in ours.items()} == {k: v.item() for k, v in theirs.items()}


def test_on_a_gpu(monkeypatch):
    fakecupy.install(monkeypatch)
    on_cpu, on_cuda, _ = losses_on_both(lambda device: game(3, device), batch())
    for ours, theirs in zip(on_cuda, on_cpu, strict=True):
        assert ours == pytest.approx(theirs, rel=2e-3, abs=1e-3)


def test_two_processes_play_what_one_plays():
    def play(group=None):
        played = game(2, dtype="float64")
        if group is not None:
            played.distribute(group)
        for _ in range(4):
            played.play(batch(4, "float64"))
        return played, numbers(played)

    alone, state = play()
    for _, found in Threads(2).run(play):
        assert furthest(alone, state, found) < 1e-12


def test_what_cannot_be_is_refused():
    with pytest.raises(ShapeError, match=r"batch in 2 parts is not the whole one .*BatchNorm2d"):
        game().accumulate(2)
    with pytest.raises(ShapeError, match="sides from coarse to fine"):
        mg.models.Pyramid([20, 15])
    G, D = mg.models.singan(18, smallest=12)
    with pytest.raises(ShapeError, match=r"expected 2 critics, and as many optimizers of each side, got \[2, 0, 0\]"):
        SinGAN(G, D, generator_optimizers=[], discriminator_optimizers=[])
