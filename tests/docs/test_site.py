"""The site is built without a warning, needs nothing from elsewhere, and no link in it leads nowhere."""

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urldefrag

import browser_pages
import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.docs
KINDS = ["index", "reference/nn", "reference/presets", "reference/commands/train", "formulas", "comparison"]
KINDS += ["gallery/index", "gallery/images-of-images", "lessons/index", "lessons/05_the_dirac_gan"]


class Page(HTMLParser):
    """What a page has that can be led to, and what it leads to or loads."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loads = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.ids |= {given[name] for name in ("id", "name") if given.get(name)}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        self.loads += [
            given[a] for a in ("src", "data") if tag in ("img", "script", "iframe", "object") and given.get(a)
        ]
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload"):
            self.loads.append(given["href"])


class Wrong(NamedTuple):
    page: str
    target: str


def is_elsewhere(target):
    return "://" in target or target.startswith(("//", "mailto:"))


def faults(site):
    """What of a folder of pages leads nowhere, or is loaded from another machine."""
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    found = []
    for path, page in pages.items():
        name = str(path.relative_to(site.resolve()))
        found += [Wrong(name, target) for target in page.loads if is_elsewhere(target)]
        for target in [*page.links, *page.loads]:
            if is_elsewhere(target) or target.startswith(("data:", "javascript:")):
                continue
            file, anchor = urldefrag(target.split("?")[0])
            other = (path.parent / unquote(file)).resolve() if file else path
            missing = anchor and other in pages and unquote(anchor) not in pages[other].ids
            if not other.is_file() or missing:
                found.append(Wrong(name, target))
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("sphinx", reason="needs Sphinx: pip install -e '.[docs]'")
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "docs", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def test_no_link_leads_nowhere_and_nothing_comes_from_elsewhere(site):
    assert faults(site) == []


def test_the_pages_are_there_and_can_be_searched(site):
    assert [kind for kind in KINDS if not (site / f"{kind}.html").exists()] == []
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    assert "gradient_penalty" in index
    assert "BatchNorm2d" in index
    assert len(list((site / "_downloads").rglob("*.ipynb"))) == 10


@pytest.fixture(scope="module")
def browser():
    browser = browser_pages.start()
    yield browser
    browser.quit()


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_fits_a_telephone_by_day_and_by_night(site, browser, kind):
    for scheme in ("light", "dark"):
        browser_pages.resize(browser, scheme, width=400)
        browser.get((site / f"{kind}.html").as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 400
        assert (browser_pages.brightness(browser, "backgroundColor") > 128) == (scheme == "light")
        broken = "return [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
        assert browser.execute_script(broken) == []


def test_what_leads_nowhere_is_noticed(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html#there">1</a><a href="b.html#not">2</a><a href="c.html">3</a><img src="d.png">'
        '<img src="https://elsewhere.org/e.png"><a href="https://elsewhere.org">4</a><a href="#not">5</a>'
    )
    (tmp_path / "b.html").write_text('<p id="there">')
    wrong = {"b.html#not", "c.html", "d.png", "https://elsewhere.org/e.png", "#not"}
    assert {fault.target for fault in faults(tmp_path)} == wrong
