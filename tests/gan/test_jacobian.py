"""The Jacobian of a game: in closed form for the Dirac-GAN, by differences for networks, and what moves by it."""

import numpy as np
import pytest

import minigan as mg
from minigan import data
from minigan.errors import ShapeError
from minigan.gan import Batch, ScoreGame, Turn, losses, normal_latent, penalties
from minigan.gan.jacobian import eigenvalues, jacobian


class Line(mg.nn.Module):
    """psi x."""

    def __init__(self):
        self.psi = mg.nn.Parameter(np.array([[0.0]], "float32"))

    def forward(self, x):
        return x @ self.psi


class Point(mg.nn.Module):
    """theta, whatever the noise."""

    def __init__(self):
        self.theta = mg.nn.Parameter(np.array([[0.0]], "float32"))

    def forward(self, z):
        return 0 * z + self.theta


def game(G, D, latent=None, **more):
    return ScoreGame(
        G,
        D,
        latent=latent or normal_latent(1),
        generator_optimizer=mg.optim.SGD(G.parameters(), 0.1),
        discriminator_optimizer=mg.optim.SGD(D.parameters(), 0.1),
        **{"loss": losses.nonsaturating, **more},
    )


def small(**more):
    G, D = mg.models.mlp2d(3, width=4, rng=mg.random.Stream(1))
    return game(G, D, normal_latent(3), **more)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"loss": losses.wasserstein}, [1j, -1j]),
        ({}, [0.5j, -0.5j]),
        ({"penalty": penalties.r1, "penalty_weight": 0.25}, np.roots([1, 0.5, 0.25])),
        ({"penalty": penalties.r1, "penalty_weight": 1.0}, np.roots([1, 2, 0.25])),
    ],
)
def test_eigenvalues_of_the_dirac_gan_have_a_closed_form(more, expected):
    found = eigenvalues(game(Point(), Line(), **more), mg.zeros((8, 1)))
    np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(np.array(expected)), atol=1e-6)


def test_it_is_the_slope_of_the_field_by_differences():
    real = mg.tensor(data.gaussians_ring(16, seed=1)[0])
    played = small(penalty=penalties.r1, penalty_weight=0.1)
    J = jacobian(played, real)
    params = [*played.discriminator.parameters(), *played.generator.parameters()]
    assert J.shape == (sum(p.size for p in params),) * 2

    def field():
        slopes, _ = played.joint_gradient(Batch(real, 0, 0, played.stream("jacobian").at(0)))
        return -np.concatenate([v.numpy().ravel() for v in slopes])

    column, h = 0, 1e-2
    for p in params:
        k = p.size // 2
        before = p.data.flat[k]
        ends = []
        for end in (before + h, before - h):
            p.data.flat[k] = end
            ends.append(field())
        p.data.flat[k] = before
        np.testing.assert_allclose(J[:, column + k], (ends[0] - ends[1]) / (2 * h), atol=2e-3)
        column += p.size


def test_a_simultaneous_turn_moves_along_the_joint_gradient():
    real = mg.tensor(data.gaussians_ring(16, seed=1)[0])
    played = small(schedule=[Turn("simultaneous_turn")])
    params = [*played.discriminator.parameters(), *played.generator.parameters()]
    slopes, shown = played.joint_gradient(Batch(real, 0, 0, played.stream("simultaneous").at(0)))
    expected = [p.numpy() - np.float32(0.1) * v.numpy() for p, v in zip(params, slopes, strict=True)]
    losses_now = played.play(lambda k: real)
    for p, wanted in zip(params, expected, strict=True):
        np.testing.assert_allclose(p.numpy(), wanted, atol=1e-7)
    assert losses_now["d_loss"].item() == shown["d_loss"].item()


def test_the_largest_come_first_and_too_many_parameters_are_refused():
    real = mg.tensor(data.gaussians_ring(8)[0])
    sizes = np.abs(eigenvalues(small(), real))
    assert (np.diff(sizes) <= 0).all()
    G, D = mg.models.mlp2d(4, width=40)
    with pytest.raises(ShapeError, match=r"jacobian: \d+ parameters, of which there may be 3000"):
        jacobian(game(G, D, normal_latent(4)), real)
