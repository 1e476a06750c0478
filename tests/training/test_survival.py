"""Runs that are killed at any moment, and end as if nothing had happened.

A program is killed by the system, without a chance to clean up: at a random moment, or just where a file is being
written, flushed or renamed. It is started again, as often as it takes, and everything that is left must be what a run
that was never killed leaves, bit by bit.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import killed_program
import pytest
from killed_program import SYSTEMS

from minigan.training import checkpoint, record

KILLED_WRITING = """
import os, signal, sys
sys.path[:0] = {path!r}
import killed_program
calls, left = {call!r}, {count}

def counted(original):
    def call(*args, **kwargs):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)
    return call

for name in calls:
    setattr(os, name, counted(getattr(os, name)))
sys.exit(killed_program.main({system!r}, {out!r}, resume={resume}))
"""


def start(code_or_file, *arguments):
    command = [sys.executable, *code_or_file, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def program(system, out, resume):
    return start([killed_program.__file__], system, str(out), *(["--resume"] if resume else []))


def holds_checkpoint(out):
    return bool(checkpoint.find(out / "checkpoints"))


def killed_at_random(system, out, seconds):
    """True if the program was still running after so long and was killed."""
    process = program(system, out, holds_checkpoint(out))
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return True
    return False


def killed_at_a_write(system, out, call, count):
    """True if the program was killed at the count-th call of that function of the operating system."""
    path = [str(Path(killed_program.__file__).parent)]
    code = KILLED_WRITING.format(
        path=path, call=[call], count=count, system=system, out=str(out), resume=holds_checkpoint(out)
    )
    process = start(["-c", code])
    process.communicate(timeout=120)
    return process.returncode == -signal.SIGKILL


def finish(system, out):
    """Let the run come to its end."""
    process = program(system, out, holds_checkpoint(out))
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output


def left(out):
    """Everything a run leaves that must not depend on how often it was killed, by file."""
    log = [line.split(",") for line in (out / "log.csv").read_text().splitlines()]
    clock = log[0].index("images_per_s")
    held = {
        "log.csv": [[cell for k, cell in enumerate(row) if k != clock] for row in log],
        "health.jsonl": record.read_looks(out, []),
        "best": checkpoint.find_best(out / "checkpoints").name,
        "generator": (out / "generator.safetensors").read_bytes(),
    }
    for path in [*checkpoint.find(out / "checkpoints"), *sorted((out / "samples").glob("*.png"))]:
        held[path.name] = path.read_bytes()
    held |= {name: (out / name).read_bytes() for name in ("losses.png", "samples.gif")}
    held["config.json"] = {**json.loads((out / "config.json").read_text())["settings"], "out": "", "resume": False}
    return held


def check(whole, out):
    differing = [name for name in whole if whole[name] != left(out).get(name)]
    assert differing == []
    assert set(whole) == set(left(out))
    assert not [path for path in out.rglob("*.part")]


_wholes = {}


@pytest.fixture
def whole(request, tmp_path_factory):
    """What an undisturbed run of the system leaves."""
    system = request.param
    if system not in _wholes:
        out = tmp_path_factory.mktemp("whole") / "run"
        finish(system, out)
        _wholes[system] = left(out)
    return system, _wholes[system]


def torment(whole, out, kills, seed):
    """Kill the run so many times, one way or another, and let it finish: it is the undisturbed one."""
    system, expected = whole
    rng = random.Random(seed)
    done = 0
    for attempt in range(10 * kills):
        if done == kills:
            break
        if attempt % 2:
            call = rng.choice(["replace", "fsync", "unlink"])
            done += killed_at_a_write(system, out, call, rng.randrange(12))
        else:
            done += killed_at_random(system, out, rng.uniform(0.6, 2.2))
        if (out / "samples.gif").exists():  # it came to its end, or near it, before it was killed: start over
            finish(system, out)
            check(expected, out)
            out = out.with_name(out.name + "'")
    finish(system, out)
    check(expected, out)
    assert done == kills


@pytest.mark.parametrize("whole", SYSTEMS, indirect=True)
def test_a_run_that_was_killed_is_the_run_that_was_not(whole, tmp_path):
    torment(whole, tmp_path / "run", 1, seed=whole[0])


@pytest.mark.slow
@pytest.mark.parametrize("whole", SYSTEMS, indirect=True)
def test_fifty_kills(whole, tmp_path):
    torment(whole, tmp_path / "run", 17, seed=f"{whole[0]} fifty")


@pytest.mark.parametrize("whole", ["spectral_norm"], indirect=True)
def test_a_kill_at_each_moment_of_a_checkpoint(whole, tmp_path):
    """At a rename early in a run, and at the one after, the folder can be gone on with."""
    system, expected = whole
    out = tmp_path / "run"
    for count in (5, 6):
        assert killed_at_a_write(system, out, "replace", count)
    finish(system, out)
    check(expected, out)


def test_a_second_program_in_the_folder_is_refused(tmp_path):
    out = tmp_path / "run"
    first = program("dcgan", out, False)
    try:
        while not (out / "log.csv").exists() and first.poll() is None:
            time.sleep(0.02)
        os.kill(first.pid, signal.SIGSTOP)
        second = program("dcgan", out, holds_checkpoint(out))
        output, _ = second.communicate(timeout=60)
        assert second.returncode == 1
        assert f"another process (number {first.pid}) is writing there" in output
        os.kill(first.pid, signal.SIGCONT)
        assert first.wait(timeout=60) == 0
    finally:
        first.kill()
        first.communicate()
