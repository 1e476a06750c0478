"""The systems of documents and papers by name: what `minigan train NAME` trains, as values of its options.

A preset holds its source's parts: networks, loss, penalty, tricks. Widths, batches, optimizers, rates and lengths are
the source's where they suit minutes on a CPU, and others else. What a source prints and should not be done is in
`as_printed`, which `--as-printed` restores.
"""

from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..data import data_set, is_pictures


@dataclass(frozen=True)
class Preset:
    """One system: where it comes from, and the options of `minigan train` that make it.

    What depends on the data or on other options is in `adapted`, a function of them all.
    """

    about: str
    source: str
    options: dict[str, Any]
    as_printed: dict[str, Any] = field(default_factory=dict)
    mistakes: str = ""  # what as_printed restores
    needs_folder: bool = False  # learns from a folder of pictures, so --data has to be given
    adapted: Callable[[Namespace], dict[str, Any]] = lambda chosen: {}


CS231N = "CS231n, assignment 3 (2017)"
LAB = "a course's lab on WGAN-GP (2019)"
FACES = "an article on WGAN for anime faces"
SLIDES = "slides on GAN, DCGAN and WGAN (2017)"

_cs231n = {"batch_size": 128, "lr": 1e-3, "beta1": 0.5, "epochs": 10}
_faces = {"model": "dcgan", "side": 96, "width": 64, "batch_size": 128, "epochs": 50}
_wgan = {"loss": "wasserstein", "clip": 0.01, "optimizer": "rmsprop", "lr": 5e-5, "d_steps": 5, "latent": "normal"}
_adam_gp = {"loss": "wasserstein", "penalty": "gradient_penalty", "lr": 1e-4, "beta1": 0.0, "beta2": 0.9, "d_steps": 5}
_r1 = {"penalty": "r1", "penalty_every": 8, "one_pass": True, "lr_schedule": "linear", "ema": 0.995, "ema_ramp": 0.05}
_dcgan = {"model": "dcgan", "width": 16, "batch_size": 64, "lr": 2e-3}
_paper32 = {"model": "dcgan", "side": 32, "channels": 1, "width": 32}
_residual = {"side": 32, "channels": 3, "width": 32, "attention": 16, "loss": "hinge", "spectral_norm": True}
_residual |= {"data": "cifar10", "beta1": 0.0, "batch_size": 64, "epochs": 20}
_residual |= {"ema": 0.999, "ema_ramp": 0.05}
# The authors' settings for CIFAR-10, of a run as long as their burn-in, 20 million images: the rate falls to a quarter
# along half a cosine, G's average grows to a half-life of a quarter of the run. Their gamma falls there from 0.05 to
# 0.005, beta2 rises from 0.9 to 0.99, and images are changed ever more often: here gamma and beta2 stay as they begin,
# and images as they are.
_r3gan = {"model": "r3gan", "side": 32, "width": 16, "batch_size": 32, "loss": "relativistic", "penalty": "r1_r2"}
_r3gan |= {"penalty_weight": 0.025, "lr": 2e-4, "lr_schedule": "cosine", "lr_end": 0.25, "beta1": 0.0, "beta2": 0.9}
_r3gan |= {"ema": 0.999996, "ema_ramp": 0.25, "minutes": 10.0}


def _best(chosen: Namespace) -> dict[str, Any]:
    """What `best` is for these data, or for networks that are asked for: CS231n's D where images are of 28x28 pixels.

    Players that are told clusters or labels want less of R1.
    """
    weight = {"penalty_weight": 0.2 if chosen.clusters or chosen.labels_from else 0.5}
    if is_pictures(chosen.data):
        return {**weight, **_dcgan, "side": 48}
    if data_set(chosen.data) == "cifar10" or chosen.model != "dcgan28":
        return {**weight, **_dcgan}
    return {**weight, "generator_width": 32, "batch_size": 128, "lr": 2e-3}


def _grey(chosen: Namespace) -> dict[str, Any]:
    """The size and channels of digits and of what has their form, where the data are known to be such."""
    return {} if data_set(chosen.data) in ("cifar10", None) else {"side": 28, "channels": 1}


PRESETS = {
    "best": Preset(
        "the most in minutes: clusters told to both players, R1, one pass, a narrow G, a falling rate, an average",
        "benches/quality.py",
        {"model": "dcgan28", **_r1, "clusters": 300, "minutes": 5.0},
        adapted=_best,
    ),
    # --- CS231n ---
    "mlp": Preset("the fully connected GAN", CS231N, {"model": "mlp28", **_cs231n}),
    "lsgan": Preset("least squares with the same networks", CS231N, {"model": "mlp28", "loss": "lsgan", **_cs231n}),
    "dcgan": Preset("the convolutional GAN", CS231N, {"model": "dcgan28", **_cs231n, "epochs": 5}),
    "wgan_gp": Preset(
        "WGAN-GP: InfoGAN's critic without its batch norm",
        CS231N,
        {
            "model": "wgan_gp28",
            "norm": None,
            "padding": 1,
            "loss": "wasserstein",
            "penalty": "gradient_penalty",
            **_cs231n,
            "epochs": 5,
        },
        {"norm": "batch", "padding": 0, "penalty": "cs231n_printed"},
        "batch norm in the critic, which does not see the last two rows and columns; one epsilon and one norm for the "
        "whole batch; real images left in [0, 1] there",
    ),
    "softmax": Preset(
        "Softmax GAN", "Lin 2017; " + CS231N, {"model": "dcgan28", "loss": "softmax", "lr": 2e-4, "batch_size": 64}
    ),
    "cifar10": Preset(
        "DCGAN on CIFAR-10",
        "Radford et al. 2016; " + CS231N,
        {"model": "dcgan", "side": 32, "width": 64, "data": "cifar10", "batch_size": 64, "epochs": 40},
    ),
    # --- the lab ---
    "lab": Preset(
        "WGAN-GP by plain SGD, five times on each batch",
        LAB,
        {
            "model": "lab28",
            "loss": "wasserstein",
            "penalty": "gradient_penalty",
            "optimizer": "sgd",
            "lr": 0.01,
            "repeat": 5,
            "epochs": 40,
        },
        {"output": "sigmoid", "unit_range": True, "loss": "lab_printed"},
        "images in [0, 1] saved as if they were in [-1, 1]; every sign turned; a sigmoid of scores shown as accuracy",
    ),
    "lab_adam": Preset(
        "the lab's networks as the paper trains them",
        LAB + "; Gulrajani et al. 2017",
        {"model": "lab28", **_adam_gp, "epochs": 40},
    ),
    # --- faces ---
    "faces_dcgan": Preset("DCGAN on faces", FACES, {**_faces}, needs_folder=True),
    "faces_wgan": Preset(
        "WGAN on faces: clipped weights, RMSProp (1, 2 or 4 --d-steps)",
        FACES,
        {**_faces, **_wgan, "lr": 1e-4, "d_steps": 1},
        needs_folder=True,
    ),
    "faces_wgan_gp": Preset(
        "WGAN-GP on faces", FACES, {**_faces, **_adam_gp, "norm": None, "batch_size": 64}, needs_folder=True
    ),
    # --- the slides ---
    "goodfellow": Preset(
        "algorithm 1: momentum SGD, k = 1 (--d-steps K), G non-saturating",
        "Goodfellow et al. 2014; " + SLIDES,
        {
            "model": "goodfellow28",
            "optimizer": "sgd",
            "lr": 0.1,
            "momentum": 0.5,
            "max_norm": 1.9365,
            "batch_size": 100,
            "epochs": 50,
        },
        {"loss": "minimax"},
        "the minimax loss of algorithm 1 for G as well: its gradient vanishes once D wins, as the paper says",
    ),
    "dcgan64": Preset(
        "the paper's DCGAN, 1024-512-256-128 maps for 64x64",
        "Radford et al. 2016; " + SLIDES,
        {"model": "dcgan", "side": 64, "width": 128, "batch_size": 128, "epochs": 5},
        needs_folder=True,
    ),
    "wgan": Preset(
        "WGAN, a DCGAN generator", "Arjovsky et al. 2017; " + SLIDES, {**_paper32, **_wgan, "norm": "batch"}
    ),
    "wgan_mlp": Preset(
        "WGAN, a generator of four layers of 512",
        "Arjovsky et al. 2017; " + SLIDES,
        {**_paper32, **_wgan, "model": "mlp512"},
    ),
    # --- papers on the same parts ---
    "wgan_lp": Preset(
        "one-sided penalty", "Petzka et al. 2018", {**_paper32, **_adam_gp, "norm": None, "penalty": "one_sided"}
    ),
    "wgan_div": Preset(
        "WGAN-div, k 2, p 6",
        "Wu et al. 2018",
        {**_paper32, **_adam_gp, "norm": None, "penalty": "wgan_div", "penalty_weight": 2.0, "lr": 2e-4},
    ),
    "dragan": Preset("DRAGAN", "Kodali et al. 2017", {**_paper32, "norm": "batch", "penalty": "dragan"}),
    "r1": Preset(
        "non-saturating with R1, gamma 10",
        "Mescheder et al. 2018",
        {**_paper32, "norm": None, "penalty": "r1", "penalty_weight": 5.0, "optimizer": "rmsprop", "lr": 1e-4},
    ),
    "r3gan": Preset(
        "relativistic with R1 and R2, residual networks without normalisation, averaged weights; narrow",
        "Huang et al. 2024",
        _r3gan,
        adapted=_grey,
    ),
    "rpgan": Preset(
        "R3GAN's loss, relativistic with R1 and R2, on DCGAN's layers without normalisation; averaged weights",
        "Huang et al. 2024",
        {
            **_paper32,
            "norm": None,
            "generator_norm": None,
            "loss": "relativistic",
            "penalty": "r1_r2",
            "penalty_weight": 0.5,
            "beta1": 0.0,
            "beta2": 0.99,
            "ema": 0.99,
        },
    ),
    "stylegan2": Preset(
        "styles scale the weights: lazy R1 and path lengths, style mixing, averaged weights; narrow",
        "Karras et al. 2020",
        {
            "model": "stylegan2",
            "side": 32,
            "width": 16,
            "batch_size": 32,
            "penalty": "r1",
            "penalty_weight": 0.5,
            "penalty_every": 16,
            "path_length": 2.0,
            "lr": 2.5e-3,
            "beta1": 0.0,
            "beta2": 0.99,
            "ema": 0.995,
            "ema_ramp": 0.05,
            "minutes": 10.0,
        },
        adapted=_grey,
    ),
    "hinge": Preset("hinge loss", "Lim and Ye 2017", {**_paper32, "loss": "hinge", "beta1": 0.0, "beta2": 0.9}),
    "sngan": Preset(
        "spectral norm, hinge; the paper's networks at a quarter of their width",
        "Miyato et al. 2018",
        {**_paper32, "model": "sndcgan", "width": 16, "loss": "hinge", "spectral_norm": True},
    ),
    "sagan": Preset(
        "self-attention, spectral norm in both players; residual networks at half of the paper's width",
        "Zhang et al. 2019",
        {
            **_residual,
            "model": "resnet",
            "generator_spectral_norm": True,
            "lr": 1e-4,
            "d_lr": 4e-4,
            "beta2": 0.9,
        },
    ),
    "biggan": Preset(
        "noise and classes (--labels, --clusters N) in every block, attention, orthogonal weights, averaged; narrow",
        "Brock et al. 2019",
        {
            **_residual,
            "model": "biggan",
            "generator_spectral_norm": True,
            "orthogonal": 1e-4,
            "d_steps": 2,
            "lr": 1e-4,
            "d_lr": 4e-4,
        },
    ),
    "unet": Preset(
        "BigGAN's generator against a D that scores the image and each pixel, CutMix; narrow",
        "Schonfeld et al. 2020",
        {
            **_residual,
            "model": "unet",
            "generator_spectral_norm": True,
            "cutmix": 1.0,
            "cutmix_steps": 1000,
            "lr": 1e-4,
            "d_lr": 5e-4,
        },
    ),
    "transgan": Preset(
        "attention between patches in both players, WGAN-GP, DiffAugment; a quarter of the paper's width",
        "Jiang et al. 2021",
        {
            **{"model": "transgan", "data": "cifar10", "side": 32, "channels": 3, "width": 16, "batch_size": 64},
            **_adam_gp,
            "d_steps": 4,
            "beta2": 0.99,
            "augment": "translation,cutout,color",
            "epochs": 20,
        },
    ),
    "fastgan": Preset(
        "few images in little time: skips by excitation, a D that gives back what it sees, augmented images",
        "Liu et al. 2021",
        {
            "model": "fastgan",
            "side": 64,
            "loss": "hinge",
            "reconstruction": 1.0,
            "augment": "color,translation",
            "ema": 0.999,
            "batch_size": 16,
        },
        needs_folder=True,
    ),
    "progan": Preset(
        "progressive growing: images of 4x4 pixels at first, 32x32 for half of the run; narrow",
        "Karras et al. 2018",
        {
            **_paper32,
            "model": "progan",
            "width": 16,
            "loss": "wasserstein",
            "penalty": "gradient_penalty",
            "drift": 1e-3,
            "lr": 1e-3,
            "beta1": 0.0,
            "beta2": 0.99,
            "ema": 0.999,
            "ema_ramp": 0.05,
            "batch_size": 32,
        },
    ),
    "msggan": Preset(
        "the generator shows an image of each size, D scores them at once; narrow",
        "Karnewar and Wang 2020",
        {
            **_paper32,
            "model": "msggan",
            "width": 16,
            "loss": "wasserstein",
            "penalty": "gradient_penalty",
            "optimizer": "rmsprop",
            "lr": 3e-3,
            "ema": 0.999,
            "ema_ramp": 0.05,
            "batch_size": 32,
        },
    ),
    "lapgan": Preset(
        "a pyramid of 8, 16 and 32 pixels, a GAN for the detail of each",
        "Denton et al. 2015",
        {**_paper32, "model": "lapgan", "ema": 0.999, "ema_ramp": 0.05},
    ),
    "rasgan": Preset("relativistic average", "Jolicoeur-Martineau 2019", {**_paper32, "loss": "relativistic_average"}),
    "pacgan": Preset("packs of two", "Lin et al. 2018", {**_paper32, "pack": 2}),
    "tricks": Preset(
        "smoothed and flipped labels, instance noise, replay, dropout in G, averaged weights",
        "github.com/soumith/ganhacks; Salimans et al. 2016",
        {
            **_paper32,
            "label_smoothing": 0.9,
            "flip_labels": 0.05,
            "instance_noise": 0.1,
            "replay": 512,
            "dropout": 0.2,
            "stddev": True,
            "ema": 0.999,
        },
    ),
}
