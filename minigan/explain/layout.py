"""Where a step stands in a picture of a tape: below the forward step that it was derived from.

A picture has a column for each forward step, in order of evaluation, and a lane for each pass. A step of a backward
pass stands in the column of the forward step whose rule, or whose rule's rule, it is part of: so a column shows an op
and all that follows from it. Neighbouring columns of one module, or of one function, are a section.
"""

from dataclasses import dataclass, field

from .tape import Step, Tape, Value


@dataclass
class Column:
    """A forward step and, by order, every step that was derived from it; the leaves that it is the first to read."""

    root: Step
    title: str  # the module it ran in, or the function of the program that asked for it
    lanes: dict[int, list[Step]] = field(default_factory=dict)
    leaves: list[Value] = field(default_factory=list)


@dataclass
class Section:
    """Neighbouring columns that belong together, and what they are called."""

    title: str
    columns: list[Column] = field(default_factory=list)


def root(step: Step) -> Step:
    """The forward step that a step was derived from: itself, if it is one."""
    while step.why is not None:
        step = step.why.step
    return step


def columns(tape: Tape) -> list[Column]:
    """Every step of the tape in its column."""
    found: dict[Step, Column] = {}
    for step in tape.steps:
        owner = root(step)
        column = found.setdefault(owner, Column(owner, owner.module or _function(owner)))
        column.lanes.setdefault(step.order, []).append(step)
    seen: set[Value] = set()
    for step in tape.steps:
        for value in step.inputs:
            if value.step is None and value not in seen:
                seen.add(value)
                found[root(step)].leaves.append(value)
    return sorted(found.values(), key=lambda column: column.root.index)


def _function(step: Step) -> str:
    function = step.asked.function
    return f"{function}()" if function and "<lambda>" not in function else step.asked.file


def sections(tape: Tape, whole: bool = False) -> list[Section]:
    """The columns, neighbours of one title together; with `whole`, all of a network that ran without a break."""
    found: list[Section] = []
    for column in columns(tape):
        module = column.root.module
        title = module.split(".")[0] if whole and module else column.title
        if not found or found[-1].title != title:
            found.append(Section(title))
        found[-1].columns.append(column)
    return found
