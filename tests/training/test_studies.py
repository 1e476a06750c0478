"""The studies: each from its command line on a few images, what it writes, and what it says of what cannot be."""

import json
import sys

import numpy as np
import pytest
from example_scripts import EXAMPLES, example

import minigan as mg
from minigan.errors import CheckpointError, DataError
from minigan.tensor import Tensor
from minigan.training import studies
from minigan.training.settings import Settings


@pytest.fixture(scope="module", autouse=True)
def one_judge():
    """The judge of a few digits is the same for every study: it is fitted once."""
    held = {}
    fitted = studies.quick_judge

    def quick_judge(samples, settings):
        if not held:
            held["judge"] = fitted(samples, settings)
        return held["judge"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(studies, "quick_judge", quick_judge)
        yield


def small(study, tmp_path, **extra):
    """Two steps of a study with narrow networks, into a folder that stays."""
    study.WIDTH = 2
    quick = ["--data", "digits", "--steps", "2", "--batch-size", "8", "--out", str(tmp_path), "--dry-run"]
    settings = Settings.parsed(study.options(), quick)
    settings.extra |= extra
    return study.study(settings, tmp_path)


def test_curves_of_three_games(tmp_path):
    numbers = small(example("wasserstein_curve"), tmp_path, d_steps=1)
    assert len(numbers) == 10
    assert all(-1 <= value <= 1 for name, value in numbers.items() if name.startswith("spearman"))
    rows = (tmp_path / "curves.csv").read_text().splitlines()
    assert rows[0] == "run,step,estimate,generator_cost,frechet_distance"
    assert [row.split(",")[0] for row in rows[1:]] == ["wgan_mlp"] * 2 + ["wgan_dcgan"] * 2 + ["gan_dcgan"] * 2
    assert (tmp_path / "wasserstein_curve.png").is_file()


def test_estimates_of_the_two_losses():
    """JS = (value + ln 4) / 2 with value -L_D: 0 where D says 1/2 everywhere, ln 2 where it is always right."""
    js = example("wasserstein_curve").js_estimate
    assert js(mg.gan.losses.minimax.discriminator(mg.zeros(4), mg.zeros(4)).item()) == pytest.approx(0, abs=1e-6)
    assert js(0.0) == pytest.approx(np.log(2))


def test_gradients_against_a_new_discriminator(tmp_path):
    study = example("optimal_discriminator")
    numbers = small(study, tmp_path, batches=2)
    assert set(numbers) == {
        f"{what}_{n}" for n in (1, 10, 25) for what in ("minimax_norm", "nonsaturating_norm", "nonsaturating_variance")
    }
    rows = (tmp_path / "gradients.csv").read_text().splitlines()
    assert rows[0].startswith("generator,d_step,minimax_norm,minimax_variance")
    assert len(rows) == 1 + 3 * 3
    assert (tmp_path / "optimal_discriminator.png").is_file()


def test_the_two_costs_have_gradients_in_the_ratio_of_their_factors():
    """d ln(1 - s(f)) = -s(f) df and d(-ln s(f)) = -(1 - s(f)) df: equal where D says 1/2."""
    study = example("optimal_discriminator")
    mg.random.seed(0)
    game = study.game(mg.models.dcgan(32, 100, channels=1, width=4).generator, Settings("", seed=0))
    game.discriminator = lambda x: mg.mean(x, (1, 2, 3)) * 1e-3  # scores near 0
    rows = study.gradients(game, 4, 2)
    assert rows["minimax"].shape == (2, sum(p.size for p in game.generator.parameters()))
    np.testing.assert_allclose(rows["minimax"], rows["nonsaturating"], rtol=1e-2, atol=1e-9)


def test_critics_three_ways(tmp_path, capsys):
    numbers = small(example("lipschitz"), tmp_path, c=[0.02])
    assert len(numbers) == 2 + 4 * 4
    for critic in ("5_convolutions", "3_dense_layers"):
        for held_by in ("c0.02", "penalty"):
            seen, spectral, bound = (numbers[f"{critic}_{held_by}_{what}"] for what in ("seen", "spectral", "bound"))
            assert 0 < seen < spectral < bound
            # a critic of slope 1 says no more than the distance is
            assert numbers[f"{critic}_{held_by}_estimate"] / spectral <= numbers["wasserstein_at_most"]
    assert "The Wasserstein distance of these samples lies between" in capsys.readouterr().out


def test_bounds_of_the_distance_of_two_clouds(rng):
    """A shifted cloud: the shift itself, from below and from above."""
    cloud = rng.standard_normal((50, 3))
    least, most = example("lipschitz").between(cloud, cloud[::-1] + np.array([0, 1e-3, 0]))
    assert least == pytest.approx(1e-3)
    assert most == pytest.approx(1e-3)
    far = example("lipschitz").between(np.array([[0.0], [1.0]]), np.array([[0.4], [3.0]]))
    assert far == pytest.approx((1.2, 1.2))


def test_a_latent_space(tmp_path):
    numbers = small(example("latent"), tmp_path)
    assert {"frechet_samples", "frechet_lerp_middles", "frechet_slerp_middles"} < set(numbers)
    assert numbers["distance_of_samples"] > numbers["distance_of_unseen"] > 0  # grey noise is no copy
    assert (tmp_path / "latent.png").is_file()


def test_arithmetic_of_a_generator_that_draws_what_it_is_told():
    """Noise (digit, width): the digit is kept and all of the difference arrives."""
    study = example("latent")
    rng = np.random.default_rng(0)
    z = np.c_[rng.integers(0, 3, 60), rng.uniform(1, 9, 60)]
    groups = study.Groups(3, z, z[:, 0].astype(int), z[:, 1])

    class Reader:
        def predict(self, images):
            return images[:, 0].round().astype(int)

    numbers, shown = study.arithmetic(lambda points: points, groups, Reader(), lambda images: images[:, 1])
    assert numbers == {
        "digit_of_the_mean": 1,
        "digit_kept": 1,
        "share_that_arrives": pytest.approx(1),
    }
    assert [images.shape for images in shown] == [(4, 2)] * 3


def test_features_are_the_largest_of_each_window():
    study = example("features")
    D = mg.models.dcgan(32, channels=1, width=2).discriminator
    x = Tensor(mg.random.Stream(0).uniform((3, 1, 32, 32), -1, 1))
    D.eval()
    found = study.maps(D, x)
    assert [m.shape for m in found] == [(3, 2, 16, 16), (3, 4, 8, 8), (3, 8, 4, 4), (3, 16, 2, 2)]
    np.testing.assert_array_equal(found[0].numpy(), D[:2](x).numpy())
    expected = found[0].numpy().reshape(3, 2, 4, 4, 4, 4).max((3, 5)).reshape(3, -1)
    np.testing.assert_array_equal(study.pooled(found[0]).numpy(), expected)
    rows = study.features(D, np.zeros((5, 1, 32, 32), np.uint8))
    assert rows.shape == (5, 16 * (2 + 4 + 8) + 4 * 16)
    with pytest.raises(DataError, match="no convolution"):
        study.features(mg.models.mlp28().discriminator, np.zeros((1, 1, 28, 28), np.uint8))


SCRIPT = """
import minigan as mg

def build(settings):
    mg.random.seed(settings.seed)
    G, D = mg.models.dcgan(32, 4, channels=1, width=settings.extra["width"])
    return mg.gan.ScoreGame(
        *(G, D), loss=mg.gan.losses.nonsaturating, latent=mg.gan.uniform_latent(4),
        generator_optimizer=mg.optim.SGD(G.parameters()), discriminator_optimizer=mg.optim.SGD(D.parameters()),
    )
"""


def test_a_run_is_rebuilt_from_its_folder_by_its_script(tmp_path, capsys, monkeypatch):
    (tmp_path / "tiny.py").write_text(SCRIPT)
    run, build = tmp_path / "run", studies.script(tmp_path, "tiny").build
    settings = Settings("tiny", data="digits", steps=1, batch_size=4, out=str(run), dry_run=True, extra={"width": 2})
    assert mg.training.run(build, settings, (1, 32, 32)) == 0
    game, again = studies.rebuilt(run, tmp_path)
    assert (int(game.step.item()), again.extra["width"]) == (1, 2)
    assert int(studies.rebuilt(run, tmp_path, trained=False)[0].step.item()) == 0
    assert (
        studies.main(lambda *_: {}, studies.parser("x", "", steps=1, batch_size=1), arguments=["--out", str(run)]) == 1
    )
    assert "holds a training run" in capsys.readouterr().err
    monkeypatch.setattr(mg.gan.ScoreGame, "labelled", True)
    with pytest.raises(CheckpointError, match="tiny has no generator that is fed with noise alone"):
        studies.rebuilt(run, tmp_path)


def test_what_features_are_worth(tmp_path):
    pytest.importorskip("sklearn", reason="needs scikit-learn: pip install -e '.[features]'")
    numbers = small(example("features"), tmp_path, labels=[2], draws=1)
    assert set(numbers) == {f"{name}_{n}" for name in ("raw_pixels", "untrained_D", "trained_D") for n in (2, "all")}
    assert all(0 <= value <= 1 for value in numbers.values())
    assert numbers["raw_pixels_all"] > 0.3  # of ten classes


def test_without_scikit_learn_features_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    with pytest.raises(mg.errors.MissingExtra, match=r"pip install -e '\.\[features\]'"):
        example("features").fitted(np.zeros((2, 1)), np.arange(2), 1.0)


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        studies.rebuilt(tmp_path, EXAMPLES)
    (tmp_path / "config.json").write_text(json.dumps({"settings": {"name": "nonesuch"}}))
    with pytest.raises(CheckpointError, match=r"nonesuch\.py: no such script"):
        studies.rebuilt(tmp_path, EXAMPLES)


def test_main_writes_the_numbers_or_says_why_not(tmp_path, capsys):
    options = studies.parser("nothing", "", steps=7, batch_size=64)
    seen = {}

    def study(settings, folder):
        seen.update(steps=settings.steps, batch_size=settings.batch_size, folder=folder)
        return {"answer": 42.0}

    assert studies.main(study, options, arguments=["--out", str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == {"answer": 42.0}
    assert json.loads((tmp_path / "out" / "config.json").read_text())["settings"]["steps"] == 7
    assert studies.main(study, options, arguments=["--dry-run", "--out", str(tmp_path / "none")]) == 0
    assert (seen["steps"], seen["batch_size"], seen["folder"].exists()) == (2, 16, False)
    assert not (tmp_path / "none").exists()

    def failing(settings, folder):
        raise DataError("there is nothing here")

    assert studies.main(failing, options, arguments=["--dry-run"]) == 1
    assert "nothing.py: there is nothing here" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        options.parse_args(["--steps", "0"])


def test_play_goes_on_where_it_stopped():
    mg.random.seed(0)
    G, D = mg.models.dcgan(16, 4, channels=1, width=2)
    game = mg.gan.ScoreGame(
        *(G, D),
        loss=mg.gan.losses.nonsaturating,
        latent=mg.gan.uniform_latent(4),
        generator_optimizer=mg.optim.SGD(G.parameters(), 0.1),
        discriminator_optimizer=mg.optim.SGD(D.parameters(), 0.1),
    )
    samples = mg.data.Samples(np.zeros((8, 1, 16, 16), np.uint8), None, "black")
    settings = Settings("", steps=2, batch_size=4)
    steps = [step for n in (None, 0, 3) for step, losses in studies.play(game, samples, settings, n) if losses]
    assert steps == [1, 2, 3, 4, 5]


def test_centre():
    images = np.arange(36).reshape(1, 1, 6, 6)
    np.testing.assert_array_equal(studies.centre(images, 2)[0, 0], [[14, 15], [20, 21]])
