"""What `minigan train` puts together: the same weights for the same seed, whoever else is building."""

import threading

import numpy as np
import pytest

import minigan as mg
from minigan.command import networks, recipe
from minigan.gan import Moves, PathLengths, Regularisers, Sight
from minigan.random import Stream
from minigan.training import Settings

OPTIONS = "--model dcgan --side 32 --width 2 --spectral-norm --stddev --dropout 0.5 --ema 0.9 --replay 8"


def build(seed):
    return recipe.build(Settings.parsed(recipe.options([]), [*OPTIONS.split(), "--seed", str(seed)], "train"))


def arrays(game):
    return {name: t.numpy() for name, t in game.state.items()}


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(value, other[name]) for name, value in one.items())


def test_weights_are_those_of_the_default_stream_after_seeding():
    settings = Settings.parsed(recipe.options([]), [*OPTIONS.split(), "--seed", "3"], "train")
    mg.random.seed(3)
    expected = networks.players(settings.extra)
    for player, made in zip(recipe.build(settings).players.values(), expected, strict=True):
        assert same(*({k: t.numpy() for k, t in network.state_dict().items()} for network in (player, made)))


def test_two_threads_build_what_one_does(monkeypatch):
    expected = [arrays(build(seed)) for seed in (1, 2)]
    assert not same(*expected)
    turns, found = threading.Barrier(2), {}

    def in_turn(draw):
        def drawn(*args, **options):
            turns.wait(timeout=60)  # neither thread is ahead by more than a draw
            return draw(*args, **options)

        return drawn

    monkeypatch.setattr(Stream, "normal", in_turn(Stream.normal))
    monkeypatch.setattr(Stream, "uniform", in_turn(Stream.uniform))
    threads = [threading.Thread(target=lambda seed=seed: found.update({seed: arrays(build(seed))})) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert same(found[1], expected[0])
    assert same(found[2], expected[1])


@pytest.mark.parametrize("seed", [0, 5])
def test_building_leaves_the_default_stream_alone(seed):
    mg.random.seed(seed)
    expected = mg.random.default().uniform(3)
    mg.random.seed(seed)
    build(1)
    assert np.array_equal(mg.random.default().uniform(3), expected)


def game(line):
    return recipe.build(Settings.parsed(recipe.options([]), line.split(), "train"))


def test_both_players_move_in_the_last_of_the_turns_of_d():
    for line, expected in (
        ("--one-pass", ["one_pass_turn"]),
        ("--one-pass --d-steps 3", ["discriminator_turn", "discriminator_turn", "one_pass_turn"]),
        ("--one-pass --repeat 2", ["one_pass_turn", "one_pass_turn"]),
    ):
        turns = game(line).schedule
        assert [turn.name for turn in turns] == expected
        assert sum(turn.fresh_batch for turn in turns) == (1 if "repeat" in line else len(turns))


def test_a_pass_that_both_share_leaves_batch_norm_out_of_d_unless_it_is_asked_for():
    sizes = "--model dcgan --side 16 --channels 1 --width 2"
    norms = [isinstance(m, mg.nn.BatchNorm2d) for m in game(f"{sizes} --one-pass").discriminator.modules()]
    assert not any(norms)
    with pytest.raises(mg.errors.ShapeError, match="BatchNorm2d mixes them"):
        game(f"{sizes} --one-pass --norm batch")


def test_penalties_rates_and_averages_are_as_the_line_says():
    played = game(
        "--penalty r1 --penalty-every 8 --lr-schedule linear --lr-end 0.5 --warmup 2 --ema 0.9 --ema-ramp 0.1"
    )
    assert (played.penalty_every, played.ema.ramp) == (8, 0.1)
    played.lasts(10)
    found = []
    for step in (0, 1, 5, 10):
        for schedule in played.schedules:
            schedule.set(step)
        found.append([optimizer.lr / 2e-4 for optimizer in played.optimizers.values()])
    np.testing.assert_allclose(found, np.repeat([[0.5], [0.95], [0.75], [0.5]], 2, axis=1))
    assert game("").schedules == []
    cosine = game("--lr-schedule cosine --d-lr 1e-3")
    cosine.lasts(10)
    for schedule in cosine.schedules:
        schedule.set(5)
    assert [o.lr for o in cosine.optimizers.values()] == pytest.approx([1e-4, 5e-4])


def test_what_stylegan2_has_besides_reaches_the_game():
    line = "--model stylegan2 --side 8 --width 2 --path-length"
    assert game(f"{line} 2").paths.weights == PathLengths()
    assert game(f"{line} 1 --path-length-every 8 --path-length-decay 0.9").paths.weights == PathLengths(1.0, 0.9, 8)
    assert game(f"{line} 0").paths is None
    names = [name for name, _ in game(f"{line} 0 --noiseless").generator.named_parameters()]
    assert not any("noise" in name for name in names)
    with pytest.raises(mg.errors.ShapeError, match=r"expected a generator with styles\(z\)"):
        game("--path-length 2")


def test_the_generator_may_be_narrower_than_its_documents():
    counts = [p.num_parameters(buffers=True) for p in game("--generator-width 32 --z-dim 196").players.values()]
    assert counts == [1_757_665, 1_102_721]
    narrow, usual = (game(f"--model dcgan --side 16 --width 8 {more}") for more in ("--generator-width 2", ""))
    assert narrow.discriminator.num_parameters() == usual.discriminator.num_parameters()
    assert narrow.generator[1].weight.shape[1] * 4 == usual.generator[1].weight.shape[1]


def test_what_helps_where_data_are_few_reaches_the_game():
    played = game("--augment color+cutout --lecam 0.3 --lecam-decay 0.9 --lecam-after 9 --top-k 0.5 --top-k-steps 100")
    assert (played.sight.augment, played.moves.top_k, played.moves.top_k_steps) == ("color,cutout", 0.5, 100)
    assert played.regularisers == Regularisers(lecam=0.3, lecam_decay=0.9, lecam_after=9)
    for switch in ("--augment ada", "--pseudo"):
        played = game(f"{switch} --ada-target 0.5 --ada-images 20000")
        assert (played.view.adaptive.target, played.view.adaptive.images) == (0.5, 20_000)
        assert (played.sight.pseudo, played.sight.varied) == (switch == "--pseudo", switch != "--pseudo")
    assert game("--augment ada:color+flip --ada-target 0.5").sight.augment == "ada:color,flip"
    line = "--consistency 10 --fake-consistency 9 --consistency-by flip,color --latent-consistency 5"
    given = {"consistency": 10.0, "fake_consistency": 9.0, "consistency_by": "flip,color", "latent_consistency": 5.0}
    assert game(f"{line} --latent-step 0.1 --latent-variety 1").regularisers == Regularisers(
        **given, latent_step=0.1, latent_variety=1.0
    )
    cut = Regularisers(cutmix=1.0, cutmix_share=0.3, cutmix_steps=9)
    assert game("--model unet --width 4 --cutmix 1 --cutmix-share 0.3 --cutmix-steps 9").regularisers == cut
    plain = game("--augment none")
    assert (plain.sight, plain.moves, plain.regularisers) == (Sight(), Moves(), Regularisers())
    for line, told in (
        ("--augment ada --loss wasserstein", "augment ada and pseudo go by how many real samples"),
        ("--top-k 0.5 --loss softmax", "top_k 0.5 leaves scores out"),
        ("--consistency 1 --joint-batches", "no consistency"),
        ("--latent-consistency 1 --one-pass", "no one_pass_turn"),
        ("--top-k 2", "top_k: expected"),
        ("--san --loss lsgan", "that of lsgan compares scores, or rises again"),
        ("--latent-optimisation 0.9 --one-pass", "no replay, unroll, one_pass_turn or shared_turn"),
    ):
        with pytest.raises(mg.errors.ShapeError, match=told):
            game(line)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--penalty-every 8", "--penalty-every changes nothing without --penalty"),
        ("--path-length-every 8", "--path-length-every changes nothing without --path-length"),
        ("--path-length-decay 0.9", "--path-length-decay changes nothing without --path-length"),
        ("--ema-ramp 0.1", "--ema-ramp changes nothing without --ema"),
        ("--lr-end 0.1", "--lr-end changes nothing without --lr-schedule linear or cosine"),
        ("--one-pass --consensus 1", "--one-pass changes nothing with --consensus"),
        ("--model lab28 --generator-width 8", "--generator-width is for dcgan28, wgan_gp28, dcgan"),
        ("--ada-target 0.5", "--ada-target changes nothing without --augment ada or --pseudo"),
        ("--augment color --ada-images 9", "--ada-images changes nothing without --augment ada"),
        ("--lecam-decay 0.9", "--lecam-decay changes nothing without --lecam"),
        ("--lecam-after 9", "--lecam-after changes nothing without --lecam"),
        ("--consistency-by flip", "--consistency-by changes nothing without --consistency or --fake-consistency"),
        ("--cutmix-share 0.1", "--cutmix-share changes nothing without --cutmix"),
        ("--cutmix-steps 9", "--cutmix-steps changes nothing without --cutmix"),
        ("--latent-step 0.1", "--latent-step changes nothing without --latent-consistency"),
        ("--latent-variety 0.1", "--latent-variety changes nothing without --latent-consistency"),
        ("--latent-damping 1", "--latent-damping changes nothing without --latent-optimisation"),
        ("--top-k-steps 9", "--top-k-steps changes nothing without --top-k below 1"),
        (
            "--augment colour",
            "translation, cutout, flip, rotation, scaling, diffusion, even_diffusion, each once, got 'colour'",
        ),
        ("--augment ada:", "expected changes after ada:, got 'ada:'"),
        ("--augment none --consistency 1 --consistency-by ada", "expected some of color"),
        ("--warmup -1", "expected a number from 0, got -1"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(line, told, capsys):
    with pytest.raises(SystemExit):
        recipe.options([]).parse_args(line.split())
    assert told in capsys.readouterr().err
