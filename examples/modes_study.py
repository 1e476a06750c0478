"""What five remedies do to mode collapse: the same networks, seed and steps on a ring of 8 Gaussians, in one figure.

Nothing; the generator looks 5 steps of the discriminator ahead (Metz et al. 2017); the discriminator sees 2 or 4 points
at once (Lin et al. 2018); its slope at real points is penalised (R1, Mescheder et al. 2018); both players descend the
length of their joint gradient too (consensus, Mescheder et al. 2017). examples/modes.py trains each of them alone.
"""

import sys
import time
from pathlib import Path

import modes

from minigan import studies, training, viz

REMEDIES = {
    "nothing": [],
    "unroll 5": ["--unroll", "5"],
    "R1": ["--penalty", "r1"],
    "pack 2": ["--pack", "2"],
    "pack 4": ["--pack", "4"],
    "consensus": ["--consensus", "1"],
}


def study(settings: training.Settings, folder: Path) -> dict[str, float]:
    drawn, numbers = [], {}
    for name, remedy in REMEDIES.items():
        began = time.perf_counter()
        game, samples, found = trained(settings, remedy, name)
        numbers |= {f"{name}: {k}": v for k, v in found.items()} | {f"{name}: minutes": minutes(began)}
        drawn.append(modes.panel(game, samples, name, caption(found)))
    viz.panels(drawn, folder / "modes.png", columns=3, size=2.9, title=f"{samples.name}, {settings.steps} steps")
    return numbers


def trained(settings: training.Settings, remedy: list[str], name: str):
    """(game, samples, numbers) of modes.py with these options."""
    extra = vars(modes.options().parse_args(remedy))
    own = training.Settings("modes", settings.device, seed=settings.seed, data=settings.data, extra=extra)
    own.batch_size, own.steps = settings.batch_size, settings.steps
    game, samples = modes.build(own), modes.load(own, studies.FEW if settings.dry_run else None)
    for _ in studies.play(game, samples, own, label=name):
        pass
    return game, samples, modes.measure(game, samples, own)


def minutes(since: float) -> float:
    return (time.perf_counter() - since) / 60


def caption(found: dict[str, float]) -> str:
    if "modes" not in found:
        return ", ".join(f"{k.replace('_', ' ')} {v:.3f}" for k, v in found.items())
    return f"{found['modes']:.0f} modes, {found['good']:.0%} good, reverse KL {found['reverse_kl']:.2f}"


def main(arguments: list[str] | None = None) -> int:
    options = studies.parser("modes_study", __doc__, steps=3000, batch_size=128, data=list(modes.MIXTURES))
    return studies.main(study, options, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
