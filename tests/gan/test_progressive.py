"""Players that grow while they play: how far, what then moves, and that a run of them is exact in every stage."""

import fakecupy
import numpy as np
import pytest
from cuda_games import losses_without_waiting
from replayed_game import replays_exactly
from resumed_game import numbers
from systems import furthest

import minigan as mg
from minigan import export
from minigan.command import recipe
from minigan.errors import ShapeError
from minigan.gan import Growth, ProgressiveGame
from minigan.processes import Threads
from minigan.training import Settings

SIDE, BATCH = 16, 4
WGAN = "--loss wasserstein --penalty gradient_penalty --drift 0.001 --lr 0.001 --beta1 0 --beta2 0.99 --ema 0.9"


def game(rounds=0, options=WGAN, device="cpu"):
    """A game of players that grow over so many rounds, if they are told."""
    arguments = (
        f"--model progan --side {SIDE} --channels 1 --width 4 --z-dim 5 --batch-size 4 --device {device}".split()
    )
    arguments += options.split()
    mg.random.seed(0)
    made = recipe.build(Settings.parsed(recipe.options(arguments), arguments, "train"))
    if rounds:
        made.lasts(rounds)
    return made


def images(k):
    drawn = np.random.default_rng(k).uniform(-1, 1, (BATCH, 1, SIDE, SIDE)).astype("float32")
    return mg.tensor(drawn.transpose(0, 2, 3, 1).copy()).transpose(0, 3, 1, 2)


def test_how_far_players_have_grown():
    growth = Growth(0.5, 0.5)
    done = [0, 0.125, 0.1875, 0.25, 0.375, 0.4375, 0.5, 0.75, 1]
    assert [growth.level(t, 2) for t in done] == [0, 0, 0.5, 1, 1, 1.5, 2, 2, 2]
    assert [Growth(1.0, 1.0).level(t / 4, 2) for t in range(5)] == [0, 0.5, 1, 1.5, 2]
    papers = Growth(6 / 7, 0.5)  # four sizes: seven times alike
    assert [papers.level(k / 7, 3) for k in range(8)] == pytest.approx([0, 0, 1, 1, 2, 2, 3, 3])
    for options in ({"share": 0.0}, {"share": 1.1}, {"fade": 0.0}, {"fade": 2.0}):
        with pytest.raises(ShapeError, match="Growth: "):
            Growth(**options)


def test_the_size_follows_from_the_step_and_the_length():
    played = game(16)
    found = []
    for k in range(16):
        sides = played._sides(*played.as_functions(batch := _batch(played, k)), batch)
        found.append((played.generator.level.item(), sides.real.shape[2], sides.fake.shape[2]))
        played.play(images)
        assert played.generator.level.item() == played.discriminator.level.item() == played.level(k)
        assert played.ema.shadow["level"].item() == played.level(k)
        assert played.sample(2).shape == (2, 1, SIDE, SIDE)
    assert [level for level, *_ in found[1:]] == [played.level(k) for k in range(15)]
    sides = [real for _, real, _ in found]
    assert sides == [4, 4, 4, *[8] * 4, *[16] * 9]
    assert sides == [fake for *_, fake in found]


def _batch(played, k):
    return mg.gan.Batch(images(k), k, k, mg.random.Stream(0))


def test_real_images_are_means_of_blocks_and_fade_in():
    played = game(40)
    real = images(0).numpy()
    small = real.reshape(BATCH, 1, 8, 2, 8, 2).mean((3, 5))
    for k, level in ((2, 0.0), (8, 0.6), (12, 1.0), (18, 1.6), (39, 2.0)):
        played.rounds = k
        played._grow()
        assert played.level(k) == pytest.approx(level)
        shown = played._of_size(images(0)).numpy()
        full = {0: small.reshape(BATCH, 1, 4, 2, 4, 2).mean((3, 5)), 1: small, 2: real}[played.stage(k)]
        if (share := level % 1) > 0:
            half = full.reshape(BATCH, 1, len(full[0, 0]) // 2, 2, -1, 2).mean((3, 5))
            full = (1 - share) * half.repeat(2, 2).repeat(2, 3) + share * full
        np.testing.assert_allclose(shown, full, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        WGAN,
        pytest.param("--penalty r1 --penalty-every 2 --d-steps 2", marks=pytest.mark.slow),
        pytest.param("--loss lsgan --unroll 1", marks=pytest.mark.slow),
    ],
)
def test_replayed_to_the_bit_while_they_grow(options):
    played = replays_exactly(lambda: game(40, options), lambda: images, rounds=40)
    ways = 2 if "every" in options else 1
    assert len(played._turns[1]) == len(played.schedule) + (ways - 1) * 2, "those of smaller sizes are forgotten"


@pytest.mark.parametrize("options", [WGAN, "--penalty r1 --penalty-every 2 --optimizer rmsprop"])
def test_resumed_to_the_bit_wherever_it_stopped(options):
    whole, states = game(20, options), []
    for _ in range(20):
        states.append(numbers(whole))
        whole.play(images)
    states.append(numbers(whole))
    for k in range(19):
        again = game(0, options)
        again.load_state(states[k])
        again.lasts(20)
        for _ in range(2):
            again.play(images)
        found = numbers(again)
        assert [name for name in found if not np.array_equal(found[name], states[k + 2][name])] == [], k


@pytest.mark.parametrize("optimizer", ["adam --beta1 0.5", "rmsprop", "sgd --momentum 0.9"])
def test_what_a_size_does_not_use_does_not_move(optimizer):
    played = game(40, f"--penalty r1 --optimizer {optimizer}")
    start = numbers(played)
    sizes_of = {"generator": "to_image", "discriminator": "from_image"}
    for size in range(3):
        while played.rounds < 40 and played.stage(played.rounds) == size:
            played.play(images)
        now = numbers(played)
        unused = [f"{part}.{k}." for k in range(size + 1, 3) for part in ("blocks", *sizes_of.values())]
        for player in sizes_of:
            for k, (name, _) in enumerate(getattr(played, player).named_parameters()):
                idle = any(part in name for part in unused)
                assert np.array_equal(start[f"{player}.{name}"], now[f"{player}.{name}"]) == idle, (size, name)
                averages = [now[key] for key in now if key.startswith(f"{player}_opt") and key.endswith(f".{k}")]
                if idle or name.startswith(tuple(unused)):
                    assert not any(average.any() for average in averages), (size, name)


def test_optimizers_begin_anew_with_each_size():
    played, steps = game(16), []
    for _ in range(16):
        played.play(images)
        steps.append([optimizer.t.item() for optimizer in played.optimizers.values()])
    assert steps == [[n, n] for n in (*range(1, 4), *range(1, 5), *range(1, 10))]


def test_a_file_of_each_size_gives_the_samples_of_the_game(tmp_path):
    played = game(16)
    z = mg.tensor(np.random.default_rng(0).normal(size=(3, 5)).astype("float32"))
    for _ in range(16):
        played.play(images)
        again = export.load_generator(export.save_of_game(tmp_path / "g.safetensors", played))
        np.testing.assert_array_equal(again.generate(z).numpy(), played.generate(z).numpy())


def test_without_a_length_they_are_grown():
    played = game()
    losses = played.play(images)
    assert played.stage(0) == 2
    assert played.generator.level.item() == 2
    assert np.isfinite([value.item() for value in losses.values()]).all()
    mg.gan.memory_needed(played, lambda k: images(k))
    played.lasts(40)  # as a run by the clock is told
    assert played.stage(1) == 0
    played.play(images)
    assert [optimizer.t.item() for optimizer in played.optimizers.values()] == [1, 1]


def test_a_round_of_smaller_players_is_less_work():
    played = game(100)
    work = [
        sum(p.blocks[k].num_parameters() * side**2 for p in played.players.values())
        for k, side in enumerate((4, 8, 16))
    ]
    shares = [sum(played.stage(k) == stage for k in range(100)) / 100 for stage in range(3)]
    expected = sum(share * sum(work[: k + 1]) for k, share in enumerate(shares)) / sum(work)
    assert played.pace() == pytest.approx(expected, abs=0.02)
    assert 0.6 < played.pace() < 0.95


def test_what_has_grown_stays_in_a_longer_run():
    played = game(8)
    for _ in range(8):
        played.play(images)
    again = game()
    again.load_state(numbers(played))
    again.lasts(100)
    assert again.stage(8) == 2
    again.play(images)
    assert again.optimizers["generator"].t.item() == played.optimizers["generator"].t.item() + 1
    once_more = game()
    once_more.load_state(numbers(again))
    once_more.lasts(100)
    assert once_more.stage(9) == 2


def test_memory_is_that_of_the_full_size():
    small, grown = mg.gan.memory_needed(game(100), images), mg.gan.memory_needed(game(), images)
    assert small.sample == pytest.approx(grown.sample, rel=0.05)
    assert small.fixed == pytest.approx(grown.fixed, rel=0.05)


def test_on_a_gpu_while_they_grow(monkeypatch):
    fakecupy.install(monkeypatch)
    drawn = np.random.default_rng(0).integers(0, 256, (20, 1, SIDE, SIDE)).astype("uint8")
    found = [
        losses_without_waiting(
            game(12, device="cuda"), mg.data.Batches(drawn, 4, device="cuda"), graphs=graphs, rounds=12
        )
        for graphs in (False, True)
    ]
    assert found[0] == found[1]
    source, on_cpu = mg.data.Batches(drawn, 4), game(12)
    for ours in found[0]:
        theirs = {name: value.item() for name, value in on_cpu.play(source).items()}
        assert ours == pytest.approx(theirs, rel=2e-3, abs=1e-3)


def played_in_float64(group=None, parts=1):
    made = game()
    made = ProgressiveGame(
        made.generator.to(dtype="float64"),
        made.discriminator.to(dtype="float64"),
        loss=mg.gan.losses.wasserstein,
        penalty=mg.gan.penalties.gradient_penalty,
        latent=mg.gan.normal_latent(5, dtype="float64"),
        generator_optimizer=mg.optim.Adam(made.generator.parameters(), 1e-3, (0.0, 0.99)),
        discriminator_optimizer=mg.optim.Adam(made.discriminator.parameters(), 1e-3, (0.0, 0.99)),
        growth=Growth(0.9, 0.5),
    )
    if group is not None:
        made.distribute(group)
    made.accumulate(parts)
    made.lasts(8)
    drawn = np.random.default_rng(0).uniform(-1, 1, (8, 16, 1, SIDE, SIDE))
    for _ in range(8):
        made.play(lambda k: mg.tensor(drawn[k]))
    return made, numbers(made)


def test_two_ranks_or_parts_play_what_one_plays():
    made, alone = played_in_float64()
    ours = [state for _, state in Threads(2).run(played_in_float64)]
    assert all(np.array_equal(ours[0][name], ours[1][name]) for name in alone)
    for state in (ours[0], played_in_float64(parts=2)[1]):
        assert furthest(made, alone, state) < 1e-10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--replay 8", "8 earlier fakes may be of another size: no replay"),
        ("--clusters 3", "--model progan is told no classes"),
        ("--one-pass", "MinibatchStdDev mixes them"),
        ("--grow 1.5", "Growth: share: expected a finite number > 0 and <= 1, got 1.5"),
    ],
)
def test_what_does_not_go_with_growing_is_refused(options, message):
    with pytest.raises(ShapeError, match=message):
        game(0, options)
