"""Stand-ins for what takes a run most of its time and decides nothing: judging samples, drawing curves."""

import numpy as np

from minigan.system import disk


class QuickYardstick:
    """Two numbers of samples in place of a thousand projections."""

    count, floor = 4, 0.1

    def __init__(self, data):
        pass

    def measure(self, samples):
        return {"distance": float(np.abs(samples).mean()), "diversity": float(samples.std()), "spacing": 1.0}


def quick_curves(log, path, title=""):
    disk.write(path, b"curves")
