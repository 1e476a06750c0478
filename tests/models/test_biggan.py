"""BigGAN's networks: how many numbers they hold, who is told what, where they start."""

import numpy as np
import pytest

import minigan as mg
from minigan import nn
from minigan.errors import ShapeError


def noise(n, dim, seed=0):
    return mg.tensor(mg.random.Stream(seed).normal((n, dim)))


def test_parameter_counts_of_the_paper(monkeypatch):
    """Table 1: 158.3 million of both players at width 96, 71.3 at 64; a count is a polynomial of degree 2 in width."""
    monkeypatch.setattr(nn.init, "orthogonal_", lambda tensor, *args, **named: tensor)
    at = [8, 16, 24]
    small = [[p.num_parameters() for p in mg.models.biggan(128, width=w, classes=1000, attention=64)] for w in at]
    G, D = ([round(float(n)) for n in np.polyval(np.polyfit(at, counts, 2), [96, 64])] for counts in np.array(small).T)
    assert G[0] + D[0] == pytest.approx(158.3e6, rel=1e-3)
    assert G[1] + D[1] == pytest.approx(71.3e6, rel=2e-3)
    blocks = [(16, 16), (16, 8), (8, 4), (4, 2), (2, 1)]
    of_blocks = sum(10 * i * o * 96**2 + 9 * (o * 96) ** 2 + 3 * o * 96 for i, o in blocks)
    of_norms = sum(2 * (i + o) * 96 * (128 + 20 + 1) for i, o in blocks)
    attention = 192 * (24 + 24 + 96) + 96 * 192 + 1
    rest = 21 * 16 * 96 * 16 + 1000 * 128 + 2 * 96 + 96 * 27 + 3
    assert G[0] == of_blocks + of_norms + attention + rest


@pytest.mark.parametrize("sizes", [(32, 120, 3, 16, 10, 128), (32, 50, 3, 16), (28, 7, 1, 8, 3, 5), (64, 121, 3, 2)])
def test_how_much_a_generator_holds_is_known_beforehand(sizes):
    G = mg.models.BigGenerator(*sizes)
    assert G.num_parameters() == G.held(*sizes)


@pytest.mark.parametrize("classes", [0, 5])
def test_players_fit_together_with_and_without_classes(classes):
    players = mg.models.biggan(28, 11, channels=1, width=8, classes=classes, attention=14)
    told = (mg.tensor(np.arange(4)),) if classes else ()
    images = players.generator(noise(4, 11), *told)
    assert images.shape == (4, 1, 28, 28)
    assert np.abs(images.numpy()).max() <= 1
    assert images.numpy().std(0).mean() > 0.1, "the noise arrives"
    scores = players.discriminator(images, *told)
    assert scores.shape == (4, 1)
    assert np.abs(scores.numpy()).max() < 3, "scores begin small"
    with pytest.raises(ShapeError, match=f"expected {'' if classes else 'no '}labels beside z"):
        players.generator(noise(4, 11), *(() if told else (mg.tensor([0, 0, 0, 0]),)))


def test_each_part_of_the_noise_and_the_class_reach_the_image():
    G = mg.models.biggan(32, 14, width=8, classes=5).generator.eval()  # three blocks: parts of 5, 3, 3 and 3
    assert (G.part, G.linear.weight.shape) == (3, (8 * 16, 5))
    z, labels = noise(2, 14).numpy(), np.array([1, 2])
    before = G(mg.tensor(z), mg.tensor(labels)).numpy()
    for begins in (0, 5, 8, 11):
        moved = z.copy()
        moved[0, begins] += 1
        found = G(mg.tensor(moved), mg.tensor(labels)).numpy()
        assert np.abs(found[0] - before[0]).max() > 1e-3
        np.testing.assert_allclose(found[1], before[1], atol=1e-6)
    other = G(mg.tensor(z), mg.tensor(np.array([1, 3]))).numpy()
    assert np.abs(other[1] - before[1]).max() > 1e-3


def test_a_score_is_one_of_a_class_by_projection():
    D = mg.models.biggan(32, width=8, classes=4).discriminator
    x = mg.tensor(mg.random.Stream(1).uniform((3, 3, 32, 32), -1, 1))
    features = D.body(x).numpy()
    scores = np.stack([D(x, mg.tensor(np.full(3, y))).numpy()[:, 0] for y in range(4)], 1)
    plain = features @ D.score.weight.numpy().T + D.score.bias.numpy()
    np.testing.assert_allclose(scores, plain + features @ D.embedding.weight.numpy().T, rtol=1e-4, atol=1e-5)


def test_weights_are_orthogonal_and_norms_change_nothing_yet_without_what_they_are_told():
    players = mg.models.biggan(32, width=16, classes=3, attention=16)
    for layer in [*players.generator.modules(), *players.discriminator.body.modules()]:
        if isinstance(layer, nn.Linear | nn.Conv2d):
            rows = layer.weight.numpy().reshape(len(layer.weight), -1)
            small = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows
            np.testing.assert_allclose(small, np.eye(len(small)), atol=1e-5)
    norms = [m for m in players.generator.modules() if isinstance(m, nn.ConditionalBatchNorm2d)]
    assert len(norms) == 6
    for norm in norms:
        np.testing.assert_array_equal(norm.gain.bias.numpy(), 1)
        np.testing.assert_array_equal(norm.bias.bias.numpy(), 0)


def test_gradcheck_of_a_tiny_pair(rng):
    G, D = (p.to(dtype="float64") for p in mg.models.biggan(16, 4, channels=1, width=2, classes=2, shared_dim=2))
    labels, z = mg.tensor(np.array([0, 1, 1])), mg.tensor(rng.standard_normal((3, 4)))
    mg.testing.gradcheck(lambda z: D(G(z, labels), labels), [z], rtol=1e-4, atol=1e-6)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match=r"biggan: attention: expected one of the sizes 16, 8, got 4"):
        mg.models.biggan(32, attention=4)
    with pytest.raises(ShapeError, match="biggan: z_dim: expected a number for each of 4 parts or more, got 3"):
        mg.models.biggan(32, 3)
    with pytest.raises(ShapeError, match=r"expected noise \(N, 120\), got \(2, 5\)"):
        mg.models.biggan(32, width=8).generator(noise(2, 5))
