"""Learning from a few labels: the losses in closed form, the labels' choice, who moves, the networks' start."""

import numpy as np
import pytest
from moved_parameters import movable
from replayed_game import replays_exactly
from resumed_game import continues_exactly, numbers
from single_turn import take

import minigan as mg
from minigan.gan import Batch, SemiSupervised, salimans28, uniform_latent
from minigan.gan.semi import LABELS_ALONE, balanced, feature_matching, realness, unlabelled_loss
from minigan.random import Stream
from minigan.tensor import Tensor


def images(k, n=6):
    return mg.tensor(np.random.default_rng(k).uniform(-1, 1, (n, 1, 28, 28)).astype("float32"))


def game(seed=0, ema=0.9, units=(12, 8), **options):
    mg.random.seed(seed)
    G, C = mg.models.semi28(5, units)
    mg.models.scale_to_data(C, images(99, 30))
    return SemiSupervised(
        *(G, C),
        *(images(98, 20), mg.tensor(np.arange(20) % 10)),
        latent=uniform_latent(5, 0.0, 1.0),
        generator_optimizer=mg.optim.Adam(G.parameters(), 3e-3, (0.5, 0.999)),
        classifier_optimizer=mg.optim.Adam(C.parameters(), 3e-3, (0.5, 0.999)),
        ema=mg.optim.EMA(C, ema),
        seed=seed,
        **options,
    )


def test_losses_in_closed_form(rng):
    """With a K+1-th logit of 0 for fakes, softmax over K+1 classes gives the two probabilities of the paper."""
    real, fake = rng.standard_normal((5, 3)), rng.standard_normal((4, 3))
    p_fake = [1 / (1 + np.exp(x).sum(1)) for x in (real, fake)]
    np.testing.assert_allclose(mg.sigmoid(realness(Tensor(real))).numpy(), 1 - p_fake[0], rtol=1e-12)
    expected = -0.5 * (np.log(1 - p_fake[0]).mean() + np.log(p_fake[1]).mean())
    assert unlabelled_loss(Tensor(real), Tensor(fake)).item() == pytest.approx(expected, rel=1e-12)
    lse = [np.log(np.exp(x).sum(1)) for x in (real, fake)]
    as_printed = 0.5 * (-lse[0].mean() + np.logaddexp(0, lse[0]).mean() + np.logaddexp(0, lse[1]).mean())
    assert expected == pytest.approx(as_printed, rel=1e-12)
    matched = ((real.mean(0) - fake.mean(0)) ** 2).mean()
    assert feature_matching(Tensor(real), Tensor(fake)).item() == pytest.approx(matched, rel=1e-12)
    mg.testing.gradcheck(unlabelled_loss, [Tensor(real), Tensor(fake)])
    mg.testing.gradcheck(feature_matching, [Tensor(real), Tensor(fake)])
    mg.testing.gradcheck(realness, Tensor(real))


def test_losses_are_finite_on_extreme_logits():
    logits = mg.tensor([[-1e4, 1e4], [1e4, 1e4], [-1e4, -1e4]])
    loss = unlabelled_loss(logits, logits)
    assert np.isfinite(loss.item())
    assert np.isfinite(mg.grad(loss, logits).numpy()).all()


def test_known_labels_are_balanced_and_the_seeds_choice(rng):
    labels = rng.integers(0, 10, 500)
    chosen = balanced(labels, 50, Stream(0))
    assert np.bincount(labels[chosen]).tolist() == [5] * 10
    assert len(set(chosen.tolist())) == 50
    assert np.array_equal(chosen, balanced(labels, 50, Stream(0)))
    assert not np.array_equal(chosen, balanced(labels, 50, Stream(1)))
    with pytest.raises(mg.errors.DataError, match="to choose 10 of, got none"):
        balanced(labels[:0], 10, Stream(0))
    for count in (0, 25, 5000):
        with pytest.raises(mg.errors.DataError, match=f"got {count}"):
            balanced(labels, count, Stream(0))


def test_each_turn_moves_its_own_player():
    played = game()
    before = numbers(played)
    shown = played.play(images)
    assert list(shown) == ["d_loss", "d_real", "d_fake", "labels_loss", "g_loss"]
    assert all(value.shape == () and value.node is None for value in shown.values())
    assert 0 < shown["d_fake"].item() < 1
    changed = {k for k, v in numbers(played).items() if not np.array_equal(v, before[k])}
    parameters = {f"{p}.{name}" for p, player in played.players.items() for name in movable(player)}
    assert parameters <= changed
    lengths = {k for k in before if k.startswith("classifier.0.") and k.endswith("weight_g")}
    assert len(lengths) == 2
    assert not lengths & changed  # set once from data

    played = game()
    take(played, "generator_turn", images(0))
    changed = {k for k, v in numbers(played).items() if not np.array_equal(v, before[k])}
    assert not any(k.startswith(("classifier", "ema")) for k in changed)
    assert "generator.0.weight" in changed


def test_a_schedule_of_labels_alone_leaves_the_generator_and_learns_them():
    played = game(schedule=LABELS_ALONE, units=(50, 30))
    bars = np.full((20, 1, 28, 28), -1, "float32")
    for k, image in enumerate(bars):
        image[0, 2 * (k % 10) : 2 * (k % 10) + 4] = 1
    played.images = mg.tensor(bars)
    before = numbers(played)
    first = played.play(images)
    assert list(first) == ["labels_loss"]
    for _ in range(150):
        played.play(images)
    after = numbers(played)
    assert all(np.array_equal(v, after[k]) for k, v in before.items() if k.startswith("generator"))
    read = played.logits(played.images).numpy().argmax(1)
    assert (read == played.labels.numpy()).mean() > 0.8


def test_predictions_are_of_the_averaged_weights_and_without_noise():
    played = game(ema=0.0)
    played.play(images)
    with_average = played.logits(images(1)).numpy()
    assert np.array_equal(with_average, played.logits(images(1)).numpy())
    average, played.ema = played.ema, None
    np.testing.assert_allclose(played.logits(images(1)).numpy(), with_average, rtol=1e-6)  # decay 0: the weights
    for t in average.parameters().values():
        t.copy_(mg.zeros_like(t) + 0.1)
    played.ema = average
    assert not np.allclose(played.logits(images(1)).numpy(), with_average)
    assert played.classifier.training
    assert np.abs(played.sample(3).numpy()).max() <= 1


def test_a_saved_game_continues_exactly():
    second = game(seed=1)
    second.seed = 0
    assert "d_loss" in continues_exactly(game(), game(), second, images)


def test_scaled_to_data_every_unit_has_mean_0_and_deviation_1_with_its_noise():
    mg.random.seed(0)
    C = mg.models.semi28(5, (12, 8)).classifier
    x = images(0, 200)
    mg.models.scale_to_data(C, x, rng=Stream(3))
    with mg.random.using(Stream(3)):
        first = C[0][3](C[0][:3](x)).numpy()
    with mg.random.using(Stream(3)):
        last = C(x).numpy()
    for units in (first, last):
        np.testing.assert_allclose(units.mean(0), 0, atol=1e-4)
        np.testing.assert_allclose(units.std(0), 1, rtol=1e-3)
    with mg.nn.evaluating(C):
        quiet = C[0][3](C[0][:3](x)).numpy()
    assert quiet.std(0).mean() < 0.98  # of what the units see, a part is noise
    assert first.shape == (200, 12)


def test_a_batch_of_known_images_has_each_as_often_as_the_others():
    played = game()  # knows 20
    for count, each in ((40, {2}), (20, {1}), (6, {1})):
        batch = Batch(images(0, count), 0, 3, Stream(0))
        known, labels = played._known(batch)
        rows, found = np.unique(known.numpy().reshape(count, -1), axis=0, return_counts=True)
        assert len(rows) == min(count, 20)
        assert set(found) == each
        assert labels.shape == (count,)
    again = played._known(Batch(images(0, 6), 0, 4, Stream(0)))[0].numpy()
    assert not np.array_equal(again, known.numpy())  # another turn, another order


def test_the_papers_game_averages_from_zero_and_takes_small_gradients_slowly():
    played = salimans28(images(98, 20), mg.tensor(np.arange(20) % 10), images(99, 30), decay=0.75)
    assert all(not t.numpy().any() for t in played.ema.parameters().values())
    played.play(images)
    weights = dict(played.classifier.named_parameters())
    for name, t in played.ema.parameters().items():
        np.testing.assert_allclose(t.numpy(), 0.25 * weights[name].numpy(), rtol=1e-5, atol=1e-8)
    assert np.isfinite(played.logits(images(1)).numpy()).all()
    assert [o.lr for o in played.optimizers.values()] == pytest.approx([3e-3, 3e-3])
    p = mg.tensor([1.0])
    optimizer = mg.optim.Adam([p], 3e-3, (0.5, 0.999), eps=played.optimizers["generator"].eps)
    optimizer.step([mg.tensor([1e-6])])
    assert 0 < 1 - p.item() < 1e-4  # of a rate of 3e-3


def test_sizes_of_the_networks():
    G, C = mg.models.semi28()
    assert (G.num_parameters(), C.num_parameters()) == (694_568, 1_538_770)
    assert C.num_parameters(buffers=True) == 1_538_770 + 2_250
    assert G(mg.zeros((2, 100))).shape == (2, 1, 28, 28)
    assert C[0](mg.zeros((2, 1, 28, 28))).shape == (2, 250)


def test_gaussian_noise_is_the_games_and_only_in_training():
    noise = mg.nn.GaussianNoise(0.5)
    x = mg.zeros((100, 100))
    with mg.random.using(Stream(0).at(3)):
        first = noise(x).numpy()
    with mg.random.using(Stream(0).at(3)):
        assert np.array_equal(noise(x).numpy(), first)
    assert first.std() == pytest.approx(0.5, rel=0.05)
    assert noise.eval()(x) is x
    with pytest.raises(mg.errors.ShapeError, match="got -1"):
        mg.nn.GaussianNoise(-1)
    y = Tensor(np.ones((2, 3)))
    mg.testing.gradcheck(lambda y: mg.nn.GaussianNoise(0.5, rng=Stream(1))(y) ** 2, y)


def test_what_does_not_fit_is_named():
    with pytest.raises(mg.errors.ShapeError, match=r"\(2, 3\), of fakes \(2, 4\)"):
        feature_matching(mg.zeros((2, 3)), mg.zeros((2, 4)))
    G, C = mg.models.semi28(5, (12, 8))
    with pytest.raises(mg.errors.ShapeError, match=r"got \(4, 1, 28, 28\), \(3,\)"):
        SemiSupervised(
            *(G, C, images(0, 4), mg.tensor([0, 1, 2])),
            latent=uniform_latent(5),
            generator_optimizer=mg.optim.Adam(G.parameters()),
            classifier_optimizer=mg.optim.Adam(C.parameters()),
        )


def test_replayed_turns_are_the_turns():
    replays_exactly(game, lambda: images)
