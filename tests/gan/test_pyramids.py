"""Games of images in several sizes at once: what the discriminators are shown, and that a run of them is exact."""

import numpy as np
import pytest
from systems import furthest

import minigan as mg
from minigan.command import recipe
from minigan.errors import ShapeError
from minigan.gan import LaplacianGame, MultiScaleGame, losses, penalties
from minigan.models.pyramid import as_rows, from_rows, pyramid
from minigan.processes import Threads
from minigan.training import Settings

SIDE, BATCH, Z = 16, 4, 6
GAMES = {"msggan": MultiScaleGame, "lapgan": LaplacianGame}


def game(name, loss=losses.nonsaturating, **options):
    """A small game in float64."""
    with mg.random.using(mg.random.Stream(0)):  # the default stream belongs to all threads
        G, D = (p.to(dtype="float64") for p in getattr(mg.models, name)(SIDE, Z, channels=2, width=2))
    return GAMES[name](
        G,
        D,
        loss=loss,
        latent=mg.gan.normal_latent(Z, dtype="float64"),
        generator_optimizer=mg.optim.Adam(G.parameters(), 1e-3),
        discriminator_optimizer=mg.optim.SGD(D.parameters(), 0.01),
        **options,
    )


def images(k, count=BATCH):
    return mg.tensor(np.random.default_rng(k).uniform(-1, 1, (count, 2, SIDE, SIDE)))


def batch(k=0):
    return mg.gan.Batch(images(k), k, k, mg.random.Stream(0))


def means(x, window):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // window, window, w // window, window).mean((3, 5))


def test_a_pyramid_and_its_rows():
    x = images(0)
    found = pyramid(x, [4, 8, 16])
    for image, window in zip(found, (4, 2, 1), strict=True):
        np.testing.assert_allclose(image.numpy(), means(x.numpy(), window), atol=1e-12)
    rows = as_rows(found)
    assert rows.shape == (BATCH, 2 * (16 + 64 + 256))
    for again, image in zip(from_rows(rows, 2, [4, 8, 16]), found, strict=True):
        np.testing.assert_array_equal(again.numpy(), image.numpy())
        assert again.data.strides[1] == again.data.itemsize, "channels-last"
    with pytest.raises(ShapeError, match=r"expected \(N, 640\), images of \[8, 16\] pixels, got \(4, 672\)"):
        from_rows(rows, 2, [8, 16])
    with pytest.raises(ShapeError, match=r"expected images of 8 x 8 pixels, got \(4, 2, 16, 16\)"):
        pyramid(x, [4, 8])


def test_each_size_of_the_generator_is_scored_and_learns_from_it():
    played = game("msggan")
    sampler, critic = played.as_functions(batch())
    fake = sampler(played.noise(batch()))
    shown = from_rows(fake, 2, [4, 8, 16])
    np.testing.assert_array_equal(shown[-1].numpy(), played.generator(played.noise(batch())).numpy())
    slopes = from_rows(mg.grad(mg.sum(critic(fake)), fake), 2, [4, 8, 16])
    assert all(abs(slope.numpy()).max() > 0 for slope in slopes)
    before = [layer.weight_orig.numpy() for layer in played.generator.to_image]
    played.play(images)
    assert not any(map(np.array_equal, before, [layer.weight_orig.numpy() for layer in played.generator.to_image]))


def test_a_penalty_is_on_the_slopes_of_all_sizes():
    played = game("msggan", penalty=penalties.r1)
    sides = played._sides(*played.as_functions(batch()), batch())
    leaves = [mg.tensor(x.numpy()) for x in from_rows(sides.real, 2, [4, 8, 16])]
    slopes = mg.grad(mg.sum(played.discriminator(as_rows(leaves))), leaves)
    expected = sum((slope.numpy() ** 2).sum() for slope in slopes) / BATCH
    assert penalties.r1(played.discriminator, sides.real, sides.fake).item() == pytest.approx(expected, rel=1e-12)


def test_the_levels_of_a_laplacian_pyramid_play_by_themselves():
    """One step of each is what three GANs would take, two of them told the image without its detail."""
    played = game("lapgan")
    G, D = played.generator, played.discriminator
    z, real = played.noise(batch()), pyramid(images(0), [4, 8, 16])
    lows = [mg.tensor(x.numpy().repeat(2, 2).repeat(2, 3)) for x in real[:-1]]
    parts = [z[:, 2 * k : 2 * k + 2] for k in range(3)]
    fakes = [G.coarsest(parts[0])]
    fakes += [
        low + band(mg.concatenate([low, plane(part)], 1))
        for low, plane, band, part in zip(lows, G.planes, G.bands, parts[1:], strict=True)
    ]

    def scores(level, x):
        return D.finer[level - 1](mg.concatenate([x, lows[level - 1]], 1)) if level else D.coarsest(x)

    total = sum(
        losses.nonsaturating.discriminator(scores(k, x), scores(k, fake.detach())) * (1 / 3)
        for k, (x, fake) in enumerate(zip(real, fakes, strict=True))
    )
    before = [p.numpy() for p in D.parameters()]
    steps = [g.numpy() for g in mg.grad(total, D.parameters())]
    shown = played.discriminator_turn(batch())
    assert shown["d_loss"].item() == pytest.approx(total.item(), rel=1e-12)
    for p, old, step in zip(D.parameters(), before, steps, strict=True):
        np.testing.assert_allclose(p.numpy(), old - 0.01 * step, rtol=1e-9, atol=1e-14)


def test_samples_are_made_from_coarse_to_fine():
    G = game("lapgan").generator
    z = mg.tensor(np.random.default_rng(0).normal(size=(3, Z)))
    image = G.coarsest(z[:, :2])
    for k, (plane, band) in enumerate(zip(G.planes, G.bands, strict=True), 1):
        low = mg.tensor(image.numpy().repeat(2, 2).repeat(2, 3))
        image = low + band(mg.concatenate([low, plane(z[:, 2 * k : 2 * k + 2])], 1))
    np.testing.assert_allclose(G(z).numpy(), image.numpy(), rtol=1e-12, atol=1e-12)


def played_on(name, group=None, parts=1):
    made = game(name, penalty=penalties.r1)
    if group is not None:
        made.distribute(group)
    made.accumulate(parts)
    for _ in range(5):
        made.play(lambda k: images(k, 16))
    return made, {key: t.numpy() for key, t in made.state.items()}


@pytest.mark.parametrize("name", GAMES)
def test_two_ranks_or_parts_play_what_one_plays(name):
    made, alone = played_on(name)
    ours = [state for _, state in Threads(2).run(lambda group: played_on(name, group))]
    assert all(np.array_equal(ours[0][key], ours[1][key]) for key in alone)
    for state in (ours[0], played_on(name, parts=2)[1]):
        assert furthest(made, alone, state) < 1e-10


@pytest.mark.parametrize("name", GAMES)
def test_every_loss_and_penalty(name):
    for loss in losses.LOSSES.values():
        if not (loss.couples and name == "lapgan"):
            found = game(name, loss).play(images)
            assert all(np.isfinite(value.item()) for value in found.values()), loss.name
    for penalty in penalties.PENALTIES.values():
        found = game(name, penalty=penalty).play(images)
        assert np.isfinite(found["penalty"].item())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("msggan --augment flip", r"MultiScaleGame: a sample is an image in several sizes, .* \{'augment': 'flip'\}"),
        ("msggan --replay 8 --consistency 1", r"\{'replay': 8, 'consistency': 1\.0\}"),
        ("msggan --clusters 2", "--model msggan is told no classes"),
        ("lapgan --unroll 1", r"LaplacianGame: each sample has a label or code of its own.*\{'unroll': 1\}"),
        ("lapgan --loss softmax", "LaplacianGame: the softmax loss would compare scores of different sizes"),
        ("lapgan --top-k 0.5", "LaplacianGame: a sample has a score for each size: no top_k"),
        ("lapgan --one-pass", "a score for each size: no top_k and no one_pass_turn"),
        ("lapgan --z-dim 7", "expected noise for 3 levels, a multiple of that, got 7"),
        ("lapgan --side 18", "LaplacianGenerator: expected a side of 8, 12, 16, ... pixels, got 18"),
    ],
)
def test_what_does_not_go_with_pyramids_is_refused(options, message):
    with pytest.raises(ShapeError, match=message):
        recipe.build(Settings.parsed(recipe.options(options.split()), options.split(), "train"))


@pytest.mark.parametrize("side", [8, 28, 48])
def test_sizes_of_both_players(side):
    z = mg.tensor(np.random.default_rng(0).normal(size=(4, Z)).astype("float32"))
    for make, sides in (
        (mg.models.lapgan, [side // 4, side // 2, side]),
        (mg.models.msggan, {8: [4, 8], 28: [7, 14, 28], 48: [6, 12, 24, 48]}[side]),
    ):
        G, D = make(side, Z, channels=3, width=2)
        image = G(z)
        assert image.shape == (4, 3, side, side)
        assert image.data.strides[1] == image.data.itemsize, "channels-last"
        assert D.sides == sides
        assert G.num_parameters() == pytest.approx(type(G).held(side, Z, 3, 2))
    with pytest.raises(ShapeError, match="one score each, got outputs=2"):
        mg.models.lapgan(outputs=2)


def test_gradients_of_any_order_of_a_discriminator_of_all_sizes():
    _, D = mg.models.msggan(8, 2, channels=1, width=1)
    D.to(dtype="float64")
    mg.testing.gradcheck(D, [mg.tensor(np.random.default_rng(1).normal(size=(2, 16 + 64)))])
