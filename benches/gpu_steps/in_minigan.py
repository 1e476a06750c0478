"""The workloads in minigan on a GPU: played call by call, or captured and replayed."""

import warnings

import numpy as np
from steps import in_minigan
from steps.workloads import Workload, inputs

import minigan as mg
from minigan import backend, gan, optim
from minigan.capture import Captured
from minigan.kernels.portable import channels_last
from minigan.tensor import Tensor

from . import clocks
from .clocks import Clock
from .driver import nodes_at
from .plan import NEEDS, workload


def uploaded(array: np.ndarray) -> Tensor:
    """A Tensor on the GPU, a batch of images channels-last in memory there as `data.Batches` draws it."""
    return Tensor(backend.to_device(channels_last(array) if array.ndim == 4 else array, "cuda"))


def nodes_of(step: Captured) -> int | None:
    """How many launches and copies a replay of this step consists of; None where that cannot be asked."""
    return nodes_at(getattr(step.graph, "graph", 0))


class Bench(in_minigan.Bench):
    """One workload, as steps.in_minigan.Bench, with everything on the GPU."""

    def __init__(self, work: Workload, captured: bool) -> None:
        super().__init__(work, "default")
        for net in (self.d, self.g):
            net.to("cuda")
        self.d_opt = optim.Adam(self.d.parameters(), work.lr, work.betas)
        if work.generator:
            self.g_opt = optim.Adam(self.g.parameters(), work.lr, work.betas)
        self.batches = [{name: uploaded(batch[name]) for name in NEEDS[work.kind]} for batch in inputs(work)]
        self.turn.enabled = captured

    def losses(self, steps: int) -> list[list[float]]:
        """The losses of the first steps; RuntimeError if a step that should be captured by then is not."""
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            found = [[float(loss) for loss in self.step(i)] for i in range(steps)]
        if self.turn.enabled and self.turn.graph is None:
            raise RuntimeError(f"the step was not captured: {'; '.join(str(w.message) for w in said)}")
        return found

    def nodes(self) -> int | None:
        """How many launches and copies a replay consists of; None where that cannot be asked."""
        return nodes_of(self.turn) if self.turn.enabled else None


def digits_game(batch: int, images: int, rehearse: bool) -> tuple[gan.ScoreGame, mg.data.Batches]:
    """The game of examples/dcgan_mnist.py, in a rehearsal of a smaller network; and batches of random images for it."""
    mg.random.seed(0)
    work = workload("dcgan28", rehearse)
    if rehearse:
        G, D = in_minigan.initialised(work.generator), in_minigan.initialised(work.discriminator)
    else:
        G, D = mg.models.dcgan28(work.z_dim)
    G.to("cuda")
    D.to("cuda")
    game = gan.ScoreGame(
        G,
        D,
        loss=gan.losses.nonsaturating,
        latent=gan.uniform_latent(work.z_dim),
        generator_optimizer=optim.Adam(G.parameters(), 1e-3, (0.5, 0.999)),
        discriminator_optimizer=optim.Adam(D.parameters(), 1e-3, (0.5, 0.999)),
    )
    pixels = np.random.default_rng(0).integers(0, 256, (images, *work.sample), dtype="uint8")
    return game, mg.data.Batches(pixels, batch, device="cuda")


def timed_rounds(clock: Clock, batch: int, images: int, seconds: float, graphs: bool, rehearse: bool) -> float:
    """Milliseconds of a round of that game, batches drawn and all."""
    game, batches = digits_game(batch, images, rehearse)
    game.graphs = graphs
    for _ in range(5):
        game.play(batches)
    return clocks.median(clock, lambda: game.play(batches), seconds)
