"""What a program says: names that no terminal should be given raw, output that goes nowhere, errors as lines."""

import ast
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from minigan.errors import CheckpointError
from minigan.system import terminal


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("plain name.png", "plain name.png"),
        ("größe 猫.png", "größe 猫.png"),
        (os.fsdecode(b"caf\xe9.txt"), r"caf\xe9.txt"),
        ("\x1b]0;title\x07\x1b[31mred", r"\x1b]0;title\x07\x1b[31mred"),
        ("two\nlines\r\tand\x7f\x9b", r"two\nlines\r\tand\x7f\x9b"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("\ud800 \udc7f", r"\ud800 \udc7f"),
    ],
)
def test_a_name_is_shown_as_one_line_that_prints(name, line):
    assert terminal.shown(name) == line
    assert line.isprintable()


def test_what_is_said_is_escaped_as_its_stream_needs_it(monkeypatch):
    held = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(held, encoding="ascii"))
    monkeypatch.setattr(sys, "stderr", sys.stdout)
    for say in (terminal.say, terminal.warn, terminal.answer):
        say("größe\n\x1b[2J" + os.fsdecode(b"\xe9"))
    assert held.getvalue() == 3 * b"gr\\xf6\\xdfe\n\\x1b[2J\\xe9\n"


class Broken(io.StringIO):
    """A stream that takes nothing."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def write(self, text):
        raise self.error


CLOSED = io.StringIO()
CLOSED.close()
FULL = OSError(28, "No space left on device")


@pytest.mark.parametrize(
    "stream", [None, CLOSED, Broken(FULL), Broken(BrokenPipeError()), Broken(OSError(5, "Input/output error"))]
)
def test_work_goes_on_whatever_befalls_its_output(stream, monkeypatch):
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    done = []

    def program():
        terminal.say("begun")
        for step in terminal.progress(range(3), desc="steps"):
            print("step", step)
            print("trouble", file=sys.stderr)
            done.append(step)
        return 7

    assert terminal.ending("program", program) == 7
    assert done == [0, 1, 2]
    assert sys.stdout is sys.stderr is stream


@pytest.mark.parametrize(("stream", "status"), [(None, 0), (Broken(BrokenPipeError()), 0), (Broken(FULL), 1)])
def test_an_answer_that_cannot_be_written_is_an_error_unless_nobody_wants_it(stream, status, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", stream)
    assert terminal.ending("program", lambda: terminal.answer("42") or 0) == status
    problem = "program: the answer cannot be written (No space left on device)\n" if status else ""
    assert capsys.readouterr().err == problem


def raised(error):
    raise error


def test_what_a_process_prints_goes_into_a_file_whoever_prints(tmp_path, capfd):
    for text in ("one", "two"):
        with terminal.printed_into(tmp_path / "log"):
            os.write(1, f"{text} by C\n".encode())
            os.write(2, b"an error\n")
    os.write(1, b"and on\n")
    assert (tmp_path / "log").read_text() == "one by C\nan error\ntwo by C\nan error\n"
    assert capfd.readouterr() == ("and on\n", "")
    with pytest.raises(CheckpointError, match="no: cannot be written"), terminal.printed_into(tmp_path / "log" / "no"):
        pass


def test_the_line_of_an_error_can_be_told_to_somebody_else(capsys):
    told = []
    assert terminal.ending("program", lambda: raised(OSError("a name")), told.append) == 1
    assert (told, capsys.readouterr().err) == (["program: a name"], "")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (MemoryError("Unable to allocate 9 TiB"), "out of memory (Unable to allocate 9 TiB); smaller"),
        (RuntimeError("can't start new thread"), "out of memory (can't start new thread)"),
        (RuntimeError("cudaErrorMemoryAllocation: out of memory"), "out of memory (cudaErrorMemoryAllocation"),
        (ImportError("lib.so: cannot allocate memory in static TLS block"), "out of memory (lib.so"),
        (OSError(12, "Cannot allocate memory"), "[Errno 12] Cannot allocate memory"),
        (OSError("a name\x1b[2J"), r"a name\x1b[2J"),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_an_error_is_a_line(error, line, capsys):
    assert terminal.ending("program", lambda: raised(error)) == (130 if isinstance(error, KeyboardInterrupt) else 1)
    problem = capsys.readouterr().err
    assert problem.startswith(f"program: {line}")
    assert problem.count("\n") == 1


@pytest.mark.parametrize("error", [RuntimeError("a mistake"), ImportError("no module"), ValueError("x")])
def test_a_mistake_of_the_program_is_no_line(error):
    with pytest.raises(type(error)):
        terminal.ending("program", lambda: raised(error))


SAYING = "from minigan.system.terminal import ending, say; ending('p', lambda: say('x' * 99999) or 0)"


@pytest.mark.parametrize("led", [">&-", "2>&-", ">&- 2>&-", ">/dev/full", ">/dev/full 2>&1", "| true", "2>&1 | true"])
def test_python_ends_as_quietly(led):
    command = f'{sys.executable} -c "{SAYING}" {led}'
    ended = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


PACKAGE = Path(terminal.__file__).parents[1]
ASKED_TO_PRINT = {"explain/text.py", "kernels/installation.py"}  # functions that are called to have something printed


def used(path):
    """What a module prints with, or parses a command line with."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name) and node.id == "print":
            yield "print"
        elif isinstance(node, ast.ImportFrom | ast.Import) and "tqdm" in ast.unparse(node):
            yield "tqdm"
        elif isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr"):
            yield node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("ArgumentParser"):
            yield "ArgumentParser"


def test_all_that_is_printed_and_parsed_goes_through_one_place():
    found = {
        (str(path.relative_to(PACKAGE)), name)
        for path in PACKAGE.rglob("*.py")
        for name in used(path)
        if path.name not in ("terminal.py", "options.py")
    }
    assert found == {(name, "print") for name in ASKED_TO_PRINT} | {("command/cli.py", "stderr")}
