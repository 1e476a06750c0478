"""A tape as a still picture, SVG or PNG, and as a graph for Graphviz."""

from io import BytesIO
from pathlib import Path
from typing import Any

from ..recording import pass_name
from ..system.disk import write
from ..viz import empty_figure
from .layout import Section, sections
from .tape import Step, Tape, Value

COLOURS = ("#1d5fc4", "#c2570c", "#7a3cc2", "#0f766e")
TINTS = ("#e8f0fc", "#fdeee0", "#f2e9fc", "#e0f5f2")
GOLD = "#a16207"
CUT = -1  # the order of an arrow along which no gradient flows
ROW, GAP, LETTER = 0.42, 0.12, 0.075  # inches: a box with its gap, the room between columns, a letter
LARGE = 200  # steps from which a picture shows sections instead of steps


def figure(tape: Tape) -> Any:
    """The graph as a matplotlib Figure: a column for each forward step, a lane for each pass.

    A tape of more than LARGE steps is drawn with one box for each section and pass.
    """
    boxes, arrows, titles, width, height = _placed(tape)
    drawn = empty_figure(figsize=(width, height))
    axes = drawn.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    for (x1, y1), (x2, y2), order in arrows:
        colour, line = ("#777777", ":") if order == CUT else (COLOURS[min(order, 3)], "-")
        style = {"arrowstyle": "-|>", "color": colour, "linestyle": line, "alpha": 0.35, "linewidth": 0.8, "shrinkA": 0}
        bend = 0.0 if abs(y1 - y2) < 0.01 else 0.12
        axes.annotate("", (x2, y2), (x1, y1), arrowprops={**style, "connectionstyle": f"arc3,rad={bend}"})
    for x, y, w, name, op, order, marked in boxes:
        edge = GOLD if marked else COLOURS[min(order, 3)] if order >= 0 else "#777777"
        tint = TINTS[min(order, 3)] if order >= 0 else ("#fbf3d9" if marked else "#ffffff")
        _box(axes, (x, y, w, ROW - 0.1), edge, tint, 1.8 if marked else 1.0)
        axes.text(x + 0.06, y + 0.14, name, fontsize=7, weight="bold", color=edge, va="center", parse_math=False)
        axes.text(x + 0.06, y + 0.245, op, fontsize=6, color="#555555", va="center")
    for x, text in titles:
        axes.text(x, 0.16, text, fontsize=7, color="#555555", va="center", parse_math=False)
    return drawn


def to_svg(tape: Tape, path: str | Path, kind: str = "svg") -> None:
    """Write the graph as a still picture: SVG, or another kind that Matplotlib writes."""
    buffer = BytesIO()
    figure(tape).savefig(buffer, format=kind, dpi=160, metadata={"Date": None} if kind == "svg" else None)
    write(Path(path), buffer.getvalue())


def to_png(tape: Tape, path: str | Path) -> None:
    """Write the graph as a still picture."""
    to_svg(tape, path, "png")


def _box(axes: Any, place: tuple[float, float, float, float], edge: str, tint: str, line: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    x, y, w, h = place
    style = "round,pad=0,rounding_size=0.06"
    axes.add_patch(FancyBboxPatch((x, y), w, h, boxstyle=style, edgecolor=edge, facecolor=tint, linewidth=line))


def _placed(tape: Tape) -> tuple[list, list, list, float, float]:
    """(boxes, arrows, titles, width, height) of the picture, in inches from its upper left corner."""
    parts = sections(tape)
    if len(tape.steps) > LARGE:
        return _placed_sections(tape, parts)
    columns = [(part.title if k == 0 else "", column) for part in parts for k, column in enumerate(part.columns)]
    orders = range(max(tape.orders, default=0) + 1)
    rows = [max((len(column.lanes.get(order, ())) for _, column in columns), default=0) for order in orders]
    top = max((len(column.leaves) for _, column in columns), default=0)
    starts = [0.3 + ROW * top + 0.1]
    for count in rows:
        starts.append(starts[-1] + ROW * count + 0.12)
    boxes, titles, place = [], [], {}
    finals = {g for gradient in tape.gradients for x in gradient.inputs if x.role == "parameter" for g in x.gradients}
    left = 0.1
    for title, column in columns:
        steps = [step for lane in column.lanes.values() for step in lane]
        words = [w for s in steps for w in (s.output.name, s.op.name)] + [v.name for v in column.leaves]
        wide = 0.12 + LETTER * max(map(len, words))
        if title:
            titles.append((left, title))
            wide = max(wide, LETTER * 0.9 * len(title))
        for k, leaf in enumerate(column.leaves):
            y = starts[0] - 0.1 - ROW * (len(column.leaves) - k)
            boxes.append((left, y, wide, leaf.name, leaf.role, -1, leaf.role == "parameter"))
            place[leaf] = (left, y, wide)
        for order, lane in column.lanes.items():
            for k, step in enumerate(lane):
                y = starts[order] + ROW * k
                boxes.append((left, y, wide, step.output.name, step.op.name, order, step.output in finals))
                place[step.output] = (left, y, wide)
        left += wide + GAP
    arrows = [
        (*_ends(place[value], place[step.output]), step.order)
        for step in tape.steps
        for value in dict.fromkeys(step.inputs)
    ]
    arrows += [(*_ends(place[leaf.of], place[leaf]), CUT) for leaf in place if leaf.of in place]
    return boxes, arrows, titles, left, starts[-1]


def _placed_sections(tape: Tape, parts: list[Section]) -> tuple[list, list, list, float, float]:
    """The same with a box for each section and pass, which says how many ops it holds."""
    boxes, titles = [], []
    place: dict[tuple[int, int], tuple[float, float, float]] = {}
    where: dict[Step, tuple[int, int]] = {}
    left = 0.1
    for k, part in enumerate(parts):
        lanes: dict[int, list[Step]] = {}
        for column in part.columns:
            for order, steps in column.lanes.items():
                lanes.setdefault(order, []).extend(steps)
        wide = max(0.9, LETTER * 0.9 * len(part.title))
        titles.append((left, part.title))
        for order, steps in lanes.items():
            y = 0.35 + (ROW + 0.12) * order
            names = ", ".join(dict.fromkeys(s.op.name for s in steps))
            boxes.append((left, y, wide, f"{len(steps)} ops", names[: int(wide / 0.06)], order, False))
            place[k, order] = (left, y, wide)
            where |= {s: (k, order) for s in steps}
        left += wide + GAP
    pairs = {(where[v.step], where[s]) for s in tape.steps for v in s.inputs if v.step is not None}
    arrows = [(*_ends(place[a], place[b]), b[1]) for a, b in sorted(pairs) if a != b]
    return boxes, arrows, titles, left, 0.4 + (ROW + 0.12) * (max(tape.orders, default=0) + 1)


def _ends(a: tuple[float, float, float], b: tuple[float, float, float]) -> tuple:
    """From the edge of box a to that of box b."""
    (ax, ay, aw), (bx, by, bw) = a, b
    h = ROW - 0.1
    if abs(ay - by) < 0.01:
        return ((ax + aw, ay + h / 2), (bx, by + h / 2)) if ax < bx else ((ax, ay + h / 2), (bx + bw, by + h / 2))
    return ((ax + aw / 2, ay + h), (bx + bw / 2, by)) if ay < by else ((ax + aw / 2, ay), (bx + bw / 2, by + h))


def dot(tape: Tape) -> str:
    """The graph in Graphviz's language: `dot -Tsvg`."""
    names = {value: f"v{k}" for k, value in enumerate(tape.values)}
    read = {value for step in tape.steps for value in step.inputs}

    def node(value: Value) -> str:
        step = value.step
        if step is None:
            colour, shape = (GOLD if value.role == "parameter" else "#777777"), "ellipse"
            label = value.name
        else:
            colour, shape, label = COLOURS[min(step.order, 3)], "box", f"{value.name}\n{step.op.name}"
        quoted = label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'  {names[value]} [label="{quoted}", shape={shape}, color="{colour}"];'

    text = ["digraph tape {", "  rankdir=LR;", '  node [style=rounded, fontname="sans-serif", fontsize=10];']
    text += [node(value) for value in tape.values if value.step is not None or value in read]
    for step in tape.steps:
        colour = COLOURS[min(step.order, 3)]
        text += [f'  {names[v]} -> {names[step.output]} [color="{colour}"];' for v in dict.fromkeys(step.inputs)]
    text += [f"  {names[v.of]} -> {names[v]} [style=dotted];" for v in tape.values if v in read and v.of is not None]
    text += [f"  // {pass_name(order)}: {COLOURS[min(order, 3)]}" for order in tape.orders]
    return "\n".join([*text, "}"]) + "\n"
