"""Which labels a run learns from: none, those that its data have, or clusters of its samples, which nobody named."""

import argparse
import hashlib
from typing import Any

import numpy as np

from ..data import Samples, count_classes, k_means
from ..data.sources import OWN
from ..errors import DataError
from ..system.options import Options
from .folder import RunFolder
from .settings import Settings, natural


def add_options(options: Options, *, clusters: int = 0) -> None:
    """Give a program --clusters, with this default, and --labels, beside --labels-from: see `classes`."""
    group = options.add_argument_group("labels")
    group.add_argument(
        "--clusters",
        type=natural,
        default=clusters,
        metavar="N",
        help=f"tell both players which of N clusters an image is in, found by k-means (default: {clusters})",
    )
    shown = "tell them the labels that the data have"
    group.add_argument("--labels", dest="labels_from", nargs=0, action=_Own, const=OWN, help=shown)
    options.idle("--clusters", lambda o: "changes nothing with labels" if o.labels_from else "")


class _Own(argparse.Action):
    """The option --labels, which leaves --labels-from as it is on the same line, before or after it."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, *_: Any) -> None:
        if getattr(namespace, self.dest) == parser.get_default(self.dest):
            setattr(namespace, self.dest, self.const)


def classes(settings: Settings) -> int:
    """How many classes the players of a run are told, 0 if none; DataError if its data have no labels to tell."""
    if settings.labels_from:
        return count_classes(settings.data, labels=settings.labels_from)
    return settings.clusters


def labelled(samples: Samples, settings: Settings, folder: RunFolder, *, resumed: bool) -> Samples:
    """The samples with the labels that the run learns from: clusters, if it has some, are found or read again.

    They are kept in the folder, so that a run that is resumed elsewhere, where sums are rounded in another way, has the
    same. DataError if the samples have no such clusters.
    """
    if not settings.clusters or settings.labels_from:
        return samples
    if settings.stream:
        raise DataError("--clusters are found among all images, which --stream never holds: leave out one of the two")
    found = folder.read_clusters(len(samples.drawn)) if resumed else None
    if found is None:
        few = len(samples.drawn) if settings.dry_run else settings.clusters  # a dry run has no more
        found = k_means(samples.drawn, min(settings.clusters, few), seed=settings.seed)
        folder.write_clusters(found)
    return samples._replace(labels=found)


def fingerprint_of_labels(labels: np.ndarray | None, settings: Settings) -> dict[str, Any]:
    """What tells the labels that the run's settings ask for from others: a run is resumed with the same ones only."""
    if labels is None or not (settings.clusters or settings.labels_from == OWN):
        return {}
    return {"labels_sha256": hashlib.sha256(labels.astype("<i8").tobytes()).hexdigest()}
