"""See the gradient penalty of a WGAN computed, number by number, and every number checked.

    python examples/backprop_through_a_critic.py
    python examples/backprop_through_a_critic.py --open        and the page in a browser, to go through step by step
    python examples/backprop_through_a_critic.py --critic conv  with a convolution instead of a dense layer

A critic scores a point that lies between a real and a fake one; the penalty asks that the score's gradient there has
length 1; training needs the gradient of that penalty with respect to every weight. That gradient runs back through a
backward pass. Everything is computed in float64; beside each derivative stands the finite difference that confirms it.
"""

import sys
import textwrap
import webbrowser
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np

import minigan as mg
from minigan.training import Options, ending, nonempty

EPS = 1e-12  # below the root of the norm, as in minigan.gan.penalties
STEP = 1e-5  # of the finite differences


class Lesson(NamedTuple):
    """A critic, two samples for it, and what is special about it."""

    title: str
    critic: mg.nn.Module
    real: mg.Tensor
    fake: mg.Tensor
    about: str


class Check(NamedTuple):
    """A derivative: of what, by what, its value, the difference quotient, the closed form if there is one."""

    of: str
    by: str
    value: float
    difference: float
    closed: float | None = None


def lesson(name: str) -> Lesson:
    """The critic of that name with weights of one digit, so that a reader can follow by hand."""
    layers = mg.nn
    if name == "conv":
        critic = layers.Sequential(
            layers.Conv2d(1, 2, 2, 2), layers.Tanh(), layers.Flatten(), layers.Linear(8, 1, bias=False)
        )
        shape, title = (1, 1, 4, 4), "Backprop through a critic of 4x4 images: a convolution, tanh, a weighted sum"
        about = (
            "The convolution's gradient with respect to the image is a transposed convolution; the second backward "
            "pass goes through that in turn, and meets the two other faces of the same form: the convolution itself, "
            "and the gradient with respect to its weights."
        )
    elif name == "linear":
        critic = layers.Sequential(layers.Linear(2, 1))
        shape, title = (1, 2), "Backprop through a linear critic of points in the plane"
        about = (
            "Its gradient is its weight vector w wherever it stands, so the penalty is (|w| - 1)^2, and its gradient "
            "is 2 (|w| - 1) w / |w|: all of it can be written down. The bias moves no gradient at all."
        )
    else:
        critic = layers.Sequential(layers.Linear(2, 3), layers.Tanh(), layers.Linear(3, 1))
        shape, title = (1, 2), "Backprop through a critic of points in the plane: 3 units with tanh, 1 score"
        about = (
            "The tanh makes the gradient depend on where the point is, so that even the first layer's bias has a "
            "part in the penalty. The last bias has none: it lifts every score alike."
        )
    critic.rename("critic")
    critic.to("cpu", "float64")
    rng = np.random.default_rng(2)
    tenths = lambda shape: rng.integers(1, 10, shape) / 10 * rng.choice([-1, 1], shape)
    for p in critic.parameters():
        p.copy_(tenths(p.shape))
    real, fake = tenths(shape), tenths(shape)
    return Lesson(title, critic, mg.tensor(real), mg.tensor(fake), about)


def between(real: mg.Tensor, fake: mg.Tensor) -> mg.Tensor:
    """The point a quarter of the way from the real sample to the fake one: training draws u at random."""
    return (real + 0.25 * (fake - real)).detach()


def penalty_of(slope: mg.Tensor) -> tuple[mg.Tensor, mg.Tensor]:
    """(norm, penalty) of the score's gradient at one sample."""
    norm = mg.sqrt(mg.sum(slope * slope) + EPS)
    return norm, mg.square(norm - 1)


def recorded(task: Lesson) -> mg.explain.Tape:
    """The tape of everything: the score, its gradient, the penalty, the penalty's gradient."""
    with mg.explain.record() as tape:
        x = tape.name(between(tape.name(task.real, "real"), tape.name(task.fake, "fake")), "x")
        score = tape.name(mg.sum(task.critic(x)), "score")
        slope = mg.grad(score, x, create_graph=True)
        norm, penalty = penalty_of(slope)
        tape.name(norm, "norm")
        tape.name(penalty, "penalty")
        mg.grad(penalty, task.critic.parameters())
    return tape


def slope_at(critic: mg.nn.Module, x: mg.Tensor) -> mg.Tensor:
    return mg.grad(mg.sum(critic(x)), x, create_graph=True)


def differences(f: Callable[[], float], x: mg.Tensor) -> np.ndarray:
    """df/dx for each element of x by central differences, x left as it was."""
    found, values = np.zeros(x.shape), x.numpy()
    for at in np.ndindex(x.shape):
        moved = []
        for sign in (1, -1):
            shifted = values.copy()
            shifted[at] += sign * STEP
            x.copy_(shifted)
            moved.append(f())
        found[at] = (moved[0] - moved[1]) / (2 * STEP)
    x.copy_(values)
    return found


def closed_form(task: Lesson) -> np.ndarray | None:
    """The penalty's gradient with respect to a linear critic's weight: 2 (n - 1) w / n, n^2 = |w|^2 + eps."""
    weights = [p.numpy() for p in task.critic.parameters()]
    if len(weights) != 2 or weights[0].ndim != 2:
        return None
    w = weights[0]
    n = np.sqrt((w * w).sum() + EPS)
    return 2 * (n - 1) * w / n


def checks(task: Lesson) -> list[Check]:
    """Every derivative beside its finite difference: of the score by the point, of the penalty by each weight."""
    x = mg.tensor(between(task.real, task.fake).numpy())
    found = []

    def add(of: str, name: str, values: np.ndarray, by_differences: np.ndarray, closed: np.ndarray | None) -> None:
        for at in np.ndindex(values.shape):
            exact = None if closed is None else float(closed[at])
            place = ", ".join(map(str, at))
            found.append(Check(of, f"{name}[{place}]", float(values[at]), float(by_differences[at]), exact))

    score = lambda: mg.sum(task.critic(x)).item()
    add("score", "x", slope_at(task.critic, x).numpy(), differences(score, x), None)
    parameters = task.critic.parameters()
    penalty = lambda: penalty_of(slope_at(task.critic, x))[1].item()
    gradients = mg.grad(penalty_of(slope_at(task.critic, x))[1], parameters)
    for k, (p, g) in enumerate(zip(parameters, gradients, strict=True)):
        closed = closed_form(task) if k == 0 else None
        add("penalty", p.version.name, g.numpy(), differences(penalty, p), closed)
    return found


# --- the page of a book -----------------------------------------------------------------------------------------


def told(task: Lesson, tape: mg.explain.Tape, found: list[Check]) -> str:
    """The terminal's page."""
    value = {v.name: v for v in tape.values}
    score, norm, penalty = (value[name].array.item() for name in ("score", "norm", "penalty"))
    forward, first, second = (len(tape.pass_of(order)) for order in range(3))
    parts = [
        task.title.upper(),
        task.about,
        "\n".join(f"{name:>7} = {inline(value[name].array)}" for name in ("real", "fake")),
        "\n".join(f"{p.version.name:>18} = {inline(p.numpy(), 21)}" for p in task.critic.parameters()),
        f"      x = real + 1/4 (fake - real)\n        = {inline(value['x'].array)}",
        f"1. Forward. The critic scores x: {score:.6g}.",
        "2. First backward. How would the score change if x moved? grad(score, x, create_graph=True) answers, and "
        "because the graph is created, the answer is itself something that can be differentiated:",
        f"   dscore/dx = {inline(value['dscore/dx'].array, 15)}",
        f"3. Forward again, on that gradient. Its length is {norm:.6g}; the penalty, (length - 1)^2, is {penalty:.6g}.",
        "4. Second backward. How would the penalty change if a weight moved? This pass starts at the penalty, runs "
        f"back through step 3, then through the backward pass of step 2. {reentry(tape)}",
        "Every derivative, and what the difference quotient says of it:",
    ]
    text = "\n\n".join(p if p.startswith(" ") else textwrap.fill(p, 96) for p in parts)
    counted = f"{len(tape.steps)} steps: {forward} forward, {first} in the first backward pass, {second} in the second."
    return f"{text}\n\n{table(found)}\n\n{counted}"


def reentry(tape: mg.explain.Tape) -> str:
    """In words, what the second backward pass reads of the two passes before it."""
    read = {v.step for s in tape.pass_of(2) for v in s.inputs if v.step is not None and v.step.order < 2}
    layers = lambda steps: ", ".join(dict.fromkeys(s.module for s in sorted(steps, key=lambda s: s.index)))
    first = [step for step in read if step.order == 1 and step.module]
    forward = [step for step in read if step.order == 0 and step.module]
    again = (
        f"and of the critic's forward pass what {layers(forward)} made"
        if forward
        else "and nothing of the forward pass"
    )
    return (
        f"Of that pass it reads {len(first)} results, made on the way through {layers(first)}, {again}: they had to be "
        "kept until now, which is what a penalty costs."
    )


def inline(a: np.ndarray, indent: int = 10) -> str:
    """A matrix or an image as its rows, a vector in one."""
    rows = a.reshape(-1, a.shape[-1])
    number = lambda x: f"{x:g}" if abs(round(x, 3) - x) < 1e-12 else f"{x:.6f}"
    width = max(len(number(x)) for x in rows.ravel())
    return ("\n" + " " * indent).join("  ".join(number(x).rjust(width) for x in row) for row in rows)


def columns(found: list[Check]) -> tuple[list[str], list[list[str]]]:
    """The table's head and rows; a column for closed forms only if there is one."""
    closed = any(c.closed is not None for c in found)
    head = ["derivative", "minigan", "finite difference", "apart"] + (["closed form", "apart"] if closed else [])
    rows = []
    for c in found:
        row = [f"d{c.of}/d({c.by})", f"{c.value:+.9f}", f"{c.difference:+.9f}", f"{abs(c.value - c.difference):.0e}"]
        if closed:
            row += ["", ""] if c.closed is None else [f"{c.closed:+.9f}", f"{abs(c.value - c.closed):.0e}"]
        rows.append(row)
    return head, rows


def table(found: list[Check]) -> str:
    head, rows = columns(found)
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in [head, *rows]]
    return "\n".join(["  " + lines[0], "  " + "-" * len(lines[0]), *("  " + line for line in lines[1:])])


def html_table(found: list[Check]) -> str:
    head, rows = columns(found)
    cells = lambda row, tag: "<tr>" + "".join(f"<{tag}>{escape(text)}</{tag}>" for text in row) + "</tr>"
    return (
        "<h2>Every derivative, checked</h2><p>Beside each the difference quotient of the whole computation, and where "
        f"there is one the closed form.</p><div class='wide'><table class='checks mono'>{cells(head, 'th')}"
        f"{''.join(cells(row, 'td') for row in rows)}</table></div>"
    )


INTRO = """<p>The score of x is computed (blue), then its gradient with respect to x (orange), then the penalty
(norm - 1)² of that gradient (blue again), then the penalty's gradient with respect to every weight (purple). The purple
pass runs back through the orange one: that is backprop through a critic.</p>"""


def main(arguments: list[str] | None = None) -> int:
    p = Options("backprop_through_a_critic.py", __doc__)
    p.add_argument("--critic", choices=["dense", "conv", "linear"], nargs="+", help="which (default: all three)")
    p.add_argument(
        "--out", type=nonempty, default="runs/backprop_through_a_critic", metavar="DIR", help="where the pages go"
    )
    p.add_argument("--open", action="store_true", help="show the first page in a browser")
    p.add_argument("--dry-run", action="store_true", help="write no page")
    p.idle("--open", lambda o: "shows nothing in a --dry-run" if o.dry_run else "")
    options = p.parse_args(arguments)
    pages = []
    for name in options.critic or ["dense", "linear", "conv"]:
        task = lesson(name)
        tape, found = recorded(task), checks(task)
        print(told(task, tape, found), end="\n\n\n")
        if not options.dry_run:
            path = Path(options.out) / f"{name}.html"
            path.parent.mkdir(parents=True, exist_ok=True)
            intro = f"<p>{escape(task.about)}</p>{INTRO}"
            tape.to_html(path, task.title, intro=intro, outro=html_table(found))
            pages.append(path)
    if pages:
        print("To go through it step by step, open", *pages, sep="\n  ")
    if options.open and pages:
        webbrowser.open(pages[0].resolve().as_uri())
    return 0


if __name__ == "__main__":
    sys.exit(ending("backprop_through_a_critic.py", main))
