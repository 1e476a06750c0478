"""A run in a few lines, as a notebook shows it."""

from html import escape

from ..viz import data_url
from .record import Run

COLOURS = {"healthy": "#1f7a3d", "watch": "#a16207", "failing": "#b4232a"}


def of(run: Run) -> str:
    """The run as HTML: how it is judged, how far it is, its newest losses and samples."""
    total = run.config.get("total_steps")
    held = [f"<b>{escape(run.title)}</b>, step {run.steps[-1]}{f' of {total}' if isinstance(total, int) else ''}"]
    look = next((look for look in reversed(run.looks) if look.verdict), None)
    if look is not None:
        titles = "; ".join(finding.title for finding in look.findings)
        verdict = f'<b style="color: {COLOURS.get(look.verdict, "inherit")}">{look.verdict}</b>'
        held.append(f"{verdict}{f': {escape(titles)}' if titles else ''}")
    newest = [f"{escape(name)} {values[-1]:.4g}" for name, (_, values) in run.log.items()]
    pictures = next(iter(run.pictures.values()), {})
    if newest:
        held.append(", ".join(newest))
    if pictures:
        step = max(pictures)
        source = data_url(pictures[step].read_bytes())
        held.append(f'<img src="{source}" alt="samples of step {step}" style="max-width: 100%">')
    held.append(f"<code>{escape(str(run.path))}</code>")
    return "".join(f"<div>{line}</div>" for line in held)
