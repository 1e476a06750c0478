"""What a run's page says in words and tables, as HTML. Whatever comes from a file goes through `escape`."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from html import escape
from typing import Any

import numpy as np

from ...judge import Row
from ...judge.evaluation import MEASURES
from ..folder import SUMS
from ..record import Look, Run, is_number
from .curves import SPEED

BETTER = {"low": "lower", "high": "higher", "real": "as real"}  # where good samples are, of a measure
PARTS = {
    "training": 0,
    "samples": 3,
    "checkpoints": 2,
    "health": 1,
    SUMS: 4,
}  # of the time, and the tones they are drawn in


def number(x: float) -> str:
    """Six digits; whole numbers in groups of three."""
    return f"{x:,.0f}".replace(",", "\u202f") if float(x).is_integer() and abs(x) < 1e15 else f"{x:.6g}"


def measured(x: float) -> str:
    """A measured number in three digits, a large one whole."""
    if not is_number(x):
        return "not finite"
    return f"{x:.0f}" if abs(x) >= 1000 else f"{x:.3g}"


def duration(seconds: float) -> str:
    """The two largest units of a time."""
    if seconds < 59.5:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def shown(value: Any) -> str:
    """A value of a setting as HTML."""
    if value is None or value == "":
        return '<span class="none">&ndash;</span>'
    if isinstance(value, bool):
        return "yes" if value else "no"
    return escape(f"{value:.6g}" if isinstance(value, float) else str(value))


def beside(text: str) -> str:
    """A remark, escaped here, after what it is about."""
    return f'<small class="soft">{escape(text)}</small>'


def pairs(held: Iterable[tuple[str, str]], cls: str) -> str:
    """A list of names, escaped here, and values, HTML already."""
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{value}</dd></div>" for name, value in held)
    return f'<dl class="{cls}">{rows}</dl>' if rows else ""


def card(title: str, content: str, cls: str = "", tools: str = "") -> str:
    """A titled part of the page; nothing if it has no content."""
    head = f"<header><h2>{escape(title)}</h2>{tools}</header>"
    return f'<section class="card {cls}">{head}{content}</section>' if content else ""


def badge(run: Run) -> str:
    """The newest verdict, and of which step it is."""
    look = next((look for look in reversed(run.looks) if look.verdict), None)
    if look is None:
        return ""
    return (
        f'<span class="badge {look.verdict}" id="verdict">{look.verdict}</span> {beside(f"step {number(look.step)}")}'
    )


def findings(run: Run) -> str:
    """What was found at the newest look, the worst first; and what was before."""
    if not run.looks:
        return ""
    newest = run.looks[-1]
    levels = ("failing", "watch", "info")
    items = "".join(
        f'<li class="{level}"><b>{escape(finding.title)}</b> {escape(finding.explanation)}</li>'
        for level in levels
        for finding in newest.findings
        if finding.level == level
    )
    found = f'<ul class="findings">{items}</ul>' if items else ""
    return found + history(run.looks)


def history(looks: list[Look]) -> str:
    """The looks at which the verdict or the findings changed; nothing if they never did."""
    rows, before = [], None
    for look in looks:
        now = (look.verdict, [finding.title for finding in look.findings])
        if now != before:
            titles = "; ".join(now[1])
            rows.append(f'<tr><td>{number(look.step)}</td><td class="word {look.verdict}">{look.verdict}</td>')
            rows[-1] += f"<td>{escape(titles)}</td></tr>"
        before = now
    if len(rows) < 2:
        return ""
    head = "<tr><th>from step</th><th>verdict</th><th>findings</th></tr>"
    table = f'<div class="wide"><table>{head}{"".join(rows)}</table></div>'
    return f"<details><summary>Earlier verdicts</summary>{table}</details>"


def facts(run: Run) -> str:
    """What one asks first of a run."""
    settings, held = run.settings, []
    done = int(run.steps[-1])
    total = run.config.get("total_steps")
    if is_number(total) and total > 0:
        share = f'<progress max="{total}" value="{min(done, total)}"></progress>'
        held.append(("steps", f"{number(done)} of {number(total)}{share}"))
    else:
        held.append(("steps", number(done)))
    if settings.get("data"):
        count = run.config["images"].get("count")
        held.append(
            ("data", shown(settings["data"]) + (beside(f" {number(count)} samples") if is_number(count) else ""))
        )
    if settings.get("device"):
        held.append(("device", shown(settings["device"])))
    if SPEED in run.log:
        speed = run.log[SPEED][1]
        speed = speed[np.isfinite(speed)]
        if speed.size:
            held.append(("median speed", number(float(f"{np.median(speed):.3g}")) + beside(" samples/s")))
    held += [
        (
            MEASURES[row.name][0],
            measured(row.value) + beside(f" real images {measured(row.floor)}" if row.floor else ""),
        )
        for row in (run.evaluation.rows if run.evaluation else ())
        if row.name == "frechet"
    ]
    spent = wall_clock(run)
    if spent:
        sessions = len(run.sessions)
        held.append(("time", duration(spent) + (beside(f" {sessions} sessions") if sessions > 1 else "")))
    return pairs(held, "facts")


def _length(session: Mapping[str, Any]) -> float | None:
    """Seconds of a session; None if it did not end in order."""
    try:
        return (datetime.fromisoformat(session["ended"]) - datetime.fromisoformat(session["started"])).total_seconds()
    except (KeyError, TypeError, ValueError):
        return None


def wall_clock(run: Run) -> float:
    """Seconds from start to end of each session; what is accounted for, if that is more or nothing else is known."""
    lengths = [_length(session) or 0.0 for session in run.sessions]
    return max(sum(lengths), sum(run.seconds.values()))


def timings(run: Run) -> str:
    """Where the time went as a bar, and the sessions."""
    parts, total = dict(run.seconds), wall_clock(run)
    if not total:
        return ""
    rest = total - sum(parts.values())
    if parts and rest > 0.005 * total:
        parts["the rest"] = rest
    tones = {name: f"p{PARTS[name]}" if name in PARTS else "rest" for name in parts}
    bar = "".join(f'<i class="{tones[n]}" style="flex-grow: {s / total:.5f}"></i>' for n, s in parts.items() if s)
    rows = "".join(
        f'<tr><td><i class="{tones[name]}"></i>{escape(name)}</td><td>{duration(spent)}</td>'
        f"<td>{spent / total:.1%}</td></tr>"
        for name, spent in parts.items()
    )
    held = f'<div class="spent" aria-hidden="true">{bar}</div><table class="numbers">{rows}</table>' if parts else ""
    return held + sessions(run)


def sessions(run: Run) -> str:
    """A row for each time the run was started."""
    rows = []
    several = any(session.get("processes", 1) > 1 for session in run.sessions)
    for session in run.sessions:
        length = _length(session)
        started = str(session.get("started", ""))[:16].replace("T", " ")
        steps = [number(n) if is_number(n := session.get(key)) else "?" for key in ("first", "last")]
        spent = "did not end in order" if length is None else duration(length)
        count = f"<td>{number(session.get('processes', 1))}</td>" if several else ""
        rows.append(f"<tr><td>{escape(started)}</td><td>{' &ndash; '.join(steps)}</td><td>{spent}</td>{count}</tr>")
    head = f"<tr><th>started</th><th>steps</th><th>took</th>{'<th>processes</th>' if several else ''}</tr>"
    return f'<div class="wide sessions"><table>{head}{"".join(rows)}</table></div>' if rows else ""


def metrics(run: Run) -> str:
    """metrics.json as a table."""
    rows = []
    for name, value in run.metrics.items():
        told = number(value) if is_number(value) else "not finite"
        rows.append(f"<tr><td>{escape(name.replace('_', ' '))}</td><td>{told}</td></tr>")
    return f'<table class="numbers">{"".join(rows)}</table>' if rows else ""


def evaluation(run: Run) -> str:
    """The newest evaluation as a table: each measure, its interval, and what real samples reach."""
    found = run.evaluation
    if found is None:
        return ""
    by = f", read by {found.reader}" if found.reader else ""
    about = f"{number(found.samples)} samples of step {number(found.step)} beside {number(found.real)} real ones{by}"
    head = "<tr><th>measure</th><th>samples</th><th>95 %</th><th>real</th><th>better</th></tr>"
    table = f'<table class="evaluation">{head}{"".join(map(_evaluated, found.rows))}</table>'
    words, *notes = (f'<p class="soft">{escape(text)}</p>' for text in (about, *found.notes))
    return f'{words}<div class="wide">{table}</div>{"".join(notes)}'


def _evaluated(row: Row) -> str:
    title, better = MEASURES[row.name]
    ends = "" if row.low is None or row.high is None else f"{measured(row.low)} &ndash; {measured(row.high)}"
    floor = "" if row.floor is None else measured(row.floor)
    cells = (f"<b>{measured(row.value)}</b>", ends, floor, BETTER[better])
    return f"<tr><td>{escape(title)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def settings(run: Run) -> str:
    """Every setting, a script's own included, in the order of config.json."""
    return pairs(((name, shown(value)) for name, value in run.settings.items()), "settings")


def versions(run: Run) -> str:
    """Versions, and a line for each BLAS."""
    rows = [(str(name), shown(value)) for name, value in run.config["versions"].items()]
    for blas in run.config["blas"]:
        if isinstance(blas, dict):
            threads = f", {blas['num_threads']} threads" if blas.get("num_threads") else ""
            named = " ".join(str(blas[k]) for k in ("internal_api", "version", "architecture") if blas.get(k))
            rows.append(("BLAS", escape(named + threads)))
    return pairs(rows, "versions")


def problems(run: Run) -> str:
    """What was left out, and why."""
    return "".join(f'<p class="problem">{escape(problem)}</p>' for problem in run.problems)
