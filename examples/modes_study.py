"""What five remedies do to mode collapse: the same first weights and steps on a ring of 8 Gaussians, in one figure.

Nothing; the generator looks 5 steps of the discriminator ahead (Metz et al. 2017); the discriminator sees 2 or 4 points
at once (Lin et al. 2018); both players descend the length of their joint gradient too (consensus, Mescheder et al.
2017); the discriminator's slope at real points is penalised (R1, Mescheder et al. 2018). Each is a row, and its columns
are quarters of the way. examples/modes.py trains each of them alone.
"""

import sys
import time
from pathlib import Path

import modes

from minigan import training, viz
from minigan.training import studies

REMEDIES = {
    "nothing": [],
    "unroll 5": ["--unroll", "5"],
    "pack 2": ["--pack", "2"],
    "pack 4": ["--pack", "4"],
    "consensus": ["--consensus", "0.1"],
    "R1": ["--penalty", "r1", "--penalty-weight", "1"],
}
LOOKS = 4  # panels of a row


def study(settings: training.Settings, folder: Path) -> dict[str, float]:
    drawn, numbers = [], {}
    for name, remedy in REMEDIES.items():
        began = time.perf_counter()
        row, found = trained(settings, remedy, name)
        drawn += row
        numbers |= {f"{name}: {k}": v for k, v in found.items()}
        numbers[f"{name}: minutes"] = (time.perf_counter() - began) / 60
    viz.panels(drawn, folder / "modes.png", columns=LOOKS, size=2.4)
    return numbers


def trained(settings: training.Settings, remedy: list[str], name: str) -> tuple[list[viz.Panel], dict[str, float]]:
    """What modes.py makes with these options: a panel at each quarter of its steps, and its numbers at the end."""
    extra = vars(modes.options().parse_args(remedy))
    own = training.Settings("modes", settings.device, seed=settings.seed, data=settings.data, extra=extra)
    own.batch_size, own.steps = settings.batch_size, settings.steps
    game, samples = modes.build(own), modes.load(own, studies.FEW if settings.dry_run else None)
    looks = {own.steps * k // LOOKS for k in range(1, LOOKS + 1)}
    row = []
    for step, _ in studies.play(game, samples, own, label=name):
        if step in looks:
            found = modes.measure(game, samples, own)
            row.append(modes.panel(game, samples, f"{name}, step {step}", caption(found)))
    return row, found


def caption(found: dict[str, float]) -> str:
    if "modes" not in found:
        return ", ".join(f"{k.replace('_', ' ')} {v:.3f}" for k, v in found.items())
    return f"{found['modes']:.0f} modes, {found['good']:.0%} good, KL {found['reverse_kl']:.2f}"


def main(arguments: list[str] | None = None) -> int:
    options = studies.parser("modes_study", __doc__, steps=3000, batch_size=128, data=list(modes.MIXTURES))
    return studies.main(study, options, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
