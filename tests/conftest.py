"""Fixtures that several test files share."""

import os
import signal
from pathlib import Path

import browser_pages
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import minigan as mg
from minigan import data

settings.register_profile(
    "default", max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("default")


@pytest.fixture(autouse=True, scope="session")
def signals_as_a_terminal_leaves_them():
    """A program that was started to run on in the background ignores some, and what it starts would do so too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def the_default_stream_anew():
    """A test draws the same whichever tests ran before it."""
    mg.random.seed(0)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def mnist_folder():
    """The folder that holds the real MNIST files; skips where there is none."""
    folder = Path(os.environ.get("MINIGAN_DATA", "")) / "mnist"
    if not os.environ.get("MINIGAN_DATA") or not folder.is_dir():
        pytest.skip("needs the MNIST files: set MINIGAN_DATA to the folder that holds mnist/")
    return folder


@pytest.fixture
def gpu():
    """Skips, with what is missing, where no CUDA device can be used."""
    problem = mg.backend.cuda_problem()
    if problem:
        pytest.skip(problem)


@pytest.fixture
def few_digits(monkeypatch):
    """Data sets of 96 digits: six batches of 16."""
    pictures = data.digits(96)[0]
    samples = data.Samples(pictures, None, "digits")
    monkeypatch.setattr("minigan.training.program.load_images", lambda *args, **options: samples)


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium, one for each file of tests."""
    started = browser_pages.start()
    yield started
    started.quit()
