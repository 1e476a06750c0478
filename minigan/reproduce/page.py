"""The page of a table: the paper's figures beside ours, in one file that a browser shows; nothing is loaded."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ..kernels.installation import versions
from ..system.machine import processor
from ..system.templates import filled, text_of
from ..training.report import frames
from ..training.report.page import source_of
from ..training.report.tables import beside, card, duration, pairs, shown
from ..viz import data_url
from .results import Results, written
from .table import Column, Picture, Row

MARKS = {"read": "", "remembered": "*", "derived": "†", "elsewhere": "‡"}
EXPLAINED = {
    "*": "quoted from memory, not checked against the paper",
    "†": "in closed form",
    "‡": "of another paper, see below",
}


def page(results: Results, pictures: Sequence[Picture], how: Mapping[str, Any]) -> str:
    """The page as HTML; `how` are facts of the run by name, as they are to be shown."""
    table, protocol = results.table, results.protocol
    parts = {
        "title": escape(table.title),
        "source": escape(table.source),
        "about": escape(table.about),
        "style": source_of("page.css"),
        "own": text_of(__package__, "page.css"),
        "facts": facts(results, how),
        "problems": problems(results),
        "table": card("The paper's figures beside ours", compared(results)),
        "pictures": "".join(map(_picture, pictures)),
        "deviations": card("How this differs from the paper", _list(protocol.deviations)),
        "notes": card("To know", _list(table.notes)),
        "methods": card("Methods", pairs(((row.name, escape(row.about)) for row in results.rows if row.about), "")),
        "settings": card("Settings", pairs(((k, shown(v)) for k, v in protocol.settings.items()), "settings")),
        "versions": card("Versions", pairs(((str(k), shown(v)) for k, v in versions().items()), "versions")),
    }
    return filled(text_of(__package__, "page.html"), parts)


def facts(results: Results, how: Mapping[str, Any]) -> str:
    """What one asks first: how much of it is there, and what it took."""
    cells = len(results.found) + len(results.missing)
    spent = sum(result.seconds for result in results.found.values())
    threads = ", ".join(map(str, sorted({result.threads for result in results.found.values()})))
    held = [
        ("protocol", escape(str(how.get("protocol", "")))),
        ("seeds", str(results.seeds)),
        ("cells", f"{len(results.found)} of {cells}"),
        ("time of all cells", duration(spent)),
        ("processor", escape(processor()) + beside(f" threads of a cell: {threads or '-'}")),
    ]
    return pairs([fact for fact in held if fact[1]], "facts")


def problems(results: Results) -> str:
    """Which cells failed, and which are left."""
    told = [f"{result.row}, seed {result.seed}: {result.failed}" for result in results.failed]
    if results.missing:
        told.append(f"Not finished, by seed: {results.unfinished}. The same command goes on.")
    return "".join(f'<p class="problem">{escape(problem)}</p>' for problem in told)


def compared(results: Results) -> str:
    """The table: ours, and where the paper has a figure of a column, the paper's beside it."""
    table = results.table
    quoted = {c.name for c in table.columns for row in results.rows if c.name in row.published}
    first, second, used = ["<th></th>"], ["<th>method</th>"], set()
    for column in table.columns:
        heads = ['<th class="number">ours</th>'] if column.measured else []
        heads += ['<th class="number paper">paper</th>'] if column.name in quoted else []
        first.append(f'<th colspan="{len(heads)}">{escape(column.title)}</th>')
        second += heads
    first.append("<th></th>")
    second.append('<th class="number">a cell</th>')
    body = []
    for row in results.rows:
        cells = [f"<td>{escape(row.name)}</td>"]
        for column in table.columns:
            if column.measured:
                best = " best" if _is_best(results, row, column) else ""
                cells.append(f'<td class="number{best}">{escape(written(results.summary(row, column), column))}</td>')
            if column.name in quoted:
                figure = row.published.get(column.name)
                mark = MARKS[figure.sure] if figure is not None else ""
                used.add(mark)
                cells.append(f'<td class="number paper">{escape(written(figure, column))}{mark}</td>')
        seconds = results.seconds(row)
        cells.append(f'<td class="number soft">{"-" if seconds is None else duration(seconds)}</td>')
        body.append(f"<tr>{''.join(cells)}</tr>")
    head = f"<thead><tr>{''.join(first)}</tr><tr>{''.join(second)}</tr></thead>"
    told = [f"{mark} {text}" for mark, text in EXPLAINED.items() if mark in used]
    if results.seeds > 1:
        told.insert(0, "± of ours is the standard error of the mean over seeds")
    below = f'<p class="soft">{escape("; ".join(told))}.</p>' if told else ""
    many = " many" if len(second) > 12 else ""
    return f'<div class="wide"><table class="compared{many}">{head}<tbody>{"".join(body)}</tbody></table></div>{below}'


def _is_best(results: Results, row: Row, column: Column) -> bool:
    """Is the row's mean the best of the column's, where one is better?"""
    if not column.better:
        return False
    found = {r.name: s.value for r in results.rows if (s := results.summary(r, column)) is not None}
    numbers = {name: value for name, value in found.items() if not isinstance(value, str)}
    if len(numbers) < 2 or row.name not in numbers:
        return False
    return numbers[row.name] == (max if column.better == "high" else min)(numbers.values())


def _picture(picture: Picture) -> str:
    png = frames.encode(picture.path)
    if png is None:
        return ""
    caption = escape(picture.caption)
    shown = f'<img src="{data_url(png)}" alt="{caption}"><figcaption>{caption}</figcaption>'
    return f'<section class="card"><figure>{shown}</figure></section>'


def _list(told: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in told)}</ul>" if told else ""
