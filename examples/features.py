"""A discriminator's features, classified by a linear SVM: what does a DCGAN learn that helps to recognise things?

    python examples/features.py
    python examples/features.py --run runs/train        (the discriminator of a run of train.py --model dcgan)

As in the DCGAN paper (Radford et al. 2016, section 5.1): what all of D's convolutions give, after their activation, is
max-pooled to a grid of 4x4, flattened and concatenated, and a regularised linear L2-SVM (squared hinge loss, one
against the rest) is trained on top of it, on all labels or on a few of each class. Beside it stand the same SVM on the
features of a D that was never trained, which shows what the architecture alone is worth, and on raw pixels. Each
dimension is scaled to unit variance, and each SVM's C is the best of three on held-out training images. The SVM is
scikit-learn's: pip install -e '.[features]'.

The paper reports 82.8% on CIFAR-10, and 73.8% with 400 labels a class, from a D trained on ImageNet with 28 672
features; here D is narrower, sees the images of CIFAR-10 themselves (without labels) for minutes, and the SVM learns
from --train of them.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

import minigan as mg
from minigan import data, viz
from minigan.data import Samples, held_out, load_images, scaled
from minigan.errors import DataError, MissingExtra
from minigan.gan import ScoreGame, losses, uniform_latent
from minigan.nn import Conv2d, LeakyReLU, ReLU, Sequential
from minigan.tensor import Tensor
from minigan.training import Options, Settings, nonempty, positive, say, studies

EXAMPLES = Path(__file__).parent
Z_DIM = 100
GRID = 4
CHUNK = 500
STRENGTHS = [0.005, 0.02, 0.08]  # C times the number of samples: the best on held-out training images is taken
COLORS = {"raw pixels": "#999999", "untrained D": "#1f77b4", "trained D": "#d95f02"}


def maps(D: Sequential, x: Tensor) -> list[Tensor]:
    """What each of D's convolutions gives after the activation that follows it."""
    found, after_convolution = [], False
    for k in range(len(D)):
        x = D[k](x)
        after_convolution |= isinstance(D[k], Conv2d)
        if after_convolution and isinstance(D[k], LeakyReLU | ReLU) and x.ndim == 4:
            found.append(x)
            after_convolution = False
    return found


def pooled(x: Tensor) -> Tensor:
    """Maps (N, C, H, W) max-pooled to 4x4, where they are larger; (N, features)."""
    window = tuple(max(1, size // GRID) for size in x.shape[2:])
    small = mg.max_pool2d(x, window)[:, :, :GRID, :GRID]
    return small.reshape(len(x), -1)


def features(D: Sequential, images: np.ndarray) -> np.ndarray:
    """(N, features) of uint8 images, D in evaluation mode; DataError if it has no convolution to look at."""
    device, rows = D.parameters()[0].device, []
    with mg.nn.evaluating(D):
        for start in range(0, len(images), CHUNK):
            found = maps(D, Tensor(scaled(images[start : start + CHUNK])).to(device))
            if not found:
                raise DataError("this discriminator has no convolution whose features could be classified")
            rows.append(mg.concatenate([pooled(x) for x in found], 1).numpy())
    return np.concatenate(rows)


def fitted(rows: np.ndarray, labels: np.ndarray, C: float) -> Callable[[np.ndarray], np.ndarray]:
    """What a linear L2-SVM predicts that has learned these."""
    try:
        from sklearn.svm import LinearSVC
    except ImportError as error:
        raise MissingExtra("features.py needs scikit-learn: pip install -e '.[features]'") from error
    return LinearSVC(C=C, dual=True, random_state=0).fit(rows, labels).predict


Found = dict[int, tuple[float, float]]  # labels a class, 0 for all: mean accuracy and its deviation over draws


def compared(rows: np.ndarray, labels: np.ndarray, test: tuple[np.ndarray, np.ndarray], settings: Settings) -> Found:
    """How much of the test set an SVM reads right that has learned from few labels, and from all."""
    extra, mean, spread = settings.extra, rows.mean(0), rows.std(0) + 1e-6
    rows, others = (rows - mean) / spread, (test[0] - mean) / spread

    def accuracy(chosen: np.ndarray, C: float) -> float:
        return float((fitted(rows[chosen], labels[chosen], C)(others) == test[1]).mean())

    half = min(len(rows) // 2, 2000)

    def on_held_out(C: float) -> float:
        predict = fitted(rows[:half], labels[:half], C)
        return float((predict(rows[half : 2 * half]) == labels[half : 2 * half]).mean())

    total = max(STRENGTHS, key=lambda C: on_held_out(C / half))
    found = {}
    for n in extra["labels"]:
        draws = []
        for draw in range(extra["draws"]):
            order = mg.random.Stream(settings.seed, "labels").at(draw).permutation(len(rows))
            chosen = np.concatenate([order[labels[order] == k][:n] for k in np.unique(labels)])
            draws.append(accuracy(chosen, total / len(chosen)))
        found[n] = float(np.mean(draws)), float(np.std(draws))
    found[0] = accuracy(np.arange(len(rows)), total / len(rows)), 0.0
    return found


def dcgan(samples: Samples, settings: Settings) -> ScoreGame:
    """A DCGAN for the samples, not yet trained."""
    channels, side = samples.values.shape[1:3]
    rng = mg.random.Stream(settings.seed)
    players = mg.models.dcgan(side, Z_DIM, channels=channels, width=settings.extra["width"], rng=rng)
    G, D = (player.to(settings.device) for player in players)
    return ScoreGame(
        G,
        D,
        loss=losses.nonsaturating,
        latent=uniform_latent(Z_DIM),
        generator_optimizer=mg.optim.Adam(G.parameters(), 2e-4, (0.5, 0.999)),
        discriminator_optimizer=mg.optim.Adam(D.parameters(), 2e-4, (0.5, 0.999)),
        seed=settings.seed,
    )


def images(settings: Settings, side: int) -> tuple[Samples, tuple[np.ndarray, np.ndarray]]:
    """Labelled samples of that side, and a test set of theirs."""
    few = settings.dry_run
    if settings.data == "cifar10" or (settings.data == "auto" and not few):
        try:
            samples, test = Samples(*data.cifar10("train"), "cifar10"), data.cifar10("test")
            assert test[1] is not None
            return samples, (test[0], test[1])
        except DataError as error:
            if settings.data == "cifar10":
                raise
            say(f"CIFAR-10 cannot be had ({error}): digits instead")
    source = settings.data if settings.data != "auto" else "digits" if few else "auto"
    samples = load_images(source, studies.FEW if few else None, (1, side, side))
    return samples, held_out(samples, few=few, shape=(1, side, side))


def study(settings: Settings, folder: Path) -> dict[str, float]:
    run = settings.extra["run"]
    if run is not None:
        game, of_run = studies.rebuilt(Path(run), EXAMPLES, settings.device)
        settings.data = of_run.data if settings.data == "auto" else settings.data
        untrained, _ = studies.rebuilt(Path(run), EXAMPLES, settings.device, trained=False)
        side = game.sample(1).shape[2]
        samples, test = images(settings, side)
    else:
        samples, test = images(settings, 32)
        game, untrained = dcgan(samples, settings), dcgan(samples, settings)
        for _ in studies.play(game, samples, settings, label="DCGAN"):
            pass
    settings.data = samples.name
    if samples.labels is None:
        raise DataError(f"{samples.name}: these samples have no labels to learn from")
    n = 200 if settings.dry_run else settings.extra["train"]
    pictures, labels = samples.values[:n], samples.labels[:n]
    results = {}
    for name, look in {
        "raw pixels": lambda x: scaled(x).reshape(len(x), -1),
        "untrained D": lambda x: features(untrained.discriminator, x),
        "trained D": lambda x: features(game.discriminator, x),
    }.items():
        rows = look(pictures)
        results[name] = compared(rows, labels, (look(test[0]), test[1]), settings)
        print(f"{name}, {rows.shape[1]} features: {describe(results[name])}", flush=True)
    draw(results, len(labels), samples.name, folder)
    return {
        f"{name}_{n or 'all'}".replace(" ", "_"): value
        for name, found in results.items()
        for n, (value, _) in found.items()
    }


def describe(found: Found) -> str:
    parts = [f"{n} a class: {100 * mean:.1f}% (+- {100 * spread:.1f})" for n, (mean, spread) in found.items() if n]
    return ", ".join([*parts, f"all: {100 * found[0][0]:.1f}%"])


def draw(results: dict[str, Found], all_labels: int, name: str, folder: Path) -> None:
    """Accuracy over the number of labels."""
    figure = viz.empty_figure(figsize=(6.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for label, found in results.items():
        counts = sorted(found, key=lambda n: n or all_labels)
        means, spreads = np.array([found[n] for n in counts]).T * 100
        places = [n * 10 if n else all_labels for n in counts]
        axes.errorbar(places, means, spreads, fmt="o-", color=COLORS[label], capsize=3, label=label)
    axes.set_xscale("log")
    axes.set_xlabel("labelled images, of all ten classes")
    axes.set_ylabel("test images read right, %")
    axes.set_title(f"{name}: a linear SVM on features of a DCGAN's discriminator", fontsize=10)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    viz.save_figure(figure, folder / "features.png")


def options() -> Options:
    p = studies.parser("features", __doc__, steps=500, batch_size=64)
    p.add_argument(
        "--run",
        "--checkpoint",
        type=nonempty,
        metavar="DIR",
        help="the folder of a training run, instead of training a DCGAN",
    )
    p.add_argument("--width", type=positive, default=16, help="of D's first layer of maps (default: 16)")
    p.add_argument(
        "--train", type=positive, default=10_000, metavar="N", help="images the SVM learns from (default: 10000)"
    )
    p.add_argument("--labels", type=positive, nargs="+", default=[10, 100, 400], help="a class (default: 10 100 400)")
    p.add_argument("--draws", type=positive, default=3, help="of the few labels, averaged (default: 3)")
    for option in ("--width", "--steps", "--batch-size"):
        p.idle(option, lambda o: "changes nothing with --run: that DCGAN is trained" if o.run else "")
    return p


if __name__ == "__main__":
    sys.exit(studies.main(study, options()))
