"""A page in a headless Chromium: starting one, reading it, pressing keys, and how wide and how dark it is shown."""

import shutil

import pytest

FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def start():
    """A headless Chromium 1 280 pixels wide; skips where there is none, or no Selenium to drive it."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs Selenium: pip install -e '.[browser]'")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("needs chromium and chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, "--window-size=1280,1000"):
        options.add_argument(flag)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))


def text(browser, selector):
    return browser.find_element("css selector", selector).text


def press(browser, *keys):
    from selenium.webdriver.common.keys import Keys

    for key in keys:
        browser.find_element("css selector", "body").send_keys(getattr(Keys, key))


def set_slider(browser, name, value):
    """Move a slider as a hand does."""
    script = (
        "const s = document.getElementById(arguments[0]); s.value = arguments[1]; s.dispatchEvent(new Event('input'))"
    )
    browser.execute_script(script, name, value)


def resize(browser, scheme="light", width=1280, height=900):
    """What the reader prefers, and how large the window is from now on."""
    look = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", look)
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def brightness(browser, what):
    """Of the page's `backgroundColor` or `color`, from 0 to 255."""
    shown = browser.execute_script(f"return getComputedStyle(document.body).{what}")
    return sum(int(n) for n in shown[4:-1].split(",")) / 3
