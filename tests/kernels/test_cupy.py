"""The CUDA path without a GPU: the op table and whole training steps on the strict stand-in for CuPy."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import fakecublas
import fakecupy
import numpy as np
import pytest
from cuda_games import dcgan, wgan_gp
from device_checks import check_op_to_second_order, check_training_step, play
from layer_table import ROWS as LAYER_ROWS
from layer_table import TABLE as LAYER_TABLE
from op_table import ROWS

import minigan as mg
from minigan.kernels import cuda_conv, cuda_ways


@pytest.fixture
def cupy(monkeypatch):
    return fakecupy.install(monkeypatch)


@pytest.mark.parametrize(("name", "k"), ROWS)
def test_op_to_second_order_on_the_stand_in(name, k, rng, cupy):
    check_op_to_second_order(name, k, rng)


@pytest.mark.parametrize("make", [dcgan, wgan_gp])
def test_a_training_step_is_the_same_on_both_devices(make, cupy):
    check_training_step(make)


LAYERS = {
    "Linear": (lambda nn: nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3, bias=False)), (5, 6)),
    "BatchNorm1d": (lambda nn: nn.BatchNorm1d(6), (5, 6)),
    "LayerNorm": (lambda nn: nn.LayerNorm(6), (5, 6)),
    "Softmax": (lambda nn: nn.Softmax(), (5, 6)),
    "Conv2d": (lambda nn: nn.Sequential(nn.Conv2d(4, 6, 3, 2, 1, groups=2), nn.LeakyReLU(0.2)), (2, 4, 7, 6)),
    "ConvTranspose2d": (lambda nn: nn.ConvTranspose2d(4, 6, (3, 2), 2, 1, 1), (2, 4, 5, 6)),
    "BatchNorm2d": (lambda nn: nn.BatchNorm2d(4), (3, 4, 5, 2)),
    "GroupNorm": (lambda nn: nn.GroupNorm(2, 4), (2, 4, 5, 6)),
    "spectral norm": (
        lambda nn: nn.Sequential(nn.spectral_norm(nn.Conv2d(4, 6, 3)), nn.LeakyReLU(0.2), nn.PReLU(6)),
        (2, 4, 5, 6),
    ),
    "weight norm": (lambda nn: nn.Sequential(nn.weight_norm(nn.Linear(6, 4)), nn.ReLU()), (5, 6)),
    "MinibatchStdDev": (lambda nn: nn.MinibatchStdDev(2), (4, 3, 5, 6)),
    "Dropout": (lambda nn: nn.Dropout(0.5, rng=mg.random.Stream(3)), (2, 4, 5, 6)),
    "pooling": (lambda nn: nn.Sequential(nn.MaxPool2d(2, 1), nn.AvgPool2d(2), nn.UpsampleNearest(2)), (2, 4, 7, 7)),
    "resampling": (
        lambda nn: nn.Sequential(
            *[nn.Upsample((40, 75), mode="bicubic"), nn.Blur(down=2), nn.Blur(((1, 2), (3, 5)), up=2)],
            *[nn.ReflectionPad2d(2), nn.ReplicationPad2d((1, 0, 0, 2)), nn.ZeroPad2d(1)],
        ),
        (2, 4, 5, 6),
    ),
    "shapes": (lambda nn: nn.Sequential(nn.PixelShuffle(2), nn.Flatten(), nn.Unflatten(1, (4, 5, 6))), (2, 4, 5, 6)),
    "activations": (lambda nn: nn.Sequential(nn.Tanh(), nn.ELU(), nn.Softplus(), nn.Sigmoid(), nn.LeakyReLU()), (2, 9)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_the_same_on_both_devices(name, rng, cupy):
    make, shape = LAYERS[name]
    array = rng.standard_normal(shape)

    def outcome(device):
        mg.random.seed(0)
        layer = make(mg.nn).to(device, "float64")
        x = mg.tensor(array, device=device)
        y = layer(x)
        tensors = [x, *layer.parameters()]
        slopes = mg.grad(mg.sum(mg.sin(y)), tensors, create_graph=True)
        penalty = mg.sum(slopes[0] ** 2)
        return [y, *slopes, *mg.grad(penalty, tensors), *layer.state_dict().values()]

    for ours, theirs in zip(outcome("cuda"), outcome("cpu"), strict=True):
        assert ours.device == "cuda"
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "k"), LAYER_ROWS)
def test_a_layer_of_the_table_is_the_same_on_both_devices(name, k, rng, cupy):
    row = LAYER_TABLE[name][k]
    arrays = row.inputs(rng)
    values = [rng.standard_normal(p.shape) for p in row.make().parameters()]

    def outcome(device):
        mg.random.seed(0)
        layer = row.make().to(device, "float64")
        for p, value in zip(layer.parameters(), values, strict=True):
            p.copy_(mg.tensor(value, device=device))
        inputs = [mg.tensor(a, device=device) for a in arrays]
        with mg.random.using(mg.random.Stream(0)):
            y = layer(*inputs)
        y = y[0] if isinstance(y, tuple) else y
        wanted = [*(x for x in inputs if x.dtype.kind == "f"), *layer.parameters()]
        slopes = mg.grad(mg.sum(mg.sin(y)), wanted, create_graph=True)
        return [y, *slopes, *mg.grad(mg.sum(mg.square(slopes[0])), wanted)]

    for ours, theirs in zip(outcome("cuda"), outcome("cpu"), strict=True):
        assert ours.device == "cuda"
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-9, atol=1e-9)


OPTIMIZERS = {
    "SGD": lambda p: mg.optim.SGD(p, 0.1),
    "momentum": lambda p: mg.optim.SGD(p, 0.1, 0.9, weight_decay=0.1),
    "Nesterov": lambda p: mg.optim.SGD(p, 0.1, 0.9, nesterov=True),
    "RMSProp": lambda p: mg.optim.RMSProp(p, 0.1),
    "centered": lambda p: mg.optim.RMSProp(p, 0.1, weight_decay=0.1, momentum=0.9, centered=True),
    "Adam": lambda p: mg.optim.Adam(p, 0.1, weight_decay=0.1),
    "AdamW": lambda p: mg.optim.AdamW(p, 0.1, weight_decay=0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_is_the_same_on_both_devices(name, rng, cupy):
    starts = [rng.standard_normal(shape) for shape in ((3, 4), (5,), (2, 3, 4, 4))]
    slopes = [[rng.standard_normal(a.shape) for a in starts] for _ in range(3)]

    def outcome(device):
        params = [mg.nn.Parameter(mg.tensor(a, device=device)) for a in starts]
        optimizer = OPTIMIZERS[name](params)
        for each in slopes:
            optimizer.step([mg.tensor(g, device=device) for g in each])
        return [*params, *optimizer.state_dict().values()]

    for ours, theirs in zip(outcome("cuda"), outcome("cpu"), strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("make", [dcgan, wgan_gp])
def test_a_float32_step_on_the_device_stays_float32(make, cupy):
    _, state = play("cuda", make, "float32", steps=1)
    widths = {key: value.dtype for key, value in state.items() if value.dtype == np.float64}
    assert set(widths) == {"generator_optimizer.lr", "discriminator_optimizer.lr"}


def test_samples_come_from_the_device(cupy):
    game = dcgan("cuda", "float32")
    assert game.sample(3).device == "cuda"
    assert game.sample(3).shape == (3, 1, 28, 28)


IMAGES = {
    "add": lambda x: x + x,
    "subtract a channel's mean": lambda x: x - mg.mean(x, (0, 2, 3), keepdims=True),
    "multiply by a number": lambda x: x * 0.5,
    "divide by a scalar": lambda x: x / mg.tensor(2.0, x.dtype, device="cuda"),
    "relu": mg.ops.relu,
    "leaky_relu": lambda x: mg.ops.leaky_relu(x, 0.2),
    "negative": lambda x: -x,
    **{name: getattr(mg.ops, name) for name in ("tanh", "sigmoid", "softplus", "exp", "absolute", "sign")},
}


@pytest.mark.parametrize("name", IMAGES)
def test_images_stay_channels_last_on_the_device(name, rng, cupy):
    x = mg.tensor(rng.standard_normal((2, 5, 3, 4), dtype="float32").transpose(0, 3, 1, 2), device="cuda")
    y = IMAGES[name](x)
    assert y.data.transpose(0, 2, 3, 1).flags.c_contiguous
    np.testing.assert_allclose(y.numpy(), IMAGES[name](mg.tensor(x.numpy(), device="cuda")).numpy(), rtol=1e-6)


BIASED = {
    "conv2d": lambda x, b: mg.conv2d(x, mg.ones((4, 4, 3, 3), dtype=x.dtype, device=x.device), b),
    "conv_transpose2d": lambda x, b: mg.conv_transpose2d(x, mg.ones((4, 4, 3, 3), dtype=x.dtype, device=x.device), b),
    "linear": lambda x, b: mg.ops.linear(x, mg.ones((4, 6), dtype=x.dtype, device=x.device), b),
}


@pytest.mark.parametrize("library", [None, fakecublas.Cublas])
@pytest.mark.parametrize("way", cuda_ways.WAYS)
@pytest.mark.parametrize("name", BIASED)
def test_a_bias_may_lie_anyhow(name, way, library, rng, monkeypatch):
    fakecupy.install(monkeypatch, library)
    monkeypatch.setattr(cuda_conv, "FORCED", way)
    x, values = mg.tensor(rng.standard_normal((2, 4, 6, 6))), mg.tensor(rng.standard_normal(8))
    for lay in (lambda b: b[::2], lambda b: mg.broadcast_to(b[0], (4,))):
        found = BIASED[name](x.to("cuda"), lay(values.to("cuda")))
        np.testing.assert_allclose(found.numpy(), BIASED[name](x, lay(values)).numpy(), rtol=1e-12)


@pytest.mark.parametrize("way", cuda_ways.WAYS)
@pytest.mark.parametrize("name", BIASED)
def test_there_may_be_no_image(name, way, cupy, monkeypatch):
    monkeypatch.setattr(cuda_conv, "FORCED", way)
    x, b = mg.zeros((0, 4, 6, 6)), mg.zeros(4)
    expected = BIASED[name](x, b).shape
    x, b = x.to("cuda"), b.to("cuda")
    y = BIASED[name](x, b)
    assert y.shape == expected
    assert not mg.grad(mg.sum(y), b).numpy().any()


def test_mixing_devices_names_both(cupy):
    x, y = mg.ones((2, 3)), mg.ones((3, 4), device="cuda")
    with pytest.raises(mg.errors.DeviceError, match=r"matmul: .*\(2, 3\) on cpu, \(3, 4\) on cuda.*\.to\(device\)"):
        x @ y
    with pytest.raises(mg.errors.DeviceError, match="the index is on cuda"):
        x[mg.tensor([0], device="cuda")]
    assert (x.to("cuda") @ y).device == "cuda"


def test_gradients_flow_between_devices(cupy):
    x = mg.tensor([1.0, 2.0])
    assert mg.grad(mg.sum(x.to("cuda") ** 2), x).device == "cpu"
    assert mg.grad(mg.sum(x.to("cuda") ** 2), x).numpy().tolist() == [2, 4]


# --- the stand-in is strict -----------------------------------------------------------------------------------


def test_the_stand_in_refuses_what_cupy_refuses(cupy):
    x = cupy.asarray(np.ones(3))
    for refused in (
        lambda: x + np.ones(3),
        lambda: cupy.add(x, np.ones(3)),
        lambda: cupy.maximum([1.0, 2.0, 3.0], x),
        lambda: x[np.array([0, 1])],
        lambda: np.asarray(x),
        lambda: x.__setitem__(slice(None), np.ones(3)),
        lambda: list(x),
    ):
        with pytest.raises(TypeError):
            refused()
    with pytest.raises(AttributeError):
        _ = cupy.einsum_path
    with pytest.raises(AttributeError):
        _ = x.newbyteorder
    with pytest.raises(ValueError, match="repeated"):
        x[cupy.asarray([0, 0])] = 1.0
    assert x.sum().shape == ()


def test_the_stand_in_counts_transfers(cupy):
    x = cupy.asarray(np.ones(3))
    assert (fakecupy.counts.uploads, fakecupy.counts.syncs) == (1, 0)
    float(x.sum()), x.get(), bool((x > 0).all())
    assert (fakecupy.counts.uploads, fakecupy.counts.syncs) == (1, 3)


# --- without a GPU --------------------------------------------------------------------------------------------


def test_cuda_without_cupy_says_what_is_missing(monkeypatch):
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    extra = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    command = re.escape(f"pip install '{extra['cuda13'][0]}'")
    with pytest.raises(mg.errors.DeviceError, match=f"CuPy is not installed.*{command}"):
        mg.ones(2, device="cuda")


def test_cuda_without_a_gpu_says_what_is_missing(cupy):
    cupy.cuda.is_available = lambda: False
    with pytest.raises(mg.errors.DeviceError, match=r"finds no usable NVIDIA GPU.*nvidia-smi"):
        mg.tensor([1.0]).to("cuda")


def test_cuda_without_the_toolkit_says_what_is_missing(cupy):
    class Cuda:
        runtime = type("runtime", (), {"runtimeGetVersion": staticmethod(lambda: 13000)})

        @staticmethod
        def is_available():
            return True

        @property
        def cublas(self):
            raise ImportError("libcublas.so.13: no such file")

    cupy.cuda = Cuda()
    with pytest.raises(mg.errors.DeviceError, match=r"libcublas.*pip install 'cupy-cuda13x\[ctk\]'"):
        mg.ones(1, device="cuda")


@pytest.mark.skipif(mg.backend.cuda_problem() is None, reason="this machine has a GPU")
def test_the_example_without_a_gpu_exits_with_that_message(tmp_path):
    command = [sys.executable, "examples/dcgan_mnist.py", "--device", "cuda", "--out", str(tmp_path / "run")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert 'device "cuda" cannot be used' in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()
