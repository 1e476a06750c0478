"""What is written of a table's results: numbers as JSON and CSV, pictures, the page; and the lines of a terminal."""

import csv
import io
import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..kernels.installation import versions
from ..system import disk, templates
from ..system.machine import processor
from .page import page
from .results import Results, Summary, written
from .table import Column, Figure, Picture

NUMBERS, CSV, PAGE = "results.json", "table.csv", "index.html"
FIELDS = ("method", "measure", "ours", "error", "seeds", "paper", "paper_error", "sure")
WIDEST = 16  # letters of a column's title in a line of the terminal


def write(results: Results, folder: Path, how: Mapping[str, Any]) -> Path:
    """The path of the page written of the results, with its pictures, CSV and JSON beside it; `how` is said on it."""
    write_numbers(results, folder, how)
    pictures: list[Picture] = []
    if results.table.pictures is not None and results.found:
        pictures = results.table.pictures(results, folder)
    path = folder / PAGE
    templates.write(path, page(results, pictures, how))
    return path


def write_numbers(results: Results, folder: Path, how: Mapping[str, Any]) -> None:
    """results.json and table.csv of what there is."""
    disk.write(folder / NUMBERS, json.dumps(summary(results, how), indent=2).encode())
    out = io.StringIO()
    rows = csv.DictWriter(out, FIELDS, lineterminator="\n")
    rows.writeheader()
    for row in results.rows:
        for column in results.table.columns:
            ours, paper = results.summary(row, column), row.published.get(column.name)
            if ours is not None or paper is not None:
                rows.writerow({"method": row.name, "measure": column.name, **_ours(ours), **_of_paper(paper)})
    disk.write(folder / CSV, out.getvalue().encode())


def _ours(value: Summary | None) -> dict[str, Any]:
    return {} if value is None else {"ours": value.value, "error": value.error, "seeds": value.n}


def _of_paper(value: Figure | None) -> dict[str, Any]:
    return {} if value is None else {"paper": value.value, "paper_error": value.error, "sure": value.sure}


def summary(results: Results, how: Mapping[str, Any]) -> dict[str, Any]:
    """All that is known, as JSON has it."""
    table, protocol = results.table, results.protocol
    rows = [
        {
            "method": row.name,
            "seconds": results.seconds(row),
            "measures": {
                column.name: {**_ours(results.summary(row, column)), **_of_paper(row.published.get(column.name))}
                for column in table.columns
            },
        }
        for row in results.rows
    ]
    about = {
        "table": table.name,
        "source": table.source,
        **how,
        "settings": dict(protocol.settings),
        "deviations": list(protocol.deviations),
        "processor": processor(),
        "versions": versions(),
        "rows": rows,
        "missing": [[row.name, seed] for row, seed in results.missing],
        "cells": [result.plain() for result in results.found.values()],
    }
    return _plain(about)


def _plain(held: Any) -> Any:
    """The same for JSON, which has no number that is not finite: a word instead."""
    if isinstance(held, dict):
        return {name: _plain(value) for name, value in held.items()}
    if isinstance(held, list | tuple):
        return [_plain(value) for value in held]
    return str(held) if isinstance(held, float) and not math.isfinite(held) else held


def lines(results: Results) -> str:
    """The table for a terminal: below each row of ours, the paper's figures where it has some."""
    columns = results.table.columns
    heads = [textwrap.wrap(column.title, WIDEST) for column in columns]
    rows: list[list[str]] = []
    deep = max(map(len, heads))
    for k in range(deep):
        rows.append(["", "", *(head[k - deep + len(head)] if k >= deep - len(head) else "" for head in heads)])
    for row in results.rows:
        rows.append([row.name, "ours", *(written(results.summary(row, column), column) for column in columns)])
        if any(column.name in row.published for column in columns):
            rows.append(["", "paper", *(written(row.published.get(column.name), column) for column in columns)])
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    told = [
        "  ".join([*map(str.ljust, row[:2], widths), *map(str.rjust, row[2:], widths[2:])]).rstrip() for row in rows
    ]
    return "\n".join([*told[:deep], "-" * max(map(len, told)), *told[deep:]])


def line(numbers: Mapping[str, Any], columns: Sequence[Column]) -> str:
    """A cell's numbers in a line."""
    held = [(column, numbers[column.name]) for column in columns if column.name in numbers]
    return "; ".join(f"{column.title}: {written(Summary(value, None, 1), column)}" for column, value in held)
