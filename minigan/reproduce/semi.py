"""Reading digits of which few have a label: the semi-supervised table of Salimans et al. 2016."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .. import viz
from ..data import Batches, held_out, scaled
from ..errors import DataError
from ..gan import SemiSupervised, Turn, salimans28
from ..gan.semi import balanced
from ..nn import in_chunks
from ..random import Stream
from ..tensor import tensor
from .cell import Cell
from .images import curves, keep_samples, learnt, made, note, over_strips, strips
from .results import Results
from .table import Column, Figure, Picture, Protocol, Row, Table, Value

FRESH = [Turn("classifier_turn"), Turn("generator_turn")]  # each on images of its own
SHOWN = 500  # images that the first lengths and biases are taken from


def game(given: Cell) -> SemiSupervised:
    """The row's game at its start; its labels are the seed's choice."""
    s = given.settings
    samples = learnt(s["data"], s["drawn"])
    values, classes = samples.drawn, samples.needed_labels("so there are none to learn from")
    known = balanced(classes, s["labels"], Stream(given.seed, "known labels"))
    images, shown = (tensor(scaled(values[part]), device=given.device) for part in (known, slice(SHOWN)))
    labels = tensor(classes[known], device=given.device)
    return salimans28(images, labels, shown, lr=s["lr"], decay=s["decay"], schedule=FRESH, seed=given.seed)


def cell(given: Cell) -> Mapping[str, Value]:
    """How many of 10 000 held-out images are read wrong."""
    s = given.settings
    played, samples = game(given), learnt(s["data"], s["drawn"])
    images, labels = held_out(samples, few=bool(s["drawn"]))
    batches = Batches(samples.drawn, s["batch"], seed=given.seed, device=given.device)
    epoch = len(samples.drawn) // s["batch"]
    looks = [k * epoch for k in range(s["every"], s["epochs"] + 1, s["every"])]
    if not looks or looks[-1] != s["epochs"] * epoch:
        raise DataError(f"semi: expected epochs that are a multiple of every, got {s['epochs']} and {s['every']}")
    errors = 0.0
    for step in given.train(played, batches, s["epochs"] * epoch, looks):
        read = in_chunks(played.logits, images, given.device).argmax(1)
        errors = float((read != labels).mean() * 10_000)
        note(given, step, errors=errors, epoch=step / epoch)
    keep_samples(given, made(played, 32))
    return {"errors": errors}


def pictures(results: Results, folder: Path) -> list[Picture]:
    """Errors against epochs, and what the generator draws."""
    shown = strips(results, 14)
    if not shown:
        return []
    figure, (axes,) = over_strips(shown, 8, 3.4)
    for k, row in enumerate(results.rows):
        for n, (_, errors) in enumerate(curves(results, row, "errors")):
            epochs = curves(results, row, "epoch")[n][1]
            axes.plot(epochs, np.maximum(errors, 1), color=f"C{k}", linewidth=1.2, label="" if n else row.name)
        if "errors" in row.published:
            axes.axhline(float(row.published["errors"].value), color=f"C{k}", linewidth=0.8, linestyle=":")
    axes.set_yscale("log")
    axes.set_xlabel("epochs")
    axes.set_title("errors among 10 000 held-out images; dotted: the paper's", fontsize=10)
    axes.legend(fontsize=8, frameon=False)
    path = folder / "errors.png"
    viz.save_figure(figure, path)
    caption = (
        "Errors of the averaged classifier on the way, and what its opponent draws: feature matching makes images that "
        "lie beside the digits, which is what the classifier learns from."
    )
    return [Picture(path, caption)]


def _row(labels: int, errors: float, error: float, usual: bool) -> Row:
    return Row(f"{labels} labels", {"labels": labels}, {"errors": Figure(errors, error)}, "", usual)


SHORT = {"data": "mnist", "drawn": 0, "batch": 100, "epochs": 60, "every": 4, "lr": 3e-3, "decay": 0.9999}
UNLIKE = [
    "Adam adds 1e-4 to its root instead of 1e-8 below it",
    "with 200 labels each batch knows a random half of them; the paper's halves take turns",
]
TABLE = Table(
    name="semi",
    title="MNIST with a few labels: test errors of 10 000",
    source="Salimans et al. 2016, improved techniques for training GANs, table 1, arXiv:1606.03498",
    about=(
        "A classifier is told the labels of 20 to 200 digits, sees the other 60 000 without, and must tell them from "
        "a generator's. The generator matches the means of its features. Errors are those of a single classifier."
    ),
    columns=[Column("errors", "errors of 10 000", ".0f")],
    rows=[
        _row(20, 1677, 452, False),
        _row(50, 221, 136, False),
        _row(100, 93, 6.5, True),
        _row(200, 90, 4.2, False),
    ],
    short=Protocol(
        SHORT,
        seeds=3,
        takes="three quarters of an hour a seed on one core, half of it on two (--threads 2)",
        deviations=["60 epochs instead of 300, three choices of labels instead of ten", *UNLIKE],
    ),
    full=Protocol({**SHORT, "epochs": 300}, seeds=10, deviations=UNLIKE, takes="four hours a seed on one core"),
    trial={"drawn": 400, "batch": 400, "epochs": 1, "every": 1},
    cell=cell,
    pictures=pictures,
    notes=[
        "An ensemble of ten makes 1134 ± 445, 142 ± 96, 86 ± 5.6 and 81 ± 4.3 errors in the paper.",
        "At 100 labels others had: DGN 333 ± 14, virtual adversarial training 212, CatGAN 191 ± 10, skip DGM 132 ± 7, "
        "ladder networks 106 ± 37, auxiliary DGM 96 ± 2.",
    ],
)
