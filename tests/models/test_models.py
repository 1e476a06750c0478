"""The networks of the documents: their parameters, counted, how they fit together and where they start."""

import copy
import itertools
import pickle

import numpy as np
import pytest

import minigan as mg


def test_parameter_counts_of_the_documents():
    G, D = mg.models.mlp28(z_dim=4)
    assert (D.num_parameters(), G.num_parameters()) == (267_009, 1_858_320)
    G, D = mg.models.dcgan28(z_dim=4)
    assert (D.num_parameters(), G.num_parameters(buffers=True)) == (1_102_721, 6_595_521)
    assert mg.models.dcgan28(96)[0].num_parameters() == 6_675_009
    assert mg.models.wgan_gp28()[1].num_parameters(buffers=True) == 3_411_649
    assert [player.num_parameters() for player in mg.models.lab28()] == [939_681, 198_689]
    assert [player.num_parameters() for player in mg.models.quadratic()] == [354, 357]
    assert [player.num_parameters() for player in mg.models.dcgan()] == [3_576_704, 2_765_568]
    assert [player.num_parameters() for player in mg.models.goodfellow28()] == [2_503_984, 1_231_441]
    assert [player.num_parameters() for player in mg.models.sndcgan()] == [3_812_355, 2_935_873]
    assert [player.num_parameters() for player in mg.models.stacked28()] == [286_795, 571]


def conv(i, o, k):
    return i * o * k * k + o


def test_parameter_counts_of_residual_networks():
    """As the papers' tables of layers have them, added up."""
    G, D = mg.models.resnet(width=128, generator_width=256)  # SNGAN on CIFAR-10
    block = 2 * conv(256, 256, 3) + 4 * 256 + conv(256, 256, 1)
    assert G.num_parameters() == conv(128, 4096, 1) + 3 * block + 512 + conv(256, 3, 3) == 4_276_739
    down = conv(3, 128, 3) + conv(128, 128, 3) + conv(3, 128, 1) + 2 * conv(128, 128, 3) + conv(128, 128, 1)
    assert D.num_parameters() == down + 4 * conv(128, 128, 3) + 129 == 1_053_825
    maps = 64, 128, 256, 512, 1024  # SNGAN on ImageNet, 128 x 128
    halved = sum(conv(i, i, 3) + conv(i, o, 3) + conv(i, o, 1) for i, o in itertools.pairwise(maps))
    first = conv(3, 64, 3) + conv(64, 64, 3) + conv(3, 64, 1)
    assert mg.models.resnet(128)[1].num_parameters() == first + halved + 2 * conv(1024, 1024, 3) + 1025
    G, D = mg.models.r3gan()
    blocks = sum(2 * (2 * n * n + 2 * n + 2 * n * 16 * 9 + 2 * n + 2 * n * n) for n in (256, 256, 128, 64))
    mixed = 256 * 128 + 128 * 64 + 64 * 3
    assert G.num_parameters() == 256 * (64 + 16) + blocks + mixed
    assert D.num_parameters() == 256 * 16 + 256 + blocks + mixed


@pytest.mark.parametrize("side", [32, 64, 128, 256])
def test_fastgan_for_every_side(side):
    G, D = mg.models.fastgan(side, 6, channels=1, width=4)
    x = G(mg.tensor(mg.random.Stream(0).normal((2, 6))))
    scores, read = D(x)
    assert (x.shape, scores.shape) == ((2, 1, side, side), (2, 1, 5, 5))
    assert (read.large.shape[2:], read.small.shape[2:]) == ((16, 16), (8, 8))
    assert D.whole(read.small).shape == D.part(read.large[:, :, :8, 8:]).shape == (2, 1, side // 2, side // 2)
    assert G.num_parameters() <= G.held(side, 6, 1, 2) <= 2 * G.num_parameters()


@pytest.mark.parametrize(
    ("side", "expected"),
    [(32, [(4, 32)]), (64, [(4, 64)]), (128, [(4, 64), (8, 128)]), (256, [(4, 64), (8, 128), (16, 256)])],
)
def test_small_maps_of_fastgan_weigh_the_channels_of_large_ones(side, expected):
    G = mg.models.fastgan(side, 6, width=4).generator
    sizes = []

    def skip(low, high):
        sizes.append((low.shape[2], high.shape[2]))
        return 0 * high

    for layer in G.skips:
        vars(layer)["forward"] = skip
    image = G(mg.tensor(mg.random.Stream(0).normal((2, 6)))).numpy()
    assert sizes == expected
    assert np.ptp(image) < 1e-6, "all that the last size has is weighed"


def test_fastgan_that_does_not_fit_is_refused():
    for side in (16, 48, 512):
        with pytest.raises(mg.errors.ShapeError, match=f"a side of 32, 64, 128, 256 pixels, got {side}"):
            mg.models.fastgan(side)
    with pytest.raises(mg.errors.ShapeError, match="expected norm to be batch, layer or None, got 'group'"):
        mg.models.fastgan(norm="group")


@pytest.mark.parametrize(
    "sizes", [(32, 128, 128, 3, 32, 4), (28, 7, 5, 1, 8, 1), (128, 16, 32, 3, 2, 8), (8, 4, 4, 1, 3, 0)]
)
def test_how_much_a_style_generator_holds_is_known_beforehand(sizes):
    G = mg.models.StyleGenerator(*sizes)
    assert G.num_parameters() == G.held(*sizes)
    silent = mg.models.StyleGenerator(*sizes, noiseless=True)
    assert silent.num_parameters() == silent.held(*sizes, noiseless=True) == G.num_parameters() - len(G.convolutions)


def test_without_noise_a_style_decides_an_image():
    z = mg.tensor(mg.random.Stream(0).normal((2, 6)))
    for noiseless in (False, True):
        G = mg.models.stylegan2(16, 6, width=4, noiseless=noiseless).generator.eval()
        for name, p in G.named_parameters():
            if "noise" in name:
                p.copy_(p + 1.0)
        same = (G(z).numpy() == G(z).numpy()).all()
        assert same == noiseless


def test_style_mixing_happens_in_training_alone_and_as_often_as_is_said():
    G = mg.models.stylegan2(16, 6, width=4, mixing=0.5).generator
    z = mg.tensor(mg.random.Stream(0).normal((4000, 6)))
    with mg.random.using(mg.random.Stream(1)):
        first, *rest = G.styles(z)
    mixed = np.array([(style.numpy() != first.numpy()).any(1) for style in rest])
    assert mixed[-1].mean() == pytest.approx(0.5, abs=0.03)
    assert (mixed[1:] >= mixed[:-1]).all(), "from some layer on"
    begins = np.diff(mixed.sum(1), prepend=0)
    np.testing.assert_allclose(begins, 2000 / len(rest), atol=100)
    assert all(style is same for style, *others in [G.eval().styles(z)] for same in others)


def test_truncation_leads_to_the_mean_style():
    G = mg.models.stylegan2(16, 6, width=4).generator.eval()
    z, mean = mg.tensor(mg.random.Stream(0).normal((3, 6))), G.mean_style()
    assert mean.shape == (1, 6)
    np.testing.assert_allclose(G.truncated(z, 1.0, mean).numpy(), G(z).numpy(), atol=1e-5)
    usual = G.truncated(z, 0.0, mean).numpy()
    assert np.ptp(usual, axis=0).max() < 1e-5
    nearer, far = (np.abs(G.truncated(z, psi, mean).numpy() - usual).mean() for psi in (0.3, 1.0))
    assert nearer < far
    with pytest.raises(mg.errors.ShapeError, match="expected 6 styles, got 2"):
        G.synthesis([mean, mean])


def test_scores_of_residual_networks_begin_small_and_differ():
    x = mg.tensor(mg.random.Stream(1).uniform((64, 3, 32, 32), -1, 1))
    for players, z_dim in ((mg.models.resnet(width=16), 128), (mg.models.r3gan(width=16), 64)):
        assert 0.01 < players.discriminator(x).numpy().std() < 2
        samples = players.generator(mg.tensor(mg.random.Stream(1).normal((64, z_dim))))
        assert samples.numpy().std(0).mean() > 0.2  # the noise arrives


def test_residual_networks_that_do_not_fit_are_refused():
    for side in (8, 18, 36, 6):
        with pytest.raises(mg.errors.ShapeError, match=f"a side of .*, got {side}"):
            mg.models.resnet(side)
    with pytest.raises(mg.errors.ShapeError, match=r"attention: expected one of the sizes 16, 8, got 4"):
        mg.models.resnet(32, attention=4)
    with pytest.raises(
        mg.errors.ShapeError, match="expected norms among batch, layer and None, got 'group' and 'batch'"
    ):
        mg.models.resnet(32, norm="group")
    with pytest.raises(mg.errors.ShapeError, match=r"r3gan: expected a side of .*, got 18"):
        mg.models.r3gan(18)
    with pytest.raises(mg.errors.ShapeError, match=r"generator_width: .* multiple of 8, got 12"):
        mg.models.r3gan(generator_width=12)


@pytest.mark.parametrize("make", [mg.models.mlp28, mg.models.dcgan28, mg.models.wgan_gp28])
def test_networks_fit_together_and_start_as_documented(make):
    G, D = make(96)
    images = G(mg.zeros((4, 96)) + 0.5)
    assert images.shape == (4, 1, 28, 28)
    assert D(images).shape == (4, 1)
    assert abs(images.numpy()).max() <= 1
    first = G[0].weight.numpy()
    assert np.abs(first).max() <= (6 / (96 + 1024)) ** 0.5
    assert not G[0].bias.numpy().any()


@pytest.mark.parametrize(
    ("make", "z_dim", "shape"),
    [
        (mg.models.lab28, 128, (1, 28, 28)),
        (lambda: mg.models.dcgan(32, 7, channels=1, width=4), 7, (1, 32, 32)),
        (lambda: mg.models.dcgan(48, 5, width=2, norm=None), 5, (3, 48, 48)),
        (lambda: mg.models.mlp512(16, 6), 6, (3, 16, 16)),
        (lambda: mg.models.sndcgan(24, 6, channels=1, width=2), 6, (1, 24, 24)),
        (lambda: mg.models.stacked28(9), 9, (3, 28, 28)),
        (lambda: mg.models.stacked28(9, width=4, norm=None, generator_norm=None), 9, (3, 28, 28)),
        (lambda: mg.models.resnet(28, 6, channels=1, width=8, attention=14), 6, (1, 28, 28)),
        (lambda: mg.models.resnet(64, 6, width=2, generator_width=4, norm="layer"), 6, (3, 64, 64)),
        (mg.models.quadratic, 2, (2,)),
    ],
)
def test_players_of_other_documents_fit_together(make, z_dim, shape):
    G, D = make()
    z = mg.random.Stream(0).normal((4, z_dim))
    samples = G(mg.tensor(z))
    assert samples.shape == (4, *shape)
    assert D(samples).shape == (4, 1)
    if len(shape) == 3:
        assert abs(samples.numpy()).max() <= 1


def test_starting_values_of_the_lab_and_the_dcgan():
    G, D = mg.models.lab28()
    assert {
        float(layer.bias.numpy()[0]) for layer in [*G.modules(), *D.modules()] if isinstance(layer, mg.nn.Conv2d)
    } == {float(np.float32(0.01))}
    assert G[2].weight.numpy().std() == pytest.approx(0.01, rel=0.02)
    assert (G(mg.zeros((1, 128))).numpy() >= 0).all()  # a sigmoid, as the document has it
    G, D = mg.models.dcgan(32, width=16)
    assert D[2].weight.numpy().std() == pytest.approx(0.02, rel=0.05)
    assert G[2].weight.numpy().mean() == pytest.approx(1, abs=0.01)
    assert not any(isinstance(m, mg.nn.BatchNorm2d) for m in mg.models.dcgan(32, norm=None).discriminator.modules())
    G, D = mg.models.dcgan(32, width=4, norm=None, generator_norm=None)
    biases = [p for player in (G, D) for p in player.parameters() if p.ndim == 1]
    assert [b.shape for b in biases] == [(32,), (16,), (8,), (4,), (3,), (4,), (8,), (16,), (32,), (1,)]
    assert all(not b.numpy().any() for b in biases)
    samples = mg.models.dcgan(32, width=16, generator_norm=None).generator(
        mg.random.Stream(1).uniform((64, 100), -1, 1)
    )
    assert samples.numpy().std(0).mean() > 0.2  # the noise arrives
    scores = mg.models.dcgan(32, width=16, norm=None).discriminator(mg.random.Stream(1).uniform((64, 3, 32, 32), -1, 1))
    assert 0.05 < scores.numpy().std() < 5  # and a difference between images, D's score
    samples = mg.models.mlp512(32).generator(mg.random.Stream(1).normal((64, 100)))
    assert samples.numpy().std(0).mean() > 0.2
    for side, norm, said in (
        (40, "batch", "side .* got 40"),
        (64, "instance", "got 'instance'"),
        (0, None, "side .* got 0"),
    ):
        with pytest.raises(mg.errors.ShapeError, match=said):
            mg.models.dcgan(side, norm=norm)
    with pytest.raises(mg.errors.ShapeError, match="divisible by 8, got 28"):
        mg.models.sndcgan(28)


def test_the_printed_critic_does_not_see_the_last_two_rows_and_the_padded_one_does():
    def slopes(**options):
        critic = mg.models.wgan_gp28(4, norm=None, **options).discriminator
        x = mg.tensor(mg.random.Stream(0).normal((2, 1, 28, 28)))
        return np.abs(mg.grad(mg.sum(critic(x)), x).numpy()).sum((0, 1))

    printed, padded = slopes(), slopes(padding=1)
    assert (printed[:26, :26] > 0).all()
    assert not printed[26:].any()
    assert not printed[:, 26:].any()
    assert (padded > 0).all()


@pytest.mark.parametrize(
    "name",
    [
        *["acgan28", "bigan28", "cgan28", "classifier28", "ebgan28", "goodfellow28", "infogan28", "mlp2d"],
        *["picture_classifier", "projection28", "semi28", "vae28"],
    ],
)
def test_players_can_be_copied_and_pickled(name):
    made = getattr(mg.models, name)()
    for player in made if isinstance(made, tuple) else [made]:
        for other in (copy.deepcopy(player), pickle.loads(pickle.dumps(player))):
            assert repr(other) == repr(player)
            for (k, t), (_, theirs) in zip(player.named_tensors(), other.named_tensors(), strict=True):
                np.testing.assert_array_equal(t.numpy(), theirs.numpy(), err_msg=k)
                assert not np.may_share_memory(t.data, theirs.data)


def test_labels_are_arrays_and_lists_too():
    for labels in ([0, 2], np.array([0, 2]), mg.tensor([0, 2])):
        assert mg.models.labels.one_hot(labels, 3).numpy().tolist() == [[1, 0, 0], [0, 0, 1]]
    with pytest.raises(mg.errors.DTypeError, match=r"one_hot: expected a Tensor, an array, numbers .* got None"):
        mg.models.labels.one_hot(None, 3)


def test_the_networks_of_stacked_mnist_start_as_documented_and_see_packs():
    G, D = mg.models.stacked28(pack=3)
    assert D(mg.zeros((2, 9, 28, 28))).shape == (2, 1)
    assert G[0].weight.numpy().std() == pytest.approx(0.02, rel=0.02)
    assert G[2].num_parameters() == 2 * 64  # a norm, before which nothing has a bias
    assert G[0].bias is None
    bare, _ = mg.models.stacked28(norm=None, generator_norm=None)
    z = mg.tensor(mg.random.Stream(0).normal((64, 256)))
    assert bare(z).numpy().std() > 0.1  # what passes does not fade
    with pytest.raises(mg.errors.ShapeError, match="'batch' or None, got 'layer'"):
        mg.models.stacked28(norm="layer")
