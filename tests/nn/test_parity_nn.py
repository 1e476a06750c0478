"""Layers, optimizers, schedules and whole training steps, side by side with PyTorch."""

import inspect

import numpy as np
import pytest
from parity import both, check, close, torch

import minigan as mg
from minigan.nn import functional_call

tnn = torch.nn

LAYERS = {
    "Linear": (lambda: mg.nn.Linear(5, 3), lambda: tnn.Linear(5, 3), (4, 5)),
    "Linear without bias": (lambda: mg.nn.Linear(5, 3, bias=False), lambda: tnn.Linear(5, 3, bias=False), (2, 4, 5)),
    "Conv2d": (
        lambda: mg.nn.Conv2d(4, 6, (3, 2), stride=2, padding=1, groups=2),
        lambda: tnn.Conv2d(4, 6, (3, 2), stride=2, padding=1, groups=2),
        (2, 4, 7, 6),
    ),
    "ConvTranspose2d": (
        lambda: mg.nn.ConvTranspose2d(4, 6, 4, 2, 1, 1),
        lambda: tnn.ConvTranspose2d(4, 6, 4, 2, 1, 1),
        (2, 4, 3, 4),
    ),
    "BatchNorm1d": (lambda: mg.nn.BatchNorm1d(3), lambda: tnn.BatchNorm1d(3), (6, 3)),
    "BatchNorm2d": (lambda: mg.nn.BatchNorm2d(3, momentum=0.3), lambda: tnn.BatchNorm2d(3, momentum=0.3), (4, 3, 5, 2)),
    "LayerNorm": (lambda: mg.nn.LayerNorm((3, 4)), lambda: tnn.LayerNorm((3, 4)), (2, 3, 4)),
    "GroupNorm": (lambda: mg.nn.GroupNorm(2, 4), lambda: tnn.GroupNorm(2, 4), (2, 4, 3, 3)),
    "InstanceNorm2d": (
        lambda: mg.nn.InstanceNorm2d(3, affine=True),
        lambda: tnn.InstanceNorm2d(3, affine=True),
        (2, 3, 4, 4),
    ),
    "Upsample": (
        lambda: mg.nn.Upsample(scale_factor=(2, 1.3), mode="bicubic", align_corners=True),
        lambda: tnn.Upsample(scale_factor=(2, 1.3), mode="bicubic", align_corners=True),
        (2, 3, 4, 5),
    ),
    **{
        name: (
            lambda name=name: getattr(mg.nn, name)((1, 0, 2, 3)),
            lambda name=name: getattr(tnn, name)((1, 0, 2, 3)),
            (2, 3, 4, 5),
        )
        for name in ("ZeroPad2d", "ReflectionPad2d", "ReplicationPad2d")
    },
    "Sequential": (
        lambda: mg.nn.Sequential(
            mg.nn.Conv2d(1, 3, 3), mg.nn.LeakyReLU(0.2), mg.nn.MaxPool2d(2), mg.nn.Flatten(), mg.nn.Linear(12, 2)
        ),
        lambda: tnn.Sequential(
            tnn.Conv2d(1, 3, 3), tnn.LeakyReLU(0.2), tnn.MaxPool2d(2), tnn.Flatten(), tnn.Linear(12, 2)
        ),
        (2, 1, 6, 6),
    ),
}


def twins(make_ours, make_theirs, dtype):
    """Both networks in `dtype` with the same random weights; the state dicts must have the same keys and shapes."""
    ours, theirs = make_ours().to(dtype=dtype), make_theirs().to(getattr(torch, dtype))
    rng = np.random.default_rng(3)
    state = {
        k: v if "num_batches" in k or "running" in k else torch.tensor(rng.standard_normal(v.shape), dtype=v.dtype)
        for k, v in theirs.state_dict().items()
    }
    theirs.load_state_dict(state)
    ours.load_state_dict({k: v.numpy() for k, v in state.items()})
    assert list(ours.state_dict()) == list(theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", LAYERS)
def test_layer_to_second_order(name, dtype, rng):
    make_ours, make_theirs, shape = LAYERS[name]
    ours, theirs = twins(make_ours, make_theirs, dtype)
    names = [k for k, _ in theirs.named_parameters()]
    arrays = [rng.standard_normal(shape), *(p.detach().numpy() for p in theirs.parameters())]

    def call_theirs(x, *params):
        return torch.func.functional_call(theirs, dict(zip(names, params, strict=True)), (x,))

    check(lambda x, *params: functional_call(ours, params, x), call_theirs, arrays, dtype, rng)
    for (k, a), (_, b) in zip(ours.state_dict().items(), theirs.state_dict().items(), strict=True):
        close(a, b, dtype, k)  # running statistics moved alike
    ours.eval(), theirs.eval()
    check(lambda x, *params: functional_call(ours, params, x), call_theirs, arrays, dtype, rng)


def test_weights_move_both_ways():
    make_ours, make_theirs, shape = LAYERS["Sequential"]
    ours, theirs = make_ours(), make_theirs()
    theirs.load_state_dict({k: torch.from_numpy(v.numpy()) for k, v in ours.state_dict().items()})
    x = np.random.default_rng(0).standard_normal(shape).astype("float32")
    close(ours(mg.tensor(x)), theirs(torch.tensor(x)), "float32")


def test_embedding_and_dropout_statistics(rng):
    ours, theirs = mg.nn.Embedding(5, 3), tnn.Embedding(5, 3)
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    index = np.array([[0, 4], [4, 1]])
    close(ours(mg.tensor(index)), theirs(torch.tensor(index)), "float32")


OPTIMIZERS = {
    "SGD": (mg.optim.SGD, torch.optim.SGD, {"lr": 0.1}),
    "SGD momentum": (mg.optim.SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    "SGD Nesterov": (mg.optim.SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "RMSProp": (mg.optim.RMSProp, torch.optim.RMSprop, {"lr": 0.01}),
    "RMSProp decay": (mg.optim.RMSProp, torch.optim.RMSprop, {"lr": 0.01, "alpha": 0.9, "weight_decay": 0.1}),
    "RMSProp momentum": (mg.optim.RMSProp, torch.optim.RMSprop, {"lr": 0.01, "momentum": 0.9, "centered": True}),
    "Adam": (mg.optim.Adam, torch.optim.Adam, {"lr": 0.01}),
    "Adam decay": (mg.optim.Adam, torch.optim.Adam, {"lr": 0.01, "betas": (0.5, 0.9), "weight_decay": 0.1}),
    "AdamW": (mg.optim.AdamW, torch.optim.AdamW, {"lr": 0.01}),
}


@pytest.mark.parametrize("name", ["SGD", "RMSProp", "Adam", "AdamW"])
def test_defaults_of_an_optimizer(name):
    make, reference, _ = OPTIMIZERS[name]
    defaults = {k: p.default for k, p in inspect.signature(reference.__init__).parameters.items()}
    for option, parameter in inspect.signature(make.__init__).parameters.items():
        if parameter.default is not parameter.empty:
            assert parameter.default == defaults[option], option


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(name, dtype, rng):
    make_ours, make_theirs, options = OPTIMIZERS[name]
    xs, ts = both([rng.standard_normal((3, 2)), rng.standard_normal(4)], dtype)
    ours, theirs = make_ours(xs, **options), make_theirs(ts, **options)
    for _ in range(10):
        grads = [rng.standard_normal(x.shape).astype(dtype) for x in xs]
        ours.step([mg.tensor(g) for g in grads])
        for t, g in zip(ts, grads, strict=True):
            t.grad = torch.tensor(g)
        theirs.step()
    for x, t in zip(xs, ts, strict=True):
        close(x, t, dtype)


@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("first", [1e18, 1e20, 1e21, 1e22])
def test_an_optimizer_after_a_gradient_that_overflows(name, first):
    make, make_theirs, options = OPTIMIZERS[name]
    (ours,), (theirs,) = both([np.ones(3)], "float32")
    optimizer, reference = make([ours], **options), make_theirs([theirs], **options)
    for value in (first, 1.0, -2.0):
        optimizer.step([mg.full((3,), value)])
        theirs.grad = torch.full((3,), value)
        reference.step()
        close(ours, theirs, "float32", name)


SCHEDULES = {
    "step_decay": (mg.optim.step_decay(3, 0.5), lambda o: torch.optim.lr_scheduler.StepLR(o, 3, 0.5)),
    "exponential_decay": (mg.optim.exponential_decay(0.9), lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.9)),
    "linear": (mg.optim.linear(0.5, 0.1, 6), lambda o: torch.optim.lr_scheduler.LinearLR(o, 0.5, 0.1, 6)),
    "cosine": (mg.optim.cosine(10), lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 10)),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule(name):
    factor, make = SCHEDULES[name]
    ours = mg.optim.SGD([mg.ones(1)], lr=0.2)
    theirs = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.2)
    schedule, scheduler = mg.optim.Schedule(ours, factor), make(theirs)
    for step in range(9):
        schedule.set(step)
        assert ours.lr == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-12)
        theirs.step()
        scheduler.step()


# --- ten steps of whole GANs, from the same weights and the same noise ---------------------------------------


def torch_dcgan():
    """The DCGAN of minigan.models.dcgan28, layer by layer."""
    options = {"eps": 1e-3, "momentum": 0.01}
    generator = tnn.Sequential(
        *[tnn.Linear(96, 1024), tnn.ReLU(), tnn.BatchNorm1d(1024, **options)],
        *[tnn.Linear(1024, 6272), tnn.ReLU(), tnn.BatchNorm1d(6272, **options), tnn.Unflatten(1, (128, 7, 7))],
        *[tnn.ConvTranspose2d(128, 64, 4, 2, 1), tnn.ReLU(), tnn.BatchNorm2d(64, **options)],
        *[tnn.ConvTranspose2d(64, 1, 4, 2, 1), tnn.Tanh()],
    )
    discriminator = tnn.Sequential(
        *[tnn.Conv2d(1, 32, 5), tnn.LeakyReLU(0.01), tnn.MaxPool2d(2)],
        *[tnn.Conv2d(32, 64, 5), tnn.LeakyReLU(0.01), tnn.MaxPool2d(2), tnn.Flatten()],
        *[tnn.Linear(1024, 1024), tnn.LeakyReLU(0.01), tnn.Linear(1024, 1)],
    )
    return generator.double(), discriminator.double()


def torch_critic():
    """The WGAN-GP critic of minigan.models.wgan_gp28, layer by layer."""
    return tnn.Sequential(
        *[tnn.Conv2d(1, 64, 4, 2), tnn.LeakyReLU(0.01), tnn.Conv2d(64, 128, 4, 2), tnn.LeakyReLU(0.01)],
        *[tnn.BatchNorm2d(128, eps=1e-3, momentum=0.01), tnn.Flatten(), tnn.Linear(3200, 1024), tnn.LeakyReLU(0.01)],
        tnn.Linear(1024, 1),
    ).double()


def real_batch(k, n=8):
    return np.random.default_rng(k).uniform(-1, 1, (n, 1, 28, 28))


def same_weights(ours, theirs):
    for mine, other in zip(ours, theirs, strict=True):
        mine.to(dtype="float64")
        other.load_state_dict({k: torch.from_numpy(v.numpy()) for k, v in mine.state_dict().items()})


def play_both(game, theirs, betas, lr, steps, d_loss, g_loss):
    """Losses of `steps` rounds in minigan and in PyTorch, one pair after the other."""
    G, D = theirs
    g_opt = torch.optim.Adam(G.parameters(), lr, betas)
    d_opt = torch.optim.Adam(D.parameters(), lr, betas)
    for step in range(steps):
        found = game.play(lambda k: mg.tensor(real_batch(k)))
        real = torch.tensor(real_batch(step))
        noise = [torch.tensor(game.latent(8, game.stream("noise").at(2 * step + turn)).numpy()) for turn in (0, 1)]
        with torch.no_grad():
            fake = G(noise[0])
        loss = d_loss(D, real, fake, game.stream("discriminator").at(2 * step))
        d_opt.zero_grad()
        loss.backward()
        d_opt.step()
        loss_g = g_loss(D(G(noise[1])))
        g_opt.zero_grad()
        loss_g.backward()
        g_opt.step()
        yield found, loss.item(), loss_g.item()


def compare(game, theirs, pairs):
    for found, d_loss, g_loss in pairs:
        assert found["d_loss"].item() == pytest.approx(d_loss, rel=1e-6, abs=1e-6)
        assert found["g_loss"].item() == pytest.approx(g_loss, rel=1e-6, abs=1e-6)
    for player, other in zip((game.generator, game.discriminator), theirs, strict=True):
        for (k, a), (_, b) in zip(player.state_dict().items(), other.state_dict().items(), strict=True):
            assert np.abs(a.numpy() - b.numpy()).max() < 1e-6, k


def test_ten_steps_of_the_dcgan():
    mg.random.seed(1)
    ours, theirs = mg.models.dcgan28(), torch_dcgan()
    same_weights(ours, theirs)
    options = {"lr": 1e-3, "betas": (0.5, 0.999)}
    game = mg.gan.ScoreGame(
        *ours,
        loss=mg.gan.losses.nonsaturating,
        latent=mg.gan.uniform_latent(96, dtype="float64"),
        generator_optimizer=mg.optim.Adam(ours.generator.parameters(), **options),
        discriminator_optimizer=mg.optim.Adam(ours.discriminator.parameters(), **options),
    )
    F = torch.nn.functional

    def d_loss(D, real, fake, stream):
        r, f = D(real), D(fake)
        return (
            F.binary_cross_entropy_with_logits(r, torch.ones_like(r))
            + F.binary_cross_entropy_with_logits(f, torch.zeros_like(f))
        )  # fmt: skip

    def g_loss(f):
        return F.binary_cross_entropy_with_logits(f, torch.ones_like(f))

    compare(game, theirs, play_both(game, theirs, (0.5, 0.999), 1e-3, 10, d_loss, g_loss))


def test_ten_steps_of_the_wgan_gp():
    mg.random.seed(2)
    ours, theirs = mg.models.wgan_gp28(), (torch_dcgan()[0], torch_critic())
    same_weights(ours, theirs)
    options = {"lr": 1e-4, "betas": (0.5, 0.9)}
    game = mg.gan.ScoreGame(
        *ours,
        loss=mg.gan.losses.wasserstein,
        penalty=mg.gan.penalties.gradient_penalty,
        latent=mg.gan.uniform_latent(96, dtype="float64"),
        generator_optimizer=mg.optim.Adam(ours.generator.parameters(), **options),
        discriminator_optimizer=mg.optim.Adam(ours.discriminator.parameters(), **options),
    )

    def d_loss(D, real, fake, stream):
        r, f = D(real), D(fake)
        u = torch.tensor(stream.uniform((8, 1, 1, 1), dtype="float64"))
        between = (real + u * (fake - real)).requires_grad_()
        (slope,) = torch.autograd.grad(D(between).sum(), between, create_graph=True)
        norm = (slope.flatten(1).square().sum(1) + 1e-12).sqrt()
        return f.mean() - r.mean() + 10 * ((norm - 1) ** 2).mean()

    compare(game, theirs, play_both(game, theirs, (0.5, 0.9), 1e-4, 10, d_loss, lambda f: -f.mean()))


def test_names_in_containers_are_those_of_module_lists_and_dicts():
    class Theirs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.ModuleList([torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)])
            self.heads = torch.nn.ModuleDict(
                {"real": torch.nn.Linear(3, 1), "deep": torch.nn.ModuleList([torch.nn.PReLU()])}
            )
            self.scales = torch.nn.ParameterList([torch.nn.Parameter(torch.ones(2))])
            self.last = torch.nn.Parameter(torch.ones(1))

    class Ours(mg.nn.Module):
        def __init__(self):
            self.layers = [mg.nn.Linear(2, 3), mg.nn.BatchNorm1d(3)]
            self.heads = {"real": mg.nn.Linear(3, 1), "deep": [mg.nn.PReLU()]}
            self.scales = (mg.nn.Parameter(mg.ones(2)),)
            self.last = mg.nn.Parameter(mg.ones(1))

    theirs, ours = Theirs(), Ours()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    ours.load_state_dict(theirs.state_dict())
    for name, t in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[name].numpy(), t.numpy())
