"""A command line: whole names, what was meant by a wrong word, and options that would change nothing."""

import pytest

from minigan.system.options import Options


@pytest.fixture
def options():
    p = Options("program", "What it does.")
    p.add_argument("kind", nargs="?", choices=["round", "square", "oval", "flat", "deep"], metavar="KIND")
    p.add_argument("--colour", choices=["red", "rod"], default="red")
    p.add_argument("--size", type=int, default=1)
    p.add_argument("--size-of-border", type=float, default=0.0)
    p.idle_without("--size 2 or more", lambda o: o.size > 1, "--size-of-border")
    return p


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--siz 3", "there is no option --siz; did you mean --size or --size-of-border?"),
        ("--color=red", "there is no option --color; did you mean --colour?"),
        ("-size 3", "there is no option -size; did you mean --size"),
        ("--nothing-like-it", "there is no option --nothing-like-it (program"),
        ("--colour rad", "argument --colour: invalid choice: 'rad' (choose from red, rod)"),
        ("rounds", "argument KIND: invalid choice: 'rounds'; did you mean round?"),
        ("--colour round", "argument --colour: invalid choice: 'round'; round is a KIND: program round (program"),
        ("red", "argument KIND: invalid choice: 'red'; red is a value of --colour ("),
        ("blue", "argument KIND: invalid choice: 'blue' (choose from round, square, oval, flat, deep)"),
        ("round square", "not expected: square"),
        ("--size x", "argument --size: invalid int value: 'x'"),
        ("--size-of-border 1", "--size-of-border changes nothing without --size 2 or more"),
        ("--size", "argument --size: expected one argument"),
        ("round \x1b[2J", r"not expected: \x1b[2J"),
    ],
)
def test_a_wrong_line_is_one_line_that_says_what_was_meant(options, line, said, capsys):
    with pytest.raises(SystemExit) as ended:
        options.parse_args(line.split(" "))
    assert ended.value.code == 2
    text = capsys.readouterr().err
    assert text.startswith(f"program: {said}")
    assert text.endswith(" (program --help lists what there is)\n")
    assert text.count("\n") == 1


def test_what_the_line_gives_is_known(options):
    chosen = options.parse_args(["--size=2", "--size-of-border", "-1.5", "round"])
    assert (chosen.kind, chosen.size, chosen.size_of_border) == ("round", 2, -1.5)
    assert options.given == {"size", "size_of_border"}
    options.parse_args([])
    assert options.given == set()
    chosen = options.parse_args(["--", "round"])
    assert (chosen.kind, options.given) == ("round", set())


def test_an_option_that_is_taken_away_keeps_its_default(options, capsys):
    options.without("--colour")
    options.set_defaults(colour="rod")
    assert options.parse_args([]).colour == "rod"
    with pytest.raises(SystemExit):
        options.parse_args(["--colour", "red"])
    assert "there is no option --colour" in capsys.readouterr().err
    assert "colour" not in options.format_help()


def test_what_an_option_would_take_can_be_asked(options, capsys):
    assert options.refusal(options.named("--size"), "3") == ""
    assert options.refusal(options.named("--size"), "x") == "invalid int value: 'x'"
    assert options.refusal(options.positional("kind"), "rounds") == "invalid choice: 'rounds'; did you mean round?"
    assert options.positional("size") is None
    options.about = "of two: "
    with pytest.raises(SystemExit):
        options.named("--siz")
    said = "program: of two: there is no option --siz; did you mean --size or --size-of-border? (program --help"
    assert capsys.readouterr().err.startswith(said)


def test_options_whose_defaults_belong_together_are_said_together(tmp_path, capsys):
    p = Options("some.py", "Some.")
    p.add_argument("--one", default="a")
    p.add_argument("--other", default="b")
    p.take_config()
    p.together("--one", "--other", why="a is of b")
    for given, missing in (("--one", "--other"), ("--other", "--one")):
        with pytest.raises(SystemExit):
            p.parse_args([given, "x"])
        assert f"{given} needs {missing} beside it: a is of b" in capsys.readouterr().err
    assert vars(p.parse_args([])) == {"one": "a", "other": "b"}
    assert vars(p.parse_args(["--one", "x", "--other", "b"])) == {"one": "x", "other": "b"}
    (tmp_path / "both.toml").write_text('one = "x"\nother = "b"\n')
    assert vars(p.parse_args(["--config", str(tmp_path / "both.toml")])) == {"one": "x", "other": "b"}
