"""The page of a sweep: every run beside the others, in one file that a browser shows; nothing is loaded."""

import math
import statistics
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

import numpy as np

from ..kernels.installation import versions
from ..system import templates
from ..system.machine import processor
from ..system.templates import filled, text_of
from ..training.record import Run
from ..training.report import frames
from ..training.report.page import source_of
from ..training.report.tables import card, duration, number, pairs, shown
from ..viz import data_url
from .results import NUMBERS, PAGE, RULERS, Results, Row, Ruler, table, told
from .runs import DONE, FAILED_SO, LOG

WIDTH, HEIGHT = 100.0, 40.0  # of the little curves, in their own units
SEEDS = ("mean", "range", "seeds")  # columns of the table over seeds
OWN = {"name", "out", "resume", "allow_change", "dry_run"}  # settings that say nothing of a run


def write(results: Results, folder: Path, line: str) -> Path:
    """The path of the page written of the results; `line` is the command that made them."""
    path = folder / PAGE
    templates.write(path, page(results, line))
    return path


def page(results: Results, line: str) -> str:
    """The page as HTML."""
    varied = ", ".join(map(_spaced, results.names))
    parts = {
        "title": escape(f"Sweep of {varied}"),
        "line": escape(line),
        "style": source_of("page.css"),
        "own": text_of(__package__, "page.css"),
        "facts": facts(results),
        "problems": problems(results),
        "runs": card("Runs, best first" if results.ruler else "Runs", compared(results)),
        "seeds": card("Over seeds", over_seeds(results)),
        "samples": card("Samples", gallery(results)),
        "settings": card("What all runs share", pairs(shared(results), "settings"), "settings"),
        "versions": card("Versions", pairs(((str(k), shown(v)) for k, v in versions().items()), "versions")),
    }
    return filled(text_of(__package__, "page.html"), parts)


def facts(results: Results) -> str:
    """What one asks first: how much of it is there, on what, and what it took."""
    rows, runs = results.rows, [row.run for row in results.rows if row.run is not None]
    done = len(results.of(*DONE))
    bar = f'<progress max="{len(rows)}" value="{done}"></progress>'
    held = [("runs", f"{done} of {len(rows)}{bar}")]
    if results.ruler is not None and not math.isnan(far := rows[0].distance(results.ruler)):
        name = escape(rows[0].unit.name.replace(",", ", "))
        held.append((f"smallest {results.ruler.title}", f'{told(far)} <span class="of">{name}</span>'))
    if data := dict.fromkeys(str(run.settings.get("data")) for run in runs):
        held.append(("data", escape(", ".join(data))))
    held.append(("time of all runs", duration(sum(row.seconds for row in rows))))
    held.append(("processor", escape(processor())))
    return pairs(held, "facts")


def problems(results: Results) -> str:
    """Which runs failed, what is left, and why there is no order."""
    said = [f"{row.unit.name}: {row.why}" for row in results.of(FAILED_SO)]
    if left := len(results.rows) - len(results.of(*DONE, FAILED_SO)):
        said.append(f"{left} of {len(results.rows)} runs are not finished. The same command goes on.")
    if not results.comparable:
        said.append("The runs learn from different data, so their distances say nothing of each other.")
    return "".join(f'<p class="problem">{escape(problem)}</p>' for problem in said)


def compared(results: Results) -> str:
    """The table: a row for each run, which leads to its report; a bar is as long as samples are far from the data."""
    heads, words = table(results)
    longest, at = _longest(results), heads.index(results.ruler.title) + 1 if results.ruler is not None else 0
    body = []
    for k, (row, cells) in enumerate(zip(results.rows, words, strict=True)):
        tones = {"verdict": f"word {row.verdict}"}
        drawn = [_cell(name, escape(cell), tones.get(name, "")) for name, cell in zip(heads, cells, strict=True)]
        drawn[0] = _cell(heads[0], _linked(row, escape(cells[0])))
        if row.status == FAILED_SO:
            drawn[-1] = _cell(heads[-1], _linked(row, row.status, LOG), "failed")
        if at:
            drawn.insert(at, f'<td class="length">{_bar(row.distance(results.ruler), longest)}</td>')
        best = k == 0 and results.ruler is not None and row.status in DONE
        cls = "best" if best else "" if row.status in DONE else "open"
        body.append(f'<tr class="{cls}">{"".join(drawn)}</tr>')
    shown_heads = [_cell(head, escape(_spaced(head)), tag="th") for head in heads]
    if at:
        shown_heads.insert(at, "<th></th>")
    rulers = [ruler for ruler in RULERS if ruler.title in heads]
    return _table(shown_heads, body, "; ".join(f"{ruler.title}: {ruler.about}" for ruler in rulers))


def _longest(results: Results) -> float:
    """The distance whose bar fills its cell: one that is far out does not make all others dots."""
    far = [value for row in results.rows if not math.isnan(value := row.distance(results.ruler))]
    return min(max(far), 4 * statistics.median(far)) if far else 0.0


def _bar(far: float, longest: float) -> str:
    """A bar of that length; nothing if it is not known."""
    if math.isnan(far) or longest <= 0:
        return ""
    return f'<i style="width: {min(far / longest, 1):.1%}"></i>'


def _table(heads: Sequence[str], rows: Sequence[str], below: str) -> str:
    """Rows of cells under a row of heads, and words below."""
    inner = f"<thead><tr>{''.join(heads)}</tr></thead><tbody>{''.join(rows)}</tbody>"
    words = f'<p class="soft">{escape(below)}.</p>' if below else ""
    return f'<div class="wide"><table class="compared">{inner}</table></div>{words}'


def _cell(column: str, html: str, cls: str = "", tag: str = "td") -> str:
    """A cell of that column, to the right if the column is of numbers."""
    return f'<{tag} class="{"number " if column in NUMBERS or column in SEEDS else ""}{cls}">{html}</{tag}>'


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _linked(row: Row, html: str, file: str = "report.html") -> str:
    """The HTML as a way to that file of the run, if there is one."""
    if not (row.unit.folder / file).exists():
        return html
    return f'<a href="{escape(quote(row.unit.folder.name))}/{file}">{html}</a>'


def over_seeds(results: Results) -> str:
    """Mean, standard error and range of the distance over seeds, for each choice of the rest; "" if that is none."""
    held = results.over_seeds()
    if not held:
        return ""
    names = list(held[0][0])
    rows = []
    for values, far in held:
        error = f" ± {statistics.stdev(far) / math.sqrt(len(far)):#.2g}" if len(far) > 1 else ""
        numbers = (told(statistics.fmean(far)) + error, f"{told(min(far))} to {told(max(far))}", str(len(far)))
        cells = [_cell(name, escape(values[name])) for name in names]
        cells += [_cell(column, text) for column, text in zip(SEEDS, numbers, strict=True)]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    heads = [_cell(name, escape(_spaced(name)), tag="th") for name in [*names, *SEEDS]]
    ruler = results.ruler.title if results.ruler is not None else ""
    return _table(heads, rows, f"{ruler}, and the standard error of its mean over seeds")


# --- samples ----------------------------------------------------------------------------------------------------


def gallery(results: Results) -> str:
    """The newest samples of each run side by side, and how far they were from the data on the way."""
    rows = [row for row in results.rows if row.run is not None]
    if not rows:
        return ""
    ways, left, figures = _ways(rows, results.ruler), frames.BUDGET, []
    for row, way in zip(rows, ways, strict=True):
        png = _newest(row.run)
        left -= 0 if png is None else len(png)
        if png is None or left < 0:
            picture = f'<div class="empty">{"no samples" if png is None else "see its report"}</div>'
        else:
            picture = f'<img src="{data_url(png)}" alt="samples of {escape(row.unit.name)}">'
        said, tone = (row.status, "failing") if row.status == FAILED_SO else (row.verdict, row.verdict)
        verdict = f'<span class="word {tone}">{said}</span> ' if said else ""
        far = [f"{ruler.title} {told(row.distance(ruler))}" for ruler in RULERS if ruler.name in row.distances]
        words = escape(", ".join([*far, f"step {number(row.step)}"]))
        caption = f"<b>{escape(row.unit.name.replace(',', ', '))}</b>{verdict}<span class='soft'>{words}</span>"
        figures.append(f"<figure>{_linked(row, f'{picture}{way}<figcaption>{caption}</figcaption>')}</figure>")
    words = "Below each: its distance by step, on one scale for all; dashed is that of other data." if any(ways) else ""
    return f'<p class="soft">{words}</p><div class="gallery">{"".join(figures)}</div>'


def _newest(run: Run | None) -> bytes | None:
    """The run's newest picture, small; None if it has none that can be read."""
    series = next(iter(run.pictures.values()), {}) if run is not None else {}
    return frames.encode(series[max(series)]) if series else None


def _ways(rows: Sequence[Row], ruler: Ruler | None) -> list[str]:
    """For each run its distance by step as a little curve, all on the same scale, logarithmic; "" where it has none."""
    name = "frechet" if ruler is not None and ruler.name == "frechet" else "distance"
    floor = {"frechet": "frechet_floor", "distance": "floor"}[name]
    curves = [_positive(row.run, name) for row in rows]
    floors = [_positive(row.run, floor)[1][-1:] for row in rows]
    values = np.concatenate([np.zeros(0), *(values for _, values in curves), *floors])
    if not len(values):
        return [""] * len(rows)
    last = max(int(steps[-1]) for steps, _ in curves if len(steps)) or 1
    low, high = np.log(values.min()), np.log(values.max())

    def height(values: np.ndarray) -> np.ndarray:
        return HEIGHT * (high - np.log(values)) / max(high - low, 1e-9)

    drawn = []
    for row, (steps, far), under in zip(rows, curves, floors, strict=True):
        points = zip((WIDTH * steps / last).tolist(), height(far).tolist(), strict=True)
        path = " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
        dashed = "".join(f'<path class="floor" d="M0,{y:.2f} H{WIDTH:g}"/>' for y in height(under).tolist())
        box = f'viewBox="0 0 {WIDTH:g} {HEIGHT:g}" preserveAspectRatio="none" aria-hidden="true"'
        drawn.append(f'<svg class="way {row.verdict}" {box}>{dashed}<path d="M{path}"/></svg>' if path else "")
    return drawn


def _positive(run: Run | None, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(steps, values) of a number of the run's looks where it can be drawn on a logarithmic scale."""
    steps, values = (run.health if run is not None else {}).get(name, (np.zeros(0, int), np.zeros(0)))
    good = np.isfinite(values) & (values > 0)
    return steps[good], values[good]


def shared(results: Results) -> Iterator[tuple[str, str]]:
    """The settings that are not varied and the same in every run that has begun."""
    held = [row.run.settings for row in results.rows if row.run is not None]
    for name in held[0] if held else ():
        if name not in {*OWN, *results.names} and all(settings.get(name) == held[0][name] for settings in held):
            yield name, shown(held[0][name])
