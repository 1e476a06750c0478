"""Two steps of further translators against their papers' formulas in PyTorch, on small networks: losses, weights."""

import pytest
from parity import torch
from translators_in_torch import F, adam, adam_in_torch, moved, none, one, played, the_same

import minigan as mg
from minigan.gan import losses, penalties
from minigan.gan.translation import BicycleGAN, CoGAN, CycleGAN, PixelDA, Restoration, StarGAN, l1, l2
from minigan.models import WithClass, WithNoise
from minigan.models.labels import TwoHeads

nn = torch.nn
N, CLASSES, Z = 4, 3, 2


@pytest.fixture(autouse=True)
def same_weights():
    mg.random.seed(0)


def translator(inputs, outputs):
    """In both libraries, with the same weights; networks below likewise."""
    ours, theirs = (
        lib.Sequential(
            lib.Conv2d(inputs, 4, 3, padding=1), lib.Tanh(), lib.Conv2d(4, outputs, 3, padding=1), lib.Tanh()
        )
        for lib in (mg.nn, nn)
    )
    return moved(ours, theirs)


def critic(channels):
    ours, theirs = (
        lib.Sequential(lib.Conv2d(channels, 4, 3), lib.LeakyReLU(0.2), lib.Conv2d(4, 1, 3)) for lib in (mg.nn, nn)
    )
    return moved(ours, theirs)


def reader(channels, outputs):
    ours, theirs = (
        lib.Sequential(lib.Conv2d(channels, 4, 3), lib.Tanh(), lib.Flatten(), lib.Linear(4 * 36, outputs))
        for lib in (mg.nn, nn)
    )
    return moved(ours, theirs)


def images(rng, *channels):
    return tuple(rng.uniform(-1, 1, (N, c, 8, 8)) for c in channels)


def stream(name, at):
    return mg.random.Stream(0, name).at(at)


def beside(x, told):
    """Images with a map for each number that is told."""
    return torch.cat([x, told[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1)


def step(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def bce(scores, target):
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, target))


def slopes_penalty(critic, real, fake, u):
    """Gulrajani et al. 2017, of the mean of a sample's scores."""
    x = (real + torch.tensor(u) * (fake.detach() - real)).requires_grad_()
    (slope,) = torch.autograd.grad(critic(x).mean((1, 2, 3)).sum(), x, create_graph=True)
    return ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()


def agree(found, expected):
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value.item(), rel=1e-8), name


def test_bicyclegan(rng):
    """Zhu et al. 2017b; E does not learn by the code that it reads from a drawn one."""
    (inner, tg), (E, te), (D, td), (C, tc) = translator(1 + Z, 3), reader(3, 2 * Z), critic(3), critic(3)
    G = WithNoise(inner, Z)
    optimizers = {"generator_optimizer": adam(G), "encoder_optimizer": adam(E)}
    game = BicycleGAN(G, E, D, C, z_dim=Z, discriminators_optimizer=adam(D, C), **optimizers)
    g_opt, e_opt, d_opt = adam_in_torch(tg), adam_in_torch(te), adam_in_torch(td, tc)
    for k in range(2):
        x, y = images(rng, 1, 3)
        found = played(game, x, y)
        x, y = torch.tensor(x), torch.tensor(y)
        draws = stream("players", k)
        noise, n = (torch.tensor(draws.normal((N, Z), dtype="float64")) for _ in range(2))
        mean, log_var = te(y).chunk(2, 1)
        again, other = tg(beside(x, mean + (log_var / 2).exp() * noise)), tg(beside(x, n))
        of_scores, apart = one(td(again)) + one(tc(other)), F.l1_loss(again, y)
        kl = -0.5 * (1 + log_var - mean**2 - log_var.exp()).sum(1).mean()
        read = F.l1_loss(te(other)[:, :Z], n)
        shared = of_scores + 10 * apart + 0.01 * kl
        for optimizer, loss in ((g_opt, shared + 0.5 * read), (e_opt, shared)):
            params = optimizer.param_groups[0]["params"]
            for p, slope in zip(params, torch.autograd.grad(loss, params, retain_graph=True), strict=True):
                p.grad = slope
        g_opt.step()
        e_opt.step()
        d_loss = 0.5 * sum(one(c(y)) + none(c(made.detach())) for c, made in ((td, again), (tc, other)))
        step(d_opt, d_loss)
        agree(found, {"d_loss": d_loss, "g_loss": of_scores / 2, "l1": apart, "kl": kl, "code": read})
    for ours, theirs in ((inner, tg), (E, te), (D, td), (C, tc)):
        the_same(ours, theirs)


@pytest.mark.parametrize("system", ["discogan", "dualgan"])
def test_discogan_and_dualgan(rng, system):
    """Kim et al. 2017; Yi et al. 2017, with a penalty."""
    (G, tg), (back, tback), (D, td), (S, ts) = translator(1, 3), translator(3, 1), critic(3), critic(1)
    options = {
        "discogan": {"loss": losses.nonsaturating, "distance": l2, "cycle": 1.0},
        "dualgan": {"loss": losses.wasserstein, "penalty": penalties.gradient_penalty},
    }[system]
    game = CycleGAN(
        *(G, back, D, S), translators_optimizer=adam(G, back), discriminators_optimizer=adam(D, S),
        adversarial=1.0, identity=0.0, pool=0, shape=(3, 8, 8), source_shape=(1, 8, 8), **options,
    )  # fmt: skip
    g_opt, d_opt = adam_in_torch(tg, tback), adam_in_torch(td, ts)
    for k in range(2):
        x, y = images(rng, 1, 3)
        found = played(game, x, y)
        x, y = torch.tensor(x), torch.tensor(y)
        fake_y, fake_x = tg(x), tback(y)
        sides = (td, y, fake_y.detach()), (ts, x, fake_x.detach())
        if system == "discogan":
            of_scores = bce(td(fake_y), 1.0) + bce(ts(fake_x), 1.0)
            cycle = F.mse_loss(tback(fake_y), x) + F.mse_loss(tg(fake_x), y)
            step(g_opt, of_scores + cycle)
            d_loss = sum(bce(c(real), 1.0) + bce(c(fake), 0.0) for c, real, fake in sides)
        else:
            of_scores = -td(fake_y).mean() - ts(fake_x).mean()
            cycle = F.l1_loss(tback(fake_y), x) + F.l1_loss(tg(fake_x), y)
            step(g_opt, of_scores + 10 * cycle)
            draws = stream("players", k)
            d_loss = 0
            for c, real, fake in sides:
                u = draws.uniform((N, 1, 1, 1), dtype="float64")
                d_loss = d_loss + c(fake).mean() - c(real).mean() + 10 * slopes_penalty(c, real, fake, u)
        step(d_opt, d_loss)
        agree(found, {"d_loss": d_loss, "g_loss": of_scores, "cycle": cycle})
    for ours, theirs in ((G, tg), (back, tback), (D, td), (S, ts)):
        the_same(ours, theirs)


def test_stargan(rng):
    """Choi et al. 2018, with one step of D for each of G."""
    inner, tg = translator(3 + CLASSES, 3)
    body, tbody = (lib.Sequential(lib.Conv2d(3, 4, 3), lib.Tanh()) for lib in (mg.nn, nn))
    score, tscore = mg.nn.Conv2d(4, 1, 3), nn.Conv2d(4, 1, 3)
    told, ttold = (lib.Sequential(lib.Flatten(), lib.Linear(4 * 36, CLASSES)) for lib in (mg.nn, nn))
    parts = [moved(*both) for both in ((body, tbody), (score, tscore), (told, ttold))]
    G, D = WithClass(inner, CLASSES), TwoHeads(body, score, told)
    game = StarGAN(*(G, D), classes=CLASSES, d_steps=1, generator_optimizer=adam(G), discriminator_optimizer=adam(D))
    g_opt, d_opt = adam_in_torch(tg), adam_in_torch(tbody, tscore, ttold)
    critic = lambda images: tscore(tbody(images))
    hot = lambda labels: F.one_hot(labels, CLASSES).double()
    for k in range(2):
        (x,) = images(rng, 3)
        labels = rng.integers(0, CLASSES, N)
        found = game.play(lambda _, batch=(x, labels): batch)
        x, labels = torch.tensor(x), torch.tensor(labels)
        draws = stream("discriminator", 2 * k)
        asked = torch.tensor(draws.integers(CLASSES, N))
        fake = tg(beside(x, hot(asked))).detach()
        real_class = F.cross_entropy(ttold(tbody(x)), labels)
        penalty = slopes_penalty(critic, x, fake, draws.uniform((N, 1, 1, 1), dtype="float64"))
        d_loss = critic(fake).mean() - critic(x).mean() + real_class + 10 * penalty
        step(d_opt, d_loss)
        asked = torch.tensor(stream("generator", 2 * k + 1).integers(CLASSES, N))
        fake = tg(beside(x, hot(asked)))
        of_scores, fake_class = -critic(fake).mean(), F.cross_entropy(ttold(tbody(fake)), asked)
        cycle = F.l1_loss(tg(beside(fake, hot(labels))), x)
        step(g_opt, of_scores + fake_class + 10 * cycle)
        agree(found, {"d_loss": d_loss, "class_real": real_class, "g_loss": of_scores, "class_fake": fake_class})
        agree(found, {"cycle": cycle})
    for ours, theirs in ((inner, tg), *parts):
        the_same(ours, theirs)


def test_cogan(rng):
    """Liu and Tuzel 2016: generators share their first layer, discriminators their last."""
    first, last = mg.nn.Linear(Z, 5), mg.nn.Linear(5, 1)
    tfirst, tlast = nn.Linear(Z, 5), nn.Linear(5, 1)
    generators = [
        moved(*(lib.Sequential(head, lib.Tanh(), lib.Linear(5, 64), lib.Unflatten(1, (1, 8, 8)))
                for lib, head in ((mg.nn, first), (nn, tfirst)))) for _ in "ab"
    ]  # fmt: skip
    critics = [
        moved(*(lib.Sequential(lib.Flatten(), lib.Linear(64, 5), lib.Tanh(), end)
                for lib, end in ((mg.nn, last), (nn, tlast)))) for _ in "ab"
    ]  # fmt: skip
    (G, tg), (H, th), (D, td), (S, ts) = *generators, *critics
    tfirst.load_state_dict({name: torch.tensor(t.numpy()) for name, t in first.state_dict().items()})
    tlast.load_state_dict({name: torch.tensor(t.numpy()) for name, t in last.state_dict().items()})
    game = CoGAN(G, H, D, S, z_dim=Z, generators_optimizer=adam(G, H), discriminators_optimizer=adam(D, S))
    game.latent = mg.gan.uniform_latent(Z, dtype="float64")
    g_opt, d_opt = adam_in_torch(tg, th), adam_in_torch(td, ts)
    for k in range(2):
        x, y = images(rng, 1, 1)
        found = played(game, x, y)
        x, y = torch.tensor(x), torch.tensor(y)
        z, again = (torch.tensor(game.latent(N, stream("noise", 2 * k + turn)).numpy()) for turn in (0, 1))
        sides = (td, y, tg(z).detach()), (ts, x, th(z).detach())
        d_loss = sum(bce(c(real), 1.0) + bce(c(fake), 0.0) for c, real, fake in sides)
        step(d_opt, d_loss)
        g_loss = bce(td(tg(again)), 1.0) + bce(ts(th(again)), 1.0)
        step(g_opt, g_loss)
        agree(found, {"d_loss": d_loss, "g_loss": g_loss})
    for ours, theirs in (*generators, *critics):
        the_same(ours, theirs)


def test_pixelda(rng):
    """Bousmalis et al. 2017: T learns from sources and from what G makes of them."""
    (inner, tg), (D, td), (T, tt) = translator(3 + Z, 3), critic(3), reader(3, CLASSES)
    G = WithNoise(inner, Z)
    game = PixelDA(G, D, T, translator_optimizer=adam(G, T), discriminator_optimizer=adam(D), task=0.7)
    g_opt, d_opt = adam_in_torch(tg, tt), adam_in_torch(td)
    for k in range(2):
        x, y = images(rng, 3, 3)
        labels = rng.integers(0, CLASSES, N)
        batch = mg.data.LabelledDomains(*map(mg.tensor, (y, x, labels)))
        found = game.play(lambda _, batch=batch: batch)
        x, y, labels = torch.tensor(x), torch.tensor(y), torch.tensor(labels)
        fake = tg(beside(x, torch.tensor(stream("players", k).normal((N, Z), dtype="float64"))))
        d_loss = bce(td(y), 1.0) + bce(td(fake.detach()), 0.0)
        step(d_opt, d_loss)
        of_scores, task, of_fakes = (
            bce(td(fake), 1.0),
            F.cross_entropy(tt(x), labels),
            F.cross_entropy(tt(fake), labels),
        )
        step(g_opt, of_scores + 0.7 * (task + of_fakes))
        agree(found, {"d_loss": d_loss, "g_loss": of_scores, "task": task, "task_fake": of_fakes})
    for ours, theirs in ((inner, tg), (D, td), (T, tt)):
        the_same(ours, theirs)


@pytest.mark.parametrize("system", ["srgan", "esrgan"])
def test_srgan_and_esrgan(rng, system):
    """Ledig et al. 2017: squares of features, D by itself; Wang et al. 2018: pixels too, a D that compares."""
    (G, tg), (D, td), (see, tsee) = translator(3, 3), critic(3), reader(3, 5)
    options = {
        "srgan": {"loss": losses.nonsaturating, "distance": l2, "pixel": 0.0, "perceptual": 0.006, "adversarial": 1e-3},
        "esrgan": {
            **{"loss": losses.relativistic_average, "distance": l1, "pixel": 0.01, "perceptual": 1.0},
            "adversarial": 5e-3,
        },
    }[system]
    game = Restoration(
        *(G, D), generator_optimizer=adam(G), discriminator_optimizer=adam(D), features=see,
        **options,
    )  # fmt: skip
    g_opt, d_opt = adam_in_torch(tg), adam_in_torch(td)
    for _ in range(2):
        x, y = images(rng, 3, 3)
        found = played(game, x, y)
        x, y = torch.tensor(x), torch.tensor(y)
        fake = tg(x)
        looks = (tsee(fake) - tsee(y)).square().sum(1).mean()
        if system == "srgan":
            pixels = F.mse_loss(fake, y)
            d_loss = bce(td(y), 1.0) + bce(td(fake.detach()), 0.0)
            step(d_opt, d_loss)
            of_scores = bce(td(fake), 1.0)
            step(g_opt, 0.006 * looks + 1e-3 * of_scores)
        else:
            pixels = F.l1_loss(fake, y)
            real_scores, fake_scores = td(y), td(fake.detach())
            d_loss = bce(real_scores - fake_scores.mean(), 1.0) + bce(fake_scores - real_scores.mean(), 0.0)
            d_loss = d_loss / 2
            step(d_opt, d_loss)
            real_scores, fake_scores = td(y).detach(), td(fake)
            of_scores = bce(fake_scores - real_scores.mean(), 1.0) + bce(real_scores - fake_scores.mean(), 0.0)
            of_scores = of_scores / 2
            step(g_opt, looks + 5e-3 * of_scores + 1e-2 * pixels)
        agree(found, {"d_loss": d_loss, "g_loss": of_scores, "pixels": pixels, "looks": looks})
    for ours, theirs in ((G, tg), (D, td), (see, tsee)):
        the_same(ours, theirs)
