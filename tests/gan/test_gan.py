"""The game: who moves, what is drawn, what its state holds."""

import numpy as np
import pytest
from resumed_game import numbers
from single_turn import take

import minigan as mg
from minigan.gan import Moves, Turn, alternate, losses, penalties
from minigan.tensor import Tensor


def toy(seed=0, **options):
    """A game on 2-D points."""
    mg.random.seed(seed)
    G = mg.nn.Sequential(mg.nn.Linear(2, 8), mg.nn.BatchNorm1d(8), mg.nn.ReLU(), mg.nn.Linear(8, 2))
    D = mg.nn.Sequential(mg.nn.Linear(2, 8), mg.nn.LeakyReLU(0.2), mg.nn.Dropout(0.1), mg.nn.Linear(8, 1))
    settings = {
        "loss": losses.nonsaturating,
        "latent": mg.gan.uniform_latent(2),
        "generator_optimizer": mg.optim.Adam(G.parameters(), 1e-3),
        "discriminator_optimizer": mg.optim.RMSProp(D.parameters(), 1e-3),
        "seed": seed,
    }
    return mg.gan.ScoreGame(G, D, **{**settings, **options})


def points(k):
    return Tensor(np.random.default_rng(k).standard_normal((16, 2)).astype("float32"))


def test_each_turn_moves_its_own_player():
    game = toy(schedule=[Turn("discriminator_turn")])
    before = numbers(game)
    game.play(points)
    changed = {k for k, v in numbers(game).items() if not np.array_equal(v, before[k])}
    assert {k for k in changed if k.startswith("discriminator.")} == {
        *["discriminator.0.weight", "discriminator.0.bias", "discriminator.3.weight", "discriminator.3.bias"]
    }
    statistics = {"running_mean", "running_var", "num_batches_tracked"}  # which sampling moves
    assert {k for k in changed if k.startswith("generator")} == {f"generator.1.{name}" for name in statistics}

    game = toy()
    before = numbers(game)
    take(game, "generator_turn", points(0))
    changed = {k for k, v in numbers(game).items() if not np.array_equal(v, before[k])}
    assert not any(k.startswith("discriminator") for k in changed)
    assert "generator.0.weight" in changed


def test_a_step_reports_losses_and_scores():
    results = toy().play(points)
    assert list(results) == ["d_loss", "d_real", "d_fake", "g_loss"]
    assert all(v.shape == () and v.node is None for v in results.values())
    assert 0 < results["d_real"].item() < 1
    raw = toy(loss=losses.wasserstein, penalty=penalties.gradient_penalty).play(points)
    assert list(raw) == ["d_loss", "d_real", "d_fake", "penalty", "g_loss"]
    assert raw["d_loss"].item() == pytest.approx(
        raw["d_fake"].item() - raw["d_real"].item() + 10 * raw["penalty"].item(), rel=1e-4
    )


def test_clip_is_applied_after_each_discriminator_step():
    game = toy(loss=losses.wasserstein, moves=Moves(clip=0.01))
    game.play(points)
    assert max(np.abs(p.numpy()).max() for p in game.discriminator.parameters()) <= np.float32(0.01)


def test_both_limits_hold_after_each_discriminator_step():
    game = toy(moves=Moves(clip=0.3, max_norm=0.35))
    for p in game.discriminator.parameters():
        p.copy_(p * 10)
    game.play(points)
    for p in game.discriminator.parameters():
        assert np.abs(p.numpy()).max() <= np.float32(0.3)
        assert p.ndim < 2 or np.linalg.norm(p.numpy(), axis=1).max() <= 0.35001


def test_schedules_draw_fresh_or_reused_batches_and_noise():
    asked, drawn = [], []

    def batch_at(k):
        asked.append(k)
        return points(k)

    game = toy(schedule=alternate(d_steps=3, g_steps=2))
    latent = game.latent
    game.latent = lambda n, rng: drawn.append(rng.step) or latent(n, rng)
    game.play(batch_at)
    game.play(batch_at)
    assert asked == [0, 1, 2, 3, 4, 5]
    assert drawn == list(range(10))

    asked.clear()
    drawn.clear()
    again = Turn("discriminator_turn", fresh_batch=False, fresh_noise=False)
    game = toy(schedule=[Turn("discriminator_turn"), again, Turn("generator_turn", False, False)])
    game.latent = lambda n, rng: drawn.append(rng.step) or latent(n, rng)
    game.play(batch_at)
    game.play(batch_at)
    assert asked == [0, 1]
    assert drawn == [0, 0, 0, 3, 3, 3]

    drawn.clear()
    game = toy(schedule=[*alternate(d_steps=2)[:2], Turn("generator_turn", False, False)])
    game.latent = lambda n, rng: drawn.append(rng.step) or latent(n, rng)
    game.play(batch_at)
    game.play(batch_at)
    assert drawn == [0, 1, 1, 3, 4, 4]  # the noise of the turn before


def test_turns_with_the_same_noise_draw_other_numbers_themselves():
    drawn = []

    def penalty(critic, real, fake, *, rng):
        drawn.append(rng.uniform(2).tolist())
        return mg.mean(critic(real)) * 0

    again = Turn("discriminator_turn", fresh_batch=False, fresh_noise=False)
    game = toy(schedule=[Turn("discriminator_turn"), again, Turn("generator_turn", False)], penalty=penalty)
    game.play(points)
    game.play(points)
    assert len({tuple(numbers) for numbers in drawn}) == 4


def test_the_state_is_everything_and_a_copy_of_it_continues_exactly():
    game = toy(ema=None)
    for _ in range(3):
        game.play(points)
    saved = numbers(game)
    expected = [game.play(points)["g_loss"].item() for _ in range(3)]
    other = toy(seed=0)
    other.load_state(saved)
    assert [other.play(points)["g_loss"].item() for _ in range(3)] == expected
    for k, v in numbers(game).items():
        assert np.array_equal(v, numbers(other)[k]), k


def test_state_follows_the_players():
    game = toy()
    game.generator.to(dtype="float64")
    assert game.state["generator.0.weight"].dtype == np.float64
    other = toy(seed=1)
    other.load_state(toy().state)  # tensors are taken as arrays are
    assert np.array_equal(other.generator[0].weight.numpy(), toy().generator[0].weight.numpy())


def test_schedules_set_the_rate_before_each_round():
    game = toy()
    game.schedules = [mg.optim.Schedule(game.optimizers["generator"], mg.optim.step_decay(2, 0.5))]
    rates = []
    for _ in range(4):
        game.play(points)
        rates.append(game.optimizers["generator"].lr)
    assert rates == pytest.approx([1e-3, 1e-3, 5e-4, 5e-4])


def test_state_names():
    game = toy()
    keys = set(game.state)
    assert {"step", "generator.0.weight", "generator.1.running_mean", "discriminator.3.bias"} <= keys
    assert {"generator_optimizer.exp_avg.0", "generator_optimizer.t", "discriminator_optimizer.lr"} <= keys
    mg.random.seed(0)
    averaged = mg.gan.ScoreGame(
        game.generator,
        game.discriminator,
        loss=losses.hinge,
        latent=game.latent,
        generator_optimizer=mg.optim.Adam(game.generator.parameters()),
        discriminator_optimizer=mg.optim.Adam(game.discriminator.parameters()),
        ema=mg.optim.EMA(game.generator),
    )
    assert "ema.0.weight" in averaged.state


def test_another_games_state_is_refused_and_nothing_is_copied():
    game = toy()
    before = numbers(game)
    saved = {**before, "step": np.array(9)}
    del saved["generator.0.weight"]
    with pytest.raises(mg.errors.CheckpointError, match=r"load_state of ScoreGame: generator\.0\.weight is missing$"):
        game.load_state(saved)
    for key, value in (("step", 9.5), ("discriminator.3.bias", ["x"]), ("generator_optimizer.t", "9")):
        wrong = {**{k: v + 1 for k, v in before.items()}, key: np.full(before[key].shape, value)}
        with pytest.raises(mg.errors.CheckpointError, match=f"load_state of ScoreGame: {key} is of"):
            game.load_state(wrong)
    assert all(np.array_equal(before[k], v) for k, v in numbers(game).items())
    assert game.rounds == 0


def test_samples_are_fixed_and_leave_the_game_alone():
    game = toy(ema=None)
    game.play(points)
    before = numbers(game)
    first, second = game.sample(5).numpy(), game.sample(5).numpy()
    assert np.array_equal(first, second)
    assert game.generator.training
    assert all(np.array_equal(v, before[k]) for k, v in numbers(game).items())
    assert not np.array_equal(first, game.sample(5, at=1).numpy())


def test_samples_of_a_generator_that_draws_are_fixed_too():
    game = toy()
    game.generator = game.players["generator"] = mg.nn.Sequential(mg.nn.Linear(2, 8), mg.nn.Dropout(0.5, always=True))
    mg.random.seed(5)
    expected = mg.random.default().uniform(3)
    mg.random.seed(5)
    first, second = game.sample(5).numpy(), game.sample(5).numpy()
    assert np.array_equal(first, second)
    assert (first == 0).any()
    assert np.array_equal(mg.random.default().uniform(3), expected)


def test_samples_come_from_the_average_if_there_is_one():
    mg.random.seed(0)
    game = toy()
    ema = mg.optim.EMA(game.generator, 0.0)
    game.ema = ema
    ema.update()
    plain = game.sample(4).numpy()
    for t in ema.parameters().values():
        t.copy_(mg.zeros_like(t))
    assert np.array_equal(game.sample(4).numpy(), np.zeros((4, 2)))
    game.ema = None
    assert np.array_equal(game.sample(4).numpy(), plain)


def test_wrong_games_are_refused():
    with pytest.raises(mg.errors.ShapeError, match=r"cannot train on an empty batch \(0, 2\)"):
        toy().play(lambda k: mg.zeros((0, 2)))
    with pytest.raises(mg.errors.ShapeError, match="nobodys_turn"):
        toy(schedule=[Turn("nobodys_turn")])
    with pytest.raises(mg.errors.ShapeError, match="begins with a fresh batch"):
        toy(schedule=[Turn("generator_turn", fresh_batch=False)])
    with pytest.raises(mg.errors.ShapeError, match="at least one turn"):
        alternate(0, 1)


# --- a whole step of the documents' networks -----------------------------------------------------------------------


def test_a_step_is_float32_throughout():
    seen = set()
    G, D = mg.models.wgan_gp28()
    game = mg.gan.ScoreGame(
        G,
        D,
        loss=losses.wasserstein,
        penalty=penalties.gradient_penalty,
        latent=mg.gan.normal_latent(96),
        generator_optimizer=mg.optim.Adam(G.parameters()),
        discriminator_optimizer=mg.optim.RMSProp(D.parameters()),
        moves=Moves(clip=0.1),
        ema=mg.optim.EMA(G),
    )
    images = np.random.default_rng(0).integers(0, 256, (8, 1, 28, 28)).astype("uint8")
    batches = mg.data.Batches(images, 8)
    with mg.observe(lambda op, args, out, order: seen.add((op.name, str(out.dtype)))):
        game.play(lambda k: Tensor(batches.at(k)))
    assert {dtype for _, dtype in seen} <= {"float32", "int64", "bool", "uint8"}
    assert {k for k, t in game.state.items() if t.dtype == np.float64} == {
        *["generator_optimizer.lr", "discriminator_optimizer.lr"]
    }


def test_every_image_of_a_step_is_channels_last():
    G, D = mg.models.dcgan28()
    game = mg.gan.ScoreGame(
        G,
        D,
        loss=losses.nonsaturating,
        latent=mg.gan.uniform_latent(96),
        generator_optimizer=mg.optim.Adam(G.parameters()),
        discriminator_optimizer=mg.optim.Adam(D.parameters()),
    )
    batches = mg.data.Batches(np.zeros((4, 1, 28, 28), "uint8"), 4)
    stray = []

    def look(op, args, out, order):
        if out.ndim == 4 and op.name != "broadcast_to" and not out.data.transpose(0, 2, 3, 1).flags.c_contiguous:
            stray.append((op.name, order, out.shape))

    with mg.observe(look):
        game.play(lambda k: Tensor(batches.at(k)))
    assert stray == []
