"""The page of games in the plane in a real browser: all panels show the frame that the slider, keys or play lead to."""

import time

import numpy as np
import pytest
from browser_pages import brightness, press, resize, set_slider, text
from test_plane_page import SCENE, game

from minigan import pages
from minigan.gan import losses

pytestmark = pytest.mark.browser
KINDS = ("in", "turn", "out")


def filmed(loss):
    played = game(loss)
    frames, log = [pages.frame(played, SCENE)], []
    for _ in range(4):
        for _ in range(5):
            log.append(played.play(lambda k: SCENE.real[:64])["d_loss"].item())
        frames.append(pages.frame(played, SCENE))
    return pages.Film(loss.name, f"about {loss.name}", frames, {"d_loss": np.array(log)}, 59)


@pytest.fixture(scope="module")
def films():
    return [filmed(losses.nonsaturating), filmed(losses.wasserstein)]


@pytest.fixture
def opened(browser, films, tmp_path):
    browser.get(pages.write_plane(tmp_path / "plane.html", films, SCENE, "a ring").as_uri())
    yield browser
    assert browser.get_log("browser") == []


def numbers(browser, name):
    return np.array(browser.execute_script("return Array.from(frame(arguments[0]))", name))


def test_the_browser_reads_the_numbers_of_every_frame(opened, films):
    for k, film in enumerate(films):
        opened.execute_script("choose(arguments[0])", k)
        for j, frame in enumerate(film.frames):
            set_slider(opened, "slider", j)
            np.testing.assert_allclose(numbers(opened, "samples"), frame.samples.ravel(), atol=2e-3)
            np.testing.assert_allclose(numbers(opened, "surface"), frame.surface.ravel(), atol=1 / 127)
            np.testing.assert_allclose(numbers(opened, "pushes"), frame.pushes.ravel(), rtol=1e-6)
            values = numbers(opened, "eigenvalues").reshape(-1, 2)
            assert not values[len(frame.eigenvalues) :].any()
            values = values[: len(frame.eigenvalues)]
            np.testing.assert_allclose(values[:, 0], frame.eigenvalues.real, rtol=1e-6)
            np.testing.assert_allclose(values[:, 1], frame.eigenvalues.imag, rtol=1e-6)
            assert text(opened, "#at") == f"step {5 * j} of 20"


def test_every_eigenvalue_is_drawn_with_its_mirror_image_and_counted(opened, films):
    set_slider(opened, "slider", 3)
    values = films[0].frames[3].eigenvalues
    circles = opened.find_elements("css selector", "#values circle")
    counted = [int(b.text) for b in opened.find_elements("css selector", "#values-legend b")]
    assert len(circles) == sum(counted) == (values.imag > 0).sum() * 2 + ((values.imag == 0) & (values.real != 0)).sum()
    away = (values.real > 0.01) * np.where(values.imag > 0, 2, 1)
    assert counted[2] == away.sum()
    middle = opened.execute_script("return document.querySelector('#values svg').viewBox.baseVal.width / 2")
    places = {
        name: [float(c.get_attribute("cx")) for c in circles if c.get_attribute("class") == name] for name in KINDS
    }
    assert [len(places[name]) for name in KINDS] == counted
    assert min(places["out"]) > middle > min(places["in"])


def test_keys_and_charts_lead_to_a_frame_and_games_keep_it(opened):
    opened.find_element("css selector", "h1").click()
    press(opened, "HOME")
    assert text(opened, "#at") == "step 0 of 20"
    press(opened, "ARROW_RIGHT", "ARROW_RIGHT")
    assert text(opened, "#at") == "step 10 of 20"
    games = opened.find_elements("css selector", "#games button")
    games[1].click()
    assert games[1].get_attribute("aria-pressed") == "true"
    assert (text(opened, "#about"), text(opened, "#at")) == ("about wasserstein", "step 10 of 20")
    press(opened, "END")
    assert text(opened, "#at") == "step 20 of 20"
    opened.execute_script("charts[0].plot.dispatchEvent(new PointerEvent('pointerdown', { clientX: 0 }))")
    assert text(opened, "#at") == "step 0 of 20"


def test_it_plays_to_the_end_and_moves_points_between_frames(opened, films):
    opened.find_element("id", "slider")
    set_slider(opened, "slider", 0)
    opened.execute_script("show(1.25)")
    a, b = (films[0].frames[k].samples.ravel() for k in (1, 2))
    np.testing.assert_allclose(numbers(opened, "samples"), 0.75 * a + 0.25 * b, atol=2e-3)
    play = opened.find_element("id", "play")
    # at once: it plays for half a second
    assert opened.execute_script("$('play').click(); return $('play').getAttribute('aria-label')") == "pause"
    until = time.monotonic() + 20
    while play.get_attribute("aria-label") == "pause":
        assert time.monotonic() < until
        time.sleep(0.05)
    assert text(opened, "#at") == "step 20 of 20"


def test_what_is_not_asked_for_is_not_drawn(opened):
    drawn = "return document.getElementById('plane').toDataURL()"
    pictures = [opened.execute_script(drawn)]
    for name in ("surface", "real", "arrows", "trails"):
        opened.find_element("id", f"show-{name}").click()
        pictures.append(opened.execute_script(drawn))
    assert len(set(pictures)) == 5


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("dark", 400), ("light", 400)])
def test_it_fits_a_phone_and_follows_the_readers_colours(opened, scheme, width):
    resize(opened, scheme, width)
    opened.execute_script("redraw()")
    assert opened.execute_script("return document.documentElement.scrollWidth") <= width
    assert (brightness(opened, "backgroundColor") < 128) == (scheme == "dark")
    corner = "return Array.from(document.getElementById('plane').getContext('2d').getImageData(0, 0, 1, 1).data)"
    assert (sum(opened.execute_script(corner)[:3]) < 3 * 128) == (scheme == "dark")
    resize(opened)
