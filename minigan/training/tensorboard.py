"""TensorBoard's event files of a run: numbers, samples and weights, written without TensorFlow or PyTorch.

Curves are named after the files that hold the same numbers: log/ those of log.csv, health/ those of health.jsonl, which
have the length of each player's gradient, evaluation/ those of measured samples. samples are the pictures, weights/
histograms of each player's weights and buffers, gradients/ those of what each parameter is given next.
"""

import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from .. import viz
from ..errors import MissingExtra
from ..judge import Look
from ..system import disk
from .hooks import Hook, Running

FOLDER = "tensorboard"  # in that of the run
BINS = 64  # of a histogram
COLOURS = {"L": 1, "RGB": 3}  # what an event calls a picture that is grey, or not


class TensorBoard(Hook):
    """Writes OUT/tensorboard/events.out.tfevents.*: `tensorboard --logdir OUT` shows them, while the run goes on too.

    A run that goes on begins another file there, which says from which step its numbers take the place of earlier
    ones: a reader shows each step once. MissingExtra if TensorBoard is not installed.
    """

    run: Running

    def __init__(self) -> None:
        try:
            self._events = import_module("tensorboard.compat.proto.event_pb2")
            self._summaries = import_module("tensorboard.compat.proto.summary_pb2")
            self._records = import_module("tensorboard.summary.writer.record_writer")
        except ImportError as error:
            install = "pip install 'minigan[tensorboard]'"
            raise MissingExtra(f"--log tensorboard needs TensorBoard ({error}): {install}") from None

    def begun(self, run: Running) -> None:
        """Begin a file. CheckpointError naming it if it cannot be written."""
        self.run = run
        folder = run.folder.path / FOLDER
        with disk.naming(folder):
            folder.mkdir(exist_ok=True)
            file = (folder / f"events.out.tfevents.{time.time_ns()}.minigan").open("xb")
        self._writer = self._records.RecordWriter(file)
        self._write(0, file_version="brain.Event:2")
        session = self._events.SessionLog(status=self._events.SessionLog.START)
        self._write(run.step + 1 if run.step else 0, session_log=session)
        self._writer.flush()

    def stepped(self, step: int, losses: Mapping[str, float]) -> None:
        """A point of each curve of log/."""
        self._numbers(step, "log", losses)

    def sampled(self, step: int, pictures: Mapping[str, Path]) -> None:
        """The pictures as they are in the folder."""
        values = [self._image(f"samples/{name}" if name else "samples", path) for name, path in pictures.items()]
        self._values(step, [value for value in values if value is not None])

    def looked(self, look: Look) -> None:
        """A point of each curve of health/, and a histogram of each player's tensors."""
        logged = self.run.folder.columns()
        self._numbers(look.step, "health", {k: v for k, v in look.numbers.items() if k not in logged})
        tensors = {
            f"weights/{name}.{key}": tensor.numpy()
            for name, player in self.run.game.players.items()
            for key, tensor in player.state_dict().items()
        }
        self._histograms(look.step, tensors)
        self._writer.flush()

    def gradients(self, step: int, gradients: Mapping[str, np.ndarray]) -> None:
        """A histogram of each parameter's."""
        self._histograms(step, {f"gradients/{name}": array for name, array in gradients.items()})

    def evaluated(self, step: int, numbers: Mapping[str, float]) -> None:
        """A point of each curve of evaluation/."""
        self._numbers(step, "evaluation", numbers)

    def checkpointed(self, step: int, path: Path) -> None:
        """Have on disk what a run that goes on from there counts on."""
        self._writer.flush()

    def ended(self, step: int, status: int) -> None:
        """End the file."""
        self._writer.close()

    def _numbers(self, step: int, group: str, numbers: Mapping[str, float]) -> None:
        value = self._summaries.Summary.Value
        self._values(step, [value(tag=f"{group}/{k}", simple_value=v) for k, v in numbers.items()])

    def _values(self, step: int, values: list[Any]) -> None:
        if values:
            self._write(step, summary=self._summaries.Summary(value=values))

    def _write(self, step: int, **what: Any) -> None:
        self._writer.write(self._events.Event(wall_time=time.time(), step=step, **what).SerializeToString())

    def _image(self, tag: str, path: Path) -> Any:
        """A PNG as it is in the file; None of what is none, as pictures of a program may be."""
        content = path.read_bytes()
        picture = viz.read_png(path)
        if picture is None:
            return None
        width, height = picture.size
        image = self._summaries.Summary.Image(
            height=height, width=width, colorspace=COLOURS[picture.mode], encoded_image_string=content
        )
        return self._summaries.Summary.Value(tag=tag, image=image)

    def _histograms(self, step: int, arrays: Mapping[str, np.ndarray]) -> None:
        floats = {tag: array for tag, array in arrays.items() if array.dtype.kind == "f"}
        self._values(step, [self._histogram(tag, array) for tag, array in floats.items()])

    def _histogram(self, tag: str, array: np.ndarray) -> Any:
        """BINS bins from the least to the largest of the numbers that are finite."""
        numbers = array[np.isfinite(array)].astype(np.float64)
        if not numbers.size:
            return self._summaries.Summary.Value(tag=tag, histo=self._summaries.HistogramProto())
        counts, edges = np.histogram(numbers, BINS)
        histogram = self._summaries.HistogramProto(
            min=numbers.min(),
            max=numbers.max(),
            num=numbers.size,
            sum=numbers.sum(),
            sum_squares=np.square(numbers).sum(),
            bucket_limit=edges[1:],
            bucket=counts,
        )
        return self._summaries.Summary.Value(tag=tag, histo=histogram)
