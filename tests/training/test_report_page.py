"""The report of a run in a real browser: samples and curves move together, by hand, by keys and by themselves."""

import re
import time
from itertools import pairwise

import numpy as np
import pytest
from browser_pages import brightness, press, resize, set_slider, text
from made_up_run import add_health, add_timings, folder

from minigan.judge import Row
from minigan.judge.evaluation import MEASURES
from minigan.training import RunFolder, report
from minigan.training.record import Evaluation
from minigan.viz import save_png

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page of 200 steps, with pictures at 0, 50, 100, 150 and 200."""
    run = folder(tmp_path_factory.mktemp("report") / "run")
    add_health(run)
    add_timings(run)
    rows = [Row(name, 0.5, 0.25, 0.75, 0.125) for name in MEASURES]
    RunFolder(run).write_evaluation(Evaluation(200, "digits", 10_000, 10_000, rows))
    return report.write(run)


@pytest.fixture
def opened(browser, page):
    resize(browser)
    browser.get(page.as_uri())
    yield browser
    assert browser.get_log("browser") == []
    assert browser.execute_script("return performance.getEntriesByType('resource').map((e) => e.name)") == []


def steps(browser):
    """The step that the bar names, and that of the samples."""
    return tuple(int(re.sub(r"\D", "", text(browser, selector))) for selector in ("#at", "#step"))


def picture(browser):
    return browser.find_element("id", "picture").get_attribute("src")


def chart(browser, title):
    found = browser.find_elements("css selector", ".chart")
    return next(c for c in found if c.find_element("css selector", "h2").text.lower() == title)


def path(figure, cls):
    return figure.find_element("css selector", f"path.{cls}").get_attribute("d")


def hover(browser, figure, share):
    """Move over a chart, so far from its left edge to its right."""
    from selenium.webdriver import ActionChains

    plot = figure.find_element("css selector", ".plot")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", plot)
    left = 50 - plot.size["width"] / 2  # the axis; the middle is what is moved to
    ActionChains(browser).move_to_element_with_offset(
        plot, round(left + share * (plot.size["width"] - 60)), 0
    ).perform()


def test_it_opens_at_the_end(opened):
    assert opened.title == text(opened, "h1").split()[0] == "dcgan"
    assert text(opened, "#verdict") == "failing"
    assert steps(opened) == (200, 200)
    titles = [h2.text.lower() for h2 in opened.find_elements("css selector", ".charts h2")]
    assert titles == [
        "verdict",
        "loss",
        "score",
        "penalty",
        "diversity",
        "length of the gradient",
        "samples per second",
    ]
    assert "failing: Samples look alike" in text(opened, ".verdicts")


def test_the_slider_and_its_keys_change_the_picture(opened):
    from selenium.webdriver.common.keys import Keys

    seen = set()
    for k in range(5):
        set_slider(opened, "slider", k)
        assert steps(opened) == (50 * k, 50 * k)
        seen.add(picture(opened))
    assert len(seen) == 5
    opened.find_element("id", "slider").send_keys(Keys.ARROW_LEFT)
    assert steps(opened) == (150, 150)
    thumbs = opened.find_elements("css selector", "#strip button")
    assert [b.text for b in thumbs] == ["0", "50", "100", "150", "200"]
    thumbs[1].click()
    assert steps(opened) == (50, 50)
    assert thumbs[1].get_attribute("aria-current") == "true"


def test_keys_go_through_the_samples_and_charts_follow(opened):
    press(opened, "ARROW_LEFT")
    assert steps(opened) == (150, 150)
    assert chart(opened, "diversity").find_element("css selector", "b").text == "0.5"
    press(opened, "ARROW_LEFT")
    assert steps(opened) == (100, 100)
    assert chart(opened, "length of the gradient").find_element("css selector", "b").text == "not finite"
    press(opened, "HOME")
    assert steps(opened) == (0, 0)
    press(opened, "ARROW_LEFT")
    assert steps(opened) == (0, 0)
    press(opened, "END")
    assert steps(opened) == (200, 200)


def test_it_plays_to_the_end_and_stops(opened):
    opened.execute_script("const p = document.getElementById('play'); p.click(); window.begun = [p.ariaLabel, frame]")
    assert opened.execute_script("return begun") == ["pause", 0]
    until = time.monotonic() + 20
    while opened.find_element("id", "play").get_attribute("aria-label") == "pause" and time.monotonic() < until:
        time.sleep(0.1)
    assert steps(opened) == (200, 200)
    assert opened.find_element("id", "play").get_attribute("aria-label") == "play"


def test_a_pointer_over_a_chart_shows_values_and_moves_the_samples(opened):
    loss = chart(opened, "loss")
    before = [b.text for b in loss.find_elements("css selector", ".legend b")]
    hover(opened, loss, 0.5)
    at, samples = steps(opened)
    assert abs(at - 100) <= 2
    assert samples == 100
    values = opened.execute_script("return run.charts[0].curves.map((c) => c.y[c.x.indexOf(arguments[0])])", at)
    shown = [b.text for b in loss.find_elements("css selector", ".legend b")]
    assert [float(x) for x in shown] == pytest.approx(values, rel=1e-3)
    assert shown != before
    hover(opened, chart(opened, "score"), 0.1)
    assert abs(steps(opened)[0] - 20) <= 2
    assert [b.text for b in loss.find_elements("css selector", ".legend b")] != shown  # every chart follows
    assert "healthy: Samples vary" in text(opened, ".verdicts")
    hover(opened, chart(opened, "length of the gradient"), 0.5)
    assert chart(opened, "length of the gradient").find_element("css selector", "b").text == "not finite"


def test_smoothing_changes_the_line_and_leaves_the_raw_curve(opened):
    loss = chart(opened, "loss")
    raw, line = path(loss, "raw"), path(loss, "line")
    assert raw != line
    set_slider(opened, "smoothing", 90)
    loss = chart(opened, "loss")
    assert path(loss, "raw") == raw
    assert path(loss, "line") != line
    assert text(opened, "#window") == "over 32 steps"
    set_slider(opened, "smoothing", 0)
    assert path(chart(opened, "loss"), "line") == raw
    assert text(opened, "#window") == "off"
    opened.find_element("id", "smoothing").send_keys("\ue014")  # its own key, not the samples'
    assert steps(opened) == (200, 200)


def test_a_logarithmic_scale_where_it_is_of_use(opened):
    penalty = chart(opened, "penalty")
    before = path(penalty, "line")
    assert not chart(opened, "score").find_elements("css selector", "button.log[aria-pressed=true]")
    button = penalty.find_element("css selector", "button.log")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    ys = [float(y) for y in re.findall(r" ([\d.]+)", path(penalty, "line"))]
    assert path(penalty, "line") != before
    slopes = [b - a for a, b in pairwise(ys[20:100])]
    assert max(slopes) - min(slopes) < 0.4  # an exponential is a straight line
    button.click()
    assert path(penalty, "line") == before


def test_values_that_are_not_finite_are_gaps_with_a_mark(opened):
    grad = chart(opened, "length of the gradient")
    assert path(grad, "bad").count("M") == 1
    assert path(grad, "raw").count("M") == 2  # the curve begins again
    assert path(chart(opened, "loss"), "raw").count("M") == 1


def test_settings_are_filtered(opened):
    rows = opened.find_elements("css selector", "dl.settings > div")
    opened.find_element("id", "filter").send_keys("Seed")
    assert [row.text.split() for row in rows if row.is_displayed()] == [["seed", "0"]]
    assert steps(opened) == (200, 200)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 320)])
def test_it_fits_a_phone_and_follows_the_readers_colours(browser, page, scheme, width):
    resize(browser, scheme, width)
    browser.get(page.as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    paper, ink = brightness(browser, "backgroundColor"), brightness(browser, "color")
    assert (paper > ink) == (scheme == "light")
    assert abs(paper - ink) > 150
    wide = browser.execute_script("return document.querySelector('.plot svg').clientWidth")
    resize(browser, scheme, width - 40)
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    assert browser.execute_script("return document.querySelector('.plot svg').clientWidth") < wide
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width - 40
    assert browser.get_log("browser") == []


def test_small_pictures_are_shown_pixel_by_pixel(opened):
    shown = opened.find_element("id", "picture")
    natural = opened.execute_script("return arguments[0].naturalWidth", shown)
    assert shown.size["width"] % natural == 0
    assert shown.size["width"] > 5 * natural
    assert shown.value_of_css_property("image-rendering") == "pixelated"


def test_a_bare_run_has_neither_charts_nor_samples(browser, tmp_path):
    run = folder(tmp_path / "run", pictures=0)
    (run / "log.csv").unlink()
    browser.get(report.write(run).as_uri())
    for part in ("samples", "charts", "bar"):
        assert not browser.find_element("id", part).is_displayed()
    press(browser, "ARROW_LEFT", "HOME")
    (tmp_path / "other").mkdir()
    browser.get(report.write(folder(tmp_path / "one", rows=1, pictures=1)).as_uri())
    assert steps(browser) == (1, 0)
    assert not browser.find_element("id", "slider").is_displayed()
    assert browser.get_log("browser") == []


def test_text_from_files_is_not_run(browser, tmp_path):
    evil = "</script><script>document.title = 'run'</script><img src=x onerror=\"document.title = 'run'\">"
    run = folder(tmp_path / "run", name=evil, extra={evil: evil})
    add_health(run)
    (run / "health.jsonl").write_text((run / "health.jsonl").read_text().replace("Samples", "<img src=x>"))
    log = (run / "log.csv").read_text()
    (run / "log.csv").write_text(log.replace("penalty", "<i>penalty</i>", 1))
    browser.get(report.write(run).as_uri())
    assert browser.title == " ".join(evil.split())
    assert "<img src=x> look alike" in text(browser, ".verdicts")
    assert chart(browser, "<i>penalty</i>")
    assert browser.get_log("browser") == []


def test_a_long_run_shows_ranges_and_its_series_of_pictures(browser, tmp_path):
    run = folder(tmp_path / "run", rows=10_000, pictures=70)
    for name in list((run / "samples").iterdir()):
        (run / "samples" / f"c2_{name.name}").write_bytes(name.read_bytes())
    resize(browser)
    browser.get(report.write(run).as_uri())
    assert re.fullmatch(r"1\.\d+ \(1\.\d+ to [12][.\d]*\)", text(browser, ".chart .legend b"))
    assert "about 10 rows of log.csv" in text(browser, "#charts > p")
    assert text(browser, "#taken") == "30 of 70 pictures, evenly spread."
    assert len(browser.find_elements("css selector", "#strip button")) == 6
    browser.find_element("css selector", "#series option[value=c2]").click()
    assert steps(browser) == (10_000, 10_000)
    press(browser, "HOME")
    assert steps(browser)[1] == 0
    assert browser.get_log("browser") == []


def test_what_a_translator_is_given_slides_over_what_it_makes(browser, tmp_path):
    run = folder(tmp_path / "run")
    for step, shade in ((0, 10), (200, 90)):
        for name, value in (("before", shade), ("after", shade + 100)):
            save_png(np.full((8, 8), value, np.uint8), run / "samples" / f"{name}_step_{step:08d}.png")
    browser.get(report.write(run).as_uri())
    shown = lambda name: browser.find_element("id", name).get_attribute("src")
    clip = lambda: browser.execute_script("return getComputedStyle(document.getElementById('before')).clipPath")
    at_the_end = shown("before"), shown("after")
    assert clip() == "inset(0px 50% 0px 0px)"
    set_slider(browser, "divide", 90)
    assert clip() == "inset(0px 10% 0px 0px)"
    assert [o.get_attribute("textContent") for o in browser.find_elements("css selector", "#series option")] == [
        "samples"
    ]
    press(browser, "HOME")
    assert shown("before") != at_the_end[0]
    assert shown("after") != at_the_end[1]


def test_where_nothing_is_translated_nothing_slides(opened):
    assert not opened.find_element("id", "compared").is_displayed()
