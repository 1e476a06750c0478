"""The Dirac-GAN: which methods converge, in theory and in steps, where everything can be written down.

Mescheder et al. 2018, sections 2 and 3. The data is the point 0, the generator the point theta, the discriminator the
line psi x, so that both players ought to end at 0. Where they go is a field of arrows (-dLg/dtheta, -dLd/dpsi) in the
plane, whose Jacobian at 0 decides what happens near it: here the library differentiates its own losses and penalties
twice, and finds the closed forms. The discriminator's parameter is a weight of a layer, so penalties see a critic.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import viz
from ..gan import losses, penalties
from ..grad import grad
from ..ops import clip, reshape, square
from ..tensor import Tensor, tensor
from .cell import Cell
from .results import Results
from .table import Column, Figure, Picture, Protocol, Row, Table, Value

START = (1.0, 1.0)
REACH = 1.7  # of the picture, from its middle
Point = tuple[Tensor, Tensor]  # theta, psi


class Field:
    """Where the players of a Dirac-GAN go: functions of (theta, psi) that can be differentiated again.

    `loss` and `penalty` are the library's, by name; `weight` is of the penalty, `target` the slope that it wants.
    `noise` is the deviation of instance noise, of which two points stand for its distribution: they have its variance,
    and the Jacobian at the equilibrium depends on no more. `consensus` is the weight of half the squared length of the
    field, which both players descend too (Mescheder et al. 2017).
    """

    def __init__(
        self,
        loss: str = "nonsaturating",
        penalty: str = "",
        weight: float = 0.0,
        noise: float = 0.0,
        consensus: float = 0.0,
        clip: float | None = None,
    ) -> None:
        self.loss = losses.LOSSES[loss]
        self.penalty = penalties.PENALTIES.get(penalty)
        self.weight = weight
        self.offsets = tensor(np.array([[noise], [-noise]]))
        self.consensus = consensus
        self.clip = clip

    def of_theta(self, theta: Tensor, psi: Tensor) -> Tensor:
        """-dLg/dtheta without consensus: the generator takes the discriminator as given."""
        own = theta + tensor(np.zeros(()))
        critic = partial(_line, psi)
        loss = self.loss.generator(critic(self._points(own)), critic(self._points(tensor(np.zeros(())))))
        return -grad(loss, own, create_graph=True)

    def of_psi(self, theta: Tensor, psi: Tensor) -> Tensor:
        """-dLd/dpsi without consensus: the discriminator takes the generator as given."""
        own = psi + tensor(np.zeros(()))
        critic = partial(_line, own)
        real, fake = self._points(tensor(np.zeros(()))), self._points(theta)
        loss = self.loss.discriminator(critic(real), critic(fake))
        if self.penalty is not None:
            loss = loss + self.weight * self.penalty(critic, real, fake)
        return -grad(loss, own, create_graph=True)

    def __call__(self, theta: Tensor, psi: Tensor) -> Point:
        """(-dLg/dtheta, -dLd/dpsi), with consensus if there is some."""
        v = self.of_theta(theta, psi), self.of_psi(theta, psi)
        if not self.consensus:
            return v
        pull = grad(0.5 * (square(v[0]) + square(v[1])), [theta, psi], create_graph=True)
        return v[0] - self.consensus * pull[0], v[1] - self.consensus * pull[1]

    def step(self, theta: Tensor, psi: Tensor, h: float, d_steps: int = 0) -> Point:
        """Both players, moved by h at once; or psi after `d_steps` of its own, then theta, which sees that."""
        if d_steps == 0:
            moves = self(theta, psi)
            return theta + h * moves[0], self._limited(psi + h * moves[1])
        alone = not self.consensus
        for _ in range(d_steps):
            psi = self._limited(psi + h * (self.of_psi(theta, psi) if alone else self(theta, psi)[1]))
        return theta + h * (self.of_theta(theta, psi) if alone else self(theta, psi)[0]), psi

    def _points(self, at: Tensor) -> Tensor:
        """(2, 1): a point with its noise."""
        return reshape(at, (1, 1)) + self.offsets

    def _limited(self, psi: Tensor) -> Tensor:
        return psi if self.clip is None else clip(psi, -self.clip, self.clip)


def _line(slope: Tensor, x: Tensor) -> Tensor:
    return x * slope


def jacobian(f: Callable[[Tensor, Tensor], Point]) -> np.ndarray:
    """(2, 2) of a map of the plane at (0, 0), by the library's own gradients."""
    at = [tensor(np.zeros(())) for _ in range(2)]
    return np.array([[slope.item() for slope in grad(v, at)] for v in f(*at)])


# --- what is measured ---------------------------------------------------------------------------------------------

ORDERS = {"simultaneous": 0, "alternating": 1, "alternating5": 5}  # steps of psi before theta moves; 0: at once


def behaviour(points: np.ndarray) -> str:
    """What a way (steps, 2) does about the equilibrium: converges, closes in, circles, diverges or gets stuck.

    It converges if its last fifth stays within a hundredth of where it began. Else it closes in or diverges if the
    greatest distance in its last fifth is a tenth less or more than in its third; and if neither, it circles if it made
    half a turn or more in its second half, and else it is stuck somewhere.
    """
    distances = np.linalg.norm(points, axis=1)
    far = [part.max() for part in np.array_split(distances, 5)]
    if far[4] < 0.01 * distances[0]:
        return "converges"
    if not 0.9 <= far[4] / far[2] <= 1.1:
        return "diverges" if far[4] > far[2] else "closes in"
    angles = np.unwrap(np.arctan2(*points[len(points) // 2 :].T))
    return "circles" if abs(angles[-1] - angles[0]) >= np.pi else "gets stuck"


def spectrum(values: np.ndarray) -> str:
    """Two eigenvalues as a person writes them."""
    a, b = sorted(values, key=lambda v: (-v.imag, -v.real))
    if abs(a.imag) < 1e-9:
        pair = f"{a.real:.4f}, {b.real:.4f}" if abs(a.real - b.real) > 1e-9 else f"{a.real:.4f}, twice"
        return pair.replace("-0.0000", "0.0000")
    real = f"{a.real:.4f} " if abs(a.real) > 1e-9 else ""
    return f"{real}± {a.imag:.4f} i"


def cell(given: Cell) -> Mapping[str, Value]:
    """The spectrum of one method's field, and what becomes of (1, 1) in so many steps of each order."""
    settings = given.settings
    field, h = Field(**settings["field"]), settings["h"]
    numbers: dict[str, Value] = {}
    if settings.get("closed") is not None:
        found, closed = np.linalg.eigvals(jacobian(field)), np.linalg.eigvals(np.array(settings["closed"]))
        numbers["spectrum"] = spectrum(found)
        numbers["off"] = min(float(abs(found - c).max()) for c in (closed, closed[::-1]))
    ways = {}
    for order, d_steps in ORDERS.items():
        if settings.get("closed") is not None:
            moved = jacobian(partial(field.step, h=h, d_steps=d_steps))
            numbers[f"radius_{order}"] = float(abs(np.linalg.eigvals(moved)).max())
        ways[order] = way(field, settings["steps"], h, d_steps)
        numbers[order] = behaviour(ways[order])
    ticks = np.linspace(-0.94 * REACH, 0.94 * REACH, settings["arrows"])
    given.keep("ways", **ways, ticks=ticks, arrows=np.array([[_at(field, t, p) for t in ticks] for p in ticks]))
    return numbers


def _at(f: Callable[[Tensor, Tensor], Point], theta: float, psi: float) -> tuple[float, float]:
    moved = f(tensor(np.array(theta)), tensor(np.array(psi)))
    return moved[0].item(), moved[1].item()


def way(field: Field, steps: int, h: float, d_steps: int) -> np.ndarray:
    """(steps + 1, 2): theta and psi from (1, 1) on."""
    points = [START]
    for _ in range(steps):
        points.append(_at(partial(field.step, h=h, d_steps=d_steps), *points[-1]))
    return np.array(points)


def pictures(results: Results, folder: Path) -> list[Picture]:
    """The fields and the ways of all methods, as in the paper's figure 3."""
    drawn = [(row, result) for row in results.rows for result in results.of(row)[:1]]
    columns = min(4, len(drawn))
    if not drawn:
        return []
    rows = -(-len(drawn) // columns)
    figure = viz.empty_figure(figsize=(3.1 * columns, 3.25 * rows + 0.4), layout="constrained")
    for k, (row, result) in enumerate(drawn):
        axes = figure.add_subplot(rows, columns, k + 1, xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal")
        held = result.kept("ways")
        arrows = held["arrows"] / (np.linalg.norm(held["arrows"], axis=2, keepdims=True) + 1e-9) ** 0.7
        axes.quiver(held["ticks"], held["ticks"], *np.moveaxis(arrows, 2, 0), color="#b3bcc6", pivot="mid", width=0.006)
        for order, colour in (("simultaneous", "#1f77b4"), ("alternating", "#d95f02")):
            points = held[order]
            axes.plot(*points.T, "-", color=colour, linewidth=0.7, alpha=0.8, label=order)
            axes.plot(*points[-1], "o", color=colour, markersize=5, markeredgecolor="white", markeredgewidth=0.7)
        axes.plot(*START, "k.", markersize=5)
        axes.plot(0, 0, "k+", markersize=11)
        axes.set_title(row.name, fontsize=11)
        axes.set_xlabel("theta" if k >= len(drawn) - columns else "")
        axes.set_ylabel("psi" if k % columns == 0 else "")
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    for line in figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False).get_lines():
        line.set(linewidth=2.5, alpha=1)
    path = folder / "ways.png"
    viz.save_figure(figure, path)
    caption = (
        "The field of each method and 500 steps of length 0.2 from (1, 1), the dot, towards the equilibrium, the "
        "cross; a circle marks where a way ends."
    )
    return [Picture(path, caption)]


# --- the methods --------------------------------------------------------------------------------------------------


def _turning(f: float, falls: float = 0.0) -> np.ndarray:
    """The Jacobian where f turns the players and psi falls at a rate: penalties and noise act on D's own loss alone."""
    return np.array([[0.0, f], [-f, -falls]])


def _pulled(f: float, weight: float) -> np.ndarray:
    """The same with consensus instead: J - weight J'J, where J'J is f^2 times the identity."""
    return _turning(f) - weight * f * f * np.eye(2)


def _radii(field: np.ndarray, h: float = 0.2) -> dict[str, Figure]:
    """Largest modulus of the eigenvalues of a step, from the field's Jacobian."""
    moves = [np.eye(2) + h * np.diag(who) @ field for who in ((1.0, 0.0), (0.0, 1.0))]  # theta alone, psi alone
    found = {}
    for order, d_steps in ORDERS.items():
        step = np.eye(2) + h * field if d_steps == 0 else moves[0] @ np.linalg.matrix_power(moves[1], d_steps)
        found[f"radius_{order}"] = Figure(float(abs(np.linalg.eigvals(step)).max()), None, "derived")
    return found


def _row(name: str, about: str, closed: np.ndarray | None, verdicts: Sequence[str] = (), **of: Any) -> Row:
    """A method: its field, the Jacobian of that in closed form, whether the paper says that it converges."""
    published = {order: Figure(verdict) for order, verdict in zip(ORDERS, verdicts, strict=False)}
    if closed is not None:
        published["spectrum"] = Figure(spectrum(np.linalg.eigvals(closed)), None, "derived")
        published |= _radii(closed)
    return Row(name, {"field": of, "closed": None if closed is None else closed.tolist()}, published, about)


F = 0.5  # the slope of the logistic loss at 0; that of Wasserstein and hinge losses is 1


def _penalised(name: str, loss: str, penalty: str, gamma: float, verdicts: Sequence[str]) -> Row:
    """gamma / 2 times the squared slope of the discriminator, at one kind of points or at both."""
    falls = gamma * (2 if penalty == "r1_r2" else 1)
    about = f"{loss} loss, gamma {gamma:g}" + (": the critical one" if falls == 2 * F else "")
    return _row(name, about, _turning(F, falls), verdicts, loss=loss, penalty=penalty, weight=gamma / 2)


NO, YES = "no", "yes"
TABLE = Table(
    name="dirac",
    title="The Dirac-GAN: which methods converge",
    source="Mescheder, Geiger and Nowozin, Which training methods for GANs do actually converge?, ICML 2018 "
    "(arXiv 1801.04406), sections 2 and 3, figure 3",
    about="A generator that is one number and a discriminator that is a line: the smallest GAN, in which all that is "
    "said of convergence can be computed. The eigenvalues of the field of each method at its equilibrium are found by "
    "differentiating the library's own losses and penalties twice, and stand beside their closed forms; a step's "
    "largest eigenvalue says whether small deviations die out (below 1), live on (1) or grow. Then 500 steps are made.",
    columns=[
        Column("spectrum", "eigenvalues of the field"),
        Column("off", "off by", ".0e"),
        Column("simultaneous", "steps at once"),
        Column("alternating", "steps in turn"),
        Column("alternating5", "five of D, one of G"),
        Column("radius_simultaneous", "largest eigenvalue of a step at once", ".4f", "low"),
        Column("radius_alternating", "in turn", ".4f", "low"),
        Column("radius_alternating5", "five of D", ".4f", "low"),
    ],
    rows=[
        _row("GAN", "minimax loss", _turning(F), [NO] * 3, loss="minimax"),
        _row("NSGAN", "non-saturating loss", _turning(F), [NO] * 3, loss="nonsaturating"),
        _row("WGAN", "psi clipped to [-1, 1]", _turning(1.0), [NO] * 3, loss="wasserstein", clip=1.0),
        _row(
            "WGAN-GP",
            "0.7 (|psi| - 1)^2: the field jumps at psi = 0 and has no Jacobian there",
            None,
            [NO] * 3,
            **{"loss": "wasserstein", "penalty": "gradient_penalty", "weight": 0.7},
        ),
        _row(
            "DRAGAN",
            "0.7 (|psi| - 1)^2 at the data, with the non-saturating loss: it jumps too",
            None,
            [NO] * 3,
            **{"loss": "nonsaturating", "penalty": "dragan", "weight": 0.7},
        ),
        _row("hinge", "hinge loss", _turning(1.0), loss="hinge"),
        _row("RpGAN", "relativistic loss", _turning(F), loss="relativistic"),
        _row("consensus", "weight 1, minimax loss", _pulled(F, 1.0), [YES] * 2, loss="minimax", consensus=1.0),
        _row("instance noise", "deviation 0.7", _turning(F, 0.49 / 2), [YES] * 3, loss="minimax", noise=0.7),
        _penalised("R1 0.3", "minimax", "r1", 0.3, [YES] * 3),
        _penalised("R1 1", "minimax", "r1", 1.0, [YES] * 3),
        _penalised("NSGAN R1 0.3", "nonsaturating", "r1", 0.3, [YES] * 3),
        _penalised("NSGAN R2 0.3", "nonsaturating", "r2", 0.3, [YES] * 3),
        _penalised("RpGAN R1+R2 0.3", "relativistic", "r1_r2", 0.3, []),
    ],
    short=Protocol({"steps": 500, "h": 0.2, "arrows": 13}, seeds=1, takes="half a minute"),
    full=None,
    trial={"steps": 6, "arrows": 2},
    cell=cell,
    pictures=pictures,
    notes=[
        "The paper's yes and no: does the method converge to the equilibrium from near it, at a rate that does not "
        "fade? Where it says no and a way closes in all the same, as with the non-saturating loss, its eigenvalues "
        "have no real part: it comes nearer by less and less.",
        "Consensus is a rule for players that move at once or in turn; with five steps of the discriminator, which "
        "then descends the length of the field alone, it drives this generator away.",
        "The closed forms, with f = 1/2, the slope of the logistic loss at 0, and f = 1 for Wasserstein and hinge "
        "losses: ± f i without a penalty; -g/2 ± sqrt(g²/4 - f²) with g/2 times the squared slope; "
        "-s²/4 ± sqrt(s⁴/16 - f²) with instance noise of deviation s; -g/4 ± f i with consensus of weight g.",
    ],
)
