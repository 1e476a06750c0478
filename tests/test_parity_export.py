"""A generator trained by minigan draws the same images in PyTorch, and one of PyTorch the same in minigan."""

import warnings

import numpy as np
import pytest
from parity import torch
from safetensors.torch import load_file, save_file

import minigan as mg
from minigan import export
from minigan.command import cli
from minigan.gan import normal_latent, uniform_latent

nn = torch.nn


def dcgan28_in_torch(z_dim=96):
    """CS231n's generator as a PyTorch program writes it."""
    return nn.Sequential(
        *(nn.Linear(z_dim, 1024), nn.ReLU(), nn.BatchNorm1d(1024, 1e-3, 0.01)),
        *(nn.Linear(1024, 6272), nn.ReLU(), nn.BatchNorm1d(6272, 1e-3, 0.01), nn.Unflatten(1, (128, 7, 7))),
        *(nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.ReLU(), nn.BatchNorm2d(64, 1e-3, 0.01)),
        *(nn.ConvTranspose2d(64, 1, 4, 2, 1), nn.Tanh()),
    )


def dcgan32_in_torch(z_dim=100, width=8):
    """The paper's, for 32x32."""
    maps = [8 * width, 4 * width, 2 * width, width]
    layers = [nn.Unflatten(1, (z_dim, 1, 1)), nn.ConvTranspose2d(z_dim, maps[0], 2, bias=False)]
    for i, o in zip(maps, [*maps[1:], 1], strict=True):
        layers += [nn.BatchNorm2d(i), nn.ReLU(), nn.ConvTranspose2d(i, o, 4, 2, 1, bias=False)]
    return nn.Sequential(*layers, nn.Tanh())


def images(network, z):
    with torch.no_grad():
        return network.eval()(torch.tensor(z)).numpy()


NETWORKS = {
    "dcgan28": (lambda: mg.models.dcgan28(96)[0], dcgan28_in_torch, uniform_latent(96)),
    "dcgan": (lambda: mg.models.dcgan(32, channels=1, width=8)[0], dcgan32_in_torch, normal_latent(100)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_generator_trained_by_pytorch_draws_the_same_here(tmp_path, name):
    make, in_torch, latent = NETWORKS[name]
    theirs = in_torch()
    optimizer = torch.optim.SGD(theirs.parameters(), 0.1)
    z = mg.random.Stream(0).normal((16, latent.dim))
    for _ in range(3):  # its statistics move as well
        optimizer.zero_grad()
        (theirs(torch.tensor(z)) - 0.3).square().mean().backward()
        optimizer.step()
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    ours = make()
    export.load_weights(ours, tmp_path / "theirs.safetensors")
    found = export.Generator(ours, latent).generate(mg.tensor(z)).numpy()
    assert np.abs(found - images(theirs, z)).max() < 1e-5
    again = export.load_generator(export.save_generator(tmp_path / "g.safetensors", export.Generator(ours, latent)))
    assert np.array_equal(again.generate(mg.tensor(z)).numpy(), found)


def test_a_generator_trained_here_draws_the_same_in_pytorch(tmp_path):
    options = "dcgan --data digits --steps 12 --batch-size 16 --ema 0.9 --out"
    assert cli.main(["train", *options.split(), str(tmp_path / "run")]) == 0
    file = tmp_path / "run" / "generator.safetensors"
    ours, theirs = export.load_generator(file), dcgan28_in_torch()
    theirs.load_state_dict(load_file(file))
    z = ours.latent(16, mg.random.Stream(1))
    found = ours.generate(z).numpy()
    assert found.std() > 0.01
    assert np.abs(found - images(theirs, z.numpy())).max() < 1e-5


def small_in_torch():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


def small():
    return mg.nn.Sequential(mg.nn.Linear(3, 4), mg.nn.BatchNorm1d(4), mg.nn.ReLU(), mg.nn.Linear(4, 2))


def saved(path, state):
    save_file({name: t.detach().contiguous().clone() for name, t in state.items()}, path)
    return path


def same(ours, theirs, tolerance=1e-6):
    x = mg.random.Stream(0).normal((5, 3))
    with mg.nn.evaluating(ours):
        found = ours(mg.tensor(x)).numpy()
    return np.abs(found - images(theirs, x)).max() < tolerance


def compiled(network):
    return torch.compile(network, backend="eager")


WRAPPED = {
    "DataParallel": nn.DataParallel,
    "compile": compiled,
    "both": lambda network: compiled(nn.DataParallel(network)),
    "AveragedModel": torch.optim.swa_utils.AveragedModel,
    "a compiled layer": lambda network: nn.Sequential(compiled(network[0]), *network[1:]),
}


@pytest.mark.parametrize("how", WRAPPED)
def test_weights_of_a_wrapped_network(tmp_path, how):
    theirs, ours = small_in_torch(), small()
    theirs(torch.randn(9, 3))
    export.load_weights(ours, saved(tmp_path / "w.safetensors", WRAPPED[how](theirs).state_dict()))
    assert same(ours, theirs)


@pytest.mark.parametrize("width", [torch.bfloat16, torch.float16, torch.float64])
def test_weights_of_other_widths(tmp_path, width):
    theirs, ours = small_in_torch().to(width), small()
    export.load_weights(ours, saved(tmp_path / "w.safetensors", theirs.state_dict()))
    assert same(ours, theirs.float())


def test_weights_from_before_batches_were_counted(tmp_path):
    theirs, ours = small_in_torch(), small()
    state = {name: t for name, t in theirs.state_dict().items() if "tracked" not in name}
    export.load_weights(ours, saved(tmp_path / "w.safetensors", state))
    assert same(ours, theirs)


@pytest.mark.parametrize("norm", ["spectral_norm", "weight_norm"])
@pytest.mark.parametrize("where", ["torch.nn.utils", "torch.nn.utils.parametrizations"])
def test_weights_of_normalised_layers(tmp_path, norm, where):
    module = nn.utils.parametrizations if where.endswith("parametrizations") else nn.utils
    if not hasattr(module, norm):
        pytest.skip(f"this PyTorch has no {where}.{norm}")
    wrap = getattr(module, norm)
    z = mg.random.Stream(1).normal((2, 3, 4, 4))
    for kind in ("Conv2d", "ConvTranspose2d"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # that the older one will go
            theirs = nn.DataParallel(wrap(getattr(nn, kind)(3, 5, 3)))
        theirs(torch.tensor(z))  # the vectors of spectral_norm move
        ours = getattr(mg.nn, norm)(getattr(mg.nn, kind)(3, 5, 3))
        export.load_weights(ours, saved(tmp_path / "w.safetensors", theirs.state_dict()))
        with mg.nn.evaluating(ours):
            assert np.abs(ours(mg.tensor(z)).numpy() - images(theirs, z)).max() < 1e-5


def test_a_type_that_numpy_lacks_is_refused_and_nothing_copied(tmp_path):
    state, ours = small_in_torch().state_dict(), small()
    state["3.bias"] = state["3.bias"].to(torch.float8_e4m3fn)
    before = {name: t.numpy() for name, t in ours.state_dict().items()}
    with pytest.raises(mg.errors.CheckpointError, match=r"3\.bias is of type F8_E4M3"):
        export.load_weights(ours, saved(tmp_path / "w.safetensors", state))
    assert all(np.array_equal(t.numpy(), before[name]) for name, t in ours.state_dict().items())


def test_what_pytorch_pickles_is_refused(tmp_path):
    torch.save(dcgan32_in_torch().state_dict(), tmp_path / "g.pth")
    with pytest.raises(mg.errors.CheckpointError, match="a pickle"):
        export.load_weights(mg.models.dcgan(32, channels=1, width=8)[0], tmp_path / "g.pth")
