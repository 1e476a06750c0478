"""Any run of `minigan train`, told to Weights & Biases too: pip install wandb.

    python examples/trackers/weights_and_biases.py wgan_gp --steps 1000

Nothing is sent: `wandb sync OUT/wandb/offline-run-*` does that later. A run that is resumed becomes a second one there,
which begins after the checkpoint; what a killed run has logged after it stays in the first.
"""

import sys

import wandb

from minigan.command import recipe
from minigan.training import Hook


class WeightsAndBiases(Hook):
    def begun(self, run):
        about = {"name": run.settings.title, "config": vars(run.settings)}
        self.run = wandb.init(project="minigan", mode="offline", dir=str(run.folder.path), **about)

    def stepped(self, step, losses):
        self.run.log(dict(losses), step=step)

    def sampled(self, step, pictures):
        self.run.log({name or "samples": wandb.Image(str(path)) for name, path in pictures.items()}, step=step)

    def looked(self, look):
        numbers = {f"health/{name}": value for name, value in look.numbers.items()}
        self.run.log({"verdict": look.verdict, **numbers}, step=look.step)

    def evaluated(self, step, numbers):
        self.run.log(dict(numbers), step=step)

    def ended(self, step, status):
        self.run.finish(exit_code=status)


if __name__ == "__main__":
    sys.exit(recipe.main(hooks=[WeightsAndBiases()]))
