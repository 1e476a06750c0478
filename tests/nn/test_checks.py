"""Every number that a layer is made with is looked at: what is refused, by name, and what NumPy's are taken for."""

import numpy as np
import pytest

import minigan as mg
from minigan import nn

COUNTS = {
    "Linear: in_features": lambda n: nn.Linear(n, 2),
    "Linear: out_features": lambda n: nn.Linear(2, n),
    "Conv2d: in_channels": lambda n: nn.Conv2d(n, 2, 1),
    "Conv2d: out_channels": lambda n: nn.Conv2d(2, n, 1),
    "Conv2d: kernel_size": lambda n: nn.Conv2d(2, 2, n),
    "Conv2d: stride": lambda n: nn.Conv2d(2, 2, 1, n),
    "Conv2d: dilation": lambda n: nn.Conv2d(2, 2, 1, dilation=n),
    "Conv2d: groups": lambda n: nn.Conv2d(6, 6, 1, groups=n),
    "ConvTranspose2d: in_channels": lambda n: nn.ConvTranspose2d(n, 2, 1),
    "ConvTranspose2d: out_channels": lambda n: nn.ConvTranspose2d(2, n, 1),
    "ConvTranspose2d: kernel_size": lambda n: nn.ConvTranspose2d(2, 2, (1, n)),
    "ConvTranspose2d: stride": lambda n: nn.ConvTranspose2d(2, 2, 1, n),
    "ConvTranspose2d: output_size": lambda n: nn.ConvTranspose2d(2, 2, 1, output_size=n),
    "Embedding: num_embeddings": lambda n: nn.Embedding(n, 2),
    "Embedding: embedding_dim": lambda n: nn.Embedding(2, n),
    "PReLU: num_parameters": lambda n: nn.PReLU(n),
    "MaxPool2d: kernel_size": lambda n: nn.MaxPool2d(n),
    "AvgPool2d: stride": lambda n: nn.AvgPool2d(2, n),
    "UpsampleNearest: scale": lambda n: nn.UpsampleNearest(n),
    "Upsample: size": lambda n: nn.Upsample((2, n)),
    "Blur: up": lambda n: nn.Blur(up=n),
    "Blur: down": lambda n: nn.Blur(down=n),
    "PixelShuffle: factor": lambda n: nn.PixelShuffle(n),
    "BatchNorm2d: num_features": lambda n: nn.BatchNorm2d(n),
    "LayerNorm: a size": lambda n: nn.LayerNorm(n),
    "GroupNorm: num_groups": lambda n: nn.GroupNorm(n, 6),
    "InstanceNorm2d: the number of channels": lambda n: nn.InstanceNorm2d(n),
}


@pytest.mark.parametrize("what", COUNTS)
def test_counts_are_looked_at(what):
    COUNTS[what](np.int64(3))
    for wrong in (0, -1, 2.5, 3.0, "3", None if what != "AvgPool2d: stride" and "output_size" not in what else 0.0):
        with pytest.raises(mg.errors.ShapeError, match=f"^{what}"):
            COUNTS[what](wrong)


def test_a_boolean_is_no_count():
    for wrong in (True, np.bool_(True)):
        with pytest.raises(mg.errors.ShapeError, match="Linear: in_features: expected an integer >= 1, got"):
            nn.Linear(wrong, 2)


NUMBERS = {  # how, a few that are right, some that are wrong
    "Dropout: p": (nn.Dropout, [0, 0.999], [-0.1, 1, 2]),
    "LeakyReLU: negative_slope": (nn.LeakyReLU, [0, np.float32(2)], [-1]),
    "ELU: alpha": (nn.ELU, [0.1], [0, -1]),
    "PReLU: init": (lambda a: nn.PReLU(2, a), [-1], []),
    "BatchNorm1d: eps": (lambda a: nn.BatchNorm1d(2, a), [0], [-1e-9]),
    "BatchNorm2d: momentum": (lambda a: nn.BatchNorm2d(2, 1e-5, a), [0, 1], [-0.1, 1.1]),
    "LayerNorm: eps": (lambda a: nn.LayerNorm(2, a), [0], [-1e-9]),
    "GroupNorm: eps": (lambda a: nn.GroupNorm(1, 2, a), [0], [-1e-9]),
    "InstanceNorm2d: eps": (lambda a: nn.InstanceNorm2d(2, a), [0], [-1e-9]),
}


@pytest.mark.parametrize("what", NUMBERS)
def test_numbers_are_looked_at(what):
    make, right, wrong = NUMBERS[what]
    for value in right:
        make(value)
    for value in [*wrong, float("nan"), float("inf"), None, "0.5", True, [0.5]]:
        with pytest.raises(mg.errors.ShapeError, match=f"^{what}: expected a finite number"):
            make(value)


@pytest.mark.parametrize(
    ("what", "make"),
    [
        ("Linear: bias", lambda b: nn.Linear(2, 2, b)),
        ("Conv2d: bias", lambda b: nn.Conv2d(2, 2, 1, bias=b)),
        ("ConvTranspose2d: bias", lambda b: nn.ConvTranspose2d(2, 2, 1, bias=b)),
        ("ReLU: inplace", nn.ReLU),
        ("Dropout: always", lambda b: nn.Dropout(0.5, always=b)),
        ("BatchNorm2d: affine", lambda b: nn.BatchNorm2d(2, affine=b)),
        ("LayerNorm: elementwise_affine", lambda b: nn.LayerNorm(2, 1e-5, b)),
        ("GroupNorm: affine", lambda b: nn.GroupNorm(1, 2, 1e-5, b)),
    ],
)
def test_flags_are_looked_at(what, make):
    make(np.bool_(True))
    for wrong in (1, 0, None, "relu"):
        with pytest.raises(mg.errors.ShapeError, match=f"^{what}: expected True or False"):
            make(wrong)


NETWORK = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
TENSOR = mg.ones((3, 3))


@pytest.mark.parametrize(
    "call",
    [
        lambda path: nn.Linear(TENSOR, 2),
        lambda path: nn.Linear(2, NETWORK),
        lambda path: nn.Linear(2, 2, bias=TENSOR),
        lambda path: nn.LeakyReLU(TENSOR),
        lambda path: nn.Conv2d(1, 1, NETWORK),
        lambda path: nn.Conv2d(1, 1, 1, padding=NETWORK),
        lambda path: nn.Unflatten(1, NETWORK),
        lambda path: nn.Sequential([NETWORK], NETWORK),
        lambda path: nn.spectral_norm(NETWORK),
        lambda path: nn.weight_norm(TENSOR),
        lambda path: nn.functional_call(NETWORK, {"0.bias": NETWORK}),
        lambda path: NETWORK.load_state_dict(NETWORK),
        lambda path: NETWORK.to(dtype=NETWORK),
        lambda path: mg.optim.Adam(NETWORK.parameters(), NETWORK.parameters()),
        lambda path: mg.optim.Adam(NETWORK.parameters(), betas=NETWORK),
        lambda path: mg.reshape(TENSOR, NETWORK),
        lambda path: mg.zeros(NETWORK),
        lambda path: mg.ones(2, NETWORK),
        lambda path: mg.pad(TENSOR, NETWORK),
        lambda path: mg.tensor(1.0, device=NETWORK),
        lambda path: mg.tensor(1.0, dtype=NETWORK),
        lambda path: mg.random.seed(NETWORK),
        lambda path: mg.random.default().normal(NETWORK),
        lambda path: mg.save(path, NETWORK),
        lambda path: mg.save([NETWORK], path),
        lambda path: mg.load(path, NETWORK),
        lambda path: mg.load([NETWORK], path),
    ],
)
def test_whatever_an_argument_is_the_message_is_one_line(call, tmp_path):
    with pytest.raises(mg.errors.MiniganError) as told:
        call(tmp_path / "weights.safetensors")
    assert "\n" not in str(told.value)
