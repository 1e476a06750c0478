"""What programs of translators share: where pairs come from, what is held out, pictures, numbers."""

import json

import numpy as np
import pytest
from example_scripts import example
from PIL import Image
from translator_programs import pictures, settings

import minigan as mg
from minigan.errors import DataError, ShapeError
from minigan.gan.translation import MAKINGS, l2
from minigan.gan.translation.making import BY_FACTORS
from minigan.training import Settings, evaluation, sides, translations

BOTH = "--data digits --target digits"
SIZE = 40, 36  # height and width of pictures


def test_sources_are_made_of_images_or_found_by_name_or_beside_them(tmp_path):
    data, other = pictures(tmp_path / "a", 12, size=SIZE), pictures(tmp_path / "b", 11, 1, SIZE)
    made = settings("pix2pix", "--data", data, "--side", 16, "--made", "grey")
    assert sides.shapes(made) == ((1, 16, 16), (3, 16, 16))
    assert sides.load_pairs(made, None).values.shape == (11, 3, 16, 16)
    assert sides.load_held_out(made).values.shape == (1, 3, 16, 16)
    named = settings("pix2pix", "--data", data, "--target", other, "--side", 16)
    assert sides.made_by(named.extra) is None
    found = sides.load_pairs(named, None)
    assert found.values.target.shape == found.values.source.shape == (10, 3, 16, 16)
    assert found.paired
    beside = settings("pix2pix", "--data", data, "--halves", "right", "--side", 8, "--held-out", 0)
    assert sides.load_pairs(beside, None).values.source.shape == (12, 3, 8, 8)
    digits = settings("pix2pix", "--data", "digits")
    assert sides.shapes(digits) == ((1, 32, 32), (1, 32, 32))


def test_pairs_are_two_files_of_arrays(tmp_path, rng):
    images = rng.integers(0, 256, (20, 1, 8, 8)).astype(np.uint8)
    files = [str(tmp_path / name) for name in ("a.npz", "b.npy", "few.npy", "none.npy")]
    np.savez(files[0], images=images, labels=np.arange(20))
    np.save(files[1], 255 - images)
    np.save(files[2], images[:9])
    size = "--side", 8, "--channels", 1
    pairs = settings("pix2pix", "--data", files[0], "--target", files[1], *size)
    learnt, held = sides.load_pairs(pairs, None), sides.load_held_out(pairs)
    assert [len(part.drawn) for part in (learnt, held)] == [18, 2]
    assert (learnt.values.target == 255 - learnt.values.source).all()
    assert (learnt.labels, learnt.name) == (None, files[0])
    folder = pictures(tmp_path / "p", 3)
    for data, target, told in (
        (files[0], files[2], "few.npy has 9 images, .*a.npz 20: pairs belong together one by one"),
        (files[0], folder, "--data .*a.npz is no folder of pictures, and --target .*p is one: pairs are two of "),
        ("auto", folder, "--data auto is no folder of pictures, and --target .*p is one"),
        (files[0], files[3], "none.npy: no such folder or file"),
    ):
        with pytest.raises(DataError, match=told):
            sides.load_pairs(settings("pix2pix", "--data", data, "--target", target, *size), None)


def test_small_images_are_made_of_large_ones_or_found_by_name(tmp_path, capsys):
    small, large = pictures(tmp_path / "small", 21, size=(8, 8)), pictures(tmp_path / "large", 21, 1, size=(16, 16))
    words = ["--data", small, "--target", large, "--side", 16, "--factor", 2, "--width", 4, "--blocks", 1]
    found = sides.load_pairs(settings("super_resolution", *words), None)
    assert (found.values.target.shape, found.values.source.shape) == ((19, 3, 16, 16), (19, 3, 8, 8))
    for name, images in zip((large, small), found.values, strict=True):
        there = {image.tobytes() for image in mg.data.image_folder(name, images.shape[2])[0]}
        assert {image.tobytes() for image in images} <= there
    run = [*map(str, words), "--system", "srresnet", "--batch-size", "4", "--steps", "2", "--flip", "--crop", "2"]
    assert example("super_resolution").main([*run, "--out", str(tmp_path / "run")]) == 0
    assert {"psnr", "psnr_bicubic"} <= set(json.loads((tmp_path / "run" / "metrics.json").read_text()))
    with pytest.raises(ShapeError, match="--side 18: expected a multiple of --factor 4"):
        sides.shapes(settings("super_resolution", "--side", 18))


def test_what_is_held_out_is_not_learnt_from(tmp_path):
    chosen = settings("pix2pix", "--data", pictures(tmp_path / "a", 40, size=SIZE), "--side", 16, "--held-out", 3)
    learnt, held = sides.load_pairs(chosen, None).values, sides.load_held_out(chosen).values
    assert (len(learnt), len(held)) == (37, 3)
    known = {image.tobytes() for image in learnt}
    assert not any(image.tobytes() in known for image in held)
    assert (held == sides.load_held_out(chosen).values).all()


def test_domains_have_nothing_to_do_with_each_other():
    chosen = settings("cyclegan", "--data", "digits", "--target", "digits", "--dry-run")
    found = sides.load_domains(chosen, 50)
    assert not found.paired
    assert found.values.target.shape == found.values.source.shape == (50, 1, 28, 28)
    source, target = sides.domains_held_out(chosen)
    assert source.labels is not None
    assert target.name == "digits"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--made", "grey", "--target", "x"), "--made changes nothing with --target"),
        (("--made", "grey", "--halves", "left"), "--made changes nothing with --halves"),
        (
            ("--made", "blue"),
            "expected one of grey, edges, small, hole, holes, segments, turned, degraded, or small:N or degraded:N",
        ),
        (("--made", "small:4"), "small:4 makes smaller images, which examples/super_resolution.py makes larger"),
        (("--total-variation", "1", "--system", "bicyclegan"), "--total-variation is not for --system bicyclegan"),
        (("--z-dim", "3"), "--z-dim changes nothing without --system bicyclegan"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(words, message, capsys):
    with pytest.raises(SystemExit):
        settings("pix2pix", *words)
    assert message in capsys.readouterr().err


def test_what_is_made_of_images_follows_the_system_unless_it_is_said(tmp_path):
    found = [
        settings("pix2pix", *words.split()).extra
        for words in ("", "--system context_encoder", "--system ccgan", "--system context_encoder --made grey")
    ]
    assert [extra["made"] for extra in found] == ["edges", "hole", "holes", "grey"]
    assert [extra["adversarial"] for extra in found] == [1.0, 0.001, 1.0, 0.001]
    (tmp_path / "run.toml").write_text('made = "edges"')  # which it is by default
    said = settings("pix2pix", "--system", "context_encoder", "--config", tmp_path / "run.toml")
    assert said.extra["made"] == "edges"


@pytest.mark.parametrize("words", ["--made hole", "--target x", "--halves left"])
def test_a_context_conditional_gan_fills_holes_and_nothing_else(words):
    chosen = settings("pix2pix", "--data", "digits", "--width", 2, "--system", "ccgan", *words.split())
    with pytest.raises(ShapeError, match="--system ccgan: fills what --made holes cuts out"):
        example("pix2pix").build(chosen)


def test_systems_that_fill_holes_are_trained_as_their_papers_say():
    context, ccgan = (
        example("pix2pix").build(settings("pix2pix", "--data", "digits", "--width", 2, "--system", name))
        for name in ("context_encoder", "ccgan")
    )
    assert (context.pixel, context.distance, context.adversarial) == (0.999, l2, 0.001)
    assert (ccgan.pixel, ccgan.loss.name, ccgan.adversarial) == (0.0, "lsgan", 1.0)
    images = mg.tensor(np.random.default_rng(0).uniform(-1, 1, (3, 1, 32, 32)).astype(np.float32))
    source = ccgan.sources_of(images).numpy()
    made = ccgan.translate(mg.tensor(source)).numpy()
    kept = source[:, -1:] < 0
    assert (made[kept] == images.numpy()[kept]).all()
    assert not (made[~kept] == images.numpy()[~kept]).any()


@pytest.mark.parametrize(("script", "side"), [("pix2pix", 30), ("pix2pix", 7), ("cyclegan", 30)])
def test_a_side_that_cannot_be_halved_is_named(script, side):
    with pytest.raises(ShapeError, match=f"--side {side}: expected a multiple of 4"):
        example(script).build(settings(script, "--side", side, "--width", 2))


def test_a_run_whose_critic_never_plays_says_so(tmp_path, capsys):
    module = example("super_resolution")
    line = f"--data {pictures(tmp_path / 'a', 24)} --side 32 --width 4 --blocks 1 --batch-size 4 --steps 2".split()
    assert module.main([*line, "--out", str(tmp_path / "run")]) == 0
    assert "only after 500 steps do all players move, and this run has 2: --warm-up" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("data", "features", "pixel", "perceptual"), [("mnist", True, 0.0, 1.0), ("nowhere", False, 1.0, 0.0)]
)
def test_srgan_has_features_in_place_of_pixels_where_a_judge_has_some(data, features, pixel, perceptual):
    game = example("super_resolution").build(settings("super_resolution", "--data", data, "--side", 32, "--width", 4))
    assert (game.features is not None, game.pixel, game.perceptual) == (features, pixel, perceptual)
    assert game.adversarial == 1e-3


def test_a_picture_has_sources_over_translations_over_targets(tmp_path):
    chosen = settings("pix2pix", "--data", "digits", "--width", 4, "--made", "grey")
    game = example("pix2pix").build(chosen)
    samples = sides.load_pairs(chosen, 40)
    game.meet(samples.values)
    translations.strips(game, samples, tmp_path / "step_00000000.png")
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}step_00000000.png" for name in ("", "before_", "after_")
    }
    shown = np.asarray(Image.open(tmp_path / "step_00000000.png"))[::2, ::2]
    assert shown.shape == (6 * 34 + 2, 8 * 34 + 2)
    for row, at in ((0, 0), (2, 0), (3, 8), (5, 8)):  # sources are the images here, and so are targets
        assert (shown[2 + 34 * row : 34 + 34 * row, 2:34] == samples.values[at, 0]).all()
    before = np.asarray(Image.open(tmp_path / "before_step_00000000.png"))[::2, ::2]
    assert (before[2:34, 2:34] == samples.values[0, 0]).all()


def test_small_and_grey_sources_are_shown_as_large_and_in_colour():
    rows = [np.full((2, 1, 4, 4), 7, np.uint8), np.full((2, 3, 8, 8), 9, np.uint8), np.full((2, 4, 8, 8), 5, np.uint8)]
    found = translations.interleaved(rows, 2)
    assert found.shape == (6, 3, 8, 8)
    assert found[:, 0, 0, 0].tolist() == [7, 7, 9, 9, 5, 5]


def test_numbers_of_what_is_perfect_and_of_what_differs():
    chosen = settings("pix2pix", "--data", "digits", "--width", 4, "--made", "grey", "--dry-run")
    game = example("pix2pix").build(chosen)
    found = translations.measured(game, chosen, {"same": lambda x: x})
    assert (found["ssim_same"], found["looks_same"], found["sharpness_same"]) == (1.0, 0.0, 1.0)
    assert found["psnr_same"] == np.inf
    assert found["ms_ssim_same"] == pytest.approx(1)
    assert 0 <= found["ms_ssim"] < 0.9
    assert found["psnr"] < 15
    assert found["looks"] > 0.1
    assert found["diversity"] > 0  # its dropout stays


def test_images_that_no_window_fits_are_measured_without(tmp_path):
    data = pictures(tmp_path / "a", 24, size=(12, 12))
    chosen = settings("pix2pix", "--data", data, "--side", 8, "--width", 4, "--halvings", 1, "--dry-run")
    assert translations.measured(example("pix2pix").build(chosen), chosen).keys() == {"psnr", "sharpness"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "words", "numbers"),
    [
        ("pix2pix", "--data digits --width 4 --total-variation 1", {"psnr", "ssim", "ms_ssim", "looks", "diversity"}),
        ("pix2pix", "--data digits --width 4 --system bicyclegan", {"psnr", "ssim", "looks", "diversity"}),
        ("pix2pix", "--data digits --width 4 --system context_encoder", {"psnr", "looks", "psnr_mean_fill"}),
        ("pix2pix", "--data digits --width 4 --system ccgan", {"psnr", "looks", "psnr_mean_fill"}),
        ("pix2pix", "--data digits --width 4 --adversarial 0 --dropout 0", {"psnr", "ssim", "looks"}),
        ("cyclegan", f"{BOTH} --width 4 --blocks 1", {"read_as_before", "frechet", "frechet_before"}),
        ("cyclegan", f"{BOTH} --width 4 --blocks 1 --system cut", {"read_as_before", "frechet_floor"}),
        ("cyclegan", f"{BOTH} --width 4 --blocks 1 --system cycada", {"read_as_before", "frechet"}),
        ("cyclegan", f"{BOTH} --width 4 --blocks 1 --system unit", {"read_as_before", "frechet_floor"}),
        ("cyclegan", f"{BOTH} --width 4 --blocks 1 --system munit", {"read_as_before", "diversity"}),
        ("cogan", "--data digits --width 4", {"pixels_agree", "pixels_agree_apart"}),
        ("cogan", "--data digits --target digits --width 4", {"read_alike"}),
        (
            "domain_adaptation",
            "--data digits --target digits --channels 1 --width 4 --blocks 1",
            {"source_accuracy", "target_accuracy", "read_as_before", "frechet"},
        ),
        ("stargan", "--data digits --width 4 --blocks 1", {"read_as_asked"}),
        (
            "super_resolution",
            "--data digits --width 4 --blocks 1 --side 32 --system srresnet",
            {"psnr", "psnr_bicubic"},
        ),
        ("super_resolution", "--data digits --width 4 --blocks 1 --side 32 --warm-up 1", {"psnr", "psnr_bicubic"}),
    ],
)
def test_a_dry_run_says_its_numbers(script, words, numbers, capsys):
    assert example(script).main([*words.split(), "--batch-size", "4", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert {name for name in numbers if f"{name}: " not in said} == set()


def test_a_run_resumes_and_its_translator_is_a_file(tmp_path):
    module, out = example("pix2pix"), tmp_path / "run"
    data = pictures(tmp_path / "a", 24, size=SIZE)
    line = f"--data {data} --side 16 --width 4 --made edges --batch-size 4 --out {out}".split()
    assert module.main([*line, "--steps", "2"]) == 0
    assert module.main([*line, "--steps", "4", "--resume"]) == 0
    whole = tmp_path / "whole"
    assert module.main([*line[:-1], str(whole), "--steps", "4"]) == 0
    ends = [mg.training.checkpoint.find(folder / "checkpoints")[-1] for folder in (out, whole)]
    ours, theirs = (mg.training.checkpoint.load(path)[0] for path in ends)
    assert [name for name, array in ours.items() if not np.array_equal(array, theirs[name])] == []
    loaded = mg.export.load_generator(out / "generator.safetensors")
    assert loaded.source.shape == (1, 16, 16)
    assert loaded.about["made"] == "edges"
    with pytest.raises(DataError, match="makes images of images, not of noise"):
        evaluation.evaluate(out, 10)
    assert {"psnr", "ssim"} <= set(json.loads((out / "metrics.json").read_text()))


def test_domains_without_held_out_images_are_not_measured(tmp_path, capsys):
    module = example("cyclegan")
    domains = [pictures(tmp_path / name, 9, size=SIZE) for name in "ab"]
    chosen = settings("cyclegan", "--data", domains[0], "--target", domains[1])
    assert sides.domains_held_out(chosen) is None
    assert module.measure(None, None, chosen) == {}
    told = [line for line in capsys.readouterr().out.splitlines() if "held-out" in line]
    named = f"note: nothing is measured at the end: {domains[0]} has no held-out images, which mnist, "
    assert [line.startswith(named) for line in told] == [True, True]
    beside = settings("cyclegan", "--data", "digits", "--target", domains[1])
    assert sides.domains_held_out(beside) is None
    assert f"at the end: {domains[1]} has no held-out images" in capsys.readouterr().out


def test_every_way_to_make_a_source_has_a_translator():
    for name in [each for each in MAKINGS if each not in BY_FACTORS]:
        chosen = settings("pix2pix", "--data", "digits", "--width", 2, "--made", name)
        game = example("pix2pix").build(chosen)
        batch = mg.tensor(np.zeros((2, 1, 32, 32), np.float32))
        assert game.generator(game.sources_of(batch)).shape == (2, 1, 32, 32)


def test_a_translator_that_no_file_describes_is_trained_without_one(tmp_path):
    module, out = example("cyclegan"), tmp_path / "run"

    class Own(mg.nn.Sequential):
        pass

    def build(chosen):
        game = module.build(chosen)
        game.inverse.__class__ = Own
        return game

    line = f"--data digits --target digits --width 2 --blocks 1 --batch-size 4 --steps 1 --out {out}".split()
    chosen = Settings.parsed(module.options(), line, "cyclegan")
    few = lambda settings, limit: sides.load_domains(settings, 40)
    assert mg.training.run(build, chosen, sides.target_shape, load=few) == 0
    assert (out / "generator.safetensors").exists()
    assert not (out / "inverse.safetensors").exists()
