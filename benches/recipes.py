"""What `quality.py` compares: lines of options of `minigan train`, in groups that answer one question each."""

from typing import NamedTuple

PLAIN = {"small": "--model dcgan28 --batch-size 128 --lr 1e-3", "large": "--model dcgan --batch-size 64 --lr 2e-4"}
NARROW = {"small": "--generator-width 32", "large": "--width 16"}
R1 = "--penalty r1 --penalty-weight 1"
ONE_PASS = f"{R1} --penalty-every 8 --one-pass"
FALLING = "{narrow} --lr-schedule linear"
AVERAGED = f"{FALLING} --ema 0.995 --ema-ramp 0.05"
FAST = f"{ONE_PASS} {AVERAGED} --lr 2e-3 --penalty-weight 0.2"
CLUSTERS = f"{FAST} --clusters 300"
PARTS = {
    "plain": "",
    "r1": R1,
    "r1_every_8th": f"{R1} --penalty-every 8",
    "one_pass": ONE_PASS,
    "narrow": f"{ONE_PASS} {{narrow}}",
    "falling": f"{ONE_PASS} {FALLING}",
    "averaged": f"{ONE_PASS} {AVERAGED}",
    "fast": FAST,
    "clusters": CLUSTERS,
    "labels": f"{FAST} --labels",
    "best": "best",
    # one thing of `clusters` is another; of an option that is given twice the later counts
    "clusters_30": f"{CLUSTERS} --clusters 30",
    "clusters_100": f"{CLUSTERS} --clusters 100",
    "clusters_1000": f"{CLUSTERS} --clusters 1000",
    "gamma_0.2": f"{CLUSTERS} --penalty-weight 0.1",
    "gamma_1.5": f"{CLUSTERS} --penalty-weight 0.75",
    "r1_r2": f"{CLUSTERS} --penalty r1_r2",
    "batch_64": f"{CLUSTERS} --batch-size 64",
    "batch_256": f"{CLUSTERS} --batch-size 256",
    "half_rate": f"{CLUSTERS} --lr 1e-3",
    "hinge": f"{CLUSTERS} --loss hinge",
    "lsgan": f"{CLUSTERS} --loss lsgan",
    "relativistic": f"{CLUSTERS} --loss relativistic",
    "spectral_norm": f"--one-pass {AVERAGED} --clusters 300 --loss hinge --spectral-norm",
    "normal_noise": f"{CLUSTERS} --latent normal",
    "mirrored": f"{CLUSTERS} --flip",
}
FEW, FEW_APART = "{few}", "{few_apart}"  # the latter of G's losses that need a pass of their own
# small batches of narrow networks see each image hundreds of times in minutes, as the papers' runs do, and R1 is as
# weak as StyleGAN2-ADA's of CIFAR-10 (gamma 0.01), so that D learns the images by heart
WEAK = "--batch-size 32 --penalty r1 --penalty-weight 0.005 --penalty-every 8 --one-pass --ema 0.998 --ema-ramp 0.05"
FEW_LINES = {"small": f"{WEAK} --generator-width 16 --lr 1e-3", "large": f"{WEAK} --width 16 --lr 5e-4"}
FEW_OF = {
    "few": FEW_LINES,
    "few_apart": {size: line.replace("--one-pass ", "") for size, line in FEW_LINES.items()},
    "residual": {  # for halved images too, as a DCGAN of 28 or 48 pixels is not
        "small": "--model r3gan --side 28 --channels 1 --width 16",
        "large": "--model r3gan --width 16",
    },
}
LITTLE = {
    "few_plain": FEW,
    "few_penalised": f"{FEW} --penalty-weight 1",
    "few_translation": f"{FEW} --augment translation,cutout",
    "few_diffaugment": f"{FEW} --augment color,translation,cutout",
    "few_ada": f"{FEW} --augment ada --ada-images 50000",
    "few_diffusion": f"{FEW} --augment ada:diffusion --ada-images 100000",
    "few_apa": f"{FEW} --pseudo --ada-images 50000",
    "few_lecam": f"{FEW} --lecam 0.3",
    "few_cr": f"{FEW} --consistency 10",
    "few_bcr": f"{FEW} --consistency 10 --fake-consistency 10",
    "few_zcr": f"{FEW_APART} --latent-consistency 5",
    "few_icr": f"{FEW_APART} --consistency 10 --fake-consistency 10 --latent-consistency 5",
    "few_top_k": f"{FEW} --top-k 0.5 --top-k-steps 2000",
    "few_logan": f"{FEW_APART} --latent-optimisation 0.9",
    "few_san": f"{FEW} --san",
    "few_dual": f"{FEW} --loss dual_contrastive",
    "few_approximated": f"{FEW} --penalty approximated_r1_r2",
    "few_residual": f"{FEW_APART} {{residual}}",  # what few_scales is to be compared with
    "few_scales": f"{FEW_APART} {{residual}} --scales 2",
}
PAIRS = (  # R3GAN's loss, which goes with any network
    "--loss relativistic --penalty r1_r2 --beta1 0 --beta2 0.99 --ema 0.995 --ema-ramp 0.05 --batch-size 32 --side 32"
)
NETWORKS = {
    "net_dcgan": f"--model dcgan --width 32 --norm none --lr 5e-4 {PAIRS} --penalty-weight 0.5",
    "net_sndcgan": f"--model sndcgan --width 32 --lr 5e-4 {PAIRS} --penalty-weight 0.5",
    "net_resnet": f"--model resnet --width 32 --lr 5e-4 {PAIRS} --penalty-weight 0.5",
    "net_sagan": f"--model resnet --width 32 --attention 16 --lr 5e-4 {PAIRS} --penalty-weight 0.5",
    "net_r3gan": f"--model r3gan --width 16 --lr 1e-3 {PAIRS} --penalty-weight 0.5",
    "net_stylegan2": f"--model stylegan2 --width 16 --lr 2e-3 {PAIRS} --penalty-weight 0.5",
}


class Group(NamedTuple):
    """Recipes that are compared, and what is shown of them: measures of `minigan evaluate` by name."""

    recipes: dict[str, str]
    shown: dict[str, str]


FRECHET = {"frechet": "Fréchet"}
COVERS = {"precision": "precision", "recall": "recall"}
MEMORY = {"memorised": "memorised"}
GROUPS = {
    "parts": Group(PARTS, {**FRECHET, "score": "score", "smallest_class": "smallest class", **MEMORY}),
    "little": Group(LITTLE, {**FRECHET, **COVERS, **MEMORY}),
    "networks": Group(NETWORKS, {**FRECHET, **COVERS}),
}
RECIPES = {name: line for group in GROUPS.values() for name, line in group.recipes.items()}


def group_of(recipe: str) -> str:
    """The group that the recipe is in."""
    return next(name for name, group in GROUPS.items() if recipe in group.recipes)
