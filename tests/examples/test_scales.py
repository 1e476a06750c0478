"""--scales and --feature-matching of the programs of translators."""

import pytest
from example_scripts import example

from minigan.errors import ShapeError
from minigan.models import MultiScaleDiscriminator
from minigan.training import Settings


def built(script, words):
    module = example(script)
    return module.build(Settings.parsed(module.options(), words.split(), script))


@pytest.mark.parametrize(
    ("script", "words", "critics"),
    [
        ("pix2pix", "--data digits --width 2", ["discriminator"]),
        ("pix2pix", "--data digits --width 2 --system bicyclegan", ["discriminator", "code_discriminator"]),
        ("cyclegan", "--width 2", ["discriminator", "source_discriminator"]),
        ("cyclegan", "--width 2 --system dualgan", ["discriminator", "source_discriminator"]),
        ("cyclegan", "--width 2 --system cut", ["discriminator"]),
    ],
)
def test_so_many_sizes_are_looked_at(script, words, critics):
    game = built(script, f"{words} --scales 2")
    found = [player for player in game.players.values() if isinstance(player, MultiScaleDiscriminator)]
    assert [len(each.discriminators) for each in found] == [2] * len(critics)
    assert not any(isinstance(player, MultiScaleDiscriminator) for player in built(script, words).players.values())
    with pytest.raises(ShapeError, match="the smallest of 4 sizes has"):
        built(script, f"{words} --scales 4")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--feature-matching 10 --system bicyclegan", "--feature-matching changes nothing without --system pix2pix"),
        ("--feature-matching 10 --adversarial 0", "--feature-matching changes nothing without --adversarial above 0"),
        ("--scales 2 --adversarial 0", "--scales changes nothing without --adversarial above 0"),
    ],
)
def test_an_option_that_would_change_nothing_is_refused(words, message, capsys):
    with pytest.raises(SystemExit):
        Settings.parsed(example("pix2pix").options(), words.split(), "pix2pix")
    assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("pix2pix", "--data digits --scales 2 --feature-matching 10"),
        ("pix2pix", "--data digits --scales 2 --system bicyclegan"),
        ("cyclegan", "--data digits --target digits --blocks 1 --scales 2 --system dualgan"),
        ("cyclegan", "--data digits --target digits --blocks 1 --scales 2 --system cut"),
    ],
)
def test_a_dry_run_with_several_sizes(script, words, capsys):
    assert example(script).main([*words.split(), "--width", "4", "--batch-size", "4", "--dry-run"]) == 0
    assert "all is well" in capsys.readouterr().out
