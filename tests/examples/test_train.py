"""The examples as programs: every preset and model of train.py, and what it says of settings that cannot be."""

import runpy
import subprocess
import sys

import numpy as np
import pytest
from example_scripts import EXAMPLES, example

import minigan as mg
from minigan.command.networks import NETWORKS, SCALED, sized
from minigan.command.presets import PRESETS

train = example("train")


SIZED = ", ".join(name for name, network in NETWORKS.items() if "side" in network.shaped_by)


def dry(options, capsys):
    status = train.main(["--dry-run", *options.split()])
    return status, capsys.readouterr()


def game(*arguments):
    return train.build(train.Settings.parsed(train.options(arguments), arguments))


def quick(preset):
    """What makes the networks of a preset small, if they come in any size."""
    options = PRESETS[preset].options
    of_eight = options.get("attention") or options["model"] == "r3gan"
    return ["--side", "32", "--width", "8" if of_eight else "4"] if sized(options) else []


def plays_a_round(*arguments):
    """A round of what these words ask for, on eight images of noise: everything stays finite, and both players move."""
    played = game(*arguments, *quick(arguments[0]), "--dry-run")
    image = played.sample(1).shape[1:]
    before = {name: [p.numpy() for p in player.parameters()] for name, player in played.players.items()}
    labels = mg.tensor(np.arange(8)) if played.labelled else None
    shown = played.play(lambda k: (mg.tensor(mg.random.Stream(k).uniform((8, *image), -1, 1)), labels))
    assert all(np.isfinite(value.item()) for value in shown.values())
    for name, weights in before.items():
        now = [p.numpy() for p in played.players[name].parameters()]
        assert not all(map(np.array_equal, now, weights)), f"{name} has not moved"


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_plays(name):
    plays_a_round(name)


@pytest.mark.parametrize("name", ["lab_adam", "goodfellow", "r3gan", "rpgan", "tricks"])
def test_a_preset_trains(name, capsys):
    status, said = dry(" ".join([name, *quick(name)]), capsys)
    assert status == 0, said.err
    assert "2 steps" in said.out


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if preset.as_printed])
def test_as_printed_plays_too_and_is_another_game(name):
    plays_a_round(name, "--as-printed")
    corrected, printed = (
        vars(train.options([name, *more]).parse_args([name, *more])) for more in ([], ["--as-printed"])
    )
    different = {k for k in printed if printed[k] != corrected[k]}
    assert different == {"as_printed", *PRESETS[name].as_printed}


def test_presets_have_their_documents_settings():
    lab = game("lab")
    assert [turn.name[0] + "*" * turn.fresh_batch for turn in lab.schedule] == ["d*", "g", *["d", "g"] * 4]
    assert (lab.loss.name, lab.penalty.__name__, lab.penalty_weight) == ("wasserstein", "gradient_penalty", 10.0)
    assert all(isinstance(o, mg.optim.SGD) and o.lr == 0.01 for o in lab.optimizers.values())
    printed = game("lab", "--as-printed")
    assert [type(g.generator[-1]) for g in (lab, printed)] == [mg.nn.Tanh, mg.nn.Sigmoid]
    assert (printed.sight.prepare(mg.full((2, 1, 28, 28), -1.0)).numpy() == 0).all()
    paper = game("lab_adam")
    assert [turn.name[0] for turn in paper.schedule] == ["d"] * 5 + ["g"]
    assert (paper.optimizers["discriminator"].betas, paper.batches_per_step) == ((0.0, 0.9), 5)
    norms = [
        [isinstance(m, mg.nn.BatchNorm2d) for m in game("wgan_gp", *more).discriminator.modules()].count(True)
        for more in ([], ["--as-printed"])
    ]
    assert norms == [0, 1]
    goodfellow = game("goodfellow", "--as-printed", "--d-steps", "3")
    assert (goodfellow.loss.name, goodfellow.optimizers["generator"].momentum) == ("minimax", 0.5)
    assert (game("goodfellow").loss.name, len(goodfellow.schedule)) == ("nonsaturating", 4)
    wgan = game("faces_wgan", "--dry-run")
    assert (wgan.moves.clip, wgan.optimizers["generator"].lr, len(wgan.schedule)) == (0.01, 1e-4, 2)
    assert isinstance(wgan.optimizers["generator"], mg.optim.RMSProp)
    full = game("dcgan64", "--dry-run").generator
    assert [m.weight.shape[1] for m in full.modules() if isinstance(m, mg.nn.ConvTranspose2d)] == [
        1024,
        512,
        256,
        128,
        3,
    ]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", {"model": "dcgan28", "generator_width": 32, "clusters": 300, "penalty_weight": 0.2, "lr": 2e-3}),
        ("--clusters 0", {"clusters": 0, "penalty_weight": 0.5}),
        ("--labels", {"penalty_weight": 0.2, "labels_from": "data"}),
        ("--penalty-weight 3 --clusters 0", {"penalty_weight": 3.0}),
        ("--data fashion_mnist", {"model": "dcgan28", "batch_size": 128}),
        ("--data cifar10", {"model": "dcgan", "side": 32, "clusters": 300, "penalty_weight": 0.2, "width": 16}),
        ("--data FOLDER", {"model": "dcgan", "side": 48, "clusters": 300}),
        ("--data FOLDER --side 64 --clusters 9", {"side": 64, "clusters": 9}),
        ("--data CIFAR", {"model": "dcgan", "side": 32, "clusters": 300}),
        ("--data IDX", {"model": "dcgan28", "clusters": 300}),
        ("--model dcgan --side 64 --data a.npz", {"side": 64, "lr": 2e-3}),
        ("--steps 9", {"steps": 9, "minutes": 5.0}),
    ],
)
def test_the_best_recipe_depends_on_the_data(words, expected, tmp_path, monkeypatch):
    files = {"FOLDER": "0.png", "CIFAR": "data_batch_1.bin", "IDX": "train-images-idx3-ubyte.gz"}
    for folder, name in files.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).touch()
    (tmp_path / "fashion_mnist").mkdir()  # a folder that lies here, and that --data does not mean
    monkeypatch.chdir(tmp_path)
    given = ["best", *words.split()]
    chosen = vars(train.options(given).parse_args(given))
    assert {name: chosen[name] for name in expected} == expected


def test_r3gan_is_trained_as_its_authors_do_on_cifar10():
    """But for what changes along the run beside the rate and the average: gamma 0.05, beta2 0.9 stay."""
    played = game("r3gan")
    kinds = [
        {type(m).__name__ for m in player.modules()} - {"Sequential", "Flatten"} for player in played.players.values()
    ]
    own = {"GroupedResidualBlock", "Conv2d", "Blur", "Linear"}
    assert [kind >= own and not any("Norm" in name for name in kind) for kind in kinds] == [True, True]
    assert (played.loss.name, played.penalty.__name__, 2 * played.penalty_weight) == ("relativistic", "r1_r2", 0.05)
    assert all((o.betas, o.lr) == ((0.0, 0.9), 2e-4) for o in played.optimizers.values())
    played.lasts(1000)
    for course in played.schedules:
        course.set(1000)
        assert course.optimizer.lr == pytest.approx(5e-5)
    assert np.log(0.5) / np.log(played.ema.decay) * 32 == pytest.approx(5e6, rel=0.15)  # images
    assert game("r3gan", "--data", "cifar10").sample(1).shape == (1, 3, 32, 32)
    assert game("r3gan", "--data", "mnist").sample(1).shape == (1, 1, 28, 28)


def test_rpgan_is_r3gans_loss_on_dcgans_layers():
    played = game("rpgan")
    assert (played.loss.name, played.penalty.__name__) == ("relativistic", "r1_r2")
    assert isinstance(played.generator[1], mg.nn.ConvTranspose2d)


def test_stylegan2_is_trained_as_its_paper_has_it(tmp_path):
    style = game("stylegan2", "--width", "2")
    G, adam = style.generator, style.optimizers["generator"]
    assert (style.loss.name, style.penalty.__name__, style.penalty_every) == ("nonsaturating", "r1", 16)
    assert (style.paths.weights, adam.betas, G.mixing) == (mg.gan.PathLengths(2.0, 0.99, 4, 2), (0.0, 0.99), 0.9)
    (tmp_path / "0.png").touch()
    for data, expected in (("auto", (1, 28)), ("cifar10", (3, 32)), (str(tmp_path), (3, 32))):
        chosen = train.options(["stylegan2", "--data", data]).parse_args(["stylegan2", "--data", data])
        assert (chosen.channels, chosen.side) == expected


def test_the_best_recipe_reaches_the_game():
    best, plain = game("best"), game("best", "--clusters", "0")
    assert isinstance(best, mg.gan.ConditionalGame)
    assert not isinstance(plain, mg.gan.ConditionalGame)
    for made in (best, plain):
        assert [turn.name for turn in made.schedule] == ["one_pass_turn"]
        assert (made.penalty.__name__, made.penalty_every, made.ema.decay, made.ema.ramp) == ("r1", 8, 0.995, 0.05)
        made.lasts(100)
        for schedule in made.schedules:
            schedule.set(50)
        assert [o.lr for o in made.optimizers.values()] == pytest.approx([1e-3, 1e-3])
    assert (best.penalty_weight, plain.penalty_weight, best.classes) == (0.2, 0.5, 300)
    assert plain.generator[0].weight.shape == (512, 96)


@pytest.mark.parametrize("words", [(), ("--clusters", "0")], ids=["clusters", "told nothing"])
def test_the_first_example_is_the_best_recipe(words, monkeypatch):
    script = example("dcgan_mnist")
    monkeypatch.setattr(sys, "argv", ["dcgan_mnist.py", *words])
    first = script.build(train.Settings.parsed(script.options()))
    best = game("best", *words)
    states = []
    for made in (first, best):
        made.lasts(2)
        drawn = mg.random.Stream(0).uniform((4, 1, 28, 28), -1, 1), np.arange(4)
        for _ in range(2):
            made.play(lambda k, drawn=drawn: drawn)
        states.append({name: value.numpy() for name, value in made.state.items()})
    assert states[0].keys() == states[1].keys()
    assert [name for name, value in states[0].items() if not np.array_equal(value, states[1][name])] == []
    assert first.penalty_every == best.penalty_every


def test_switches_reach_the_players():
    D = game("sngan").discriminator
    assert all("weight_orig" in dict(m.named_tensors()) for m in D.modules() if isinstance(m, mg.nn.Conv2d))
    tricks = game("tricks")
    assert [isinstance(m, mg.nn.Dropout) for m in tricks.generator.modules()].count(True) == 4
    samples = tricks.sample(4).numpy()
    assert np.array_equal(samples, tricks.sample(4).numpy())  # with dropout, and the same each time
    z = tricks.latent(1, mg.random.Stream(0))
    assert np.ptp(tricks.generate(mg.concatenate([z, z])).numpy(), 0).any()
    assert game("pacgan").discriminator[0].weight.shape[1] == 2
    prelu = game("--model", "dcgan", "--activation", "prelu", "--norm", "none", "--generator-norm", "layer")
    kinds = [type(m).__name__ for player in prelu.players.values() for m in player.modules()]
    assert (kinds.count("PReLU"), kinds.count("GroupNorm"), kinds.count("BatchNorm2d")) == (4, 4, 0)


@pytest.mark.parametrize(
    "options",
    [
        "--model mlp28 --loss minimax --optimizer sgd --momentum 0.5 --pack 2",
        "--model wgan_gp28 --loss wasserstein --penalty one_sided --norm none --joint-batches",
        "--model dcgan --width 4 --loss relativistic --penalty r1_r2 --ema 0.9 --spectral-norm --stddev",
        "--model mlp512 --side 32 --channels 1 --loss wasserstein --clip 0.01 --optimizer rmsprop --latent normal",
        "--model dcgan --width 4 --channels 1 --unroll 2 --instance-noise 0.1 --noise-steps 10",
        "--model lab28 --consensus 0.1",
        "--model resnet --width 8 --attention 8 --loss hinge --spectral-norm --generator-spectral-norm",
        "--model resnet --side 28 --channels 1 --width 4 --generator-width 8 --loss wasserstein --penalty r2",
        "--model stylegan2 --side 28 --channels 1 --width 4 --penalty r1 --penalty-every 16 --path-length 2 --ema 0.9",
        "--model biggan --width 8 --attention 8 --loss hinge --spectral-norm --orthogonal 1e-4 --clusters 3 --one-pass",
        "--model biggan --side 28 --channels 1 --width 4 --generator-width 8 --loss lsgan --penalty r2 --pseudo",
        "--model unet --side 28 --channels 1 --width 4 --loss wasserstein --penalty gradient_penalty --cutmix 1",
        "--model transgan --side 28 --channels 1 --width 4 --loss wasserstein --penalty gradient_penalty --one-pass",
        "--model dcgan --side 64 --width 2 --scales 3 --loss relativistic_average_hinge --spectral-norm --pack 2",
        "--model resnet --side 32 --width 4 --scales 2 --loss hinge --san --clusters 3",
        "progan --side 28 --width 4 --grow 0.8 --fade 0.2",
        "msggan --side 28 --width 4",
        "lapgan --side 28 --width 4 --penalty r1 --z-dim 9",
        "--model r3gan --side 28 --channels 1 --width 8 --loss relativistic --penalty r1_r2 --ema 0.9",
        "--model fastgan --width 4 --loss hinge --margins 0.8 --reconstruction 1 --augment ada:color --clusters 3",
        "--model mlp28 --augment ada --lecam 0.3 --consistency 10 --fake-consistency 10 --latent-consistency 5",
        "--model dcgan --width 4 --augment color,translation,cutout --top-k 0.5 --top-k-steps 5 --clusters 4",
    ],
)
def test_a_model_trains_from_one_command(options, capsys):
    status, said = dry(options, capsys)
    assert status == 0, said.err
    assert "2 steps" in said.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--model dcgan --side 16 --data digits", "digits has images of shape (1, 28, 28)"),
        ("--model dcgan --side 40", "divisible by 16"),
        ("--model dcgan --side 32 --width 4 --scales 3", "divisible by 16"),
        ("--data cifar10", "cifar10 has images of shape (3, 32, 32)"),
        ("pacgan --model lab28", "--pack is for mlp28, dcgan28, dcgan; lab28 takes --output"),
        ("tricks --model mlp28", "--stddev is for dcgan; mlp28 takes --pack"),
        ("--loss hinge --label-smoothing 0.9", "expected a logistic loss"),
        ("--pack 3", "a batch of 64 samples does not split into packs of 3"),
    ],
)
def test_settings_that_cannot_be_are_named(options, message, capsys):
    status, said = dry(options, capsys)
    assert (status, message in said.err) == (1, True), said.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--loss nonesuch", "relativistic_average_hinge"),
        ("nonesuch", "sngan"),
        ("mlp --as-printed", "prints nothing else for mlp"),
        ("faces_wgan", "give a folder of them with --data FOLDER"),
        ("dcgna", "argument PRESET: invalid choice: 'dcgna'; did you mean dcgan"),
        ("wasserstein", "argument PRESET: invalid choice: 'wasserstein'; wasserstein is a value of --loss"),
        ("mnist", "invalid choice: 'mnist'; mnist is a value of --data"),
        ("--loss wgan", "argument --loss: invalid choice: 'wgan'; wgan is a PRESET: train.py wgan ("),
        ("--penalty gradient-penalty", "argument --penalty: invalid choice: 'gradient-penalty'; did you mean"),
        ("--model dcgan64", "dcgan64 is a PRESET"),
        ("--optimizer adm", "(choose from adam, rmsprop, sgd)"),
    ],
)
def test_words_that_are_not_known_are_named(options, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        train.main(options.split())
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "--model dcgan28 --side 64",
            f"--side is for {SIZED}; dcgan28 takes --pack",
        ),
        (
            "--channels 1",
            f"--channels is for {SIZED}; dcgan28 takes --pack",
        ),
        (
            "lab --width 32",
            f"--width is for {SIZED}; lab28 takes --output",
        ),
        (
            "--model goodfellow28 --norm none",
            "--norm is for wgan_gp28, dcgan, resnet, fastgan; goodfellow28 takes nothing of the kind",
        ),
        (
            "--model mlp512 --norm none",
            "--norm is for wgan_gp28, dcgan, resnet, fastgan; mlp512 takes --side, --channels, --width",
        ),
        ("--model lab28 --pack 2", "--pack is for mlp28, dcgan28, dcgan; lab28 takes --output"),
        ("--model mlp28 --stddev", "--stddev is for dcgan"),
        ("--padding 1", "--padding is for wgan_gp28"),
        ("--scales 2", f"--scales is for {', '.join(SCALED)}"),
        ("--momentum 0.9", "--momentum changes nothing without --optimizer sgd"),
        ("--optimizer sgd --beta1=0.9", "--beta1 changes nothing without --optimizer adam"),
        ("wgan --beta2 0.9", "--beta2 changes nothing without --optimizer adam"),
        ("--penalty-weight 3", "--penalty-weight changes nothing without --penalty"),
        ("--loss lsgan --margins 0.8", "--margins changes nothing without --loss hinge"),
        ("--reconstruction 1", "--reconstruction changes nothing without --model fastgan"),
        ("--noise-steps 100", "--noise-steps changes nothing without --instance-noise"),
        ("--consensus 1 --d-steps 2", "--d-steps changes nothing with --consensus"),
        ("--consensus 1 --repeat 2", "--repeat changes nothing with --consensus"),
        ("--as-printed", "--as-printed changes nothing without a PRESET"),
        ("--precision tf32", "--precision changes nothing without --device cuda"),
        ("--precision bf16", "--precision changes nothing without --device cuda"),
        ("--epochs 2 --steps 100", "--epochs changes nothing beside --steps"),
        ("--allow-change lr", "--allow-change changes nothing without --resume"),
        ("--clusters 9 --labels", "--clusters changes nothing with labels"),
        ("--epoch 2", "there is no option --epoch; did you mean --epochs?"),
        ("--out=", "argument --out: expected a path, got an empty one"),
        ("--data=", "argument --data: expected a path, got an empty one"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(options, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        train.main(options.split())
    assert stopped.value.code == 2
    problem = capsys.readouterr().err
    assert message in problem
    assert problem.count("\n") == 1


@pytest.mark.parametrize(
    "options",
    [
        "wgan --momentum 0.5 --optimizer sgd",
        "wgan_gp --penalty-weight 3",  # the preset has a penalty
        "cifar10 --side 64",
        "wgan_lp --model mlp28",  # a preset's own values may have nothing to do
        "--consensus 1 --unroll 0",
        "--precision fp32",
        "--epochs 3",
        "--model wgan_gp28 --norm=none",
    ],
)
def test_an_option_that_does_something_is_taken(options):
    arguments = options.split()
    train.options(arguments).parse_args(arguments)


@pytest.mark.parametrize(
    ("script", "options", "message"),
    [
        ("energy", "--model began --margin 1", "--margin changes nothing without --model ebgan"),
        ("energy", "--gamma 0.5", "--gamma changes nothing without --model began"),
        ("energy", "--side 32", "--side changes nothing without --networks began"),
        ("conditional", "--penalty-weight 1", "--penalty-weight changes nothing without --penalty"),
        ("modes", "--penalty-weight 1", "--penalty-weight changes nothing without --penalty"),
        ("modes", "--data swiss_roll --std 0.1", "--std is for ring and grid"),
        ("latent", "--run x --lr 1", "--lr changes nothing with --run"),
        ("features", "--run x --steps 1", "--steps changes nothing with --run"),
        ("features", "--checkpoint x --width 1", "--width changes nothing with --run"),
        ("modes", "--step 5", "there is no option --step; did you mean --steps?"),
        ("wasserstein_curve", "--warm 5", "there is no option --warm; did you mean --warm-up?"),
    ],
)
def test_so_it_is_in_every_script(script, options, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        example(script).options().parse_args(options.split())
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_epochs_count_where_a_script_has_steps_of_its_own():
    modes = example("modes")
    for options, expected in (([], (1, 3000)), (["--epochs", "2"], (2, None)), (["--steps", "7"], (1, 7))):
        settings = train.Settings.parsed(modes.options(), options)
        assert (settings.epochs, settings.steps) == expected


@pytest.mark.parametrize(
    "script",
    [path for path in sorted(EXAMPLES.glob("*.py")) if path.stem != "first_gan"],  # it has no options
    ids=lambda path: path.stem,
)
def test_no_script_takes_an_abbreviation_or_an_empty_path(script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "path", [str(EXAMPLES), *sys.path])
    for word in ("--dry-ru", "--out="):
        monkeypatch.setattr(sys, "argv", [str(script), word])
        with pytest.raises(SystemExit) as stopped:
            runpy.run_path(str(script), run_name="__main__")
        assert (stopped.value.code, capsys.readouterr().err.count("\n")) == (2, 1)


def test_the_list_of_presets(tmp_path):
    result = subprocess.run(
        [sys.executable, EXAMPLES / "train.py", "--list"], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert all(f"\n{name} " in f"\n{result.stdout}" for name in PRESETS)
    assert "--as-printed: batch norm in the critic" in result.stdout
    assert list(tmp_path.iterdir()) == []


# --- what the documents print of their first iterations -----------------------------------------------------------


def first_losses(name, *more):
    """(d_loss, g_loss) of the first round, on real digits where they can be had."""
    played = game(name, *more)
    try:
        images = mg.data.mnist("train")[0][:2000]
    except (mg.errors.DataError, OSError):
        images = mg.data.digits(2000)[0]
    shown = played.play(mg.data.Batches(images, PRESETS[name].options["batch_size"]))
    return shown["d_loss"].item(), shown["g_loss"].item()


@pytest.mark.parametrize(
    ("name", "d_loss", "g_loss", "spread"),
    [("mlp", 1.907, 0.706, 0.25), ("lsgan", 2.134, 0.401, 0.25), ("dcgan", 1.417, 0.795, 0.45)],
)
def test_the_first_losses_are_those_that_cs231n_prints(name, d_loss, g_loss, spread):
    """Up to the draw of the starting weights: over seeds, G's of the DCGAN begins between 0.48 and 0.96."""
    d, g = first_losses(name)
    assert d == pytest.approx(d_loss, rel=min(spread, 0.25))
    assert g == pytest.approx(g_loss, rel=spread)


def test_the_printed_penalty_begins_where_cs231n_prints_it_and_the_corrected_one_does_not():
    printed, _ = first_losses("wgan_gp", "--as-printed")
    assert printed == pytest.approx(6056, rel=0.35)  # one norm over 128 gradients
    corrected, _ = first_losses("wgan_gp")
    assert corrected < 20
