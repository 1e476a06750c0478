"""What the lessons share: their options, where their figure goes, how an exercise is checked."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minigan import viz
from minigan.system.terminal import Lenient
from minigan.training import nonempty


class Lesson:
    """A script that is also a notebook.

    `--out DIR` says where the figure goes (runs/lessons), `--dry-run` takes two steps of everything and writes nothing;
    what else stands on the command line, as a notebook's server puts it there, is ignored. What a script prints may go
    to a program that stops reading, as `head` does.
    """

    def __init__(self, name: str) -> None:
        number, _, title = name.partition("_")
        about = (
            f"Lesson {int(number)}: {title.replace('_', ' ')}. The text is in the file, which opens as a notebook too."
        )
        p = argparse.ArgumentParser(f"{name}.py", description=about, allow_abbrev=False)
        p.add_argument(
            "--out", type=nonempty, default="runs/lessons", metavar="DIR", help="where the figure goes (runs/lessons)"
        )
        p.add_argument("--dry-run", action="store_true", help="two steps of everything, nothing is written")
        options, _ = p.parse_known_args()
        if "ipykernel" not in sys.modules:
            sys.stdout = Lenient(sys.stdout)
        self.name = name
        self.dry_run: bool = options.dry_run
        self.folder = Path(options.out)

    def steps(self, n: int) -> int:
        """n, or 2 in a dry run."""
        return 2 if self.dry_run else n

    def figure(self, figure: Any) -> None:
        """Write a matplotlib figure as NAME.png, and show it if this is a notebook."""
        if not self.dry_run:
            path = self.folder / f"{self.name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            viz.save_figure(figure, path)
            print(f"\nThe figure is in {path}")
        if "ipykernel" in sys.modules:
            from IPython.display import display

            display(figure)

    def exercise(self, check: Callable[[Any], str], answer: Any) -> None:
        """Say whether `answer` solves the exercise: check(answer) returns what is wrong with it, "" if nothing is."""
        try:
            wrong = check(answer)
        except Exception as error:  # a reader's code may do anything
            wrong = f"it raises {type(error).__name__}: {error}"
        print(f"\nExercise: {'not yet. ' + wrong if wrong else 'solved.'}")
