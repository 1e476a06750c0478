"""What decides a run or a study: its settings, and the options of a command line that give them."""

import argparse
import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from ..backend import DEVICES
from ..errors import DataError
from ..processes.mpi import PATIENCE
from ..system.launcher import launched
from ..system.options import Options, nonempty
from ..system.terminal import shown
from .checkpoint import KEEP

FEW = 256  # samples of a dry run
BATCH, WHOLE = 16, 4  # samples of its steps; parts have so many times a number, as groups and packs are whole then
EVALUATED = 2000  # samples measured while a run goes on
ALL_IS_WELL = "Dry run: all is well. Nothing was kept; the same line without --dry-run begins."
FREE_ON_RESUME = {
    *("graph", "epochs", "steps", "minutes", "out", "resume", "allow_change", "dry_run"),
    *("checkpoint_every", "sample_every", "evaluate_every", "keep", "early_stop", "debug_nan", "patience"),
    *("started_from", "log"),
}
LATER: dict[str, Any] = {  # options that came later, as runs had them before
    "penalty_every": 1,
    "one_pass": False,
    "lr_schedule": "constant",
    "lr_end": 0.0,
    "warmup": 0,
    "ema_ramp": 0.0,
    "attention": 0,
    "generator_spectral_norm": False,
    "augment": "",
    "pseudo": False,
    "ada_target": 0.6,
    "ada_images": 500_000,
    "lecam": 0.0,
    "lecam_decay": 0.99,
    "lecam_after": 1000,
    "consistency": 0.0,
    "fake_consistency": 0.0,
    "consistency_by": "translation",
    "latent_consistency": 0.0,
    "latent_variety": 0.5,
    "latent_step": 0.03,
    "reconstruction": 0.0,
    "margins": 1.0,
    "top_k": 1.0,
    "top_k_steps": None,
    "noiseless": False,
    "path_length": 0.0,
    "path_length_every": 4,
    "path_length_decay": 0.99,
    "latent_optimisation": 0.0,
    "latent_damping": 0.1,
    "latent_cost": 0.1,
    "san": False,
    "orthogonal": 0.0,
    "cutmix": 0.0,
    "cutmix_share": 0.5,
    "cutmix_steps": None,
    "scales": 1,
    "start_from": None,
    "freeze_d": 0,
    "drift": 0.0,
    "grow": 0.5,
    "fade": 0.5,
    "total_variation": 0.0,
    "minibatch_discrimination": 0,
}
BESIDE = {"lecam": ("lecam_after", 0), "cutmix": ("cutmix_share", 0.0)}  # likewise, of runs that had the first of them


@dataclass
class Settings:
    """Everything that decides a run; a script's own options go into `extra`."""

    name: str
    device: str = "cpu"
    precision: str = "fp32"
    graph: bool = True
    data: str = "auto"
    labels_from: str | None = None
    images: int | None = None
    clusters: int = 0
    stream: bool = False
    flip: bool = False
    crop: int = 0
    epochs: int = 5
    steps: int | None = None
    minutes: float | None = None
    batch_size: int = 128
    seed: int = 0
    out: str = ""
    checkpoint_every: int | None = None
    sample_every: int | None = None
    evaluate_every: int | None = None
    evaluate_n: int = EVALUATED
    keep: int = KEEP
    log: list[str] = field(default_factory=list)
    early_stop: bool = False
    debug_nan: bool = False
    accumulate: int = 1
    virtual_ranks: int = 0
    sync_norm: bool = True
    patience: float = PATIENCE
    resume: bool = False
    allow_change: list[str] = field(default_factory=list)
    dry_run: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parsed(
        cls, options: argparse.ArgumentParser, arguments: Sequence[str] | None = None, name: str | None = None
    ) -> Self:
        """What a command line says; `name` is what the run says it was made by, the program's if it is not given.

        Of --minutes, --steps and --epochs, what is given counts more than what a program has without being told.
        """
        parsed = vars(options.parse_args(arguments))
        if isinstance(options, Options):
            given = next((name for name in ("minutes", "steps", "epochs") if name in options.given), None)
            parsed |= {name: None for name in ("minutes", "steps") if name in parsed and given not in (None, name)}
        known = {k: parsed.pop(k) for k in list(parsed) if k in cls.__dataclass_fields__}
        return cls(name=name or options.prog.removesuffix(".py"), extra=parsed, **known)

    @property
    def title(self) -> str:
        """What the run is called where it is shown: its preset, or the script."""
        return title(vars(self))

    def check_batch(self, counts: Mapping[str, int]) -> None:
        """DataError if a batch has more samples than there are of some data, by name: each is in it once at most."""
        name, most = min(counts.items(), key=lambda item: item[1])
        if self.batch_size > most:
            raise DataError(
                f"--batch-size {self.batch_size}: {shown(name)} has {most} samples to learn from, and a batch has no "
                f"more; at most --batch-size {most}"
            )

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Make a dry run one of two steps of few samples, in a folder that is there within the block alone."""
        if not self.dry_run:
            yield
            return
        with tempfile.TemporaryDirectory() as self.out:
            self.resume = False
            self.steps, self.minutes = 2, None
            parts = (self.virtual_ranks or launched()) * self.accumulate
            if self.batch_size % parts == 0:  # else the run says what is wrong
                self.batch_size = min(self.batch_size, parts * WHOLE * max(BATCH // (parts * WHOLE), 1))
            yield


def flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by name, a script's own options beside the rest."""
    named = dict(settings)
    extra = named.pop("extra", None)
    return {**named, **extra} if isinstance(extra, dict) else named


def as_now(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Saved settings by name, as `flat` has them: one that came later is what runs had before."""
    named = flat({**asdict(Settings(name="")), **saved})
    return LATER | dict(later for option, later in BESIDE.items() if named.get(option)) | named


def title(settings: Mapping[str, Any]) -> str:
    """What a run of these settings is called; "" if they do not say."""
    named = flat(settings)
    return str(named.get("preset") or named.get("name") or "")


def duration(text: str) -> float:
    """A number of minutes from the command line, above 0."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of minutes above 0, got {text}")
    return value


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}") from None


def positive(text: str) -> int:
    """A number from the command line that has to be at least 1."""
    value = _whole(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a positive number, got {text}")
    return value


def natural(text: str) -> int:
    """A number from the command line that has to be at least 0."""
    value = _whole(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected a number from 0, got {text}")
    return value


def common_options(
    name: str, description: str, *, batch_size: int, data: Sequence[str], images: str, noun: str
) -> Options:
    """The options that runs and studies share.

    `data` are the names that --data may give, of which auto is the first; if there is none, it names images, and
    `images` is its help. `noun` is what the program does: a run, a study.
    """
    p = Options(f"{name}.py", description)
    p.add_argument("--device", choices=DEVICES, default="cpu", help="where to compute (default: cpu)")
    if data:
        shown = f"what to learn from (default: {data[0]})"
        p.add_argument("--data", choices=["auto", *data], default="auto", help=shown)
    else:
        p.add_argument("--data", type=nonempty, default="auto", metavar="NAME|PATH", help=images)
    shown = f"samples a step, of all processes together (default: {batch_size})"
    p.add_argument("--batch-size", type=positive, default=batch_size, help=shown)
    p.add_argument("--seed", type=int, default=0, help=f"the same seed gives the same {noun} (default: 0)")
    shown = f"where to write (default: runs/{name})"
    p.add_argument("--out", type=nonempty, default=f"runs/{name}", metavar="DIR", help=shown)
    shown = "two steps of everything in a temporary folder, whatever other options say, to see that all is well"
    p.add_argument("--dry-run", action="store_true", help=shown)
    return p
