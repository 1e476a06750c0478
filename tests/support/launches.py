"""What a captured step consists of, counted on the stand-in for CuPy: launches by kind, and copies that turn arrays.

A view and memory that is asked for are none. A step is captured at its real size and without its arithmetic: what is
launched depends on shapes alone.
"""

import contextlib
from collections import Counter

import numpy as np
from fakecuda import device

TURNING = "(turning)"  # of the launches above, those that write an array in another memory order than they read it
TURNED = "(turned bytes)"


@contextlib.contextmanager
def without_arithmetic():
    """Kernels and products are counted and not computed; arrays hold whatever their memory held."""
    device.idle = True
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        device.idle = False


def counted(graphs):
    """How many launches of each kind captured graphs consist of: kernels of ours, functions of CuPy, products."""
    work = [each for graph in graphs for each in graph.work]
    found = Counter(each.name for each in work)
    turned = [each.turned for each in work if each.turned]
    return found | Counter({TURNING: len(turned), TURNED: sum(turned)})


def total(count):
    """The launches of all kinds."""
    return sum(n for kind, n in count.items() if kind not in (TURNING, TURNED))


def as_table(counts):
    """Counts by the names of steps as text, a line for each kind."""
    kinds = sorted({kind for count in counts.values() for kind in count} - {TURNING, TURNED})
    rows = [("", *counts), ("(all)", *map(total, counts.values()))]
    rows += [(kind, *(count[kind] for count in counts.values())) for kind in [*kinds, TURNING, TURNED]]
    return "\n".join(f"{name:25}" + "".join(f"{n:>11}" for n in numbers).rstrip() for name, *numbers in rows)


def from_table(text):
    """The counts that `as_table` made this text of."""
    header, _, *rows = text.strip("\n").splitlines()
    columns = [(line[:25].strip(), line[25:].split()) for line in rows]
    return {name: Counter({kind: int(n[k]) for kind, n in columns}) for k, name in enumerate(header.split())}


def differences(found, held):
    """What has more or fewer launches than were held: a line for each kind of each step."""
    return [
        f"{step}: {kind} {held[step][kind]} -> {count[kind]}"
        for step, count in found.items()
        for kind in sorted(count.keys() | held[step].keys())
        if count[kind] != held[step][kind]
    ]
