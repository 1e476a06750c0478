"""What came out: the best first, everything in the CSV, and a page that shows it and holds what it shows."""

import csv
import json
import math
import re

import made_up_run
import pytest
from browser_pages import resize, text

from minigan.judge import Row as Measure
from minigan.judge.verdict import Look
from minigan.sweep import page, results
from minigan.sweep.runs import Unit
from minigan.training import RunFolder, Settings, record, report
from minigan.training.record import Evaluation


def unit(folder, loss="hinge", seed="0", **settings):
    return Unit(
        {"loss": loss, "seed": seed}, folder / f"loss={loss},seed={seed}", [], Settings("train", steps=8, **settings)
    )


def made(folder, loss, seed, *far, verdict="healthy", frechet=None, sha256="0" * 64):
    """A run whose looks saw these distances, finished."""
    made_unit = unit(folder, loss, seed)
    path = made_up_run.folder(made_unit.folder, rows=8, pictures=2)
    config = json.loads((path / "config.json").read_text())
    config["settings"] = {**vars(made_unit.settings)}
    config["images"]["sha256"] = sha256
    config["total_steps"] = 8
    (path / "config.json").write_text(json.dumps(config))
    looks = [Look(8 * (k + 1) // len(far), {"distance": d, "floor": 0.1}, verdict, []) for k, d in enumerate(far)]
    if frechet is not None:
        looks[-1].numbers.update(frechet=frechet, frechet_floor=2.0)
    (path / "health.jsonl").write_text("".join(map(record.look_line, looks)))
    (path / "checkpoints").mkdir()
    for name in (
        "checkpoints/step_00000008.safetensors",
        "checkpoints/step_00000008.json",
        "losses.png",
        "samples.gif",
    ):
        (path / name).touch()
    report.write(path)
    return made_unit


@pytest.fixture
def runs(tmp_path):
    """Two losses with two seeds each; and a run that failed, and one that has not begun."""
    held = [
        made(tmp_path, "hinge", "0", 1.5, 0.75),
        made(tmp_path, "hinge", "1", 1.5, 0.5, verdict="watch"),
        made(tmp_path, "lsgan", "0", 2.0, 1.25, verdict="failing"),
        made(tmp_path, "lsgan", "1", 2.0, 1.0),
    ]
    return [*held, unit(tmp_path, "<b>", "0"), unit(tmp_path, "<b>", "1")]


FAILED = {"loss=<b>,seed=0": "step 3: d_loss is <nan>"}


def order(found):
    return [tuple(row.unit.values.values()) for row in found.rows]


def test_the_best_is_first_and_what_failed_last(runs):
    found = results.read(runs, FAILED)
    assert found.ruler.name == "distance"
    assert order(found) == [("hinge", "1"), ("hinge", "0"), ("lsgan", "1"), ("lsgan", "0"), ("<b>", "1"), ("<b>", "0")]
    assert [row.status for row in found.rows] == ["finished"] * 4 + ["not begun", "failed"]
    assert [row.verdict for row in found.rows][:4] == ["watch", "healthy", "healthy", "failing"]


def test_a_judge_is_believed_before_the_yardstick_if_it_saw_all_that_are_done(tmp_path):
    units = [made(tmp_path, "hinge", "0", 0.5, frechet=20.0), made(tmp_path, "hinge", "1", 0.6, frechet=10.0)]
    assert order(results.read(units, {})) == [("hinge", "1"), ("hinge", "0")]
    rows = [Measure("frechet", 9.0, None, None, None)]
    RunFolder(units[0].folder).write_evaluation(Evaluation(8, "digits", 10, 10, rows))
    found = results.read(units, {})
    assert found.ruler.name == "frechet"  # only one has been evaluated
    assert [row.distances.get("evaluated") for row in found.rows] == [None, 9.0]
    units.append(made(tmp_path, "hinge", "2", 0.1))
    assert results.read(units, {}).ruler.name == "distance"


def test_samples_that_are_not_finite_come_last(tmp_path):
    units = [made(tmp_path, "hinge", "0", 0.5, math.nan), made(tmp_path, "hinge", "1", 3.0)]
    found = results.read(units, {})
    assert (found.ruler.name, order(found)) == ("distance", [("hinge", "1"), ("hinge", "0")])
    assert math.isnan(found.rows[1].distance(found.ruler))


def test_different_data_are_not_compared(tmp_path):
    units = [made(tmp_path, "hinge", "0", 0.9), made(tmp_path, "hinge", "1", 0.1, sha256="1" * 64)]
    found = results.read(units, {})
    assert (found.ruler, order(found)) == (None, [("hinge", "0"), ("hinge", "1")])
    assert "learn from different data" in page.page(found, "")


def test_over_seeds_the_best_mean_is_first(runs):
    assert results.read(runs, FAILED).over_seeds() == [
        ({"loss": "hinge"}, [0.5, 0.75]),
        ({"loss": "lsgan"}, [1.0, 1.25]),
    ]
    assert results.read(runs[:1], {}).over_seeds() == []


def test_the_csv_has_a_row_for_each_run(runs, tmp_path):
    results.write_csv(results.read(runs, FAILED), tmp_path)
    with (tmp_path / results.CSV).open() as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == ["loss", "seed", *results.COLUMNS]
    best, failed = rows[0], rows[-1]
    assert (best["loss"], best["seed"], best["status"], best["step"]) == ("hinge", "1", "finished", "8")
    assert (float(best["distance"]), best["frechet"], best["folder"]) == (0.5, "", "loss=hinge,seed=1")
    assert (failed["status"], failed["distance"], failed["error"]) == ("failed", "", "step 3: d_loss is <nan>")


def test_json_says_the_same(runs, tmp_path):
    told = json.loads(results.as_json(results.read(runs, FAILED), tmp_path))
    assert told["best_by"] == "distance"
    assert told["runs"][0]["values"] == {"loss": "hinge", "seed": "1"}
    assert told["runs"][0]["distance"] == 0.5
    assert told["runs"][-1]["error"] == "step 3: d_loss is <nan>"


def test_the_terminal_shows_a_table(runs):
    lines = results.lines(results.read(runs, FAILED)).splitlines()
    assert lines[0].split() == ["loss", "seed", "distance", "verdict", "step", "time", "status"]
    assert lines[2].split() == ["hinge", "1", "0.500", "watch", "8", "finished"]
    assert lines[-1].split() == ["<b>", "0", "failed"]
    assert len(lines) == 8


def test_the_page_escapes_links_and_shows_every_run(runs, tmp_path):
    path = page.write(results.read(runs, FAILED), tmp_path, "minigan sweep --grid 'loss=<b>'")
    held = path.read_text()
    assert "<b>,seed" not in held
    assert "loss=&lt;b&gt;,seed=0: step 3: d_loss is &lt;nan&gt;" in held
    assert "1 of 6 runs are not finished. The same command goes on." in held
    assert held.count("<figure>") == held.count("data:image/png") == held.count('<svg class="way') == 4
    links = set(re.findall(r'href="([^"]+/report\.html)"', held))
    assert len(links) == 4
    assert all((tmp_path / link.replace("%3D", "=").replace("%2C", ",")).exists() for link in links)
    assert "4 of 6" in held
    assert "0.625 ± 0.12" in held  # over the seeds of hinge


def test_pictures_are_left_to_the_reports_where_they_are_too_many(runs, monkeypatch):
    monkeypatch.setattr(page.frames, "BUDGET", 0)
    held = page.page(results.read(runs, FAILED), "")
    assert held.count("see its report") == 4
    assert "data:image/png" not in held


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_the_window(width, runs, tmp_path, browser):
    path = page.write(results.read(runs, FAILED), tmp_path, "minigan sweep")
    resize(browser, width=width)
    browser.get(path.as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert text(browser, "h1") == "Sweep of loss, seed"
    shown = browser.find_elements("css selector", ".gallery img")
    assert all(browser.execute_script("return arguments[0].naturalWidth", picture) for picture in shown)
    shown[0].click()
    assert "loss=hinge,seed=1/report.html" in browser.current_url.replace("%3D", "=").replace("%2C", ",")
    assert browser.get_log("browser") == []
