"""What a program says: names that no terminal should be given raw, and output that goes nowhere."""

import io
import os
import sys

import pytest

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
    terminal.say("größe\n\x1b[2J" + os.fsdecode(b"\xe9"))
    assert held.getvalue() == b"gr\\xf6\\xdfe\n\\x1b[2J\\xe9\n"
