"""Signals: what has begun is finished, the rest is unwound, and a program ends in one line at every moment."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from minigan.system import signals
from minigan.system.signals import STOPPING
from minigan.system.terminal import ending


@pytest.fixture(params=["SIGINT", "SIGTERM", "SIGHUP"])
def number(request):
    return getattr(signal, request.param)


def send(number):
    os.kill(os.getpid(), number)


def test_a_program_that_is_interrupted_says_so_and_puts_the_handlers_back(number, capsys):
    before = [signal.getsignal(n) for n in STOPPING]
    undone = []

    def program():
        try:
            send(number)
            time.sleep(5)
        finally:
            undone.append(True)

    assert ending("program", program) == signals.INTERRUPTED == 130
    assert capsys.readouterr().err == "program: interrupted\n"
    assert undone
    assert [signal.getsignal(n) for n in STOPPING] == before


def test_a_step_is_finished_and_only_a_second_ctrl_c_kills(number):
    with signals.stopped_by_signals() as stop:
        assert not stop
        send(number)
        assert stop == [number]
        send(signal.SIGTERM)  # a terminal that closes sends SIGHUP more than once, an init both
        send(signal.SIGHUP)
        assert stop[0] == number
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_any_thread_can_have_the_program_stopped():
    with signals.stopped_by_signals() as stop:
        thread = threading.Thread(target=signals.stop_this_program)
        thread.start()
        thread.join()
        assert stop == [signal.SIGTERM]


@pytest.mark.skipif(os.name != "posix", reason="children inherit masks on POSIX alone")
def test_a_signal_that_is_kept_from_a_child_does_not_end_it(number):
    ends = [sys.executable, "-c", f"import os; os.kill(os.getpid(), {int(number)}); print('lives')"]
    with signals.kept_from_children():
        told = subprocess.run(ends, capture_output=True, text=True).stdout
    assert told == "lives\n"
    with signals.stopped_by_signals() as stop:
        send(number)
        assert stop == [number]  # the program itself gets signals again


def test_a_signal_that_is_ignored_stays_ignored(number):
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with signals.stopped_by_signals() as stop:
            send(number)
            assert not stop
            others = [n for n in STOPPING if n != number]
            send(others[0])
            assert stop == [others[0]]
        assert ending("program", lambda: send(number) or 5) == 5
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


LOADING = """
import os, sys, time

class Slow:
    def find_spec(name, path, target=None):
        if name == sys.argv[1]:
            os.write(1, b"loading\\n")
            time.sleep(20)

sys.meta_path.insert(0, Slow)
sys.orig_argv, sys.argv[0] = ["python", "-m", "minigan"], "-m"  # as while `python -m minigan` loads its package
import minigan.command.cli
"""


@pytest.mark.parametrize("module", ["numpy", "minigan.command.recipe"])
def test_a_program_that_still_loads_ends_in_one_line(number, module):
    process = subprocess.Popen(
        [sys.executable, "-c", LOADING, module],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "loading\n"
    process.send_signal(number)
    _, problem = process.communicate(timeout=20)
    assert (process.returncode, problem) == (130, "minigan: interrupted\n")


def test_where_minigan_is_only_imported_signals_are_left_alone():
    code = "import signal; f = lambda: [signal.getsignal(n) for n in (2, 15)]; a = f(); import minigan; print(f() == a)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "True\n"
