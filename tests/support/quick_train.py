"""In place of `minigan train`: runs that are there in a moment, or end as runs may end, by the name of their folder."""

import os
import signal
import time
from pathlib import Path

import made_up_run

from minigan.errors import NonFiniteLoss
from minigan.sweep import Unit
from minigan.system.signals import INTERRUPTED, stopped_by_signals
from minigan.training import Settings


def units(folder, *names):
    """A run for each name, which `train` knows."""
    return [Unit({"end": name}, folder / f"end={name}", ["--steps=8"], Settings("train", steps=8)) for name in names]


def train(words):
    """What a run says, and how it ends."""
    folder = Path(words[words.index("--out") + 1])
    ends = folder.name.partition("=")[2].rstrip("0123456789")
    print(f"{folder.name} goes {'on' if '--resume' in words else 'well'}", flush=True)
    return {"well": well, "nan": nan, "bug": bug, "dies": dies, "waits": waits, "early": early, "term": term}[ends](
        folder
    )


def well(folder):
    made_up_run.folder(folder, rows=8, pictures=2)
    made_up_run.add_health(folder, [4, 8])
    return 0


def early(folder):
    well(folder)
    return 3


def nan(folder):
    raise NonFiniteLoss("step 3: d_loss is nan")


def bug(folder):
    raise ZeroDivisionError("nobody thought of it")


def dies(folder):
    os.kill(os.getpid(), signal.SIGKILL)


def waits(folder, begun=lambda: None):
    """Until it is stopped, as a run is."""
    with stopped_by_signals() as stop:
        (folder / "begun").touch()
        begun()
        while not stop:
            time.sleep(0.01)
        (folder / "saved").touch()
    return INTERRUPTED


def term(folder):
    """A run that gets a signal itself, once another one waits."""
    while not list(folder.parent.glob("end=waits*/begun")):
        time.sleep(0.01)
    return waits(folder, lambda: os.kill(os.getpid(), signal.SIGTERM))
