"""What is shown on a terminal: names of any kind."""

import os

import pytest

from minigan.system.terminal import shown


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("größe 日本.png", "größe 日本.png"),
        (os.fsdecode(b"caf\xe9.txt"), r"caf\xe9.txt"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\x1b[31mred\x9b0m\x7f", r"\x1b[31mred\x9b0m\x7f"),
        ("txt.\u202egpj", r"txt.\u202egpj"),  # would turn what follows around
        ("\ud800", r"\ud800"),
        (b"as bytes", "b'as bytes'"),
    ],
)
def test_names_are_shown_in_one_line_that_any_terminal_can_take(name, text):
    assert shown(name) == text
    assert shown(shown(name)) == text
    shown(name).encode()
