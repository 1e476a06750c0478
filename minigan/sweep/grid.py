"""What is varied: names with their values, every combination of them, and the name of a run's folder."""

import argparse
import hashlib
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

MOST = 10_000  # runs of a sweep: a slip of the keyboard asks for more
LONGEST = 120  # letters of a folder's name, which a file system bounds by 255 bytes
SAFE = re.compile(r"[a-z0-9_.,=+-]*[a-z0-9_+-]")  # on any file system, whether it tells capitals apart or not


class Entry(NamedTuple):
    """An option of `minigan train` as Python has it, and the values that it takes in turn, as a command line does."""

    name: str
    values: list[str]


def entry(text: str) -> Entry:
    """NAME=VALUE,VALUE,... of a command line; a..b is every whole number from a to b.

    argparse.ArgumentTypeError, which says why, if it is none.
    """
    given, equals, told = text.partition("=")
    name = given.strip().lstrip("-").replace("-", "_")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE,VALUE,..., got {text!r} (a preset stands before --grid)")
    values: list[str] = []
    for value in told.split(","):
        if not value.strip():
            raise argparse.ArgumentTypeError(f"{text}: a value is empty")
        values += _between(value.strip(), text)
    if twice := [value for k, value in enumerate(values) if value in values[:k]]:
        raise argparse.ArgumentTypeError(f"{text}: {twice[0]} is there twice")
    return Entry(name, values)


def _between(value: str, text: str) -> list[str]:
    """The value, or every number that it stands for."""
    ends = re.fullmatch(r"([+-]?\d+)\.\.([+-]?\d+)", value)
    if ends is None:
        return [value]
    first, last = int(ends[1]), int(ends[2])
    if last < first:
        raise argparse.ArgumentTypeError(f"{text}: from {first} to {last} there is no number")
    if last - first >= MOST:
        raise argparse.ArgumentTypeError(f"{text}: more than {MOST} values")
    return [str(number) for number in range(first, last + 1)]


def count(entries: Sequence[Entry]) -> int:
    """How many combinations there are."""
    return math.prod(len(entry.values) for entry in entries)


def combinations(entries: Sequence[Entry]) -> Iterator[dict[str, str]]:
    """Every choice of a value for each name; all others before there is another seed, so that all have one soon."""
    slowest_first = sorted(entries, key=lambda entry: entry.name != "seed")
    for values in itertools.product(*(entry.values for entry in slowest_first)):
        chosen = {entry.name: value for entry, value in zip(slowest_first, values, strict=True)}
        yield {entry.name: chosen[entry.name] for entry in entries}


def run_name(values: Mapping[str, str]) -> str:
    """name=value,... of one combination: what its run is called."""
    return ",".join(f"{name}={value}" for name, value in values.items())


def folder_name(values: Mapping[str, str]) -> str:
    """The same as the name of a folder: what a file system might not take is "_", and a digest tells it apart."""
    plain = run_name(values)
    if SAFE.fullmatch(plain) and len(plain) <= LONGEST:
        return plain
    digest = hashlib.sha256(plain.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{re.sub(r'[^a-z0-9_.,=+-]', '_', plain.lower())[:LONGEST]}-{digest}"
