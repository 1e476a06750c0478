"""The Dirac-GAN: one weight each, so that every claim about a GAN's dynamics is a number (Mescheder et al. 2018).

The data is the point 0, the generator is the point theta, the discriminator scores x as psi x. The gradient field that
the players follow, and the update that one round makes, are differentiated by the library itself at the equilibrium
(0, 0) and compared with the eigenvalues known in closed form.
"""

import numpy as np
import pytest

import minigan as mg
from minigan.gan import Moves, ScoreGame, Turn, losses, penalties
from minigan.tensor import Tensor


def field(theta, psi, *, loss=losses.minimax, penalty=None, weight=0.0, noise=0.0):
    """(-d g_loss / d theta, -d d_loss / d psi): where both players go, as a graph.

    `noise` is its deviation: the points +-noise have exactly this variance and mean 0. The derivatives are partial
    ones, even if psi has been made from theta by an earlier step: each player takes the other as given.
    """
    theta_moves, psi_moves = Tensor(np.zeros(())), Tensor(np.zeros(()))
    theta, psi = theta + theta_moves, psi + psi_moves
    offsets = Tensor(np.array([[noise], [-noise]]))
    real, fake = offsets, mg.reshape(theta, (1, 1)) + offsets
    critic = lambda x: x * psi
    d_loss = loss.discriminator(critic(real), critic(fake))
    if penalty is not None:
        d_loss = d_loss + weight * penalty(critic, real, fake)
    g_loss = loss.generator(critic(fake), critic(real))
    return -mg.grad(g_loss, theta_moves, create_graph=True), -mg.grad(d_loss, psi_moves, create_graph=True)


def consensus(theta, psi, gamma):
    """The field less gamma times the gradient of half its squared length."""
    v = field(theta, psi)
    pull = mg.grad(0.5 * (v[0] * v[0] + v[1] * v[1]), [theta, psi], create_graph=True)
    return v[0] - gamma * pull[0], v[1] - gamma * pull[1]


def eigenvalues(fn, at=(0.0, 0.0)):
    """Of the Jacobian of fn: (theta, psi) -> two numbers; sorted by imaginary, then real part."""
    x = [Tensor(np.array(v)) for v in at]
    rows = [[slope.item() for slope in mg.grad(y, x)] for y in fn(*x)]
    found = np.linalg.eigvals(np.array(rows))
    return sorted(found, key=lambda v: (round(v.imag, 9), v.real))


def pair(centre, squared):
    """centre -+ sqrt(squared), which may be imaginary."""
    root = np.sqrt(complex(squared))
    return sorted([centre - root, centre + root], key=lambda v: (round(v.imag, 9), v.real))


@pytest.mark.parametrize(
    ("loss", "slope"),
    [("minimax", 1 / 2), ("nonsaturating", 1 / 2), ("relativistic", 1 / 2), ("wasserstein", 1), ("hinge", 1)],
)
def test_without_help_the_field_only_turns(loss, slope):
    found = eigenvalues(lambda *x: field(*x, loss=losses.LOSSES[loss]))
    np.testing.assert_allclose(found, pair(0, -(slope**2)), atol=1e-12)


@pytest.mark.parametrize("gamma", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("penalty", [penalties.r1, penalties.r2])
def test_a_zero_centred_penalty_pulls_inwards(gamma, penalty):
    found = eigenvalues(lambda *x: field(*x, penalty=penalty, weight=gamma / 2))
    # critical at gamma = 1, where both are -1/2 and a numerical root is known to half its digits only
    np.testing.assert_allclose(found, pair(-gamma / 2, gamma**2 / 4 - 1 / 4), atol=1e-7)


@pytest.mark.parametrize("std", [0.7, 1.5, 3.0])
def test_instance_noise_pulls_inwards(std):
    slope, curvature = 1 / 2, -1 / 4  # of phi(t) = -ln(1 + e^-t) at 0
    found = eigenvalues(lambda *x: field(*x, noise=std))
    np.testing.assert_allclose(found, pair(curvature * std**2, curvature**2 * std**4 - slope**2), atol=1e-12)


@pytest.mark.parametrize("gamma", [0.5, 1.0])
def test_consensus_pulls_by_a_quarter_of_its_weight(gamma):
    """The Jacobian of grad |v|^2 / 2 at the equilibrium is J^T J = I / 4, whole: there is no further factor 1/2."""
    np.testing.assert_allclose(eigenvalues(lambda *x: consensus(*x, gamma)), pair(-gamma / 4, -1 / 4), atol=1e-12)


@pytest.mark.parametrize(("k", "h"), [(1, 0.2), (5, 0.2), (5, 1.0)])
def test_looking_ahead_pulls_inwards(k, h):
    """A generator that sees the discriminator k steps of h ahead: -k h / 4 +- sqrt(k^2 h^2 / 16 - 1 / 4)."""

    def unrolled(theta, psi):
        move = Tensor(np.zeros(()))
        later = psi
        for _ in range(k):
            later = later + h * field(theta + move, later)[1]
        fake = mg.reshape(theta + move, (1, 1)) * later
        return -mg.grad(losses.minimax.generator(fake), move, create_graph=True), field(theta, psi)[1]

    np.testing.assert_allclose(eigenvalues(unrolled), pair(-k * h / 4, (k * h) ** 2 / 16 - 1 / 4), atol=1e-12)


# --- one round of steps ---------------------------------------------------------------------------------------


def simultaneous(h):
    def update(theta, psi):
        v = field(theta, psi)
        return theta + h * v[0], psi + h * v[1]

    return update


def alternating(h, d_steps=1):
    def update(theta, psi):
        for _ in range(d_steps):
            psi = psi + h * field(theta, psi)[1]
        return theta + h * field(theta, psi)[0], psi

    return update


@pytest.mark.parametrize("h", [0.01, 0.2, 1.0, 3.9])
def test_simultaneous_steps_diverge_and_alternating_ones_circle(h):
    found = eigenvalues(simultaneous(h))
    np.testing.assert_allclose(found, pair(1, -(h**2) / 4), atol=1e-12)
    assert min(np.abs(found)) > 1
    np.testing.assert_allclose(np.abs(eigenvalues(alternating(h))), 1, atol=1e-12)


def test_alternating_steps_leave_the_circle_beyond_4():
    assert max(np.abs(eigenvalues(alternating(4.1)))) > 1.3
    np.testing.assert_allclose(np.abs(eigenvalues(alternating(0.2, d_steps=5))), 1, atol=1e-12)


# --- the game itself, from (1, 1): 250 rounds of steps of 0.2 --------------------------------------------------


def distance(rounds=250, **options):
    """How far from the equilibrium, of sqrt(2) at first, the game ends that minigan plays."""
    G, D = mg.nn.Linear(1, 1, bias=False), mg.nn.Linear(1, 1, bias=False)
    for player in (G, D):
        player.load_state_dict({"weight": np.ones((1, 1), np.float32)})
    game = ScoreGame(
        *(G, D),
        loss=losses.minimax,
        latent=lambda n, rng: mg.ones((n, 1)),
        generator_optimizer=mg.optim.SGD(G.parameters(), 0.2),
        discriminator_optimizer=mg.optim.SGD(D.parameters(), 0.2),
        **options,
    )
    for _ in range(rounds):
        game.play(lambda k: mg.zeros((1, 1)))
    return float(np.hypot(G.weight.numpy()[0, 0], D.weight.numpy()[0, 0]))


@pytest.mark.parametrize("d_steps", [1, 5])
def test_the_plain_game_circles(d_steps):
    assert 0.5 < distance(250 // d_steps, schedule=mg.gan.alternate(d_steps)) < 3


@pytest.mark.parametrize("penalty", [penalties.r1, penalties.r2])
def test_the_penalised_game_arrives(penalty):
    assert distance(penalty=penalty, penalty_weight=0.15) < 2e-3


def test_a_penalty_towards_slope_1_does_not_arrive():
    assert distance(penalty=penalties.gradient_penalty, penalty_weight=0.7) > 0.1


def test_players_that_move_at_once_spiral_outwards():
    """Each round lengthens the distance by sqrt(1 + h^2 / 4) as long as the equilibrium is near."""
    once = [Turn("simultaneous_turn")]
    assert distance(100, schedule=once) > 1.2 * np.sqrt(2)


@pytest.mark.filterwarnings("ignore:generator_turn runs without being replayed")
def test_consensus_and_unrolled_steps_arrive():
    assert distance(moves=Moves(consensus=1.0)) < 2e-3
    assert distance(moves=Moves(unroll=5)) < 2e-3
