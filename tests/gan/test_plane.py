"""Systems in the plane: their data and networks, what is measured of them, and the scripts that train them."""

import csv
import importlib
import json

import numpy as np
import pytest
from example_scripts import EXAMPLES
from PIL import Image

import minigan as mg
from minigan import data
from minigan.errors import DataError, ShapeError
from minigan.metrics import mean_nearest_distance, mode_coverage, on_curve


@pytest.fixture
def script(monkeypatch):
    """A script of examples/ by name, as a module."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module


# --- data -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", data.CURVES)
def test_points_lie_on_their_curve(name):
    points = data.curve(name, 2000, seed=3)
    assert (points.shape, points.dtype) == ((2000, 2), np.float32)
    found = on_curve(points, data.CURVES[name], -50, 50)
    assert found.residual < 1e-6
    assert found.coverage == 1
    assert not np.array_equal(points, data.curve(name, 2000, seed=4))


def test_curves_are_the_documents():
    x = np.array([-2.0, 0.0, 3.0])
    assert data.CURVES["quadratic"](x).tolist() == [14, 10, 19]
    assert data.CURVES["cubic"](x).tolist() == [2, 10, 37]
    assert data.CURVES["quartic"](x).tolist() == [26, 10, 91]
    assert np.array_equal(data.quadratic(50, seed=2), data.curve("quadratic", 50, seed=2))
    with pytest.raises(DataError, match="expected one of quadratic, cubic, quartic, sine, got 'quintic'"):
        data.curve("quintic")


def test_the_grid_has_25_modes():
    assert sorted(map(tuple, data.grid_centres())) == [(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)]
    points, mode = data.gaussians_grid(20_000, seed=1)
    assert (points.dtype, mode.dtype) == (np.float32, np.int64)
    offsets = points - data.grid_centres()[mode]
    assert offsets.std(0) == pytest.approx([0.05, 0.05], rel=0.03)
    assert np.bincount(mode).min() > 700


def test_the_swiss_roll_is_a_spiral():
    roll = data.swiss_roll(2000, noise=0.0, scale=1.0)
    radius = np.hypot(*roll.T)
    assert (radius.min(), radius.max()) == pytest.approx((1.5 * np.pi, 4.5 * np.pi), rel=0.01)
    np.testing.assert_allclose(roll, radius[:, None] * np.stack([np.cos(radius), np.sin(radius)], 1), atol=1e-4)
    noisy = data.swiss_roll(2000)
    assert noisy.dtype == np.float32
    assert ((noisy * 7.5 - roll) ** 2).mean() ** 0.5 == pytest.approx(0.25, rel=0.05)


# --- measures -------------------------------------------------------------------------------------------------


def test_mode_coverage_of_the_data_itself():
    points = data.gaussians_ring(20_000, seed=5)[0]
    found = mode_coverage(points, data.ring_centres(), 0.02)
    assert found.modes == 8
    assert found.good == pytest.approx(1 - np.exp(-9 / 2), abs=0.003)  # a Rayleigh distance below 3 deviations
    assert found.reverse_kl < 1e-3
    assert found.histogram.sum() == round(found.good * 20_000)


def test_mode_coverage_by_hand():
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    points = np.array([[0.1, 0], [0, -0.2], [9.9, 0], [10, 0.29], [5, 5], [0, 0.4]])  # 2 and 2 good, two astray
    found = mode_coverage(points, centres, 0.1)
    assert found.histogram.tolist() == [2, 2, 0, 0]
    assert (found.modes, found.good) == (2, pytest.approx(4 / 6))
    assert found.reverse_kl == pytest.approx(np.log(2))
    uneven = mode_coverage(np.repeat(centres[:2], [3, 1], 0), centres, 0.1)
    assert uneven.reverse_kl == pytest.approx(0.75 * np.log(3) + 0.25 * np.log(1))
    single = mode_coverage(np.repeat(centres[:2], [5, 1], 0), centres, 0.1)
    assert single.reverse_kl == pytest.approx(5 / 6 * np.log(20 / 6) + 1 / 6 * np.log(4 / 6))
    nowhere = mode_coverage(np.full((3, 2), 99.0), centres, 0.1)
    assert (nowhere.modes, nowhere.good, nowhere.reverse_kl) == (0, 0, np.inf)
    for wrong in (np.zeros((3, 3)), np.zeros((0, 2))):
        with pytest.raises(ShapeError, match=f"got \\({len(wrong)}, {wrong.shape[1]}\\), \\(4, 2\\) and 0.1"):
            mode_coverage(wrong, centres, 0.1)
    for std in (0, -1, np.nan, np.inf):
        with pytest.raises(ShapeError, match=f"std > 0, got .* and {std}"):
            mode_coverage(points, centres, std)


def test_on_curve_by_hand():
    f = lambda x: 3 * x
    x = np.linspace(0, 0.999, 1000)
    spread = 3 * np.sqrt(1 / 12)
    above = on_curve(np.stack([x, 3 * x + 0.5], 1), f, 0, 1)
    assert above.residual == pytest.approx(0.5 / spread, rel=1e-3)
    assert above.coverage == 1
    half = on_curve(np.stack([x / 2, 1.5 * x], 1), f, 0, 1)
    assert (half.residual, half.coverage) == (pytest.approx(0, abs=1e-12), 0.5)
    assert on_curve(np.array([[5.0, 15.0]]), f, 0, 1).coverage == 0
    x = np.repeat([0.1, 0.3, 0.6, 0.8], [50, 42, 6, 2])  # a fifth of an even share is 5 of a hundred
    assert on_curve(np.stack([x, 3 * x], 1), f, 0, 1, pieces=4).coverage == 0.75
    with pytest.raises(ShapeError, match=r"got \(4, 3\)"):
        on_curve(np.zeros((4, 3)), f, 0, 1)
    for low, high, pieces in ((1, 1, 4), (0, np.inf, 4), (0, 1, 0)):
        with pytest.raises(ShapeError, match=f"low < high and pieces >= 1, got {low}, {high} and {pieces}"):
            on_curve(np.zeros((4, 2)), f, low, high, pieces)
    with pytest.raises(ShapeError, match=r"a function that varies on \[0, 1\)"):
        on_curve(np.zeros((4, 2)), np.zeros_like, 0, 1)


def test_mean_nearest_distance_is_one_sided():
    few, many = np.array([[0.0, 0.0]]), np.array([[0.0, 1.0], [0.0, -3.0]])
    assert mean_nearest_distance(few, many) == 1
    assert mean_nearest_distance(many, few) == 2
    with pytest.raises(ShapeError, match=r"got \(1, 2\) and \(0, 2\)"):
        mean_nearest_distance(few, many[:0])


# --- networks -------------------------------------------------------------------------------------------------


def test_players_in_the_plane():
    for activation, kind in ((mg.nn.ReLU, mg.nn.ReLU), (mg.nn.Sigmoid, mg.nn.Sigmoid)):
        G, D = mg.models.quadratic(activation=activation)
        assert [p.num_parameters() for p in (G, D)] == [354, 357]
        assert [type(m) for m in (G[1], G[3], D[1], D[3])] == [kind] * 4
    G, D = mg.models.mlp2d()
    assert [p.num_parameters() for p in (G, D)] == [
        256 * 128 + 128 + 128 * 128 + 128 + 128 * 2 + 2,
        2 * 128 + 128 + 128 * 128 + 128 + 128 + 1,
    ]
    point = mg.models.mlp2d(16, generator_std=0.02).generator(mg.random.Stream(1).normal((100, 16)))
    assert np.abs(point.numpy()).max() < 0.1
    G, D = mg.models.mlp2d(3, width=5, depth=4, pack=3)
    assert G(mg.zeros((6, 3))).shape == (6, 2)
    assert D(mg.zeros((2, 6))).shape == (2, 1)
    with pytest.raises(ShapeError, match="width 0, depth 2, pack 1"):
        mg.models.mlp2d(width=0)


# --- scripts --------------------------------------------------------------------------------------------------


def test_the_quadratic_writes_the_tutorials_files(script, tmp_path, capsys):
    out = tmp_path / "run"
    short = ["--steps", "21", "--batch-size", "16", "--sample-every", "20", "--out", str(out)]
    assert script("quadratic").main(short) == 0
    assert "residual" in capsys.readouterr().out
    lines = (out / "loss_logs.csv").read_text().splitlines()
    assert lines[0] == "Iteration,Discriminator Loss,Generator Loss"
    assert [line.split(",")[0] for line in lines[1:]] == ["0", "10", "20"]
    with (out / "log.csv").open() as log:
        rows = list(csv.DictReader(log))
    assert float(lines[2].split(",")[1]) == pytest.approx(float(rows[10]["d_loss"]), abs=1e-6)
    names = [p.name for p in sorted((out / "samples").iterdir())]
    assert names == [f"step_000000{n:02d}.png" for n in (0, 20, 21)]
    with Image.open(out / "features.png") as picture:
        assert picture.size[0] > 400
    assert set(json.loads((out / "metrics.json").read_text())) == {"residual", "coverage"}


def test_a_round_of_the_quadratic_is_ten_and_ten_steps_on_the_same_points(script):
    quadratic = script("quadratic")
    settings = mg.training.Settings("q", extra={"activation": "relu", "as_printed": False})
    game = quadratic.build(settings)
    assert game.batches_per_step == 1
    asked = []
    game.play(lambda k: asked.append(k) or mg.ones((8, 2)))
    assert asked == [0]
    assert [int(o.t.item()) for o in game.optimizers.values()] == [10, 10]
    assert len(set(game._noise_of)) == 1


def test_rmsprop_is_tensorflows(script):
    """ms = 0.9 ms + 0.1 g^2 from ms = 1; p -= lr g / sqrt(ms + 1e-10): TensorFlow 1 by hand."""
    p = mg.nn.Parameter(mg.tensor([1.0, -2.0]))
    optimizer = script("quadratic").rmsprop([p])
    held, ms = np.array([1.0, -2.0]), np.ones(2)
    for g in (np.array([3.0, 0.01]), np.array([-1.0, 0.02])):
        optimizer.step([mg.tensor(g.astype("float32"))])
        ms = 0.9 * ms + 0.1 * g * g
        held = held - 1e-3 * g / np.sqrt(ms + 1e-10)
    np.testing.assert_allclose(p.numpy(), held, rtol=1e-6)


def test_the_quadratics_options(script, capsys):
    assert script("quadratic").main(["--dry-run", *["--curve", "sine", "--activation", "relu", "--as-printed"]]) == 0
    assert "sine: 2 steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "measure"),
    [
        ("--data grid --unroll 2 --pack 2 --penalty r1", "reverse_kl"),
        ("--data swiss_roll --consensus 1 --loss hinge", "from_samples_to_data"),
    ],
)
def test_the_options_of_modes(script, options, measure, capsys):
    assert script("modes").main(["--dry-run", *options.split()]) == 0
    said = capsys.readouterr().out
    assert measure in said
    assert "2 steps of 16 points" in said


def test_data_that_a_script_does_not_have_is_refused(script, capsys):
    for name in ("quadratic", "modes"):
        with pytest.raises(SystemExit):
            script(name).main(["--dry-run", "--data", "mnist"])
        assert "invalid choice: 'mnist'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["quadratic_study", "modes_study"])
def test_studies(script, name, capsys):
    assert script(name).main(["--dry-run"]) == 0
    assert capsys.readouterr().out.count("minutes") == 6


# --- they train -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_quadratic_gan_lands_on_the_parabola(script):
    """Measured with this seed: 3.8% after 200 rounds; what has not been trained is 130% away."""
    quadratic = script("quadratic")
    settings = mg.training.Settings("quadratic", extra={"activation": "leaky_relu", "as_printed": False})
    game = quadratic.build(settings)
    batches = data.shuffled_batches(quadratic.load(settings, 200 * 256).values, 256)
    assert quadratic.distance(game, settings)["residual"] > 1
    for _ in range(200):
        game.play(batches)
    found = quadratic.distance(game, settings)
    assert found["residual"] < 0.15
    assert found["coverage"] > 0.9


@pytest.mark.slow
def test_looking_ahead_keeps_a_generator_from_jumping_from_mode_to_mode(script):
    """Where it jumps to differs from machine to machine, and at times it is on its way: so several looks count.

    Measured with four seeds: on the second half of the way the two fullest modes have 73 to 91% of the samples;
    unrolled 27 to 30%, each mode then 12 to 13%.
    """
    modes = script("modes")

    def looks(*options):
        """The share of each mode in 2 500 samples, every sample counted at its nearest, after each hundred rounds."""
        settings = mg.training.Settings("modes", data="ring", extra=vars(modes.options().parse_args(options)))
        game = modes.build(settings)
        game.graphs = False  # steps that look ahead count on the host, and cannot be replayed
        batches = data.shuffled_batches(modes.load(settings, 50_000).values, 128)
        for k in range(1, 1601):
            game.play(batches)
            if k >= 800 and k % 100 == 0:
                yield mode_coverage(game.sample(2500).numpy(), data.ring_centres(), 1.0).histogram / 2500

    plain, unrolled = np.sort(list(looks())), np.sort(list(looks("--unroll", "5")))  # from the emptiest mode
    assert plain[:, -2:].sum(1).mean() > 0.55
    assert unrolled[:, -2:].sum(1).mean() < 0.4
    assert unrolled.mean(0)[0] > 0.08


@pytest.mark.slow
def test_a_gan_with_r1_reaches_the_whole_ring(script):
    """Measured with this seed: 8 modes, 87% good, reverse KL 0.009 after 1 500 rounds."""
    modes = script("modes")
    options = "--penalty r1 --penalty-weight 0.1 --d-lr 1e-3 --std 0.1"
    game = modes.build(mg.training.Settings("modes", extra=vars(modes.options().parse_args(options.split()))))
    batches = data.shuffled_batches(data.gaussians_ring(50_000, std=0.1)[0], 128)
    for _ in range(1500):
        game.play(batches)
    found = mode_coverage(game.sample(2500).numpy(), data.ring_centres(), 0.1)
    assert found.modes == 8
    assert found.good > 0.5
    assert found.reverse_kl < 0.1
