"""Directions: NumPy's eigenvectors of the weights, components of styles, ways from class to class."""

import numpy as np
import pytest
from small_generators import conditional, plain, styled

import minigan as mg
from minigan import export, latent
from minigan.errors import DataError, ShapeError
from minigan.gan import normal_latent
from minigan.latent import Points, Space
from minigan.latent.directions import first_weight
from minigan.models import biggan


def eigenvectors(A):
    """The directions of A^T A, the strongest first."""
    values, vectors = np.linalg.eig(A.T.astype(float) @ A)
    return vectors.real.T[values.real.argsort()[::-1]]


def networks():
    nn = mg.nn
    yield nn.Sequential(nn.Linear(5, 7), nn.ReLU()), lambda G: G[0].weight.numpy()
    yield nn.Sequential(nn.spectral_norm(nn.Linear(5, 7))), lambda G: G[0].weight.numpy()
    yield (
        nn.Sequential(nn.Unflatten(1, (5, 1, 1)), nn.ConvTranspose2d(5, 3, 4)),
        lambda G: G[1].weight.numpy().reshape(5, -1).T,
    )
    yield mg.models.r3gan(28, 5, channels=1, width=8).generator, lambda G: G[0].linear.weight.numpy()


@pytest.mark.parametrize(("network", "weight"), list(networks()))
def test_sefa_finds_the_eigenvectors_of_the_first_layer(network, weight):
    space = Space(export.Generator(network, normal_latent(5)))
    A = weight(network)
    assert np.array_equal(first_weight(space), A)
    found = latent.factorised(space, 3)
    assert (found.kind, found.vectors.shape) == ("z", (3, 5))
    alike = np.abs((found.vectors * eigenvectors(A)[:3]).sum(1))
    np.testing.assert_allclose(alike, 1, rtol=1e-4)
    shares = np.linalg.svd(A.astype(float))[1] ** 2
    np.testing.assert_allclose(found.shares, (shares / shares.sum())[:3], rtol=1e-4)
    np.testing.assert_allclose(found.deviations, 1, atol=0.06)  # of N(0, 1), in any direction
    assert (found.vectors[np.arange(3), np.abs(found.vectors).argmax(1)] > 0).all()


def test_sefa_of_styles_takes_the_affine_layers_together_or_some():
    space = Space(styled())
    G = space.styles
    affine = [layer.conv.affine.weight.numpy() for layer in (*G.convolutions, G.to_image[-1])]
    assert len(affine) == G.layers
    for layers in (None, [0, 2]):
        A = np.concatenate(affine if layers is None else [affine[k] for k in layers])
        found = latent.factorised(space, 2, layers)
        np.testing.assert_allclose(np.abs((found.vectors * eigenvectors(A)[:2]).sum(1)), 1, rtol=1e-4)


def test_a_class_is_no_direction_of_the_noise():
    space = Space(conditional())
    assert first_weight(space).shape[1] == 5
    assert latent.factorised(space, 2).vectors.shape == (2, 5)


def test_a_block_of_biggan_takes_its_own_part_of_the_noise():
    """The directions of A^T A, A what small steps of the noise change in all that is told of it."""
    network = biggan(16, 7, channels=1, width=4, classes=3, shared_dim=2, rng=mg.random.Stream(0)).generator
    space = Space(export.Generator(network, normal_latent(7), 3))
    z = mg.tensor(np.zeros((1, 7), "f4"))
    heard = []

    def told(layer):
        forward = layer.forward
        layer.forward = lambda x: heard.append(forward(x)) or heard[-1]

    for layer in [network.linear, *(m for b in network.blocks for m in b.modules() if isinstance(m, mg.nn.Linear))]:
        told(layer)
    network(z, mg.tensor(np.array([1])))
    outputs = list(heard)
    rows = [mg.grad(y[0, k], z).numpy()[0] for y in outputs for k in range(y.shape[1])]
    A = first_weight(space)
    np.testing.assert_allclose(A.T @ A, np.array(rows).T @ np.array(rows), rtol=1e-4, atol=1e-5)
    assert latent.factorised(space, 2).vectors.shape == (2, 7)


def test_principal_components_of_styles():
    space = Space(styled())
    w = space.draw(4096).values.astype(float)
    values, vectors = np.linalg.eigh(np.cov(w, rowvar=False))
    found = latent.principal(space, 2)
    np.testing.assert_allclose(np.abs((found.vectors * vectors.T[::-1][:2]).sum(1)), 1, rtol=1e-4)
    np.testing.assert_allclose(found.deviations, values[::-1][:2] ** 0.5, rtol=0.06)
    with pytest.raises(ShapeError, match="noise: all alike"):
        latent.principal(Space(plain()))


class BySide:
    """Reads as 1 what is brighter on the right."""

    name, classes = "by side", 2

    def predict(self, images):
        return (images[..., 8:].mean((1, 2, 3)) > images[..., :8].mean((1, 2, 3))).astype(int)


def test_from_one_class_to_another():
    """Where a plane through the middle of N(0, 1) parts the classes, the direction is its normal."""
    linear = mg.nn.Linear(4, 256, bias=False, rng=mg.random.Stream(0))
    network = mg.nn.Sequential(linear, mg.nn.Unflatten(1, (1, 16, 16)))
    space, reader = Space(export.Generator(network, normal_latent(4))), BySide()
    pixels = linear.weight.numpy().reshape(16, 16, 4)
    normal = pixels[:, 8:].mean((0, 1)) - pixels[:, :8].mean((0, 1))
    found = latent.between_classes(space, reader, 0, 1)
    assert found.vectors[0] @ normal / np.linalg.norm(normal) > 0.999
    back = latent.between_classes(space, reader, 1, 0)
    np.testing.assert_allclose(back.vectors, -found.vectors, atol=1e-6)
    drawn = space.draw(200, seed=5)
    read = [reader.predict(space.pictures(found.moved(space, drawn, 0, np.array([s])))).mean() for s in (-3, 0, 3)]
    assert read[0] < 0.05 < read[1] < 0.95 < read[2]
    with pytest.raises(DataError, match="by side reads 2 classes, asked for 0 and 5"):
        latent.between_classes(space, reader, 0, 5)
    reader.predict = lambda images: np.zeros(len(images), int)
    with pytest.raises(DataError, match="0 of 4096 samples are read as 1"):
        latent.between_classes(space, reader, 0, 1)


def test_points_move_by_deviations_and_in_the_layers_that_are_named():
    space = Space(styled())
    drawn = space.draw(2)
    found = latent.factorised(space, 2)
    moved = found.moved(space, drawn, 1, np.array([-1.0, 0.0, 2.0]))
    assert moved.values.shape == (6, 6)
    np.testing.assert_allclose(moved.values[2:4], drawn.values)
    step = found.vectors[1] * found.deviations[1]
    np.testing.assert_allclose(moved.values[4:], drawn.values + 2 * step, rtol=1e-4, atol=1e-5)
    some = latent.factorised(space, 2, [1, 3]).moved(space, drawn, 0, np.array([1.0]))
    assert some.kind == "w+"
    apart = np.abs(some.values - space.widened(drawn).values).max((0, 2))
    assert (apart > 0).tolist() == [False, True, False, True] + [False] * (space.layers - 4)
    wide = found.moved(space, space.widened(drawn), 0, np.array([1.0]))
    assert (np.abs(wide.values - space.widened(drawn).values).max((0, 2)) > 0).all()
    with pytest.raises(ShapeError, match="directions go from 0 to 1, got 2"):
        found.moved(space, drawn, 2, np.array([1.0]))


def test_classes_stay_with_their_points():
    space = Space(conditional())
    moved = latent.factorised(space, 1).moved(space, space.draw(3), 0, np.array([0.0, 1.0]))
    assert moved.labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_what_has_no_directions_is_told():
    with pytest.raises(ShapeError, match="layers are chosen in w or w"):
        latent.factorised(Space(plain()), layers=[0])
    bare = Space(export.Generator(mg.nn.Sequential(mg.nn.ReLU()), normal_latent(4)))
    with pytest.raises(ShapeError, match="no layer of this Sequential is known to take the noise"):
        latent.factorised(bare)
    wide = Space(
        export.Generator(mg.nn.Sequential(mg.nn.Unflatten(1, (1, 2, 2)), mg.nn.Conv2d(1, 2, 1)), normal_latent(4))
    )
    with pytest.raises(ShapeError, match="the first layer takes 1 numbers, the noise has 4"):
        latent.factorised(wide)
    assert Points("z", np.ones((1, 4))).labels is None
