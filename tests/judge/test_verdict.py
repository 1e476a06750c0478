"""The verdict on a run: which number leads to which finding, the file it goes to, and when a run is stopped."""

import json
import math
import re

import numpy as np
import pytest
from example_scripts import example
from tiny_run import build, settings

import minigan as mg
from minigan import data, training
from minigan.judge import Yardstick
from minigan.judge.verdict import beside_plain, verdict
from minigan.training import RunFolder, loop, record

FINE = {"distance": 0.5, "floor": 0.2, "diversity": 1.0, "spacing": 0.9, "d_real": 0.7, "d_fake": 0.3}
FINE |= {"generator_grad": 1.0, "discriminator_grad": 1.0}


def judged(step=1000, before=(), loss="nonsaturating", logistic=True, options=(), **numbers):
    return verdict(step, {**FINE, **numbers}, before, loss=loss, logistic=logistic, options=options)


@pytest.mark.parametrize(
    ("numbers", "verdict", "title"),
    [
        ({}, "healthy", "distance to the data"),
        ({"diversity": 0.01}, "failing", "mode collapse"),
        ({"diversity": 0.3}, "watch", "little variety"),
        ({"spacing": 0.1}, "watch", "little variety"),
        ({"diversity": 0.15}, "watch", "little variety"),
        ({"diversity": 0.9, "spacing": 0.25}, "healthy", "distance to the data"),
        ({"d_real": 0.99, "d_fake": 0.01}, "watch", "D wins"),
        ({"d_real": 0.95, "d_fake": 0.05}, "healthy", "distance to the data"),
        ({"d_real": 0.5, "d_fake": 0.5}, "healthy", "distance to the data"),
        ({"d_real": 0.5, "d_fake": 0.5, "distance": 2.0}, "watch", "D sees no difference"),
        ({"generator_grad": 1e-8}, "failing", "generator's gradient vanishes"),
        ({"discriminator_grad": 1e-8}, "watch", "discriminator's gradient vanishes"),
        ({"generator_grad": 1e6}, "watch", "generator's gradient is huge"),
        ({"generator_grad": math.nan}, "watch", "generator's gradient is huge"),
    ],
)
def test_a_number_that_matters_decides(numbers, verdict, title):
    look = judged(**numbers)
    assert look.verdict == verdict
    assert look.findings[0].title == title
    assert title in look.sentence or verdict == "healthy"
    assert look.explained.startswith(f"Verdict: {verdict}")


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        ((), "where to go."),
        (("lr", "d_lr"), "where to go. Slow it down (--d-lr)."),
        (("d_lr", "penalty"), "where to go. Penalise it (--penalty r1), or slow it down (--d-lr)."),
        (("halvings", "lr"), "where to go. Let a score see fewer pixels (--halvings)."),
        (
            ("penalty", "d_lr", "label_smoothing"),
            "to go. Penalise it (--penalty r1), slow it down (--d-lr), or smooth its labels (--label-smoothing 0.9).",
        ),
    ],
)
def test_no_option_is_advised_that_the_program_lacks(options, advice):
    assert judged(d_real=0.99, d_fake=0.01, options=options).explained.endswith(advice)
    told = " ".join(f.explanation for f in judged(diversity=0.01, options=options).findings)
    named = [option for option in ("d_lr", "penalty") if option in options]
    assert [option for option in ("d_lr", "penalty") if f"--{option.replace('_', '-')}" in told] == named
    assert "--pack" not in told


@pytest.mark.parametrize("script", ["train", "pix2pix", "cyclegan", "cogan", "conditional"])
def test_what_is_advised_is_in_the_help_of_the_program(script):
    module = example(script)
    parser = module.options(["tricks"]) if script == "train" else module.options()
    chosen = training.Settings.parsed(parser, ["tricks"] if script == "train" else [], script)
    looks = [judged(1000 + k, distance=5.0, options=chosen.extra) for k in range(5)]
    for numbers in ({"d_real": 0.99, "d_fake": 0.01}, {"diversity": 0.01}, {"distance": 5.0}):
        words = judged(1006, looks, options=chosen.extra, **numbers).explained
        assert set(re.findall(r"--[a-z-]+", words)) <= set(parser._option_string_actions)
        assert script != "train" or "--" in words


def test_it_is_said_which_discriminator_wins():
    look = judged(d_real_source=0.99, d_fake_source=0.01)
    assert (look.verdict, look.findings[0].title) == ("watch", "source D wins")
    assert "Source D takes real samples for real with 99.0%, fakes with 1.0%" in look.explained
    both = judged(d_real=0.98, d_fake=0.02, d_real_code=0.99, d_fake_code=0.01)
    assert [f.title for f in both.findings if f.level == "watch"] == ["D wins", "code D wins"]
    assert judged(d_real_source=0.99, d_fake_source=0.3).verdict == "healthy"
    assert judged(d_real_source=0.5, d_fake_source=0.5, distance=2.0).verdict == "healthy"  # of others' samples
    before = [judged(500, loss="wasserstein", logistic=False, d_real_source=9.0, d_fake_source=0.0)]
    behind = judged(before=before, loss="wasserstein", logistic=False, d_real_source=1.0, d_fake_source=2.0)
    assert [f.title for f in behind.findings if f.level == "watch"] == ["critic of source behind"]
    ahead = judged(before=before, loss="wasserstein", logistic=False, d_real_source=2.0, d_fake_source=1.0)
    told = {f.title: f.explanation for f in ahead.findings}
    assert "is 1, at most 9 so far" in told["Wasserstein estimate of source"]


def test_a_plain_way_that_is_nearer_is_said():
    fine = judged()
    below = {"psnr": 20.0, "psnr_bicubic": 25.0, "psnr_mean_fill": 19.0}
    look = beside_plain(fine, below)
    assert look.sentence.startswith("watch: below bicubic (")
    assert "is 20.00 dB, and 25.00 dB by bicubic, which has learnt nothing. Train it for longer" in look.explained
    assert beside_plain(look, below) == look
    looks = beside_plain(fine, {**below, "looks": 0.1, "looks_bicubic": 0.2})
    assert "To the judge's eyes they are nearer all the same" in looks.explained
    fill = beside_plain(fine, {"psnr": 20.0, "psnr_bicubic": 19.0, "psnr_mean_fill": 21.0})
    assert [finding.title for finding in fill.findings if finding.level == "watch"] == ["below mean fill"]
    for metrics in ({}, {"psnr": 20.0}, {"psnr": 20.0, "psnr_bicubic": 19.0}, {"frechet": 3.0}, {"psnr_of_yours": 9.0}):
        assert beside_plain(fine, metrics) == fine
    assert beside_plain(judged(step=50), below).verdict == "early"
    failing = beside_plain(judged(diversity=0.01), below)
    assert failing.sentence.startswith("failing: mode collapse")


@pytest.mark.parametrize(
    ("real", "fake", "verdict", "words"),
    [
        (3.0, 1.0, "healthy", "is 2, at most 5 so far"),
        (1.0, 3.0, "watch", "scores fakes higher than real samples, by 2"),
    ],
)
def test_a_critic_s_estimate_and_its_sign_are_explained(real, fake, verdict, words):
    before = [judged(500, loss="wasserstein", logistic=False, d_real=5.0, d_fake=0.0)]
    look = judged(before=before, loss="wasserstein", logistic=False, d_real=real, d_fake=fake)
    assert look.verdict == verdict
    assert any(words in finding.explanation for finding in look.findings)


def test_it_is_said_when_samples_get_worse_and_where_they_were_best():
    looks = []
    for step, distance in enumerate([2.0, 0.4, 0.9, 0.9, 0.9]):
        looks.append(judged(1000 + step, looks, distance=distance))
    assert [look.verdict for look in looks] == ["healthy"] * 4 + ["watch"]
    assert "it was 0.40 at step 1001" in looks[-1].findings[0].explanation


def test_a_little_worse_is_not_worse():
    looks = []
    for step, distance in enumerate([1.0, 1.2, 1.2, 1.2]):
        looks.append(judged(1000 + step, looks, distance=distance, floor=0.0))
    assert [look.verdict for look in looks] == ["healthy"] * 4


def test_a_reader_of_images_is_believed_before_the_yardstick():
    looks = []
    read = [90.0, 20.0, None, 45.0, None, 46.0]
    for k, frechet in enumerate(read):
        known = {} if frechet is None else {"frechet": frechet, "frechet_floor": 5.0}
        looks.append(judged(1000 + k, looks, distance=0.9 - 0.1 * k, **known))  # which sees nothing but progress
    assert [look.verdict for look in looks] == ["healthy"] * 6
    found = [look.findings[0].explanation for look in looks]
    assert (
        found[1] == found[2] == "The Fréchet distance of samples is 20 (of real images 5); at the first look it was 90."
    )
    looks.append(judged(1006, looks, distance=0.2, frechet=47.0, frechet_floor=5.0))
    assert looks[-1].sentence.startswith("watch: samples get worse (distance 0.20")
    assert looks[-1].sentence.endswith("frechet 47.00)")
    assert "it was 20 at step 1001" in looks[-1].explained
    assert judged(1007, looks, distance=0.2).verdict == "watch"  # until it is read again


def test_a_run_that_does_not_get_on_is_told_so():
    looks = []
    for step in range(7):
        looks.append(judged(1000 + step, looks, distance=1.5))
    assert [look.verdict for look in looks] == ["healthy"] * 5 + ["watch"] * 2
    assert looks[-1].findings[0].title == "no progress"


@pytest.mark.parametrize(("numbers", "told"), [({}, 0.81), ({"frechet_floor": 5.0}, 510.0)])
def test_samples_that_are_near_need_not_come_nearer(numbers, told):
    name = "frechet" if numbers else "distance"
    for share, said in ((1.0, "watch"), (0.95, "healthy")):  # of four floors of the one, a hundred of the other
        looks = []
        for step in range(6):
            looks.append(judged(1000 + step, looks, **numbers, **{name: share * told}))
        assert looks[-1].verdict == said


def test_nothing_is_said_of_samples_before_there_was_time():
    assert judged(step=99, diversity=0.0).verdict == "early"
    assert judged(step=100, diversity=0.0).verdict == "failing"
    assert judged(step=0, generator_grad=0.0).verdict == "failing"


def test_the_file_keeps_every_look_and_is_cut_at_a_step(tmp_path):
    folder, path = RunFolder(tmp_path), tmp_path / "health.jsonl"
    looks = [judged(step, generator_grad=math.inf) for step in (100, 200, 300)]
    for look in looks:
        folder.append_look(look)
    with path.open("a") as out:
        out.write('{"step": 400, "numb')  # a crash
    for line in path.read_text().splitlines()[:-1]:
        json.loads(line, parse_constant=pytest.fail)  # JSON has no infinity
    held = folder.looks()
    assert [look.step for look in held] == [100, 200, 300]
    assert math.isnan(held[0].numbers.pop("generator_grad"))
    assert held[0].findings == looks[0].findings
    assert [look.step for look in folder.cut_looks(200)] == [100, 200]
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [100, 200]
    assert RunFolder(tmp_path / "absent").cut_looks(5) == []


def test_a_run_stops_early_only_if_it_is_asked_to(tmp_path, few_digits, monkeypatch, capsys):
    monkeypatch.setattr("minigan.judge.verdict.EARLY", 0)

    def collapsed(settings):
        game = build(settings)
        for weight in (game.generator[0].weight, game.ema.shadow["0.weight"]):
            weight.data[...] = 0
        game.optimizers["generator"].lr = 0.0
        return game

    options = {"epochs": 2, "sample_every": 2}
    assert training.run(collapsed, settings(tmp_path / "a", **options)) == 0
    status = training.run(collapsed, settings(tmp_path / "b", early_stop=True, **options))
    assert status == loop.FAILED
    output = capsys.readouterr().out
    assert "Stopped at step 4 of 12 by --early-stop. Verdict: failing: mode collapse" in output
    assert "nearly one sample for every noise" in output
    assert [look.step for look in record.read_looks(tmp_path / "b", [])] == [0, 2, 4]
    assert training.run(collapsed, settings(tmp_path / "b", resume=True, **options)) == 0  # and goes on where it was


def test_short_epochs_are_not_judged_each(tmp_path, few_digits):
    training.run(build, settings(tmp_path, epochs=20))
    assert [look.step for look in record.read_looks(tmp_path, [])] == [0, 54, 108, 120]


def test_health_is_the_same_for_a_resumed_run(tmp_path, few_digits):
    training.run(build, settings(tmp_path / "whole", sample_every=4))
    training.run(build, settings(tmp_path / "parts", sample_every=4, steps=12))
    training.run(build, settings(tmp_path / "parts", sample_every=4, resume=True))
    whole, parts = (record.read_looks(tmp_path / name, []) for name in ("whole", "parts"))
    assert parts == whole
    assert set(whole[-1].numbers) == set(FINE) | {"d_loss", "g_loss"}


# --- the numbers ------------------------------------------------------------------------------------------------


def scaled(images):
    return images / np.float32(127.5) - 1


def test_the_yardstick_orders_samples_as_an_eye_would():
    digits = data.digits(1600)[0]
    yardstick = Yardstick(digits[:1100])
    others = scaled(digits[-yardstick.count :])
    blurred = (others + np.roll(others, 1, 2) + np.roll(others, 1, 3) + np.roll(others, (1, 1), (2, 3))) / 4
    rng = np.random.default_rng(0)
    cases = {
        "others": others,
        "blurred": blurred.astype(np.float32),
        "one": np.repeat(others[:1], len(others), 0),
        "noise": rng.uniform(-1, 1, others.shape).astype(np.float32),
    }
    found = {name: yardstick.measure(samples) for name, samples in cases.items()}
    assert found["others"]["distance"] == pytest.approx(yardstick.floor, rel=0.6)
    assert found["others"]["distance"] < found["blurred"]["distance"] / 1.5
    assert min(found["one"]["distance"], found["noise"]["distance"]) > 1
    assert found["blurred"]["distance"] < 1
    assert 0.9 < found["others"]["diversity"] < 1.1
    assert 0.9 < found["others"]["spacing"] < 1.1
    assert max(found["one"]["diversity"], found["one"]["spacing"]) < 1e-4


def test_data_that_are_all_the_same_are_no_yardstick(rng):
    one = rng.integers(0, 255, (1, 3, 16, 16)).astype("uint8")
    for data_ in (one, np.repeat(one, 40, 0), np.full((9, 2), np.float32(0.1)), np.zeros((4, 2), np.float32)):
        yardstick = Yardstick(data_)
        numbers = yardstick.measure(rng.uniform(-1, 1, (yardstick.count, *data_.shape[1:])).astype("float32"))
        assert numbers == {"spread": 0.0}
        assert yardstick.floor == 0
    for step in (5, 1000):
        look = verdict(step, {"floor": 0.0, **numbers, "generator_grad": 1.0}, (), loss="hinge", logistic=False)
        assert look.sentence == "watch: data without spread"
        assert "all the same" in look.explained


def test_a_run_on_one_picture_says_that_there_is_no_spread(tmp_path, monkeypatch, capsys):
    samples = data.Samples(np.full((48, 1, 28, 28), 7, "uint8"), None, "one picture")
    monkeypatch.setattr("minigan.training.program.load_images", lambda *args, **options: samples)
    assert training.run(build, settings(tmp_path, epochs=1)) == 0
    assert [look.sentence for look in record.read_looks(tmp_path, [])] == ["watch: data without spread"] * 2
    assert "Verdict: watch: data without spread\n- The data" in capsys.readouterr().out
    assert "data without spread" in (tmp_path / "report.html").read_text()


def test_two_or_three_data_that_differ_are_one(rng):
    for n in (2, 3):
        yardstick = Yardstick(rng.integers(0, 255, (n, 1, 8, 8)).astype("uint8"))
        assert yardstick.count == 2
        found = yardstick.measure(rng.uniform(-1, 1, (2, 1, 8, 8)).astype("float32"))
        assert 0.1 < min(found.values()) < max(found.values()) < 10


def test_data_that_are_there_twice_measure_as_if_they_were_there_once(rng):
    points = rng.standard_normal((300, 5)).astype("float32")
    samples = rng.standard_normal((300, 5)).astype("float32")
    twice = Yardstick(np.repeat(points, 2, 0))
    found = twice.measure(samples)
    assert found["spacing"] == pytest.approx(1, rel=0.2)
    assert found["diversity"] == pytest.approx(1, rel=0.1)


def test_samples_that_are_not_finite_fail(rng):
    yardstick = Yardstick(rng.standard_normal((300, 5)).astype("float32"))
    for bad in (np.nan, np.inf):
        samples = rng.standard_normal((150, 5)).astype("float32")
        samples[3, 2] = bad
        look = judged(5, **yardstick.measure(samples))
        assert (look.verdict, look.findings[0].title) == ("failing", "samples are not finite")
        later = judged(before=[look], distance=0.5)
        assert later.verdict == "healthy"
        assert "at the first look it was 0.50" in later.findings[0].explanation


def test_points_are_measured_as_they_are():
    points = mg.data.gaussians_ring(2000)[0]
    yardstick = Yardstick(points[:1500])
    assert yardstick.measure(points[-yardstick.count :])["distance"] < 0.3
    assert yardstick.measure(points[-yardstick.count :] + np.float32(3))["distance"] > 1
    assert yardstick.measure(np.zeros((yardstick.count, 2), np.float32))["spacing"] == 0
