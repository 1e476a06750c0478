"""Train any score loss with any penalty on any network, from one command, or a system of a document by its name.

    python examples/train.py wgan_gp                    a preset; any option may be given after it
    python examples/train.py wgan_gp --as-printed       with the mistakes of its document
    python examples/train.py --model dcgan28 --loss hinge --penalty r1 --data mnist
    python examples/train.py --list                     all presets, and where they come from

It is `minigan train`, to be read: minigan/command/recipe.py puts the parts together, networks.py and
presets.py there name the networks and the presets.
"""

import sys

from minigan.command.networks import NETWORKS
from minigan.command.recipe import build, main, options, shape
from minigan.training import Settings

__all__ = ["NETWORKS", "Settings", "build", "main", "options", "shape"]

if __name__ == "__main__":
    sys.exit(main())
