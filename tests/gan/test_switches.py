"""The switches of ScoreGame: what each does to what is seen, who moves and where, alone and with each other."""

import itertools

import fakecupy
import numpy as np
import pytest
from cuda_games import losses_on_both
from replayed_game import replays_exactly
from resumed_game import continues_exactly, numbers
from single_turn import take

import minigan as mg
from minigan.gan import Moves, Regularisers, ScoreGame, Sight, Turn, losses, packed, penalties
from minigan.gan.dynamics import Pool
from minigan.tensor import Tensor


class Scale(mg.nn.Module):
    """x w, w a vector of factors: the smallest player."""

    def __init__(self, *w):
        self.w = mg.nn.Parameter(mg.tensor(np.array(w)))

    def forward(self, x):
        return mg.sum(x * self.w, 1, keepdims=True)


def latent(n, rng):
    return mg.ones((n, 1), dtype="float64")


def tiny(d_lr=0.1, g_lr=0.1, loss=losses.nonsaturating, **options):
    """G makes theta, D scores psi x: the Dirac-GAN, real samples at `real`."""
    G, D = Scale(0.7), Scale(0.4)
    return ScoreGame(
        *(G, D),
        loss=loss,
        latent=latent,
        generator_optimizer=mg.optim.SGD(G.parameters(), g_lr),
        discriminator_optimizer=mg.optim.SGD(D.parameters(), d_lr),
        **options,
    )


REAL = Tensor(np.full((4, 1), 0.25))


def weights(game):
    return game.generator.w.numpy()[0], game.discriminator.w.numpy()[0]


def s(x):
    return 1 / (1 + np.exp(-x))


def slopes(theta, psi, x=0.25):
    """(dL_G / dtheta, dL_D / dpsi) of the non-saturating loss."""
    return -s(-psi * theta) * psi, -s(-psi * x) * x + s(psi * theta) * theta


def test_players_that_move_at_once_both_move_from_where_they_are():
    game = tiny(schedule=[Turn("simultaneous_turn")])
    shown = game.play(lambda k: REAL)
    g, d = slopes(0.7, 0.4)
    np.testing.assert_allclose(weights(game), (0.7 - 0.1 * g, 0.4 - 0.1 * d), rtol=1e-12)
    assert set(shown) == {"d_loss", "g_loss", "d_real", "d_fake"}


@pytest.mark.parametrize("loss", [losses.nonsaturating, losses.relativistic])
@pytest.mark.parametrize("unroll", [0, 2])
def test_turns_on_shared_fakes_are_the_two_turns_on_the_same_noise(loss, unroll):
    in_turn = [Turn("discriminator_turn"), Turn("generator_turn", fresh_batch=False, fresh_noise=False)]
    outcomes = []
    for schedule in (in_turn, [Turn("shared_turn")]):
        game = tiny(loss=loss, schedule=schedule, moves=Moves(unroll=unroll))
        batch = mg.gan.Batch(REAL, 0, 0, game.stream("any").at(0))  # noise depends on nothing else
        shown = {}
        for turn in schedule:
            shown |= getattr(game, turn.name)(batch)
        outcomes.append((weights(game), {name: value.item() for name, value in shown.items()}))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0] != pytest.approx(weights(tiny()))


def relativistic_slopes(theta, psi, x=0.25):
    """As `slopes`, of L_G = sp(psi x - psi theta) and L_D = sp(psi theta - psi x)."""
    return -s(psi * (x - theta)) * psi, s(psi * (theta - x)) * (theta - x)


@pytest.mark.parametrize(
    ("loss", "slopes"), [(losses.nonsaturating, slopes), (losses.relativistic, relativistic_slopes)]
)
def test_consensus_adds_the_slope_of_the_squared_length_of_the_joint_gradient(loss, slopes):
    game = tiny(loss=loss, moves=Moves(consensus=0.6))
    shown = game.play(lambda k: REAL)
    g, d = slopes(0.7, 0.4)
    assert shown["joint_gradient"].item() == pytest.approx(np.hypot(g, d), rel=1e-12)

    def length(theta, psi):
        return sum(v**2 for v in slopes(theta, psi))

    h = 1e-6
    pull = [
        (length(0.7 + h, 0.4) - length(0.7 - h, 0.4)) / (2 * h),
        (length(0.7, 0.4 + h) - length(0.7, 0.4 - h)) / (2 * h),
    ]
    expected = (0.7 - 0.1 * (g + 0.3 * pull[0]), 0.4 - 0.1 * (d + 0.3 * pull[1]))
    np.testing.assert_allclose(weights(game), expected, rtol=1e-8)


@pytest.mark.parametrize("optimizer", [mg.optim.SGD, mg.optim.Adam])
@pytest.mark.parametrize(
    ("steps", "loss", "clip"),
    [
        (2, losses.minimax, None),  # the value of the game, of real scores too
        (2, losses.wasserstein, None),
        (1, losses.nonsaturating, None),
        (3, losses.nonsaturating, None),
        (2, losses.relativistic, None),  # real scores depend on the steps too
        (3, losses.nonsaturating, 0.41),
    ],
)
def test_unrolled_gradient_is_that_of_the_loss_after_the_steps(steps, loss, clip, optimizer):
    """Against finite differences of: let D take its steps, then ask for G's loss."""
    game = tiny(loss=loss, moves=Moves(unroll=steps, clip=clip))
    game.optimizers["discriminator"] = optimizer(game.discriminator.parameters(), 0.3)

    def loss_after(theta):
        D = Scale(0.4)
        opt = optimizer(D.parameters(), 0.3)
        fake = Tensor(np.full((4, 1), theta))
        for _ in range(steps):
            opt.minimize(loss.discriminator(D(REAL), D(fake)))
            if clip is not None:
                mg.gan.clip_weights(D.parameters(), clip)
        if loss is losses.minimax:
            return np.mean(np.log(s(D(REAL).numpy())) + np.log(1 - s(D(fake).numpy())))
        if loss is losses.wasserstein:
            return np.mean(D(REAL).numpy() - D(fake).numpy())
        return loss.generator(D(fake), D(REAL)).item()

    h = 1e-6
    slope = (loss_after(0.7 + h) - loss_after(0.7 - h)) / (2 * h)
    take(game, "generator_turn", REAL, number=1)
    assert game.generator.w.numpy()[0] == pytest.approx(0.7 - 0.1 * slope, rel=1e-7)
    assert game.discriminator.w.numpy()[0] == 0.4  # its steps were imagined
    assert abs(slope - slopes(0.7, 0.4)[0]) > 1e-3  # and they matter


def test_packs_hold_samples_of_their_groups_in_their_channels():
    x = mg.tensor(np.arange(24.0).reshape(4, 1, 2, 3))
    two = packed(x, 2)
    assert two.shape == (2, 2, 2, 3)
    for k in range(2):
        np.testing.assert_array_equal(two.numpy()[k], x.numpy()[[k, k + 2], 0])
    np.testing.assert_array_equal(packed(mg.tensor(np.eye(4)), 4).numpy(), np.eye(4).reshape(1, 16))
    for m in (3, 0):
        with pytest.raises(mg.errors.ShapeError, match=f"batch of 4 samples does not split into packs of {m}"):
            packed(x, m)


def test_the_discriminator_sees_packs_and_its_penalty_is_per_pack():
    game = tiny(sight=Sight(pack=2), penalty=penalties.r1, penalty_weight=1.0)
    game.discriminator = Scale(0.4, -0.3)
    game.optimizers["discriminator"] = mg.optim.SGD(game.discriminator.parameters(), 0.1)
    shown = game.play(lambda k: REAL)
    assert shown["penalty"].item() == pytest.approx(0.25)  # 0.4^2 + 0.3^2 for each pack
    assert shown["d_real"].item() == pytest.approx(s(0.25 * 0.1))


def test_instance_noise_falls_to_nothing():
    class Seen(mg.nn.Module):
        def __init__(self):
            self.w = mg.nn.Parameter(mg.zeros((1,), dtype="float64"))
            self.values = []

        def forward(self, x):
            self.values.append(x.numpy())
            return x * self.w

    G, D = Scale(0.0), Seen()
    game = ScoreGame(
        *(G, D),
        loss=losses.nonsaturating,
        latent=latent,
        generator_optimizer=mg.optim.SGD(G.parameters(), 0.0),
        discriminator_optimizer=mg.optim.SGD(D.parameters(), 0.0),
        sight=Sight(instance_noise=0.5, noise_steps=4),
    )
    stds = []
    game.graphs = False  # its discriminator is read back
    for _ in range(6):
        D.values.clear()
        game.play(lambda k: mg.zeros((2000, 1), dtype="float64"))
        stds.append([v.std() for v in D.values])
    np.testing.assert_allclose(np.mean(stds, 1), [0.5, 0.375, 0.25, 0.125, 0, 0], rtol=0.03)
    D.values.clear()
    game.view.sight = Sight(instance_noise=0.5)
    game.play(lambda k: mg.zeros((2000, 1), dtype="float64"))
    real, fake, again = D.values
    assert real.std() == pytest.approx(0.5, rel=0.05)
    assert abs(np.corrcoef(real[:, 0], fake[:, 0])[0, 1]) < 0.1  # each sample its own noise
    assert abs(np.corrcoef(fake[:, 0], again[:, 0])[0, 1]) < 0.1


@pytest.mark.parametrize(("size", "each"), [(6, 2), (7, 3), (5, 5), (3, 8), (1, 4), (2, 1)])
def test_the_pool_is_that_of_a_plain_program(size, each):
    """One fake after the other: into the pool until that is full, then by a coin exchanged for one of the pool."""
    pool, mixed, remembered = Pool(size, mg.zeros((1, 1))), [], []
    for k in range(300):
        fakes = np.arange(k * each, (k + 1) * each, dtype=np.float32)
        found = pool.mix(mg.tensor(fakes[:, None]), mg.random.Stream(3).at(k)).numpy()[:, 0]
        draws = mg.random.Stream(3).at(k)
        places, coins = draws.integers(size, each), draws.uniform(each)
        given = []
        for fake, place, coin in zip(fakes, places, coins, strict=True):
            if len(remembered) < size:
                remembered.append(fake)
                given.append(fake)
            elif coin < 0.5:
                given.append(remembered[place])
                remembered[place] = fake
            else:
                given.append(fake)
        assert found.tolist() == given
        assert pool.fakes.numpy()[: len(remembered), 0].tolist() == remembered
        mixed += given
    earlier = np.array(mixed)[size:] < np.arange(size, 300 * each) - 0.5
    assert 0.4 < earlier.mean() < 0.6
    assert len(set(mixed[size:])) == len(mixed[size:])  # none is shown twice once the pool is full
    assert pool.count.item() == 300 * each


def test_one_batch_of_both_shares_the_statistics_of_batch_norm():
    def scores(joint):
        mg.random.seed(0)
        G, D = Scale(0.5), mg.nn.Sequential(mg.nn.BatchNorm1d(1, affine=False), mg.nn.Linear(1, 1)).to(dtype="float64")
        game = ScoreGame(
            *(G, D),
            loss=losses.wasserstein,
            latent=latent,
            generator_optimizer=mg.optim.SGD(G.parameters(), 0.1),
            discriminator_optimizer=mg.optim.SGD(D.parameters(), 0.1),
            sight=Sight(joint_batches=joint),
        )
        shown = take(game, "discriminator_turn", REAL)
        return shown["d_real"].item(), shown["d_fake"].item()

    apart, joint = scores(False), scores(True)
    assert apart[0] == pytest.approx(apart[1])  # normalised by themselves, constant samples are all zero
    assert abs(joint[0] - joint[1]) > 0.1


def test_noisy_labels_are_cross_entropy_with_other_targets():
    r, f = Tensor(np.array([[0.3], [-1.0]])), Tensor(np.array([[2.0], [0.1]]))

    def bce(score, target):
        return (-target * np.log(s(score)) - (1 - target) * np.log(1 - s(score))).mean()

    smooth = losses.noisy_labels(losses.nonsaturating, smooth=0.9)
    assert smooth.discriminator(r, f).item() == pytest.approx(bce(r.numpy(), 0.9) + bce(f.numpy(), 0.0))
    assert smooth.generator(f).item() == losses.nonsaturating.generator(f).item()
    wrong = losses.noisy_labels(losses.minimax, smooth=0.8, flip=1.0)
    assert wrong.discriminator(r, f).item() == pytest.approx(bce(r.numpy(), 0.0) + bce(f.numpy(), 0.8))
    mg.testing.gradcheck(smooth.discriminator, [r, f])
    many = mg.zeros((10_000, 1), dtype="float64") + 3.0
    some = losses.noisy_labels(losses.nonsaturating, flip=0.1).discriminator(many, many).item()
    expected = 0.9 * bce(3.0, 1.0) + 0.1 * bce(3.0, 0.0) + 0.9 * bce(3.0, 0.0) + 0.1 * bce(3.0, 1.0)
    assert some == pytest.approx(expected, rel=0.05)
    with pytest.raises(mg.errors.ShapeError, match=r"got hinge, smooth 0\.9, flip 0"):
        losses.noisy_labels(losses.hinge, 0.9)
    with pytest.raises(mg.errors.ShapeError, match=r"got minimax, smooth 1.0, flip 2"):
        losses.noisy_labels(losses.minimax, flip=2)
    for smooth in (1.5, -0.1, np.nan):
        with pytest.raises(mg.errors.ShapeError, match=f"got minimax, smooth {smooth}, flip 0"):
            losses.noisy_labels(losses.minimax, smooth)


def test_random_margins_are_between_low_and_one():
    r, f = Tensor(np.array([[0.3], [-1.0], [0.9]])), Tensor(np.array([[2.0], [0.1], [-0.85]]))
    with mg.random.using(mg.random.Stream(0)) as rng:
        u, v = (rng.uniform((3, 1), 0.8, 1.0, "float64") for _ in "rf")
    assert 0.8 <= min(u.min(), v.min()) <= max(u.max(), v.max()) < 1
    noisy = losses.random_margins(losses.hinge)
    with mg.random.using(mg.random.Stream(0)):
        found = noisy.discriminator(r, f).item()
    expected = np.maximum(0, u - r.numpy()).mean() + np.maximum(0, v + f.numpy()).mean()
    assert found == pytest.approx(expected)
    assert noisy.generator(f).item() == losses.hinge.generator(f).item()
    assert losses.random_margins(losses.hinge, 1.0).discriminator(r, f).item() == pytest.approx(
        losses.hinge.discriminator(r, f).item()
    )
    for loss, low in ((losses.lsgan, 0.8), (losses.hinge, 1.5), (losses.hinge, np.nan)):
        with pytest.raises(mg.errors.ShapeError, match=rf"expected hinge .* got {loss.name} and {low}"):
            losses.random_margins(loss, low)


SWITCHES = {
    "packs": (Sight(pack=2), Moves()),
    "unrolled": (Sight(), Moves(unroll=2)),
    "consensus": (Sight(), Moves(consensus=0.1)),
    "noise": (Sight(instance_noise=0.3, noise_steps=5), Moves()),
    "replay": (Sight(replay=8), Moves()),
    "joint": (Sight(joint_batches=True), Moves()),
    "augment": (Sight(augment="color,translation,cutout"), Moves()),
    "lecam": (Sight(), Moves(), Regularisers(lecam=0.3, lecam_after=0)),
    "icr": (Sight(), Moves(), Regularisers(consistency=1.0, fake_consistency=1.0, latent_consistency=1.0)),
    "latent optimisation": (Sight(), Moves(latent_optimisation=0.9)),
    "all": (Sight(pack=2, instance_noise=0.3, replay=8, joint_batches=True), Moves(unroll=2, clip=0.1)),
}


OF_SOME_LOSSES = {  # that have a level between real and fake, or are of each score by itself
    "ada": (Sight(augment="ada", ada_images=16, ada_target=-0.9), Moves()),
    "ada of some changes": (Sight(augment="ada:color,flip", ada_images=16, ada_target=-0.9), Moves()),
    "diffusion": (Sight(augment="ada:diffusion", ada_images=16, ada_target=-0.9), Moves()),
    "pseudo": (Sight(pseudo=True, ada_images=16, ada_target=-0.9), Moves(unroll=1)),
    "top-k": (Sight(pack=2), Moves(top_k=0.5, top_k_steps=3)),
}
EVERY_SWITCH = SWITCHES | OF_SOME_LOSSES


def game_with(switch, loss, penalty, device="cpu"):
    mg.random.seed(0)
    sight, moves, *rest = EVERY_SWITCH[switch]
    G = mg.models.dcgan(16, 4, channels=1, width=2).generator.to(device)
    D = mg.models.dcgan(16, 4, channels=sight.pack, width=2, norm=None).discriminator.to(device)
    return ScoreGame(
        *(G, D),
        loss=losses.LOSSES[loss],
        penalty=penalties.PENALTIES.get(penalty),
        penalty_weight=0.1,
        latent=mg.gan.uniform_latent(4),
        generator_optimizer=mg.optim.Adam(G.parameters(), 1e-3),
        discriminator_optimizer=mg.optim.RMSProp(D.parameters(), 1e-3),
        ema=mg.optim.EMA(G, 0.9),
        sight=sight,
        moves=moves,
        regularisers=rest[0] if rest else None,
    )


def batch_of(k):
    return Tensor(mg.random.Stream(k).uniform((4, 1, 16, 16), -1, 1))


@pytest.mark.parametrize("switch", EVERY_SWITCH)
def test_a_replayed_game_with_a_switch_is_the_game(switch):
    def seeded():
        mg.random.seed(0)
        return game_with(switch, "nonsaturating", "gradient_penalty")

    replays_exactly(seeded, lambda: batch_of)


@pytest.mark.parametrize("penalty", [None, "gradient_penalty"])
@pytest.mark.parametrize(
    ("switch", "loss"),
    [
        *itertools.product(SWITCHES, ["nonsaturating", "wasserstein", "relativistic_average"]),
        *itertools.product(OF_SOME_LOSSES, ["nonsaturating", "hinge"]),
    ],
)
def test_every_switch_with_a_loss_and_a_penalty_resumes_exactly(switch, loss, penalty):
    whole, first, second = (game_with(switch, loss, penalty) for _ in range(3))
    before = numbers(whole)
    continues_exactly(whole, first, second, batch_of)
    after = numbers(whole)
    assert not np.array_equal(after["generator.1.weight"], before["generator.1.weight"])
    assert not np.array_equal(after["discriminator.0.weight"], before["discriminator.0.weight"])


@pytest.mark.parametrize("switch", EVERY_SWITCH)
def test_a_captured_game_with_a_switch_is_the_game_on_the_cpu(switch, monkeypatch):
    fakecupy.install(monkeypatch)
    on_cpu, on_cuda, _ = losses_on_both(lambda device: game_with(switch, "nonsaturating", None, device), batch_of)
    assert fakecupy.counts.graphs > 0
    for ours, theirs in zip(on_cuda, on_cpu, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-5)


def test_switches_that_cannot_be_together_are_named():
    with pytest.raises(mg.errors.ShapeError, match="no unroll or replay, got 3 and 0"):
        tiny(moves=Moves(unroll=3, consensus=1.0))
    with pytest.raises(mg.errors.ShapeError, match=r"consensus 1.0 needs a simultaneous_turn"):
        tiny(moves=Moves(consensus=1.0), schedule=mg.gan.alternate())
    with pytest.raises(mg.errors.ShapeError, match="Sight: pack: expected an integer >= 1, got 0"):
        Sight(pack=0)
    with pytest.raises(mg.errors.ShapeError, match="Moves: unroll: expected an integer >= 0, got -1"):
        Moves(unroll=-1)


@pytest.mark.parametrize(
    "give",
    [
        lambda v: Sight(instance_noise=v),
        lambda v: Moves(consensus=v),
        lambda v: Moves(clip=v),
        lambda v: Moves(max_norm=v),
        lambda v: Sight(noise_steps=v),
        lambda v: Sight(replay=v),
        lambda v: tiny(penalty_weight=v),
    ],
)
def test_a_number_out_of_range_is_refused_where_it_is_given(give):
    for value in (-1, np.nan):
        with pytest.raises(mg.errors.ShapeError, match=f"expected .*{value}"):
            give(value)


def test_limits_of_zero_would_leave_no_weights():
    for name in ("clip", "max_norm"):
        with pytest.raises(mg.errors.ShapeError, match=rf"clip and max_norm > 0, got .*{name}=0"):
            Moves(**{name: 0})
    with pytest.raises(mg.errors.ShapeError, match="noise_steps: expected an integer >= 1, got 0"):
        Sight(noise_steps=0)


def with_layers(*layers, **options):
    game = tiny(**options)
    game.discriminator = mg.nn.Sequential(mg.nn.Linear(1, 1), *layers)
    return game.doubts()


def test_what_is_known_to_train_badly_is_said():
    for loss in (losses.wasserstein, losses.lab_printed):
        (doubt,) = with_layers(loss=loss)
        assert f"its {loss.name} loss falls for ever" in doubt
        for held in ({"penalty": penalties.r1}, {"moves": Moves(clip=0.1)}, {"moves": Moves(max_norm=1.0)}):
            assert with_layers(loss=loss, **held) == []
        assert with_layers(loss=loss, penalty=penalties.r1, penalty_weight=0.0) == [doubt]
        assert with_layers(mg.nn.spectral_norm(mg.nn.Linear(1, 1)), loss=loss) == []
        assert with_layers(mg.nn.weight_norm(mg.nn.Linear(1, 1)), loss=loss) != []
    for norm in (mg.nn.BatchNorm1d(1), mg.nn.BatchNorm2d(1)):
        (doubt,) = with_layers(norm, penalty=penalties.r1)
        assert "batch norm in the discriminator" in doubt
        assert with_layers(norm) == []
    assert with_layers(mg.nn.LayerNorm(1), penalty=penalties.r1) == []
    assert mg.gan.Game.doubts(tiny()) == []


def test_printed_penalty_has_the_documents_three_mistakes(rng):
    """For C(x) = |x|^2 / 2 the gradient is x: one norm of the whole batch, at one u, from images moved into [0, 1]."""
    real, fake = (Tensor(rng.uniform(-1, 1, (3, 1, 2, 2))) for _ in range(2))
    u = mg.random.Stream(5).uniform((), dtype="float64")
    unscaled = (real.numpy() + 1) / 2
    norm = np.linalg.norm(unscaled + u * (fake.numpy() - unscaled))
    value = penalties.cs231n_printed(lambda x: mg.sum(x * x, (1, 2, 3)) * 0.5, real, fake, rng=mg.random.Stream(5))
    assert value.item() == pytest.approx((norm - 1) ** 2, rel=1e-10)


def test_a_discriminator_that_answers_neither_scores_nor_a_reading_is_refused():
    for answer, told in (
        (lambda x: (x, None), r"\['Tensor', 'NoneType'\]"),
        (lambda x: (x, x, x), r"\['Tensor', 'Tensor', 'Tensor'\]"),
        (lambda x: x.numpy(), "ndarray"),
    ):
        game = tiny()
        game.discriminator = answer
        with pytest.raises(mg.errors.ShapeError, match=rf"gives scores, or \(scores, reading\), got {told}"):
            game.play(lambda k: REAL)


def test_a_penalty_is_given_the_critic_itself():
    given = []
    game = tiny(penalty=lambda critic, real, fake, *, rng: given.append(critic) or mg.sum(critic(real)) * 0)
    game.play(lambda k: REAL)
    assert given == [game.discriminator]
