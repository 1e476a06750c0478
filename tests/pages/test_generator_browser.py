"""The page of a generator in a real browser: it draws what Python draws, and does what its buttons and sliders say."""

import time

import numpy as np
import pytest
import small_generators
from browser_pages import brightness, resize, set_slider, text

import minigan as mg
from minigan import export, pages
from minigan.gan import LatentCode, normal_latent
from minigan.latent.directions import factorised
from minigan.latent.space import Space
from minigan.models import infogan28

pytestmark = pytest.mark.browser
GENERATORS = {
    "plain": small_generators.plain,
    "coloured": lambda: small_generators.plain(channels=3),
    "conditional": small_generators.conditional,
    "styled": lambda: export.Generator(
        mg.models.stylegan2(16, 6, width=4, depth=2, noiseless=True, rng=mg.random.Stream(1)).generator,
        normal_latent(6),
    ),
    "codes": lambda: export.Generator(infogan28(5 + 6 + 2, 8, width=4).generator, LatentCode(5, 6, 2)),
}


@pytest.fixture
def opened(browser, tmp_path):
    def of(name, weights="float32"):
        generator = GENERATORS[name]()
        path = tmp_path / "g.html"
        pages.write_generator(path, generator, name, weights)
        browser.get(path.as_uri())
        wait_for(lambda: browser.execute_script("return $('checked').dataset.apart") is not None)
        return generator

    yield of
    assert browser.get_log("browser") == []


def wait_for(condition, seconds=20):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def awaited(browser, expression, *arguments):
    """What a promise of the page comes to."""
    done = "const done = arguments[arguments.length - 1]; "
    return browser.execute_async_script(f"{done}({expression}).then((found) => done(Array.from(found)))", *arguments)


def settled(browser):
    wait_for(lambda: browser.execute_script("return !busy && !walking && !computer.now"))


def code(browser, which="now"):
    """z, class, moves and truncation of a code of the page."""
    found = browser.execute_script(f"const c = {which}; return [given(c), c.label, c.moves, c.psi]")
    return np.array(found[0][0], "float32"), found[1], found[2], found[3]


@pytest.mark.parametrize("weights", ["float32", "float16", "int8"])
@pytest.mark.parametrize("name", GENERATORS)
def test_it_draws_what_python_draws(browser, opened, name, weights):
    generator = opened(name, weights)
    assert float(browser.execute_script("return $('checked').dataset.apart")) < 1e-4
    assert "the same numbers" in text(browser, "#checked")
    for k in (0, 5, 11):
        z, label, _, _ = code(browser, f"samples[{k}]")
        numbers = awaited(browser, f"imageOf(samples[{k}], TILES)")
        for t in generator.network.state_dict().values():
            if t.dtype.kind == "f":
                t.data[...] = export.js.rounded(t.numpy(), weights)
        labels = None if generator.classes is None else np.array([label])
        image = generator.generate(mg.tensor(z[None]), labels).numpy()
        np.testing.assert_allclose(numbers, image.ravel(), atol=1e-4)


@pytest.mark.parametrize("name", ["plain", "styled"])
def test_sliders_move_the_picture_as_directions_do_in_python(browser, opened, name):
    generator = opened(name)
    settled(browser)
    before = browser.execute_script("return $('picture').toDataURL()")
    set_slider(browser, "slider-1", 1.5)
    set_slider(browser, "slider-0", -2)
    settled(browser)
    assert browser.execute_script("return $('picture').toDataURL()") != before
    z, _, moves, _ = code(browser)
    assert moves[:2] == [-2, 1.5]
    space = Space(generator)
    found = factorised(space, 6)
    start = space.of_noise(z[None])
    moved = found.moved(space, found.moved(space, start, 0, np.array([-2.0])), 1, np.array([1.5]))
    np.testing.assert_allclose(awaited(browser, "imageOf(now, PICTURE)"), space.pictures(moved).ravel(), atol=1e-4)
    browser.find_element("id", "reset").click()
    settled(browser)
    assert browser.execute_script("return $('picture').toDataURL()") == before
    assert browser.execute_script("return $('slider-0').value") == "0"


def test_truncation_leads_to_the_mean_style(browser, opened):
    generator = opened("styled")
    set_slider(browser, "psi", 0.5)
    space = Space(generator)
    z, _, _, psi = code(browser)
    moved = space.truncated(space.of_noise(z[None]), psi)
    assert psi == 0.5
    np.testing.assert_allclose(awaited(browser, "imageOf(now, PICTURE)"), space.pictures(moved).ravel(), atol=1e-4)


@pytest.mark.parametrize("name", ["conditional", "codes"])
def test_a_class_is_asked_for_by_a_button(browser, opened, name):
    opened(name)
    settled(browser)
    noise = code(browser, "samples[2]")[0]
    buttons = browser.find_elements("css selector", "#classes button")
    assert [b.text for b in buttons[:4]] == ["all", "0", "1", "2"]
    buttons[4].click()
    settled(browser)
    assert buttons[4].get_attribute("aria-pressed") == "true"
    assert set(browser.execute_script("return samples.map((code) => code.label)")) == {3}
    assert code(browser)[1] == 3
    if name == "codes":
        assert code(browser)[0][5:11].tolist() == [0, 0, 0, 1, 0, 0]
        np.testing.assert_array_equal(code(browser, "samples[2]")[0][:5], noise[:5])
    else:
        np.testing.assert_array_equal(code(browser, "samples[2]")[0], noise)
    buttons[0].click()
    assert len(set(browser.execute_script("return samples.map((code) => code.label)"))) > 3


def test_draw_anew_draws_others_and_a_click_keeps_one(browser, opened):
    opened("plain")
    settled(browser)
    before = browser.execute_script("return samples.map((code) => code.z[0])")
    assert len(set(before)) == len(before) == 24
    assert text(browser, "#kept-count") == "4 kept"
    browser.find_element("id", "anew").click()
    settled(browser)
    after = browser.execute_script("return samples.map((code) => code.z[0])")
    assert not set(before) & set(after)
    tiles = browser.find_elements("css selector", "#samples button")
    tiles[7].click()
    settled(browser)
    assert text(browser, "#kept-count") == "5 kept"
    assert tiles[7].get_attribute("aria-pressed") == "true"
    assert browser.execute_script("return now.z[0] === samples[7].z[0] && kept[4].z[0] === samples[7].z[0]")
    shown = "return document.querySelectorAll(arguments[0])[arguments[1]].toDataURL()"
    assert browser.execute_script(shown, "#samples canvas", 7) == browser.execute_script(shown, "#picture", 0)
    tiles[7].click()
    assert text(browser, "#kept-count") == "4 kept"
    for button in browser.find_elements("css selector", "#kept .away")[1:]:
        button.click()
    assert not browser.find_element("id", "play").is_enabled()
    assert "Keep two samples" in text(browser, "#way")
    browser.find_element("id", "keep").click()
    assert browser.find_element("id", "play").is_enabled()


@pytest.mark.parametrize("name", ["plain", "styled"])
def test_a_walk_goes_the_way_that_python_goes(browser, opened, name):
    generator = opened(name)
    settled(browser)
    space = Space(generator)
    a, b = (space.of_noise(code(browser, f"kept[{k}]")[0][None]).values for k in (1, 2))
    way = space.between(a, b, np.array([0.3]))[0]
    found = awaited(
        browser,
        "Promise.all([1, 2].map((k) => point(kept[k], WALK))).then(([a, b]) => between(a, b, .3, held.space.circle))",
    )
    np.testing.assert_allclose(found, way[0], atol=1e-5)
    set_slider(browser, "place", 1.3)
    settled(browser)
    pixels = browser.execute_script(
        "const c = $('walk'); return Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)"
    )
    image = space.images(mg.tensor(way)).numpy()[0]
    drawn = np.array(pixels).reshape(*image.shape[1:], 4)[..., : len(image)].transpose(2, 0, 1)
    assert np.abs(drawn - mg.viz.to_uint8(image)).max() <= 1
    assert "30 % of the way from 2 to 3" in browser.execute_script("return $('place').getAttribute('aria-valuetext')")


def test_a_walk_moves_by_itself_until_it_is_stopped(browser, opened):
    opened("plain")
    settled(browser)
    play = browser.find_element("id", "play")
    play.click()
    assert play.get_attribute("aria-label") == "pause"
    wait_for(lambda: browser.execute_script("return place") > 0.2)
    play.click()
    settled(browser)
    at = browser.execute_script("return place")
    time.sleep(0.2)
    assert browser.execute_script("return place") == at
    assert float(browser.execute_script("return $('place').value")) == pytest.approx(at, abs=0.01)


def test_it_draws_where_no_worker_can_be_had(browser, opened, tmp_path):
    opened("conditional")
    page = (tmp_path / "g.html").read_text(encoding="utf-8").replace("worker-src blob:", "worker-src 'none'")
    page = page.replace('<script id="runner">', '<script>window.Worker = undefined</script><script id="runner">')
    (tmp_path / "alone.html").write_text(page, encoding="utf-8")
    browser.get((tmp_path / "alone.html").as_uri())
    wait_for(lambda: browser.execute_script("return $('checked').dataset.apart") is not None)
    assert browser.execute_script("return computer.worker") is None
    assert "the same numbers" in text(browser, "#checked")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("dark", 400), ("light", 400)])
def test_it_fits_a_phone_follows_the_readers_colours_and_has_names_for_all(browser, opened, scheme, width):
    resize(browser, scheme, width)
    opened("conditional")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert (brightness(browser, "backgroundColor") < 128) == (scheme == "dark")
    unnamed = "(e) => !e.getAttribute('aria-label') && !e.textContent && !e.labels?.length"
    script = f"return [...document.querySelectorAll('button, input')].filter({unnamed}).length"
    assert browser.execute_script(script) == 0
    resize(browser)
