"""The page of a tape in a real browser: it is gone through by keys, by clicks and by slider, and says what happened."""

import pytest
from browser_pages import brightness, press, resize, set_slider, text
from example_scripts import example

import minigan as mg
from minigan import explain

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def flagship(tmp_path_factory):
    """(the tape of the dense critic, its page)."""
    script = example("backprop_through_a_critic")
    tape = script.recorded(script.lesson("dense"))
    path = tmp_path_factory.mktemp("page") / "page.html"
    tape.to_html(path, "Critic", outro=script.html_table(script.checks(script.lesson("dense"))))
    return tape, path


def count(browser):
    return tuple(int(n) for n in text(browser, "#count").split(" / "))


def test_keys_go_through_every_step_and_each_shows_its_numbers(browser, flagship):
    tape, path = flagship
    browser.get(path.as_uri())
    assert text(browser, "h1") == "Critic"
    for step in tape.steps:
        assert count(browser) == (step.index + 1, len(tape.steps))
        title = text(browser, "#step h2")
        assert title.startswith(f"{step.output.name} = {step.op.name}(")
        assert f"· {explain.pass_name(step.order)}" in title
        shown = [float(cell.get_attribute("title")) for cell in cells(browser, "what was computed")]
        assert shown == step.output.array.ravel().tolist()
        if step.why is not None:
            assert step.why.doing != "rule" or step.why.rule.formula in text(browser, "#step")
        assert f"{step.done.file}:{step.done.line}" in text(browser, "#step")
        now = browser.find_elements("css selector", ".box.now")
        assert [box.find_element("css selector", "b").text for box in now] == [step.output.name]
        dashed = {b.find_element("css selector", "b").text for b in browser.find_elements("css selector", ".box.input")}
        assert dashed == {v.name for v in step.inputs}
        for argument in step.inputs:
            assert all(f"{x:.6g}"[:5] in text(browser, "#step") for x in argument.array.ravel() if abs(x) > 1e-3)
        press(browser, "ARROW_RIGHT")
    press(browser, "ARROW_RIGHT")
    assert count(browser) == (len(tape.steps), len(tape.steps))
    press(browser, "HOME")
    assert count(browser)[0] == 1
    press(browser, "END", "ARROW_LEFT")
    assert count(browser)[0] == len(tape.steps) - 1
    assert browser.get_log("browser") == []


def cells(browser, title):
    part = f"//section[@id='step']//h3[normalize-space()='{title}']/.."
    return browser.find_elements("xpath", f"{part}//td")


def test_clicks_the_slider_and_the_address_lead_to_a_step(browser, flagship):
    tape, path = flagship
    browser.get("about:blank")
    browser.get(path.as_uri() + "#7")
    assert count(browser)[0] == 7
    last = tape.steps[-1]
    box = next(b for b in browser.find_elements("css selector", ".box.p2") if last.output.name in b.text)
    browser.execute_script("arguments[0].click()", box)
    assert count(browser)[0] == last.index + 1
    link = browser.find_element("css selector", "#step .value button")
    name = link.text
    link.click()
    assert name in text(browser, "#step")
    set_slider(browser, "slider", 2)
    assert count(browser)[0] == 3
    browser.find_element("id", "on").click()
    assert count(browser)[0] == 4


def test_where_the_second_backward_pass_enters_is_marked(browser, flagship):
    tape, path = flagship
    browser.get(path.as_uri())
    read = {v.name for s in tape.pass_of(2) for v in s.inputs if v.step is not None and v.step.order < 2}
    marked = {
        b.find_element("css selector", "b").text for b in browser.find_elements("css selector", ".open .box.again")
    }
    assert marked == read
    golden = [b.text.split("\n")[0] for b in browser.find_elements("css selector", ".box.parameter")]
    assert golden == ["critic.0.weight", "critic.0.bias", "critic.2.weight", "critic.2.bias"]
    finals = [b.text.split("\n")[0] for b in browser.find_elements("css selector", ".open .box.final")]
    assert {f"dpenalty/d({name})" for name in golden[:3]} <= set(finals)


def test_a_large_tape_is_closed_by_module_and_opens_on_a_click(browser, tmp_path):
    mg.random.seed(0)
    network = mg.nn.Sequential(*(mg.nn.Sequential(mg.nn.Linear(4, 4), mg.nn.Tanh()) for _ in range(12)))
    network.rename("net")
    with explain.record() as tape:
        mg.grad(mg.sum(network(mg.ones((2, 4)))), network.parameters())
    assert len(tape.steps) > 80
    tape.to_html(tmp_path / "large.html")
    browser.get((tmp_path / "large.html").as_uri())
    closed = browser.find_elements("css selector", ".section.closed")
    assert len(closed) == len(browser.find_elements("css selector", ".section"))
    assert browser.find_element("css selector", ".box.now").text.startswith("24 ops")  # the network, whole
    browser.find_element("css selector", ".box.now").click()
    assert len(browser.find_elements("css selector", ".section.closed")) == len(closed) - 1
    assert browser.find_element("css selector", ".box.now").text.startswith("h1")
    inner = [label.text for label in browser.find_elements("css selector", ".below")]
    assert inner[:3] == ["net.0.0", "net.0.1", "net.1.0"]
    assert browser.get_log("browser") == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("dark", 390)])
def test_it_fits_a_phone_and_follows_the_readers_colours(browser, flagship, scheme, width):
    _, path = flagship
    resize(browser, scheme, width)
    browser.get(path.as_uri() + "#20")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    page, ink = brightness(browser, "backgroundColor"), brightness(browser, "color")
    assert (page > ink) == (scheme == "light")
    assert abs(page - ink) > 150
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_page_of_nothing_and_an_address_of_nothing(browser, flagship, tmp_path):
    with explain.record() as tape:
        pass
    tape.to_html(tmp_path / "empty.html")
    browser.get((tmp_path / "empty.html").as_uri())
    assert text(browser, "#step") == "Nothing was recorded."
    browser.get(flagship[1].as_uri() + "#costs")
    assert count(browser)[0] == 1
    assert browser.get_log("browser") == []


def test_an_image_and_weights_are_shown_number_by_number(browser, tmp_path):
    script = example("backprop_through_a_critic")
    tape = script.recorded(script.lesson("conv"))
    tape.to_html(tmp_path / "conv.html")
    step = next(s for s in tape.steps if s.op.name == "conv_weight")
    browser.get((tmp_path / "conv.html").as_uri() + f"#{step.index + 1}")
    shown = [float(cell.get_attribute("title")) for cell in cells(browser, "what was computed")]
    assert shown == step.output.array.ravel().tolist()
    assert "s = stride 2" in text(browser, "#step")


def test_the_focus_stays_in_the_panel_and_the_box_in_sight(browser, flagship):
    _, path = flagship
    browser.get("about:blank")
    browser.get(path.as_uri() + "#30")
    browser.find_element("css selector", "#step .value button").click()
    assert browser.execute_script("return document.activeElement.tagName") == "H2"
    for step in (1, 30, 46):
        browser.get("about:blank")
        browser.get(path.as_uri() + f"#{step}")
        assert browser.execute_script(
            "const b = document.querySelector('.box.now').getBoundingClientRect();"
            "const g = document.getElementById('graph').getBoundingClientRect();"
            "return b.left >= g.left - 1 && b.right <= g.right + 1"
        )


@pytest.mark.parametrize(("width", "height"), [(1300, 900), (390, 844)])
def test_the_step_is_always_in_the_window_and_the_introduction_folds_away(browser, flagship, width, height):
    tape, path = flagship
    resize(browser, width=width, height=height)
    browser.get("about:blank")
    browser.get(path.as_uri())
    is_open = "return document.getElementById('about').open"
    assert browser.execute_script(is_open) == (width > 720)
    for _ in tape.steps:
        press(browser, "ARROW_RIGHT")
        assert not browser.execute_script(is_open)
        assert browser.execute_script(
            "const b = document.querySelector('.box.now').getBoundingClientRect();"
            "const bar = document.getElementById('bar').getBoundingClientRect();"
            "return b.top >= bar.bottom && b.bottom <= innerHeight && b.left >= 0 && b.right <= innerWidth"
        )
    browser.find_element("css selector", "#about summary").click()
    press(browser, "HOME")
    assert browser.execute_script(is_open)  # the reader wants it
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
