"""The examples as modules, so that tests can play them in their own process."""

from pathlib import Path

from minigan.training import studies

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name):
    """examples/NAME.py, fresh: what a test changes in it is gone with the test."""
    return studies.script(EXAMPLES, name)
