"""The report of a run: what it says, that no text breaks out of it, that it stays small, and what it does without."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from made_up_run import add_health, add_timings, folder
from PIL import Image
from tiny_run import build, settings

import minigan as mg
from minigan import training, viz
from minigan.judge import Row
from minigan.training import RunFolder, record, report
from minigan.training.record import Evaluation, read
from minigan.training.report import curves, frames, tables

EVIL = "</script><script>alert(1)</script><u>&\"'{{data}}"


def written(path):
    return report.write(path).read_text(encoding="utf-8")


def data(html):
    """What the page's script reads."""
    return json.loads(re.search(r'<script type="application/json" id="run">(.*?)</script>', html, re.S)[1])


def charts(html):
    return {chart["title"]: {c["name"]: c for c in chart["curves"]} for chart in data(html)["charts"]}


# --- what it says -------------------------------------------------------------------------------------------------


def test_a_report_of_a_real_run(tmp_path, few_digits):
    training.run(build, settings(tmp_path, steps=8, sample_every=2))
    path = report.write(tmp_path)
    assert path == tmp_path / "report.html"
    html = path.read_text(encoding="utf-8")
    assert "<title>tiny</title>" in html
    assert "8 of 8" in html
    held = data(html)
    assert [frame["step"] for frame in held["frames"][""]] == [0, 2, 4, 6, 8]
    assert charts(html)["loss"]["discriminator loss"]["x"] == list(range(1, 9))
    assert "problem" not in html.split("</style>")[1].split("<noscript>")[0]
    assert report.write(str(tmp_path), str(tmp_path / "other.html")) == tmp_path / "other.html"


def test_everything_that_is_known_is_told(tmp_path):
    run = folder(tmp_path / "run")
    add_health(run)
    add_timings(run)
    (run / "metrics.json").write_text('{"frechet_distance": 12.5, "reverse_kl": null, "huge": 1' + 400 * "0" + "}")
    html = written(run)
    assert '<span class="badge failing" id="verdict">failing</span>' in html
    assert '<li class="failing"><b>Samples look alike</b> as seen in step 200</li>' in html
    assert "200 of 400" in html
    assert "60\u202f000 samples" in html
    assert "1\u202f230<small" in html  # the median speed, three digits of it
    assert '2 min 0 s<small class="soft"> 3 sessions' in html
    for name, value in (("lr", "0.001"), ("as_printed", "no"), ("seed", "0"), ("penalty", ">&ndash;<")):
        assert re.search(rf"<dt>{name}</dt><dd>[^/]*{value}", html), name
    assert "openblas 0.3 SkylakeX, 2 threads" in html
    assert "<td>frechet distance</td><td>12.5</td>" in html
    assert "<td>reverse kl</td><td>not finite</td>" in html
    for name, share in (("training", "75.0%"), ("samples", "8.3%"), ("the rest", "8.3%")):
        assert re.search(rf"{name}</td><td>[^<]*</td><td>{share}", html), name
    assert "<td>100 &ndash; 200</td><td>1 min 0 s</td>" in html
    assert "<td>200 &ndash; ?</td><td>did not end in order</td>" in html
    assert re.search(
        r'<td>50</td><td class="word healthy">healthy</td><td>Samples vary</td></tr><tr><td>150</td>', html
    )


def test_what_is_compared_shares_a_chart(tmp_path):
    run = folder(tmp_path / "run")
    add_health(run)
    found = charts(written(run))
    assert {title: list(names) for title, names in found.items()} == {
        "loss": ["discriminator loss", "generator loss"],
        "score": ["score of real samples", "score of fakes"],
        "penalty": ["penalty"],
        "diversity": ["diversity"],
        "length of the gradient": ["discriminator", "generator"],
        "samples per second": ["samples per second"],
    }
    grad = found["length of the gradient"]["discriminator"]
    assert (grad["y"], grad["bad"]) == ([0.5, None, 0.5, 0.5], [100])


def test_curves_of_a_chart_have_colours_of_their_own():
    steps, values = np.arange(3), np.ones(3)
    two = ("d_real", "d_fake", "d_real_source", "d_fake_source", "d_loss", "g_loss")
    players = ("generator", "inverse", "style_encoder", "source_style_encoder", "discriminator", "source_discriminator")
    run = record.Run(
        Path("run"),
        {},
        log={name: (steps, values) for name in two},
        health={f"{name}_grad": (steps, values) for name in players},
    )
    found = {chart["title"]: chart["curves"] for chart in curves.charts(run)}
    assert [[c["name"] for c in found[title]] for title in ("score", "score, source")] == [
        ["score of real samples", "score of fakes"]
    ] * 2
    tones = [c["tone"] for c in found["length of the gradient"]]
    assert len(set(tones)) == len(players) <= len(curves.ALL_TONES)
    for each in found.values():
        assert len({c["tone"] for c in each}) == len(each)
    assert {c["name"]: c["tone"] for c in found["length of the gradient"]}["discriminator"] == 0
    css = (Path(curves.__file__).parent / "page.css").read_text()
    assert all(css.count(f"--p{tone}: #") == 2 and f".p{tone} {{" in css for tone in curves.ALL_TONES)


def test_an_evaluation_is_a_table(tmp_path):
    run = folder(tmp_path / "run")
    rows = [Row("frechet", 4.0812, 3.9, 4.3, 3.07), Row("score", 9.43, 9.4, 9.46, None)]
    evaluated = Evaluation(150, "digits", 10_000, 9_000, rows, ["a <note>"])
    RunFolder(run).write_evaluation(evaluated)
    html = written(run)
    assert "10\u202f000 samples of step 150 beside 9\u202f000 real ones, read by digits" in html
    cells = "<td>Fréchet distance</td><td><b>4.08</b></td><td>3.9 &ndash; 4.3</td><td>3.07</td><td>lower</td>"
    assert cells in html
    assert "<td><b>9.43</b></td><td>9.4 &ndash; 9.46</td><td></td><td>higher</td>" in html
    assert "a &lt;note&gt;" in html
    assert '<dt>Fréchet distance</dt><dd>4.08<small class="soft"> real images 3.07</small>' in html
    assert "<h2>Numbers</h2>" not in html  # of its own it measured none


# --- what comes from files stays text -----------------------------------------------------------------------------


def test_no_text_breaks_out(tmp_path):
    run = folder(tmp_path / "run", name=EVIL, data=EVIL, extra={EVIL: EVIL, "preset": EVIL})
    add_health(run)
    look = json.loads((run / "health.jsonl").read_text().splitlines()[-1])
    look["findings"][0] |= {"title": EVIL, "explanation": EVIL, "level": EVIL}
    look["numbers"] = {EVIL: 1.0}
    (run / "health.jsonl").write_text(json.dumps(look))
    (run / "metrics.json").write_text(json.dumps({EVIL: 1.0}))
    (run / "timings.json").write_text(json.dumps({EVIL: 1.0, "sessions": [{"started": EVIL}]}))
    log = (run / "log.csv").read_text()
    (run / "log.csv").write_text(log.replace("penalty", EVIL, 1))
    html = written(run)
    assert "alert(1)</script>" not in html
    assert "<u>" not in html
    assert html.count("</script>") == 2
    assert "<title>&lt;/script&gt;&lt;script&gt;alert(1)" in html
    assert data(html)["looks"][0]["titles"] == [EVIL]
    assert EVIL in charts(html)


def test_text_that_is_not_unicode_is_replaced(tmp_path):
    run = folder(tmp_path / "run", name="a\ud800b", extra={})
    assert "<title>a?b</title>" in written(run)
    with (run / "log.csv").open("ab") as log:
        log.write(b"\xff\xfe,1\n")
    assert "log.csv: 1 damaged row is left out" in written(run)


def test_nothing_is_loaded(tmp_path):
    html = written(folder(tmp_path / "run"))
    assert set(re.findall(r"https?://[^\"' ]+", html)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(?:link|script|img)[^>]+(?:href|src)=\"(?!data:)", html)
    assert "default-src 'none'" in html


# --- large runs stay small ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 1999, 2000, 2001, 123_457])
def test_a_curve_is_thinned_and_no_spike_is_lost(rng, rows):
    steps, values = np.arange(1, rows + 1), rng.standard_normal(rows)
    spikes = rng.integers(0, rows, min(rows, 9))
    values[spikes[::2]], values[spikes[1::2]] = 100, -100
    curve = curves.thin(steps, values)
    assert max(curve["x"]) <= rows
    assert np.all(np.diff(curve["x"]) > 0)
    if rows <= curves.POINTS:
        assert np.allclose(curve["y"], values, rtol=1e-4)
        assert "low" not in curve
        return
    assert len(curve["low"]) + len(curve["high"]) <= curves.POINTS
    assert max(curve["high"]) == values.max()
    assert min(curve["low"]) == values.min()
    assert np.mean(curve["y"]) == pytest.approx(values.mean(), abs=0.05)
    assert curve["high"].count(100) >= len(set(spikes[::2]) - set(spikes[1::2])) - 2  # two may share a bucket
    assert abs(curve["per"] - rows / len(curve["x"])) < 1


def test_values_that_are_not_finite_leave_a_mark(rng):
    values = rng.standard_normal(10_000)
    values[4000:4100], values[7] = np.nan, np.inf
    curve = curves.thin(np.arange(10_000), values)
    assert curve["y"].count(None) == curve["low"].count(None) == curve["high"].count(None) == 10
    assert len(curve["bad"]) == 11
    assert curve["y"][0] is not None  # of the finite ones in its bucket
    short = curves.thin(np.arange(3), np.array([1, np.inf, 2]))
    assert (short["y"], short["bad"]) == ([1.0, None, 2.0], [1])
    assert json.dumps(curves.thin(np.arange(2), np.array([np.finfo(float).max, 1.0])), allow_nan=False)


def test_a_long_log_makes_a_small_page(tmp_path):
    html = written(folder(tmp_path / "run", rows=30_000, pictures=2))
    assert len(html) < 400_000
    assert len(charts(html)["loss"]["generator loss"]["low"]) == curves.POINTS // 2


def test_pictures_are_spread_over_the_run(tmp_path):
    run = folder(tmp_path / "run", rows=1000, pictures=200)
    held = data(written(run))
    steps = [frame["step"] for frame in held["frames"][""]]
    assert (len(steps), steps[0], steps[-1]) == (frames.MOST, 0, 1000)
    assert np.diff(steps).max() <= 21
    assert held["taken"] == {"": 200}


def test_pictures_that_are_large_are_fewer(tmp_path, monkeypatch):
    run = folder(tmp_path / "run", pictures=20)
    size = len(frames.encode(next((run / "samples").glob("*.png"))))
    monkeypatch.setattr(frames, "BUDGET", 8 * size)
    assert 6 <= len(data(written(run))["frames"][""]) <= 8
    monkeypatch.setattr(frames, "BUDGET", 1)
    assert [frame["step"] for frame in data(written(run))["frames"][""]] == [0, 200]


def test_series_of_pictures_are_told_apart(tmp_path):
    run = folder(tmp_path / "run")
    for picture in list((run / "samples").iterdir()):
        (run / "samples" / f"c2_{picture.name}").write_bytes(picture.read_bytes())
    (run / "samples" / "notes.png").write_bytes(b"")
    held = data(written(run))
    assert list(held["frames"]) == ["", "c2"]
    assert held["frames"][""] == held["frames"]["c2"]


@pytest.mark.parametrize(("mode", "lossless"), [("L", True), ("few colours", True), ("RGB", False)])
def test_a_picture_keeps_its_pixels(tmp_path, rng, mode, lossless):
    shape = (4, 3 if mode != "L" else 1, 16, 16)
    images = rng.integers(0, 256, shape, np.uint8)
    if mode == "few colours":
        images = rng.integers(0, 256, (200, 3), np.uint8)[rng.integers(0, 200, (4, 16, 16))].transpose(0, 3, 1, 2)
    drawn = viz.grid(images)
    viz.save_png(drawn, tmp_path / "grid.png", scale=2)
    (tmp_path / "small.png").write_bytes(frames.encode(tmp_path / "grid.png"))
    with Image.open(tmp_path / "small.png") as small:
        assert small.size == drawn.shape[1::-1]  # once, not twice as large
        assert small.mode == ("L" if mode == "L" else "P")
        again = np.asarray(small.convert("L" if mode == "L" else "RGB"))
    assert np.array_equal(again, drawn) == lossless
    assert np.abs(again.astype(int) - drawn).mean() < 12


# --- what is missing or damaged -----------------------------------------------------------------------------------


def test_what_is_missing_leaves_no_empty_box(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"settings": {"name": "bare"}}))
    html = written(tmp_path)
    body = html.split("</style>")[1]
    for absent in ("<h2>Numbers", "<h2>Where", "<h2>Versions", "badge", "findings", 'problem">log'):
        assert absent not in body
    assert "<dt>steps</dt><dd>0</dd>" in body
    assert (data(html)["charts"], data(html)["frames"], data(html)["looks"]) == ([], {}, [])


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(mg.errors.CheckpointError, match=rf"{tmp_path}: no run is in this folder"):
        report.write(tmp_path)
    with pytest.raises(mg.errors.CheckpointError, match=r"absent: no run"):
        report.write(tmp_path / "absent")
    (tmp_path / "data.npy").write_bytes(b"x")
    with pytest.raises(mg.errors.CheckpointError, match=r"data\.npy: no run"):
        report.write(tmp_path / "data.npy")
    (tmp_path / "data.npy").unlink()
    for content in ("{", "[]", '{"settings": 3}', "[" * 100_000):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(mg.errors.CheckpointError, match=r"config\.json: "):
            report.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_damaged_rows_are_left_out_and_counted(tmp_path):
    run = folder(tmp_path / "run", rows=4)
    add_health(run, steps=(1, 2, 3, 4))
    with (run / "log.csv").open("a") as log:
        log.write('5,1,2,0.5,0.5,100,0.1\n\n6,1,2\n7,"1,2,0.5,0.5,100,0.1\nx,1,2,0.5,0.5,100,0.1\n-8,1,2,3,4,5,6\n')
        log.write(f"{10**30},1,2,3,4,5,6\n9,,nan,0.5,0.5,100,\n10,1,2,0.5,")
    with (run / "health.jsonl").open("a") as health:
        for line in ("{", "3", '{"step": "4"}', '{"step": 4, "verdict": "odd"}', '{"step": 4, "numbers": {"a": "x"}}'):
            health.write(line + "\n")
        health.write('{"step": 4, "findings": [1]}\n{"step": 4, "numbers": {"a": 1' + 400 * "0" + '}}\n{"step": 9}\n')
    (run / "metrics.json").write_text("[1]")
    (run / "timings.json").write_text("{")
    (run / "samples" / "step_00000002.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    html = written(run)
    for problem in (
        "log.csv: 5 damaged rows are left out",
        "health.jsonl: 7 damaged rows are left out",
        "metrics.json is damaged",
        "timings.json is damaged",
        "1 of the pictures cannot be read",
    ):
        assert f'<p class="problem">{problem}' in html
    losses = charts(html)["loss"]
    assert losses["discriminator loss"]["x"] == [1, 2, 3, 4, 5]  # an empty cell is no point,
    assert losses["generator loss"]["bad"] == [9]  # one that is not finite is
    assert 2 not in [frame["step"] for frame in data(html)["frames"][""]]
    assert 'id="verdict">failing' in html  # the newest that is known


def test_a_log_without_steps_and_one_without_rows(tmp_path):
    run = folder(tmp_path / "run", pictures=0)
    (run / "log.csv").write_text("d_loss,g_loss\n1,2\n")
    html = written(run)
    assert "log.csv does not begin with a column step" in html
    for text in ("", "step,d_loss\n"):
        (run / "log.csv").write_text(text)
        html = written(run)
        assert data(html)["charts"] == []
        assert 'class="problem">log' not in html


def test_steps_that_were_written_again_count_once(tmp_path):
    run = folder(tmp_path / "run", rows=4)
    with (run / "log.csv").open("a") as log:
        log.write("3,7,2,0.5,0.5,100,0.1\n5,8,2,0.5,0.5,100,0.1\n")
    steps, values = read(run).log["d_loss"]
    assert steps.tolist() == [1, 2, 3, 4, 5]
    assert values[[2, 4]].tolist() == [7, 8]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.123, "0.12 s"),
        (59, "59 s"),
        (61, "1 min 1 s"),
        (3725, "1 h 2 min"),
        (200_000, "2 d 7 h"),
        (59.7, "1 min 0 s"),
    ],
)
def test_durations(seconds, told):
    assert tables.duration(seconds) == told
