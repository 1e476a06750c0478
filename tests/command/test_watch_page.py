"""The page that `minigan watch` serves, in a real browser: it follows the run, and the reader stays where they are."""

import json
import re
import time

import pytest
from browser_pages import press, resize, set_slider
from made_up_run import add_health, folder
from served import serving

from minigan.system import disk
from minigan.training.report import live

pytestmark = pytest.mark.browser
STATE = '[data-part="state"]'


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(live, "WAIT", 0.1)
    monkeypatch.setattr(live, "LONGEST", 0.1)
    monkeypatch.setattr(live, "SHARE", 0)


@pytest.fixture
def run(tmp_path):
    path = folder(tmp_path / "runs" / "first")
    add_health(path)
    return path


@pytest.fixture
def server(browser, run):
    with serving(run) as server:
        yield server
        browser.get("about:blank")  # which asks for nothing more
    browser.get_log("browser")


def grow(run, first, last):
    with (run / "log.csv").open("a") as log:
        log.write("".join(f"{step},1,2,0.5,0.5,1000,0.1\n" for step in range(first, last + 1)))


def wait_for(condition, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def text(browser, selector):
    """At once: between finding an element and reading it, it may be replaced."""
    return browser.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)


def at(browser):
    return int(re.sub(r"\D", "", text(browser, "#at")))


def test_it_follows_the_run_to_its_end(browser, run, server):
    resize(browser)
    with disk.holding(run / ".lock"):
        browser.get(server.address)
        assert at(browser) == 200
        assert text(browser, STATE) == "The run goes on, and this page with it."
        grow(run, 201, 300)
        wait_for(lambda: at(browser) == 300)
        assert "300 of 400" in text(browser, "header.top")
        (run / "samples" / "step_00000150.png").rename(run / "samples" / "step_00000300.png")
        wait_for(lambda: text(browser, "#step") == "step 300")
        look = {"step": 300, "numbers": {"diversity": 1.0}, "verdict": "healthy", "findings": []}
        with (run / "health.jsonl").open("a") as looks:
            looks.write(json.dumps(look) + "\n")
        wait_for(lambda: text(browser, "#verdict") == "healthy")
        grow(run, 301, 400)
    wait_for(lambda: text(browser, STATE) == "The run has ended: all of its 400 steps are done.")
    wait_for(lambda: at(browser) == 400)
    assert browser.get_log("browser") == []


def test_the_reader_stays_where_they_are(browser, run, server):
    resize(browser, height=500)
    browser.get(server.address)
    press(browser, "HOME")
    set_slider(browser, "smoothing", 90)
    penalty = lambda: next(c for c in browser.find_elements("css selector", ".chart") if "penalty" in c.text.lower())
    button = penalty().find_element("css selector", "button.log")
    button.click()
    browser.execute_script("window.scrollTo(0, document.body.scrollHeight)")
    before = browser.execute_script("return scrollY")
    assert before > 200
    grow(run, 201, 350)
    wait_for(lambda: browser.execute_script("return last") == 350)
    assert browser.execute_script("return scrollY") == before
    assert at(browser) == 0
    assert browser.execute_script("return document.getElementById('smoothing').value") == "90"
    assert penalty().find_element("css selector", "button.log").get_attribute("aria-pressed") == "true"
    assert browser.find_element("id", "filter").is_enabled()
    assert browser.get_log("browser") == []


def test_text_from_files_is_not_run(browser, run, server):
    browser.get(server.address)
    title = browser.title
    evil = "<img src=x onerror=\"document.title = 'run'\"><script>document.title = 'run'</script>"
    look = {"step": 201, "numbers": {}, "verdict": "watch", "findings": [{"level": "watch", "title": evil}]}
    with (run / "health.jsonl").open("a") as looks:
        looks.write(json.dumps(look) + "\n")
    wait_for(lambda: "onerror" in text(browser, ".findings"))
    assert browser.title == title
    assert browser.get_log("browser") == []


def test_it_says_that_nobody_serves_it_any_more(browser, run):
    with serving(run) as server:
        browser.get(server.address)
    wait_for(lambda: text(browser, STATE).startswith("minigan watch has ended"))
    assert at(browser) == 200
    browser.get("about:blank")
    browser.get_log("browser")  # that the connection was refused


def test_a_list_of_runs_leads_to_each(browser, run):
    folder(run.parent / "second one", name="other", extra={})
    with serving(run.parent) as server:
        browser.get(server.address)
        browser.find_element("link text", "second one").click()
        wait_for(lambda: browser.title == "other")
        grow(run.parent / "second one", 201, 210)
        wait_for(lambda: at(browser) == 210)
        browser.get("about:blank")
