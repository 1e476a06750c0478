"""What the latent space of a generator holds: interpolation, arithmetic, and whether samples are copies.

    python examples/latent.py --run runs/dcgan              (any run of train.py on digits, without clusters or labels)
    python examples/latent.py                               (trains a DCGAN for minutes first)

Interpolation: the straight line between two points of noise, and the great circle (White 2016), which stays where
noise is drawn from. Measured: the Frechet distance of 1000 midpoints to real digits, beside that of plain samples.

Arithmetic, as with the DCGAN paper's faces (Radford et al. 2016, figure 7), on what a computer can measure. Of 4096
samples, read by a classifier, the three thickest of a digit less its three thinnest, plus the three thinnest of
another digit, should be that other digit, thick; each is the mean of three points of noise, as in the paper, or of
thirty. Likewise with slant: what leans to the right, less what leans to the left. Measured over all 90 pairs of digits:
how often the digit stays what it was, and how much of the difference arrives: 1 would be all of it, 0 none. The
pictures are of three of these pairs, at the quartiles of what arrives.

Neighbours: under each sample the training image nearest to it (Goodfellow et al. 2014, figure 2). A generator that
copies would lie nearer to them than images it has never seen do: the two mean distances are in metrics.json.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import minigan as mg
from minigan import viz
from minigan.data import Samples, held_out, load_images
from minigan.gan import ScoreGame, lerp, slerp
from minigan.judge import Judge
from minigan.metrics import frechet_distance, nearest, slant, thickness
from minigan.tensor import Tensor
from minigan.training import Options, Settings, nonempty, studies

EXAMPLES = Path(__file__).parent
Generate = Callable[[np.ndarray], np.ndarray]  # noise (n, z) to images (n, 1, 28, 28) in [-1, 1]
ATTRIBUTES = {"thickness": thickness, "slant": slant}
GROUPS = (3, 30)  # of how many samples the mean stands for what they have in common


def trained(settings: Settings, samples: Samples) -> ScoreGame:
    """The game of dcgan_mnist.py as CS231n has it, after settings.steps."""
    extra = {"lr": settings.extra["lr"], "as_printed": True}
    own = Settings("dcgan_mnist", settings.device, seed=settings.seed, extra=extra)
    game = studies.script(EXAMPLES, "dcgan_mnist").build(own)
    for _ in studies.play(game, samples, settings, label="DCGAN"):
        pass
    return game


def middles(generate: Generate, z: np.ndarray, judge: Judge, real: np.ndarray) -> dict[str, float]:
    """How good samples are that lie half way between two others."""
    half = len(z) // 2
    a, b, t = z[:half], z[half:], np.array([0.5], z.dtype)
    points = {"samples": a, "lerp_middles": lerp(a, b, t)[0], "slerp_middles": slerp(a, b, t)[0]}
    return {f"frechet_{name}": frechet_distance(judge.features(generate(p)), real) for name, p in points.items()}


class Groups:
    """The mean noise of the few samples of each digit that have the most, or the least, of an attribute."""

    def __init__(self, size: int, z: np.ndarray, digits: np.ndarray, values: np.ndarray) -> None:
        self.means: dict[tuple[int, str], np.ndarray] = {}
        for digit in range(10):
            own = np.flatnonzero(digits == digit)
            if len(own) >= 2 * size:
                order = own[np.argsort(values[own], kind="stable")]
                self.means[digit, "least"] = z[order[:size]].mean(0)
                self.means[digit, "most"] = z[order[-size:]].mean(0)
        held = sorted({digit for digit, _ in self.means})
        self.pairs = [(a, c) for a in held for c in held if a != c]

    def operands(self, a: int, c: int) -> np.ndarray:
        """(4, z): most of a, least of a, least of c, and what most - least + least makes."""
        most, least, other = self.means[a, "most"], self.means[a, "least"], self.means[c, "least"]
        return np.stack([most, least, other, most - least + other])


def arithmetic(
    generate: Generate, groups: Groups, judge: Judge, measure: Callable[[np.ndarray], np.ndarray]
) -> tuple[dict[str, float], list[np.ndarray]]:
    """Numbers over all pairs of digits; and four images of three pairs, at the quartiles of the share that arrives."""
    if not groups.pairs:  # a generator that draws less than two digits
        return {}, []
    results = []
    for a, c in groups.pairs:
        images = generate(groups.operands(a, c))
        most, least, before, after = measure(images)
        is_c = judge.predict(images[2:]) == c
        results.append(((after - before) / max(most - least, 1e-6), *is_c, images))
    results.sort(key=lambda result: result[0])
    shares, before, after, images = zip(*results, strict=True)
    numbers = {
        "digit_of_the_mean": float(np.mean(before)),
        "digit_kept": float(np.mean(after)),
        "share_that_arrives": float(np.median(shares)),
    }
    return numbers, [images[len(images) * quarter // 4] for quarter in (3, 2, 1)]


def copies(images: np.ndarray, samples: Samples, unseen: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """Mean distances to the nearest training image, of samples and of unseen images; and the samples' neighbours."""
    pool = samples.values
    near = pool[nearest(images, pool)]
    others = pool[nearest(unseen, pool)]
    numbers = {
        "distance_of_samples": float(lengths(images, near).mean()),
        "distance_of_unseen": float(lengths(unseen, others).mean()),
    }
    return numbers, near


def lengths(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Euclidean distances of uint8 images, on the scale of [-1, 1]."""
    return np.sqrt(((a.astype(float) - b) ** 2).reshape(len(a), -1).sum(1)) / 127.5


def study(settings: Settings, folder: Path) -> dict[str, float]:
    run, few = settings.extra["run"], settings.dry_run
    if run is None:
        samples = load_images(settings.data, studies.FEW if few else None)
        game = trained(settings, samples)
    else:
        game, of_run = studies.rebuilt(Path(run), EXAMPLES, settings.device)
        samples = load_images(of_run.data if settings.data == "auto" else settings.data, studies.FEW if few else None)
    settings.data = samples.name
    judge = studies.quick_judge(samples, settings)
    unseen = held_out(samples, few=few)[0][:1000]
    stream = mg.random.Stream(settings.seed, "latent")
    z = game.latent(64 if few else 4096, stream).numpy()

    def generate(points: np.ndarray) -> np.ndarray:
        parts = [game.generate(Tensor(part)).numpy() for part in np.split(points, range(512, len(points), 512))]
        return np.concatenate(parts)

    images = generate(z)
    numbers = middles(generate, z[:2000], judge, judge.features(unseen))
    rows: dict[tuple[str, int], list[np.ndarray]] = {}
    for name, measure in ATTRIBUTES.items():
        for size in GROUPS:
            groups = Groups(size, z, judge.predict(images), measure(images))
            found, rows[name, size] = arithmetic(generate, groups, judge, measure)
            numbers |= {f"{name}_of_{size}_{key}": value for key, value in found.items()}
    shown = viz.to_uint8(images[:200])
    found, near = copies(shown, samples, unseen[:200])
    t = np.linspace(0, 1, 11, dtype=z.dtype)
    ways = np.concatenate([generate(way(z[2 * k], z[2 * k + 1], t)) for k in range(4) for way in (lerp, slerp)])
    draw(ways, rows, np.stack([shown, near]), folder)
    return numbers | found


def draw(ways: np.ndarray, rows: dict[tuple[str, int], list[np.ndarray]], copies: np.ndarray, folder: Path) -> None:
    """Interpolations, arithmetic and neighbours, side by side."""
    figure = viz.empty_figure(figsize=(13, 4.4), layout="constrained")
    left, middle, right = figure.subfigures(1, 3, width_ratios=[11, 8.6, 7.4])
    show(left.add_subplot(), ways, 11, "straight line (above) and great circle (below)")
    places = middle.subplots(len(ATTRIBUTES), len(GROUPS))
    for axes, ((name, size), found) in zip(places.flat, rows.items(), strict=True):
        most, least = {"thickness": ("thick", "thin"), "slant": ("right", "left")}[name]
        title = f"{most} a - {least} a + {least} c = ?\nmeans of {size}"
        show(axes, np.concatenate(found) if found else None, 4, title)
    in_rows = copies[:, :40].reshape(2, 5, 8, *copies.shape[2:]).swapaxes(0, 1)  # a row of samples, one of neighbours
    show(right.add_subplot(), in_rows.reshape(80, *copies.shape[2:]), 8, "samples, and below nearest training images")
    viz.save_figure(figure, folder / "latent.png")


def show(axes: Any, images: np.ndarray | None, columns: int, title: str) -> None:
    axes.set_title(title, fontsize=9)
    axes.set_axis_off()
    axes.set_anchor("N")
    if images is not None:
        pictures = images if images.dtype == np.uint8 else viz.to_uint8(images)
        axes.imshow(viz.grid(pictures, columns, gap=1), cmap="gray", vmin=0, vmax=255)


def options() -> Options:
    p = studies.parser("latent", __doc__, steps=900, batch_size=64)
    p.add_argument(
        "--run", type=nonempty, metavar="DIR", help="the folder of a training run, instead of training a generator"
    )
    p.add_argument("--lr", type=float, default=1e-3, help="Adam's learning rate, without --run (default: 0.001)")
    for option in ("--lr", "--steps", "--batch-size"):
        p.idle(option, lambda o: "changes nothing with --run: that generator is trained" if o.run else "")
    return p


if __name__ == "__main__":
    sys.exit(studies.main(study, options()))
