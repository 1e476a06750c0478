"""Does training notice how Winograd's convolutions round? The DCGAN of CS231n on digits, from the same seeds:

    direct       every convolution as a sum over windows
    winograd     as the kernels choose, the largest tiles included
    nudged       directly, from weights that are off by about one rounding

    python benches/rounding.py --steps 150 --seeds 4      a few minutes

Training is chaotic: whatever is off by one rounding grows until two runs share no digit. So each run is compared with
the direct one of its seed, and that difference with what a nudge makes, and with the spread between seeds.
"""

import argparse
from collections.abc import Callable
from unittest.mock import patch

import numpy as np

import minigan as mg
from minigan.kernels import compiled_conv, compiled_winograd, library
from minigan.models import dcgan28
from minigan.random import Stream

WAYS = ("direct", "winograd", "nudged")
NUDGE = 2e-7  # relative: float32 has a unit of 1.2e-7


def play(way: str, seed: int, images: np.ndarray, steps: int, batch: int) -> np.ndarray:
    """The losses (steps, 2) of D and G."""
    with patch.dict(compiled_winograd.ERROR, clear=way != "winograd"):
        for cached in (compiled_winograd.tile, compiled_conv.way):
            cached.cache_clear()
        return _play(seed, images, steps, batch, _nudge if way == "nudged" else lambda value, rng: value)


def _nudge(value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (value * (1 + NUDGE * rng.standard_normal(value.shape))).astype("float32")


def _play(seed: int, images: np.ndarray, steps: int, batch: int, change: Callable[..., np.ndarray]) -> np.ndarray:
    g, d = dcgan28(rng=Stream(seed))
    rng, other = np.random.default_rng(seed), np.random.default_rng(seed + 1000)
    for player in (g, d):
        for p in player.parameters():
            p.copy_(change(p.data, other))
    loss = mg.gan.losses.nonsaturating
    d_opt, g_opt = (mg.optim.Adam(player.parameters(), 2e-4, (0.5, 0.999)) for player in (d, g))
    found = []
    for _ in range(steps):
        real = images[rng.integers(0, len(images), batch)].astype("float32") / 127.5 - 1
        noise = [mg.tensor(rng.uniform(-1, 1, (batch, 96)).astype("float32")) for _ in range(2)]
        with mg.no_grad():
            fake = g(noise[0])
        d_loss = loss.discriminator(d(mg.tensor(real)), d(fake))
        d_opt.minimize(d_loss)
        g_loss = loss.generator(d(g(noise[1])))
        g_opt.minimize(g_loss)
        found.append((float(d_loss), float(g_loss)))
    return np.array(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--data", default="auto")
    options = parser.parse_args()
    if library.find() is None:
        parser.exit(1, "there are no compiled kernels: " + library.search()[1] + "\n")
    images = np.asarray(mg.data.load_images(options.data).values)
    curves = {
        way: np.array([play(way, seed, images, options.steps, options.batch) for seed in range(options.seeds)])
        for way in WAYS
    }
    direct = curves["direct"]
    print(f"{'losses, root mean square':28} {'winograd':>9} {'nudged':>9} {'seeds':>9}")
    last = options.steps // 3
    for title, of in [
        ("off after 1 step", lambda a: a[:, 1]),
        ("off after 10 steps", lambda a: a[:, 10]),
        (f"mean of the last {last} off", lambda a: a[:, -last:].mean(1)),
        ("mean of all off", lambda a: a.mean(1)),
    ]:
        off = [np.sqrt(np.mean((of(curves[way]) - of(direct)) ** 2)) for way in ("winograd", "nudged")]
        spread = np.sqrt(np.mean(of(direct).var(0, ddof=1))) if options.seeds > 1 else float("nan")
        print(f"{title:28} {off[0]:9.1e} {off[1]:9.1e} {spread:9.1e}")


if __name__ == "__main__":
    main()
