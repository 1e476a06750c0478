"""What a run shows: grids of samples, loss curves, an animation. Arrays in, files out."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import DTypeError, ShapeError
from .system import disk
from .system.machine import load_matplotlib

if TYPE_CHECKING:
    from PIL import Image


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Floats in [-1, 1] as uint8; values outside are clipped, NaN is black. DTypeError for what is no float."""
    if images.dtype.kind != "f":
        raise DTypeError(f"to_uint8: expected floats in [-1, 1], got {images.dtype} {images.shape}")
    images = np.nan_to_num(images, nan=-1.0, posinf=1.0, neginf=-1.0)
    return np.clip(np.rint((images + 1) * 127.5), 0, 255).astype(np.uint8)


def grid(images: np.ndarray, columns: int | None = None, gap: int = 2, background: int = 40) -> np.ndarray:
    """One picture (H, W) or (H, W, 3), uint8, of uint8 images (N, C, h, w) row by row; as square as it can be.

    ShapeError for another shape, no image or no column; DTypeError for another type.
    """
    if images.dtype != np.uint8:
        raise DTypeError(f"grid: expected uint8 images, got {images.dtype} {images.shape}")
    if columns is not None and columns < 1:
        raise ShapeError(f"grid: expected at least one column, got {columns}")
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


def in_pairs(above: np.ndarray, below: np.ndarray, columns: int = 8) -> np.ndarray:
    """Images in the order in which `grid(..., columns)` puts each of `above` (N, ...) over its fellow in `below`.

    (2 N, ...): a row of `above`, a row of `below`, the next rows. ShapeError unless N is a multiple of `columns`.
    """
    if above.shape != below.shape or len(above) % columns:
        raise ShapeError(f"in_pairs: expected two times a multiple of {columns}, got {above.shape}, {below.shape}")
    rows = [images.reshape(-1, 1, columns, *images.shape[1:]) for images in (above, below)]
    return np.concatenate(rows, axis=1).reshape(-1, *above.shape[1:])


def beside(*pictures: np.ndarray, gap: int = 8, background: int = 40) -> np.ndarray:
    """Pictures (H, W) or (H, W, 3) of one height in one, from left to right with a gap between."""
    strip = np.full((pictures[0].shape[0], gap, *pictures[0].shape[2:]), background, np.uint8)
    spaced = [part for picture in pictures for part in (picture, strip)]
    return np.concatenate(spaced[:-1], axis=1)


def save_png(picture: np.ndarray, path: str | Path, scale: int = 2) -> None:
    """Write a uint8 picture (H, W) or (H, W, 3) as PNG, each pixel `scale` pixels wide."""
    with disk.replacing(Path(path)) as out:
        _write_png(picture, out, scale)


def _write_png(picture: np.ndarray, out: Any, scale: int) -> None:
    from PIL import Image

    Image.fromarray(picture if scale == 1 else picture.repeat(scale, 0).repeat(scale, 1)).save(out, "PNG")


class Shown:
    """A uint8 picture (H, W) or (H, W, 3) that a notebook shows by itself, each pixel `scale` pixels wide."""

    def __init__(self, picture: np.ndarray, scale: int = 2) -> None:
        self.picture, self.scale = picture, scale

    def __repr__(self) -> str:
        height, width = self.picture.shape[:2]
        return f"a picture of {width} x {height} pixels, which a notebook shows"

    def _repr_png_(self) -> bytes:
        out = io.BytesIO()
        _write_png(self.picture, out, self.scale)
        return out.getvalue()


def show(images: Any, columns: int | None = None, scale: int = 2) -> Shown:
    """The `grid` of images (N, C, h, w), or of one (C, h, w), as a picture that a notebook shows.

    An array or a Tensor of floats in [-1, 1] (`to_uint8`), or of uint8. ShapeError or DTypeError for others.
    """
    found = images.numpy() if hasattr(images, "numpy") else np.asarray(images)
    found = found[None] if found.ndim == 3 else found
    return Shown(grid(found if found.dtype == np.uint8 else to_uint8(found), columns), scale)


def data_url(png: bytes) -> str:
    """The bytes of a PNG as an address that a page can hold."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def read_png(path: Path) -> "Image.Image | None":
    """The PNG in a file, grey or RGB; None if it cannot be read."""
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as opened:
            return opened.convert("L" if opened.mode in ("1", "L") else "RGB")
    except MemoryError:
        raise
    except Exception:  # Pillow has a dozen ways to fail on damaged bytes, and documents none
        return None


def save_gif(frames: Sequence[Path], path: str | Path, milliseconds: int = 350) -> list[Path]:
    """Write the pictures in the files `frames` as an animation that pauses on the last one and repeats.

    What cannot be read, or has another size than the last that can, is left out: the list of these.
    """
    read = [(frame, picture) for frame in frames if (picture := read_png(frame)) is not None]
    shown = {frame: picture for frame, picture in read if picture.size == read[-1][1].size}
    if shown:
        first, *rest = (p.convert("P") if p.mode == "L" else p for p in shown.values())
        pauses = [milliseconds] * len(rest) + [4 * milliseconds]
        with disk.replacing(Path(path)) as out:
            first.save(out, "GIF", save_all=True, append_images=rest, duration=pauses, loop=0)
    return [frame for frame in frames if frame not in shown]


def animate(pictures: Sequence[np.ndarray], path: str | Path, milliseconds: int = 120, scale: int = 2) -> None:
    """Write uint8 pictures (H, W) or (H, W, 3) as an animation that repeats, each pixel `scale` pixels wide."""
    from PIL import Image

    first, *rest = (Image.fromarray(picture.repeat(scale, 0).repeat(scale, 1)) for picture in pictures)
    with disk.replacing(Path(path)) as out:
        first.save(out, "GIF", save_all=True, append_images=rest, duration=milliseconds, loop=0)


def empty_figure(**options: Any) -> Any:
    """A matplotlib Figure that needs no screen; the options are Figure's."""
    load_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(**options)
    FigureCanvasAgg(figure)
    return figure


@dataclass
class Block:
    """Images (rows, columns, C, h, w), uint8, with words to the left of each row and above each column.

    There are as many words as rows and columns, or none. What stands above a column may have several lines.
    """

    images: np.ndarray
    rows: Sequence[str] = ()
    columns: Sequence[str] = ()


POINTS, DPI, LINE = 8, 100, 15  # of a label: its size, and the pixels that a line of it is high
LEAST_CELL = 60  # pixels a side of an image in a block


def _wide(words: str) -> int:
    """How many pixels a label of these words is wide."""
    load_matplotlib()
    from matplotlib.textpath import TextPath

    lines = [TextPath((0, 0), line, POINTS).get_extents().width for line in words.split("\n") if line.strip()]
    return int(np.ceil(max(lines, default=0) * DPI / 72))


def blocks(drawn: Sequence[Block], path: str | Path, title: str = "", gap: int = 2) -> None:
    """Write a PNG of blocks of images of one shape, one above the other, each pixel the same whole number of pixels.

    ShapeError unless each block has as many words as rows and columns.
    """
    for block in drawn:
        rows, columns = block.images.shape[:2]
        if len(block.rows) not in (0, rows) or len(block.columns) not in (0, columns):
            raise ShapeError(
                f"blocks: expected words for {rows} rows and {columns} columns, or none, "
                f"got {len(block.rows)} and {len(block.columns)}"
            )
    h, w = drawn[0].images.shape[-2:]
    scale = -(-LEAST_CELL // max(h, w))
    pictures = [grid(b.images.reshape(-1, *b.images.shape[2:]), b.images.shape[1], gap, 255) for b in drawn]
    pictures = [p.repeat(scale, 0).repeat(scale, 1) for p in pictures]
    pictures = [p if p.ndim == 3 else p[..., None].repeat(3, 2) for p in pictures]
    heads = [LINE * max((words.count("\n") + 1 for words in b.columns), default=0) + 6 for b in drawn]
    margin = 8
    left = margin + max((_wide(words) + 4 for b in drawn for words in b.rows), default=0)
    top = margin + (LINE * (title.count("\n") + 1) + 8 if title else 0)
    width = left + max(*(p.shape[1] for p in pictures), _wide(title) + margin - left) + margin
    height = top + sum(p.shape[0] for p in pictures) + sum(heads) + margin
    figure = empty_figure(figsize=(width / DPI, height / DPI), dpi=DPI)

    def write(x: float, y: float, words: str, **how: Any) -> None:
        figure.text(x / width, 1 - y / height, words, fontsize=POINTS, family="DejaVu Sans", **how)

    if title:
        write(margin, margin, title, va="top", linespacing=1.3)
    for block, picture, head in zip(drawn, pictures, heads, strict=True):
        top += head
        figure.figimage(picture, left, height - top - picture.shape[0], origin="upper")
        for k, words in enumerate(block.columns):
            write(left + scale * (gap + k * (w + gap) + w / 2), top - 1, words, ha="center", va="bottom")
        for k, words in enumerate(block.rows):
            write(left - 4, top + scale * (gap + k * (h + gap) + h / 2), words, ha="right", va="center")
        top += picture.shape[0]
    with disk.replacing(Path(path)) as out:
        figure.savefig(out, format="png", dpi=DPI)


# what the columns of a log are called in a picture, and their colours
LINES = {
    "d_loss": ("discriminator loss", "#1f77b4"),
    "g_loss": ("generator loss", "#d95f02"),
    "d_real": ("score of real samples", "#1b9e77"),
    "d_fake": ("score of fakes", "#7570b3"),
}
SCORES = ("d_real", "d_fake")  # of a further discriminator that has a name: d_real_NAME, d_fake_NAME
LARGEST = 1e300  # of a number that is drawn: matplotlib takes differences
OTHERS = ["#e7298a", "#66a61e", "#a6761d", "#666666"]  # colours of further columns


def of_critic(column: str) -> tuple[str, str]:
    """(d_real, source) of the column d_real_source, a score of a further discriminator; (column, "") of any other."""
    plain = next((side for side in SCORES if column.startswith(f"{side}_")), column)
    return plain, column[len(plain) + 1 :]


def loss_curves(log: Mapping[str, Sequence[float]], path: str | Path, title: str = "") -> None:
    """Plot the columns of `log` over its column step, raw faint, smoothed strong: losses, scores, and what else it has.

    The first panel has d_loss, g_loss, the second d_real, d_fake, a further one those of each further discriminator;
    each further column has a panel of its own. Columns that are absent, and images_per_s, are left out.
    """
    steps = np.asarray(log["step"], float)
    panels: dict[str, list[str]] = {"loss": [], "mean score": []}
    for name in log:
        plain, critic = of_critic(name)
        if plain in SCORES:
            panels.setdefault(f"mean score, {critic}" if critic else "mean score", []).append(name)
        elif name not in ("step", "images_per_s"):
            panels.setdefault("loss" if name in LINES else name, []).append(name)
    panels = {label: names for label, names in panels.items() if names}
    figure = empty_figure(figsize=(9, 1 + 2.7 * max(len(panels), 1)), layout="constrained")
    for k, (label, names) in enumerate(panels.items()):
        axes = figure.add_subplot(len(panels), 1, k + 1)
        for name in names:
            legend, color = LINES.get(of_critic(name)[0], (name, OTHERS[k % len(OTHERS)]))
            values = np.asarray(log[name], float)
            values = np.where(np.abs(values) < LARGEST, values, np.nan)
            axes.plot(steps, values, color=color, alpha=0.2, linewidth=0.8)
            axes.plot(steps, smooth(values), color=color, linewidth=1.8, label=legend)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_ylabel(label.replace("_", " "))
        if len(names) > 1 or name in LINES:
            axes.legend(loc="upper right", frameon=False, ncols=2)
        if k == len(panels) - 1:
            axes.set_xlabel("step")
    if title:
        figure.suptitle(title)
    with disk.replacing(Path(path)) as out:
        figure.savefig(out, format="png", dpi=110)


@dataclass
class Panel:
    """Point sets (N, 2) by name in one square of `panels`, and what lies behind and beside them."""

    title: str
    clouds: Mapping[str, np.ndarray]
    limits: tuple[float, float, float, float] | None = None  # left, right, bottom, top; by default around all points
    height: Callable[[np.ndarray], np.ndarray] | None = None  # (N, 2) to (N,), drawn as filled contours
    levels: Sequence[float] | None = None  # its contours, as lines instead, if these are given
    centroids: bool = False
    note: str = ""  # below
    extent: tuple[float, float, float, float] = field(init=False)

    def __post_init__(self) -> None:
        if self.limits is not None:
            self.extent = self.limits
            return
        everything = np.concatenate(list(self.clouds.values()))
        low, high = everything.min(0), everything.max(0)
        margin = 0.08 * np.maximum(high - low, 1e-6)
        (left, bottom), (right, top) = low - margin, high + margin
        self.extent = (left, right, bottom, top)


CLOUDS = ["#1f77b4", "#d95f02", "#1b9e77", "#7570b3"]  # colours of point sets, in their order


def panels(drawn: Sequence[Panel], path: str | Path, columns: int = 1, size: float = 3.2, title: str = "") -> None:
    """Write `panel_figure` of these panels."""
    save_figure(panel_figure(drawn, columns, size, title), path)


def panel_figure(drawn: Sequence[Panel], columns: int = 1, size: float = 3.2, title: str = "") -> Any:
    """A matplotlib Figure of point sets, `columns` square panels of about `size` inches in a row, one legend for all.

    Points outside a panel's limits are counted below it instead.
    """
    rows = -(-len(drawn) // columns)
    figure = empty_figure(figsize=(size * columns, (size + 0.4) * rows + 0.4), layout="constrained")
    for k, panel in enumerate(drawn):
        axes = figure.add_subplot(rows, columns, k + 1)
        _draw_panel(axes, panel)
        axes.set_box_aspect(1)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    legend: Any = figure.legend(handles, labels, loc="outside lower center", ncols=min(4, 2 * columns), frameon=False)
    for handle in legend.legend_handles:
        handle.set(alpha=1, sizes=[50])
    if title:
        figure.suptitle(title)
    return figure


def save_figure(figure: Any, path: str | Path, colours: int = 128) -> None:
    """Write a matplotlib figure as a PNG of at most 256 colours: a third of the bytes, for the eye the same."""
    from PIL import Image

    full = io.BytesIO()
    figure.savefig(full, format="png", dpi=100)
    with Image.open(full) as drawn, disk.replacing(Path(path)) as out:
        drawn.convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)


def _draw_panel(axes: Any, panel: Panel) -> None:
    left, right, bottom, top = panel.extent
    if panel.height is not None:
        x, y = np.linspace(left, right, 81, dtype=np.float32), np.linspace(bottom, top, 81, dtype=np.float32)
        grid_points = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
        heights = panel.height(grid_points).reshape(81, 81)
        if panel.levels is None:
            axes.contourf(x, y, heights, 10, cmap="Greys", alpha=0.45, antialiased=True)
        else:
            axes.contour(x, y, heights, panel.levels, colors="#888888", linewidths=1)
    notes = [panel.note] if panel.note else []
    for (name, points), color in zip(panel.clouds.items(), CLOUDS, strict=False):
        outside = int(((points < (left, bottom)) | (points > (right, top))).any(1).sum())
        notes += [f"{outside} of {len(points)} {name} outside"] if outside else []
        axes.scatter(*points.T, s=7, color=color, alpha=0.5, linewidths=0, label=name)
        if panel.centroids:
            axes.scatter(*points.mean(0), s=130, marker="X", color=color, edgecolors="black", label=f"{name}: centroid")
    axes.set(xlim=(left, right), ylim=(bottom, top), xlabel="\n".join(notes))
    axes.set_title(panel.title, wrap=True)
    axes.grid(alpha=0.2)
    axes.spines[["top", "right"]].set_visible(False)


def smooth(values: np.ndarray) -> np.ndarray:
    """`values` averaged over a window of a fiftieth of their number, of which edges and gaps (NaN) have less."""
    half = len(values) // 100
    if half == 0:
        return values
    finite = np.isfinite(values)
    total = np.concatenate([[0.0], np.cumsum(np.where(finite, values, 0.0))])
    count = np.concatenate([[0], np.cumsum(finite)])
    low = np.maximum(np.arange(len(values)) - half, 0)
    high = np.minimum(np.arange(len(values)) + half + 1, len(values))
    with np.errstate(invalid="ignore"):  # a window without a finite value has no mean
        return (total[high] - total[low]) / (count[high] - count[low])
