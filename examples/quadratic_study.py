"""The tutorial's two studies in one figure: which activation learns y = 10 + x^2, and which curves are learnt.

Above leaky ReLU, ReLU and sigmoid units on the quadratic; below leaky ReLU on x^3, x^4 and a sine. The tutorial finds
that leaky ReLU is best, that ReLU is less stable, that sigmoid units are unsuitable and that higher orders are unstable
(with x^3 its run stopped). It feeds coordinates as they are; with --as-printed so does this study. With coordinates of
deviation 1 and seed 0, 200 iterations leave 7% and 5% for leaky ReLU and ReLU, nothing learnt with sigmoid units, 10%
and 8% for the orders 3 and 4, and 60% for the sine. examples/quadratic.py trains each of them alone, and longer.
"""

import sys
import time
from pathlib import Path

import quadratic

from minigan import training, viz
from minigan.training import studies

SYSTEMS = {  # name: (curve, activation)
    "leaky ReLU": ("quadratic", "leaky_relu"),
    "ReLU": ("quadratic", "relu"),
    "sigmoid": ("quadratic", "sigmoid"),
    "cubic, leaky ReLU": ("cubic", "leaky_relu"),
    "quartic, leaky ReLU": ("quartic", "leaky_relu"),
    "sine, leaky ReLU": ("sine", "leaky_relu"),
}


def study(settings: training.Settings, folder: Path) -> dict[str, float]:
    drawn, numbers = [], {}
    for name, (curve, activation) in SYSTEMS.items():
        began = time.perf_counter()
        extra = {"activation": activation, "as_printed": settings.extra["as_printed"]}
        own = training.Settings("quadratic", settings.device, data=curve, seed=settings.seed, extra=extra)
        own.batch_size, own.steps = settings.batch_size, settings.steps
        game = quadratic.build(own)
        samples = quadratic.load(own, studies.FEW if settings.dry_run else own.steps * own.batch_size)
        for _ in studies.play(game, samples, own, label=name):
            pass
        found = quadratic.distance(game, own)
        numbers |= {f"{name}: {k}": v for k, v in found.items()}
        numbers[f"{name}: minutes"] = (time.perf_counter() - began) / 60
        note = f"residual {found['residual']:.1%}, {found['coverage']:.0%} of x reached"
        drawn.append(quadratic.panel(game, samples, name, note))
    viz.panels(drawn, folder / "quadratic_study.png", columns=3, title=f"{settings.steps} iterations")
    return numbers


def main(arguments: list[str] | None = None) -> int:
    options = studies.parser("quadratic_study", __doc__, steps=200, batch_size=256, data=["all"])
    options.add_argument("--as-printed", action="store_true", help="coordinates as they are, as the tutorial has them")
    return studies.main(study, options, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
