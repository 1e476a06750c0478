"""Games of translators: what they are given, what they keep, replayed and resumed."""

from functools import partial

import numpy as np
import pytest
from replayed_game import ROUNDS, replays_exactly
from resumed_game import continues_exactly

import minigan as mg
from minigan import data, export, nn
from minigan.data import LabelledDomains, Pair
from minigan.errors import ShapeError
from minigan.gan import losses, penalties
from minigan.gan.translation import (
    CUT,
    MAKINGS,
    MUNIT,
    UNIT,
    BicycleGAN,
    CoGAN,
    CyCADA,
    CycleGAN,
    Pix2Pix,
    PixelDA,
    Restoration,
    StarGAN,
    l1,
    l2,
    making,
    total_variation,
)

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 3, 8, 8)).astype(np.uint8)
PAIRS = Pair(IMAGES, IMAGES[:, :1] // 2)
DOMAINS = Pair(IMAGES, IMAGES[::-1].copy())
LABELLED = LabelledDomains(IMAGES, IMAGES[::-1].copy(), np.arange(40) % 4)


def adam(*players):
    return mg.optim.Adam(nn.parameters_of(*players), 1e-3, (0.5, 0.999))


def pix2pix(source=1, **parts):
    with mg.random.using(mg.random.Stream(0)):
        G = mg.models.UNetTranslator(source, 3, 2, 4)
        D = mg.models.patch_discriminator(3 + source, width=4, halvings=1)
    game = Pix2Pix(G, D, generator_optimizer=adam(G), discriminator_optimizer=adam(D), **parts)
    game.meet(IMAGES if "make" in parts else PAIRS)
    return game


def cyclegan(system=CycleGAN, met=DOMAINS, others=(), **parts):
    with mg.random.using(mg.random.Stream(0)):
        translators = [mg.models.resnet_translator(3, 3, width=2, blocks=1) for _ in "ab"]
        critics = [mg.models.patch_discriminator(3, width=4, halvings=1, norm="instance") for _ in "ab"]
    optimizers = {"translators_optimizer": adam(*translators, *others), "discriminators_optimizer": adam(*critics)}
    game = system(*translators, *critics, **optimizers, **{"shape": (3, 8, 8), "pool": 8, **parts})
    game.meet(met)
    return game


def cycada(**parts):
    with mg.random.using(mg.random.Stream(1)):
        T = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 4))
    return cyclegan(CyCADA, LABELLED, (T,), classifier=T, **parts)


dual = partial(cyclegan, loss=losses.wasserstein, penalty=penalties.gradient_penalty, pool=0, identity=0.0)
disco = partial(cyclegan, loss=losses.nonsaturating, distance=l2, adversarial=1.0, cycle=1.0)
relative = partial(pix2pix, loss=losses.relativistic_average, ema=None)


def restoration(**parts):
    with mg.random.using(mg.random.Stream(0)):
        G = mg.models.srresnet(2, width=4, blocks=1)
        D = mg.models.image_discriminator(8, width=4, features=6)
        seen = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten())
    options = {"make": making("small:2"), "features": seen, "perceptual": 0.1, "adversarial": 0.01, **parts}
    game = Restoration(G, D, generator_optimizer=adam(G), discriminator_optimizer=adam(D), **options)
    game.meet(IMAGES)
    return game


def bicyclegan(**parts):
    with mg.random.using(mg.random.Stream(0)):
        G = mg.models.WithNoise(mg.models.UNetTranslator(1 + 2, 3, 2, 4, dropout=0), 2)
        E = mg.models.image_encoder(3, 4, width=4, halvings=2)
        critics = [mg.models.patch_discriminator(3, width=4, halvings=1) for _ in "ab"]
    optimizers = {"generator_optimizer": adam(G), "encoder_optimizer": adam(E)}
    game = BicycleGAN(G, E, *critics, z_dim=2, discriminators_optimizer=adam(*critics), **optimizers, **parts)
    game.meet(PAIRS)
    return game


def cut(**parts):
    with mg.random.using(mg.random.Stream(0)):
        G = mg.models.resnet_translator(3, 3, width=2, blocks=1)
        heads = mg.models.PatchHeads([0, 4, 11], [3, 2, 8], 6, 5)
        D = mg.models.patch_discriminator(3, width=4, halvings=1, norm="instance")
    optimizers = {"translator_optimizer": adam(G, heads), "discriminator_optimizer": adam(D)}
    game = CUT(G, heads, D, **optimizers, **parts)
    game.meet(DOMAINS)
    return game


def unit(**parts):
    with mg.random.using(mg.random.Stream(0)):
        translators = mg.models.unit_translators(3, 3, width=2, blocks=2, halvings=1)
        critics = [mg.models.patch_discriminator(3, width=4, halvings=1, norm="instance") for _ in "ab"]
    optimizers = {"translators_optimizer": adam(*translators), "discriminators_optimizer": adam(*critics)}
    game = UNIT(*translators, *critics, **optimizers, **{"shape": (3, 8, 8), **parts})
    game.meet(DOMAINS)
    return game


def munit(**parts):
    size = {"width": 2, "blocks": 1, "halvings": 1}
    with mg.random.using(mg.random.Stream(0)):
        translators = [
            mg.models.StyledTranslator(mg.models.content_encoder(3, **size), mg.models.StyledDecoder(3, 2, **size), 2)
            for _ in "ab"
        ]
        readers = [mg.models.image_encoder(3, 2, width=4, halvings=2, norm=None) for _ in "ab"]
        critics = [mg.models.patch_discriminator(3, width=4, halvings=1, norm="instance") for _ in "ab"]
    optimizers = {"translators_optimizer": adam(*translators, *readers), "discriminators_optimizer": adam(*critics)}
    game = MUNIT(*translators, *readers, *critics, **optimizers, **{"shape": (3, 8, 8), **parts})
    game.meet(DOMAINS)
    return game


def cogan(**parts):
    with mg.random.using(mg.random.Stream(0)):
        players = mg.models.coupled(8, 5, channels=3, width=4)
    optimizers = {"generators_optimizer": adam(*players[:2]), "discriminators_optimizer": adam(*players[2:])}
    game = CoGAN(*players, z_dim=5, **optimizers, **parts)
    game.meet(DOMAINS)
    return game


def stargan(**parts):
    with mg.random.using(mg.random.Stream(0)):
        G = mg.models.WithClass(mg.models.resnet_translator(3 + 4, 3, width=2, blocks=1), 4)
        D = mg.models.reading_discriminator(8, 3, 4, width=4)
    game = StarGAN(G, D, classes=4, generator_optimizer=adam(G), discriminator_optimizer=adam(D), d_steps=2, **parts)
    game.meet(IMAGES)
    return game


def pixelda(**parts):
    with mg.random.using(mg.random.Stream(0)):
        G = mg.models.WithNoise(mg.models.resnet_translator(3 + 2, 3, width=2, blocks=1, norm="batch"), 2)
        D = mg.models.image_discriminator(8, width=4, features=6)
        T = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 4))
    game = PixelDA(G, D, T, translator_optimizer=adam(G, T), discriminator_optimizer=adam(D), **parts)
    game.meet(LABELLED)
    return game


GAMES = {
    "pix2pix": (pix2pix, PAIRS, True),
    "relativistic": (relative, PAIRS, True),
    "distance alone": (partial(pix2pix, adversarial=0.0), PAIRS, True),
    "holes": (partial(pix2pix, 4, make=MAKINGS["holes"]), IMAGES, True),
    "edges": (partial(pix2pix, 1, make=MAKINGS["edges"]), IMAGES, True),
    "smooth": (partial(pix2pix, total_variation=0.1), PAIRS, True),
    "srgan": (restoration, IMAGES, True),
    "smooth srgan": (partial(restoration, total_variation=0.1), IMAGES, True),
    "esrgan": (partial(restoration, loss=losses.relativistic_average, distance=l1, warm_up=6), IMAGES, True),
    "srresnet": (partial(restoration, adversarial=0.0), IMAGES, True),
    "cyclegan": (cyclegan, DOMAINS, False),
    "cycada": (cycada, LABELLED, False),
    "bicyclegan": (bicyclegan, PAIRS, True),
    "cut": (cut, DOMAINS, False),
    "stargan": (stargan, IMAGES, True),
    "unit": (unit, DOMAINS, False),
    "munit": (munit, DOMAINS, False),
    "munit, cycle": (partial(munit, cycle=10.0), DOMAINS, False),
    "cogan": (cogan, DOMAINS, False),
    "cogan, made": (partial(cogan, make=MAKINGS["turned"]), IMAGES, True),
    "pixelda": (pixelda, LABELLED, False),
    "no adaptation": (partial(pixelda, adversarial=0.0), LABELLED, False),
    "discogan": (disco, DOMAINS, False),
    "dualgan": (dual, DOMAINS, False),
}


def drawn(name):
    _, values, paired = GAMES[name]
    if name == "stargan":
        return data.shuffled_batches(values, 4, labels=np.arange(len(values)) % 4, flip=True)
    return data.shuffled_batches(values, 4, paired=paired, flip=True)


@pytest.mark.parametrize("name", GAMES)
def test_replayed_it_plays_the_same(name):
    replays_exactly(GAMES[name][0], lambda: drawn(name), rounds=14 if name == "esrgan" else ROUNDS)


@pytest.mark.parametrize("name", GAMES)
def test_resumed_it_goes_on_as_it_was(name):
    whole, first, second = (GAMES[name][0]() for _ in range(3))
    continues_exactly(whole, first, second, drawn(name))


@pytest.mark.parametrize(
    ("name", "further"),
    [("cyclegan", "source"), ("unit", "source"), ("munit", "source"), ("cogan", "source"), ("bicyclegan", "code")],
)
def test_each_discriminator_is_logged_under_its_name(name, further):
    """The scores of its own domain: those of a D that is moved far up are high, those of the other are as before."""
    game, other = GAMES[name][0](), GAMES[name][0]()
    critic = getattr(other, f"{further}_discriminator")
    layer = [each for each in critic.modules() if getattr(each, "bias", None) is not None][-1]
    layer.bias.copy_(layer.bias.numpy() + 50)
    before, after = (each.play(drawn(name)) for each in (game, other))
    named = {f"d_real_{further}", f"d_fake_{further}"}
    assert {"d_loss", "d_real", "d_fake", *named} <= set(before)
    moved = {key for key in before if key.startswith(("d_real", "d_fake")) and before[key].item() != after[key].item()}
    assert named <= moved
    assert moved == named or name == "cogan"  # whose discriminators have their last layer in common


def test_a_translator_learns_what_pairs_have_in_common(rng):
    """Inverted images of images: after some steps by the distance alone the translation is nearer than the source."""
    values = np.repeat(np.repeat(rng.integers(0, 256, (64, 1, 4, 4)), 2, 2), 2, 3).astype(np.uint8)
    pairs = Pair(255 - values, values)
    with mg.random.using(mg.random.Stream(0)):
        G, D = mg.models.UNetTranslator(1, 1, 2, 8, dropout=0), mg.models.patch_discriminator(2, width=4, halvings=1)
    game = Pix2Pix(G, D, generator_optimizer=adam(G), discriminator_optimizer=adam(D))
    batches = data.shuffled_batches(pairs, 16)
    found = [game.play(batches)["l1"].item() for _ in range(120)]
    assert np.mean(found[-5:]) < 0.25 * np.mean(found[:5])


def test_the_total_variation_is_of_neighbours_and_its_gradient_that_of_signs(rng):
    x = rng.standard_normal((2, 3, 4, 5))
    down, right = np.diff(x, axis=2), np.diff(x, axis=3)
    given = mg.tensor(x)
    value = total_variation(given)
    np.testing.assert_allclose(value.item(), np.abs(down).mean() + np.abs(right).mean())
    expected = np.zeros_like(x)
    for signs, later, earlier in (
        (np.sign(down) / down.size, np.s_[:, :, 1:], np.s_[:, :, :-1]),
        (np.sign(right) / right.size, np.s_[..., 1:], np.s_[..., :-1]),
    ):
        expected[later] += signs
        expected[earlier] -= signs
    np.testing.assert_allclose(mg.grad(value, given).numpy(), expected, atol=1e-12)
    assert total_variation(mg.tensor(np.full((1, 1, 3, 3), 7.0))).item() == 0


@pytest.mark.parametrize("make", [pix2pix, partial(restoration, features=None)])
def test_what_total_variation_weighs_is_smoother(make):
    """By that term almost alone: neighbouring pixels come near each other."""
    varied = []
    for weight in (0.0, 1000.0):
        game = make(adversarial=0.0, total_variation=weight)
        batches = data.shuffled_batches(PAIRS if game.make is None else IMAGES, 8)
        for _ in range(20):
            shown = game.play(batches)
        assert ("variation" in shown) == (weight > 0)
        varied.append(total_variation(game.sample(8)).item())
    assert varied[1] < 0.75 * varied[0]
    with pytest.raises(ShapeError, match="total_variation"):
        make(total_variation=-1.0)


def test_samples_are_translations_of_what_it_has_met():
    game = pix2pix()
    game.generator.eval()
    sources = game.sources(3, "samples", 0)
    assert sources.shape == (3, 1, 8, 8)
    known = {image.tobytes() for image in data.scaled(PAIRS.source)}
    assert all(image.tobytes() in known for image in sources.numpy())
    assert (game.sources(3, "samples", 0).numpy() == sources.numpy()).all()
    assert (game.sources(3, "samples", 1).numpy() != sources.numpy()).any()
    assert game.sources(100, "samples", 0).shape == (100, 1, 8, 8)
    assert (game.sample(3).numpy() == game.translate(sources).numpy()).all()


def test_what_it_has_met_is_drawn_by_chance_from_all_of_the_data():
    """Of sources that lie in the order of their kinds, as in a folder for each, samples are made of every kind."""
    kinds = np.repeat(np.arange(8, dtype=np.uint8), 400)
    values = np.broadcast_to(kinds[:, None, None, None], (3200, 1, 8, 8))
    game, again = pix2pix(), pix2pix()
    for each in (game, again):
        each.meet(Pair(np.zeros((3200, 3, 8, 8), np.uint8), values))
    sources = game.sources(1024, "samples", 0).numpy()
    assert (sources == again.sources(1024, "samples", 0).numpy()).all()
    counts = np.bincount(np.rint((sources[:, 0, 0, 0] + 1) * 127.5).astype(int), minlength=8)
    assert counts.sum() == 1024
    assert counts.min() > 90


def test_what_it_cannot_be_given_is_named():
    game = pix2pix()
    with pytest.raises(ShapeError, match="Pix2Pix: expected batches with a target and a source each, got a Tensor"):
        game.play(lambda k: mg.zeros((4, 3, 8, 8)))
    with pytest.raises(ShapeError, match="Pix2Pix: expected samples with a source each, got ndarray"):
        game.meet(IMAGES)
    del game._met
    with pytest.raises(ShapeError, match="Pix2Pix has met no sources"):
        game.sample(1)
    with pytest.raises(ShapeError, match=r"identity is for domains of one shape, got \(1, 8, 8\) and \(3, 8, 8\)"):
        cyclegan(source_shape=(1, 8, 8))
    with pytest.raises(ShapeError, match="relativistic compares fakes with real samples"):
        cyclegan(loss=losses.relativistic)
    with pytest.raises(ShapeError, match=r"expected sides that 4 divides, got \(1, 1, 6, 8\)"):
        game.generator(mg.zeros((1, 1, 6, 8)))


def test_cycada_keeps_what_its_classifier_reads():
    """Its terms are those of the paper, by numbers; only labelled sources teach the classifier."""
    game = cycada(semantic=0.5)
    y, x = (mg.Tensor(data.scaled(images[:4])) for images in LABELLED[:2])
    labels = LABELLED.labels[:4]
    batch = mg.gan.Batch(LabelledDomains(y, x, mg.tensor(labels)), 0, 0, mg.random.Stream(5))
    made = game.generator(x), game.inverse(y)
    terms = game.further_terms(batch, (x, y), made)

    def cross_entropy(images, classes):
        logits = game.classifier(images).numpy().astype("float64")
        return float(np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(len(logits)), classes]))

    read = [game.classifier(images).numpy().argmax(1) for images in (x, y)]
    assert terms["task"].item() == pytest.approx(cross_entropy(x, labels), rel=1e-5)
    kept = sum(cross_entropy(*each) for each in zip(made, read, strict=True))
    assert terms["semantic"].item() == pytest.approx(0.5 * kept, rel=1e-5)
    weights = [*game.classifier.parameters(), *game.generator.parameters(), *game.inverse.parameters()]
    moved = [np.abs(g.numpy()).max() > 0 for g in mg.grad(terms["semantic"], weights)]
    assert not any(moved[: len(game.classifier.parameters())])
    assert moved.count(True) > 10
    with pytest.raises(ShapeError, match=r"CyCADA: a batch of sources .* came without labels"):
        game.play(data.shuffled_batches(DOMAINS, 4, paired=False))


def test_unit_is_given_an_encoder_and_a_decoder():
    game = unit()
    optimizers = {f"{name}_optimizer": each for name, each in game.optimizers.items()}
    with pytest.raises(ShapeError, match="UNIT: expected a Sequential of an encoder and a decoder as inverse, got "):
        UNIT(game.generator, game.discriminator, game.discriminator, game.source_discriminator, **optimizers)
    with pytest.raises(
        ShapeError, match="unit_translators: expected 0 to 2 shared blocks, as many as there are, got 3"
    ):
        mg.models.unit_translators(3, 3, width=2, blocks=2, shared=3)


def test_pairs_of_cogan_are_drawn_of_the_same_noise():
    game = cogan()
    target, source = game.pairs(3)
    z = game.inputs(3, "samples", 0)[0]
    with nn.evaluating(game.source_generator):
        assert (game.source_generator(z).numpy() == source.numpy()).all()
    assert (game.sample(3).numpy() == target.numpy()).all()
    assert game.generator[0] is game.source_generator[0]
    assert game.discriminator[-1] is game.source_discriminator[-1]
    with pytest.raises(ShapeError, match="CoGAN: relativistic compares fakes with real samples"):
        cogan(loss=losses.relativistic)


def test_the_critic_waits_until_the_warm_up_is_over():
    game = restoration(warm_up=2)
    before = [p.numpy() for p in game.discriminator.parameters()]
    found = [game.play(drawn("srgan")) for _ in range(2)]
    assert all("d_loss" not in shown for shown in found)
    assert all((p.numpy() == old).all() for p, old in zip(game.discriminator.parameters(), before, strict=True))
    assert {"d_loss", "g_loss", "pixels", "looks"} <= set(game.play(drawn("srgan")))
    assert any((p.numpy() != old).any() for p, old in zip(game.discriminator.parameters(), before, strict=True))


@pytest.mark.parametrize("adversarial", [0.0, 0.01])
def test_pixels_alone_warm_up_with_weight_1(adversarial):
    """Two steps of SGD are those down the distance of pixels, whatever the terms weigh later."""
    game, plain = (restoration(pixel=0.25, distance=l2, warm_up=2, adversarial=adversarial) for _ in range(2))
    game.optimizers["generator"] = mg.optim.SGD(game.generator.parameters(), 0.1)
    for k in range(2):
        y = mg.tensor(data.scaled(IMAGES[8 * k : 8 * k + 8]))
        assert set(game.play(lambda k, y=y: y)) == {"pixels"}
        params = plain.generator.parameters()
        apart = l2(plain.generator(making("small:2")(y, mg.random.Stream(0))), y)
        for p, slope in zip(params, mg.grad(apart, params), strict=True):
            p.copy_(p.numpy() - 0.1 * slope.numpy())
        for ours, theirs in zip(game.generator.parameters(), params, strict=True):
            np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-7)
    after = set(game.play(drawn("srgan")))
    assert after == {"pixels", "looks"} | ({"d_loss", "d_real", "d_fake", "g_loss"} if adversarial else set())


@pytest.mark.parametrize("name", GAMES)
def test_what_a_round_takes_at_most_is_told_in_no_time(name):
    assert mg.gan.memory_needed(GAMES[name][0](), drawn(name)).sample > 0


@pytest.mark.parametrize("make", [pix2pix, restoration, bicyclegan, cut, stargan, cyclegan, unit, munit])
def test_its_translators_are_files(make, tmp_path):
    game = make()
    for each in game.players.values():
        for layer in each.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0
    export.save_of_game(tmp_path / "generator.safetensors", game)
    loaded = export.load_generator(tmp_path / "generator.safetensors")
    sources = game.sources(3, "samples", 0)
    told = np.array([2, 0, 1]) if make is stargan else None
    ours = game.generate(sources, mg.tensor(told)) if make is stargan else game.translate(sources)
    np.testing.assert_array_equal(loaded.generate(sources, told).numpy(), ours.numpy())
    assert loaded.source.shape == sources.shape[1:]
    for name, network in export.further_of_game(game).items():
        export.save_generator(tmp_path / f"{name}.safetensors", network)
        back = export.load_generator(tmp_path / f"{name}.safetensors")
        np.testing.assert_array_equal(back.generate(sources).numpy(), game.translate_back(sources).numpy())
    assert {path.stem for path in tmp_path.iterdir()} == (
        {"generator", "inverse"} if make in (cyclegan, unit, munit) else {"generator"}
    )


def test_patches_see_as_much_as_the_paper_says():
    sizes = [mg.models.patch_size(mg.models.patch_discriminator(1, width=1, halvings=n, norm=None)) for n in range(6)]
    assert sizes == [1, 16, 34, 70, 142, 286]


def test_a_patch_decides_its_score_alone(rng):
    D = mg.models.patch_discriminator(1, width=4, halvings=2, norm=None)
    images = rng.standard_normal((1, 1, 48, 48)).astype(np.float32)
    x = mg.tensor(images)
    slope = mg.grad(D(x)[:, :, 5, 5].sum(), x).numpy()[0, 0]
    rows = np.flatnonzero(slope.any(1))
    assert rows[-1] - rows[0] + 1 == 34


# --- contrast of patches, codes -------------------------------------------------------------------------------------


def test_contrast_is_cross_entropy_over_places(rng):
    game = cut()
    x, y = (mg.tensor(rng.uniform(-1, 1, (2, 3, 8, 8)).astype(np.float32)) for _ in range(2))
    batch = mg.gan.Batch(Pair(y, x), 0, 0, mg.random.Stream(5, "places"))
    found = game._contrast(batch, x, y).item()
    stream, heads, total = mg.random.Stream(5, "places"), game.heads, 0.0
    layers = zip(heads.features(game.generator, y), heads.features(game.generator, x), strict=True)
    for k, (after, before) in enumerate(layers):
        places = heads.places(after, stream)
        q, v = (heads.vectors(k, each, places).numpy().astype(float) for each in (after, before))
        np.testing.assert_allclose(np.square(q).sum(2), 1, rtol=1e-5)
        logits = q @ v.transpose(0, 2, 1) / 0.07
        total += (np.log(np.exp(logits).sum(2)) - np.einsum("npc,npc->np", q, v) / 0.07).mean() / 3
    assert found == pytest.approx(total, rel=1e-4)


def test_what_patches_were_is_held_constant(rng):
    """Heads and generator learn by what patches have become alone."""
    game = cut()
    for player in (game.generator, game.heads):
        player.to(dtype="float64")
    x, y = (mg.tensor(rng.uniform(-1, 1, (2, 3, 8, 8))) for _ in range(2))
    batch = mg.gan.Batch(Pair(y, x), 0, 0, mg.random.Stream(5, "places"))
    params = nn.parameters_of(game.heads, game.generator[0], game.generator[1])
    found = mg.grad(game._contrast(batch, x, game.generator(x)), params)
    stream, heads, total = mg.random.Stream(5, "places"), game.heads, 0.0
    known = heads.features(game.generator, x)
    for k, after in enumerate(heads.features(game.generator, game.generator(x))):
        places = heads.places(after, stream)
        keys = mg.tensor(heads.vectors(k, known[k], places).numpy())
        logits = mg.einsum("npc,nqc->npq", heads.vectors(k, after, places), keys) / 0.07
        right = np.tile(np.arange(places.size), 2)
        total = total + mg.cross_entropy(mg.reshape(logits, (-1, places.size)), mg.tensor(right)) / 3
    for ours, theirs in zip(found, mg.grad(total, params), strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("side", "count"), [(8, 5), (8, 64), (2, 4), (16, 40)])
def test_places_of_patches_are_drawn_once_each(side, count):
    heads, features = mg.models.PatchHeads([0], [3], 6, count), mg.zeros((2, 3, side, side))
    drawn = [heads.places(features, mg.random.Stream(seed)).numpy() for seed in range(200)]
    assert {places.shape for places in drawn} == {(count,)}
    assert all(len(set(places)) == count for places in drawn)
    frequency = np.bincount(np.concatenate(drawn), minlength=side * side) / 200
    assert frequency.mean() == pytest.approx(count / side**2)
    assert np.abs(frequency - count / side**2).max() < 0.2
    few = mg.models.PatchHeads([0], [3], 6, 300).places(features, mg.random.Stream(0))
    assert sorted(few.numpy()) == [*range(side * side)][:300]


def test_a_code_is_read_from_an_image_and_decides_it():
    game = bicyclegan()
    batches = data.shuffled_batches(PAIRS, 8)
    shown = [game.play(batches) for _ in range(30)]
    assert all({"l1", "kl", "code", "d_loss", "g_loss"} <= set(each) for each in shown)
    source = game.sources(1, "samples", 0)
    with nn.evaluating(game.generator):
        several = [game.generator(source, mg.tensor(np.full((1, 2), value, np.float32))).numpy() for value in (-2, 2)]
    assert np.abs(several[0] - several[1]).max() > 1e-3
    mean, log_var = game.code(mg.tensor(data.scaled(IMAGES[:3])))
    assert mean.shape == log_var.shape == (3, 2)


def test_a_classifier_without_adaptation_learns_from_its_own_domain_alone():
    game = pixelda(adversarial=0.0)
    batches = data.shuffled_batches(LABELLED, 20, paired=False)
    before = {name: t.numpy() for name, t in game.generator.state_dict().items()}
    for _ in range(60):
        shown = game.play(batches)
    assert set(shown) == {"task"}
    assert (game.predict(LABELLED.source) == LABELLED.labels).mean() > 0.9
    assert all((t.numpy() == before[name]).all() for name, t in game.generator.state_dict().items())
    with pytest.raises(ShapeError, match=r"PixelDA: a batch of sources \(4, 3, 8, 8\) came without labels"):
        pixelda().play(data.shuffled_batches(DOMAINS, 4, paired=False).at)
