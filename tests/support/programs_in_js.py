"""Networks as programs of a page, and what a browser computes of them."""

import numpy as np

from minigan.export.js import Bytes, source

SAID = """
const [described, bytes, given] = arguments;
const program = new Program(described, arraysOf(described.arrays, bytesOf(bytes)));
const { shape, data } = program.run(...given.map((x) => x.map(Number)));
return { shape, type: data.constructor.name, values: Array.from(data, String) };
"""  # as texts, for JSON has no infinity
NAMES = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN", "True": "1", "False": "0"}


def open_runner(browser, tmp_path):
    """Show the browser a page that does nothing but run programs."""
    path = tmp_path / "runner.html"
    path.write_text(f"<!doctype html><title>runner</title><script>{source()}</script>", encoding="utf-8")
    browser.get(path.as_uri())


def computed(browser, program, inputs, kind="float32"):
    """What the browser makes of inputs by name, an array."""
    bytes_ = Bytes(kind)
    described = program.described(bytes_)
    given = [[NAMES.get(text := str(value), text) for value in array.ravel().tolist()] for array in inputs.values()]
    told = browser.execute_script(SAID, described, bytes_.text, given)
    return np.array([float(value) for value in told["values"]]).reshape(told["shape"])
