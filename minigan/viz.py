"""What a run shows: grids of samples, loss curves, an animation. Arrays in, files out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from .errors import ShapeError


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Images in [-1, 1] as uint8; values outside are clipped."""
    return np.clip(np.rint((images + 1) * 127.5), 0, 255).astype(np.uint8)


def grid(images: np.ndarray, columns: int | None = None, gap: int = 2, background: int = 40) -> np.ndarray:
    """One picture (H, W) or (H, W, 3), uint8, of uint8 images (N, C, h, w) row by row; as square as it can be."""
    if images.ndim != 4 or images.shape[1] not in (1, 3) or len(images) == 0:
        raise ShapeError(f"grid: expected images (N, 1 or 3, h, w), at least one, got {images.shape}")
    n, c, h, w = images.shape
    columns = columns or int(np.ceil(np.sqrt(n)))
    rows = -(-n // columns)
    canvas = np.full((rows * (h + gap) + gap, columns * (w + gap) + gap, c), background, np.uint8)
    for k, image in enumerate(images):
        top, left = gap + k // columns * (h + gap), gap + k % columns * (w + gap)
        canvas[top : top + h, left : left + w] = image.transpose(1, 2, 0)
    return canvas[..., 0] if c == 1 else canvas


def save_png(picture: np.ndarray, path: str | Path, scale: int = 2) -> None:
    """Write a uint8 picture (H, W) or (H, W, 3) as PNG, each pixel `scale` pixels wide."""
    from PIL import Image

    Image.fromarray(picture.repeat(scale, 0).repeat(scale, 1)).save(path, optimize=True)


def save_gif(frames: Sequence[Path], path: str | Path, milliseconds: int = 350) -> None:
    """Write the pictures in the files `frames` as an animation that pauses on the last one and repeats."""
    from PIL import Image

    pictures = []
    for frame in frames:
        with Image.open(frame) as opened:
            pictures.append(opened.convert("P" if opened.mode == "L" else "RGB"))
    if pictures:
        pauses = [milliseconds] * (len(pictures) - 1) + [4 * milliseconds]
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=pauses, loop=0)


LINES = {
    "d_loss": ("discriminator loss", "#1f77b4"),
    "g_loss": ("generator loss", "#d95f02"),
    "d_real": ("score of real images", "#1b9e77"),
    "d_fake": ("score of fakes", "#7570b3"),
}


def loss_curves(log: Mapping[str, Sequence[float]], path: str | Path, title: str = "") -> None:
    """Plot the columns d_loss, g_loss, d_real, d_fake of `log` over its column step: raw faint, smoothed strong."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6.4), layout="constrained")
    FigureCanvasAgg(figure)
    losses, scores = figure.subplots(2, 1, sharex=True)
    steps = np.asarray(log["step"], float)
    for axes, names in ((losses, ("d_loss", "g_loss")), (scores, ("d_real", "d_fake"))):
        for name in names:
            label, color = LINES[name]
            values = np.asarray(log[name], float)
            axes.plot(steps, values, color=color, alpha=0.2, linewidth=0.8)
            axes.plot(steps, smooth(values), color=color, linewidth=1.8, label=label)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="upper right", frameon=False, ncols=2)
    losses.set_ylabel("loss")
    scores.set_ylabel("mean score")
    scores.set_xlabel("step")
    if title:
        figure.suptitle(title)
    figure.savefig(path, dpi=110)


def smooth(values: np.ndarray) -> np.ndarray:
    """`values` averaged over a window of a fiftieth of their number, edges over what there is."""
    half = len(values) // 100
    if half == 0:
        return values
    total = np.concatenate([[0.0], np.cumsum(values)])
    low = np.maximum(np.arange(len(values)) - half, 0)
    high = np.minimum(np.arange(len(values)) + half + 1, len(values))
    return (total[high] - total[low]) / (high - low)
