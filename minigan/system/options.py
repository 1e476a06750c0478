"""The options of a command line: by their whole names, and refused where they would change nothing."""

import argparse
import difflib
import itertools
import sys
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, NoReturn

from . import toml
from .launcher import first
from .terminal import answer, shown

FEW = 4  # choices that can all be named
Why = Callable[[argparse.Namespace], str]  # why an option changes nothing, "" if it does something


class Options(argparse.ArgumentParser):
    """A parser of options, which ends the program with status 2 and one line if something is wrong.

    `given` are the names, as the namespace has them, of the options on the line that was parsed last, and `said` also
    those to which a file of --config gives the value that they have anyway.
    """

    def __init__(self, prog: str, description: str, **more: Any) -> None:
        wrapped = argparse.RawDescriptionHelpFormatter  # a description is, line by line
        super().__init__(prog, description=description, formatter_class=wrapped, allow_abbrev=False, **more)
        self.given: set[str] = set()
        self.said: set[str] = set()
        self.meanings: dict[str, str] = {}  # what a word is that stands where it is not expected
        self.about = ""  # what an error is said to be about, if that is not the line as it stands
        self._idle: list[tuple[str, Why]] = []
        self._followed: list[tuple[str, Callable[[argparse.Namespace], Any]]] = []
        self._takes_config = False
        self._of_file: set[str] = set()  # names of values that a file of --config changed
        self._in_file: set[str] = set()  # and of all that it gives

    def take_config(self) -> None:
        """Give the program --config FILE: values of its options from a TOML file, before those of the line.

        A value goes by the name of its option without the dashes in front, or by that which it has in `config.json`.
        """
        self.add_argument(
            "--config",
            action=_Passed,
            metavar="FILE",
            help="values of these options in a TOML file; the line's count more",
        )
        self._takes_config = True

    def without(self, *options: str) -> None:
        """Take options away, whose values stay the defaults."""
        for option in options:
            self._option_string_actions.pop(option).help = argparse.SUPPRESS

    def idle(self, option: str, why: Why) -> None:
        """Refuse the option on a line of whose values `why` gives a reason that it would change nothing."""
        self._idle.append((option, why))

    def idle_without(self, needed: str, holds: Callable[[argparse.Namespace], Any], *options: str) -> None:
        """Refuse each of the options on a line for whose values `holds` is false; `needed` says what it needs."""
        for option in options:
            self.idle(option, lambda values: "" if holds(values) else f"changes nothing without {needed}")

    def together(self, one: str, other: str, why: str) -> None:
        """Refuse either of two options on a line that does not say the other too, as their defaults belong together."""
        self.idle(one, partial(self._alone, other, why))
        self.idle(other, partial(self._alone, one, why))

    def _alone(self, missing: str, why: str, values: argparse.Namespace) -> str:
        """What an option needs that the line does not say, "" if it says it."""
        dest = self._option_string_actions[missing].dest
        return "" if dest in self.said else f"needs {missing} beside it: {why}"

    def follows(self, option: str, value: Callable[[argparse.Namespace], Any]) -> None:
        """Give the option, where neither the line nor a file says it, the value that is made of those of the others."""
        self._followed.append((self.named(option).dest, value))

    def named(self, option: str) -> argparse.Action:
        """The option; ends the program if there is none of that name."""
        if option not in self._option_string_actions:
            self.error(f"there is no option {option}{meant(option, self._option_string_actions)}")
        return self._option_string_actions[option]

    def positional(self, name: str) -> argparse.Action | None:
        """What stands on the line without an option and has that name, None if nothing has."""
        return next((a for a in self._actions if a.dest == name and not a.option_strings), None)

    def refusal(self, action: argparse.Action, text: str) -> str:
        """Why the action does not take the text as its value, "" if it does."""
        try:
            self._check_value(action, self._get_value(action, text))
        except argparse.ArgumentError as error:
            return error.message
        return ""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """(the values by name, the words that are left); no unknown option is left, it is an error."""
        arguments = list(sys.argv[1:] if args is None else args)
        self.given = self._configured(arguments) if self._takes_config else set()
        for argument in itertools.takewhile(lambda argument: argument != "--", arguments):
            name = argument.split("=")[0]
            if name in self._option_string_actions:
                self.given.add(self._option_string_actions[name].dest)
            elif name.startswith("-") and name != "-" and not _is_number(argument):
                self.error(f"there is no option {name}{meant(name, self._option_string_actions)}")
        self.said = self.given | self._in_file
        return super().parse_known_args(arguments, namespace)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """The values by name."""
        values, left = self.parse_known_args(args, namespace)
        if left:
            self.error(f"not expected: {' '.join(left)}")
        for option, why in self._idle:
            if self._option_string_actions[option].dest in self.given and (reason := why(values)):
                self.error(f"{option} {reason}")
        for dest, value in self._followed:
            if dest not in self.said:
                setattr(values, dest, value(values))
        return values

    def _configured(self, arguments: list[str]) -> set[str]:
        """Make what the file of --config says the defaults; the names of values that it changed."""
        path = ""
        for word, following in itertools.pairwise([*arguments, ""]):
            path = following if word == "--config" else word.removeprefix("--config=") if "--config=" in word else path
        if not path:
            return set()
        found: dict[str, Any] = {}
        for name, value in toml.read(path).items():
            action, turned = self._of_name(name)
            if action is None:
                known = {other.dest.replace("_", "-") for other in self._actions}
                self.error(f"{path}: there is no option {name}{meant(name.replace('_', '-'), known)}")
            try:
                found[action.dest] = self._configured_value(action, value, turned)
            except argparse.ArgumentError as error:
                self.error(f"{path}: {name}: {error.message}")
        self._in_file |= set(found)
        self._of_file |= {name for name, value in found.items() if self.get_default(name) != value}
        self.set_defaults(**found)
        return set(self._of_file)

    def _of_name(self, name: str) -> tuple[argparse.Action | None, bool]:
        """(the option of that name, does `true` there mean what giving it does), by its own name or by its value's."""
        option = self._option_string_actions.get(f"--{name.replace('_', '-')}")
        if option is not None and option.help is not argparse.SUPPRESS:
            return option, option.nargs == 0 and option.const is False
        dest = name.replace("-", "_")
        return next((a for a in self._actions if a.dest == dest and a.help is not argparse.SUPPRESS), None), False

    def _configured_value(self, action: argparse.Action, value: Any, turned: bool) -> Any:
        """A value of a file as the option has it; ArgumentError if it does not take it."""
        default = self.get_default(action.dest)
        if type(value) is type(default) and value == default and not turned:
            return value  # what an option is without being given it need not take, 0 of those from 1 on say
        if action.nargs == 0:
            if not isinstance(value, bool):
                raise argparse.ArgumentError(action, f"expected true or false, got {value!r}")
            if isinstance(action.const, str):
                return action.const if value else default
            return value != turned
        if isinstance(value, str) and value in (a.const for a in self._actions if a.dest == action.dest):
            return value  # what another option says in its place, --labels in that of --labels-from
        several = action.nargs in ("*", "+") or isinstance(action, argparse._AppendAction)
        if isinstance(value, bool) or isinstance(value, list) != several:
            expected = "a list" if several else "one value"
            raise argparse.ArgumentError(action, f"expected {expected}, got {value!r}")
        taken = [self._get_value(action, str(part)) for part in (value if several else [value])]
        for part in taken:
            self._check_value(action, part)
        return taken if several else taken[0]

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """argparse's, which says what was meant."""
        if action.choices is None or value in action.choices:
            return
        meanings: dict[Any, Any] = dict(self.meanings)
        for other in self._actions:
            if other.choices is not None:
                meanings |= {word: _place(other, f"{self.prog} {word}") for word in other.choices}
        known = list(map(str, action.choices))
        if value in meanings:
            hint = f"; {value} is {meanings[value]}"
        else:
            near = meant(str(value), known) if len(known) > FEW else ""
            hint = near or f" (choose from {', '.join(known)})"
        raise argparse.ArgumentError(action, f"invalid choice: {value!r}{hint}")

    def _print_message(self, message: str, file: Any = None) -> None:
        """argparse's, for which help is the answer of the program, as anything else on stdout."""
        if not first():
            return  # of several processes one says it
        if file is sys.stdout:
            answer(message.rstrip())
        else:
            super()._print_message(message, file)

    def error(self, message: str) -> NoReturn:
        """End the program with the line."""
        self.exit(2, shown(f"{self.prog}: {self.about}{message} ({self.prog} --help lists what there is)") + "\n")


class _Passed(argparse.Action):
    """An option whose value is used before the line is parsed."""

    def __init__(self, option_strings: Sequence[str], dest: str, **more: Any) -> None:
        super().__init__(option_strings, dest, default=argparse.SUPPRESS, **more)

    def __call__(self, *args: Any) -> None:
        """Nothing."""


def taken_out(arguments: Sequence[str], add: Callable[[Any], None]) -> tuple[argparse.Namespace, list[str]]:
    """(the values of the options that `add` adds to a parser, the words that are left) of a line that parses.

    So a program finds what it hands on to another one.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add(parser)
    return parser.parse_known_args(arguments)


def nonempty(text: str) -> str:
    """A path from the command line, as it stands, but no empty one: that is a variable of a shell which is not set."""
    if not text:
        raise argparse.ArgumentTypeError("expected a path, got an empty one")
    return text


def meant(word: str, known: Collection[str]) -> str:
    """What may have been meant by a word, "" if nothing is near."""
    longer = [name for name in known if name.startswith(word)]
    near = longer or difflib.get_close_matches(word, known, cutoff=0.7)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _place(action: argparse.Action, alone: str) -> str:
    """What a value of the action is; `alone` is the line that gives it without an option."""
    return f"a value of {action.option_strings[0]}" if action.option_strings else f"a {action.metavar}: {alone}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
