"""Learning from a few labels and many images (Salimans et al. 2016): the discriminator is a classifier."""

from collections.abc import Sequence

import numpy as np

from .. import ops, processes, random
from ..backend import Array
from ..errors import DataError, ShapeError
from ..kernels.calls import made
from ..models import scale_to_data, semi28
from ..nn import Module, Sequential, evaluating, functional_call, init
from ..optim import EMA, Adam, Optimizer
from ..random import Stream
from ..recording import no_grad
from ..tensor import Tensor
from .game import Batch, Game, Losses, Turn
from .latents import Latent, uniform_latent
from .losses import nonsaturating

LABELS_ALONE = [Turn("labels_turn")]  # a schedule: the classifier learns from its labels and nothing else


def realness(logits: Tensor) -> Tensor:
    """ln sum e^logit of each row (N, K): (N,), the score of a discriminator whose (K+1)-th logit, "fake", is 0.

    Its sigmoid is the probability that the row belongs to one of the K classes.
    """
    return ops.logsumexp(logits, axis=1)


def unlabelled_loss(real: Tensor, fake: Tensor) -> Tensor:
    """-(E ln p(real | x) + E ln p(fake | G)) / 2 for logits (N, K) of images and of fakes: a 0-d tensor."""
    return 0.5 * nonsaturating.discriminator(realness(real), realness(fake))


def feature_matching(real: Tensor, fake: Tensor) -> Tensor:
    """The mean over features of (E real - E fake)^2, features (N, F) each: a 0-d tensor."""
    if real.shape[1:] != fake.shape[1:]:
        raise ShapeError(f"feature_matching: features of real samples are {real.shape}, of fakes {fake.shape}")
    return ops.mean(ops.square(ops.batch_mean(real, 0) - ops.batch_mean(fake, 0)))


def balanced(labels: np.ndarray, count: int, rng: Stream) -> np.ndarray:
    """Positions of `count` samples drawn at random, as many of each class: int64, in order of class.

    DataError if there are no labels, count is no multiple of the number of classes, or a class has too few samples.
    """
    if not len(labels):
        raise DataError(f"balanced: expected labels to choose {count} of, got none")
    classes, sizes = np.unique(labels, return_counts=True)
    each = count // len(classes)
    if count < 1 or count % len(classes) or sizes.min() < each:
        raise DataError(
            f"balanced: expected a multiple of {len(classes)} labels, at most {sizes.min()} for each class, got {count}"
        )
    order = rng.permutation(len(labels))
    return np.concatenate([order[labels[order] == c][:each] for c in classes])


class SemiSupervised(Game):
    """A classifier of K classes plays against a generator whose fakes would be class K + 1.

    It minimises the cross entropy of as many of the few images whose label is known, in passes over them in random
    order, and `unlabelled_loss` of images and fakes. The generator makes the means of the classifier's features agree
    (feature matching): its fakes are near the images, not on them, and that is what teaches the classifier where
    classes end.

    `classifier[0]` makes features, `classifier[1]` logits; `images` (M, C, H, W) and `labels` int64 (M,) are what is
    known. They are no part of the state: a seed and the data decide them. Predictions use the averaged weights, if
    there are some.
    """

    def __init__(
        self,
        generator: Module,
        classifier: Sequential,
        images: Tensor,
        labels: Tensor,
        *,
        latent: Latent,
        generator_optimizer: Optimizer,
        classifier_optimizer: Optimizer,
        schedule: Sequence[Turn] | None = None,
        seed: int = 0,
        ema: EMA | None = None,
    ) -> None:
        if len(images) == 0 or labels.shape != (len(images),):
            raise ShapeError(
                f"SemiSupervised: expected images and a label for each, got {images.shape}, {labels.shape}"
            )
        self.generator = generator
        self.classifier = classifier
        self.images = images
        self.labels = labels
        self.latent = latent
        usual = [Turn("classifier_turn"), Turn("generator_turn", fresh_batch=False)]
        super().__init__(
            {"generator": generator, "classifier": classifier},
            {"generator": generator_optimizer, "classifier": classifier_optimizer},
            usual if schedule is None else schedule,
            seed=seed,
            ema=ema,
        )

    def couples(self) -> list[str]:
        """Feature matching too."""
        return [*super().couples(), "feature matching"]

    def classifier_turn(self, batch: Batch) -> Losses:
        """The classifier learns classes from what is labelled, real from fake on everything."""
        known, labels = self._known(batch)
        with no_grad():
            fake = self.generator(self.noise(batch))
        together = self.classifier(ops.concatenate([known, batch.real, fake]))
        known_logits, real_logits, fake_logits = ops.split(together, 3)
        supervised = ops.cross_entropy(known_logits, labels)
        loss = supervised + unlabelled_loss(real_logits, fake_logits)
        self.optimizers["classifier"].minimize(loss)
        self.average()
        with no_grad():
            d_real, d_fake = (ops.mean(ops.sigmoid(realness(x))) for x in (real_logits, fake_logits))
        return {"d_loss": loss.detach(), "d_real": d_real, "d_fake": d_fake, "labels_loss": supervised.detach()}

    def generator_turn(self, batch: Batch) -> Losses:
        """The generator matches the classifier's features of the same images."""
        features = self.classifier[0]
        with no_grad():
            real = features(batch.real)
        loss = feature_matching(real, features(self.generator(self.noise(batch))))
        self.optimizers["generator"].minimize(loss)
        return {"g_loss": loss.detach()}

    def labels_turn(self, batch: Batch) -> Losses:
        """The classifier learns from what is labelled alone, its layers drawing as in `classifier_turn`."""
        known, labels = self._known(batch)
        with random.using(self.stream("classifier").at(batch.turn)):
            loss = ops.cross_entropy(self.classifier(known), labels)
        self.optimizers["classifier"].minimize(loss)
        self.average()
        return {"labels_loss": loss.detach()}

    def logits(self, images: Tensor) -> Tensor:
        """(N, K) for images (N, C, H, W), without noise, by the averaged weights if there are some."""
        averaged = {} if self.ema is None else self.ema.parameters()
        with evaluating(self.classifier):
            return functional_call(self.classifier, averaged, images)

    def _known(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """As many labelled images as the batch has, and their labels."""
        rng, part = self.stream("known").at(batch.turn), processes.part()
        count = len(batch.real) * part.count
        with processes.whole():
            drawn = rng.uniform((-(-count // len(self.labels)), len(self.labels)), device=batch.real.device)
        chosen = part.take(Tensor(made(_in_order, drawn, count)))
        return self.images[chosen], self.labels[chosen]


def _in_order(drawn: Array, count: int) -> Array:
    """The first `count` places of passes over what is known, each in the order of its row of numbers."""
    return drawn.argsort(1).reshape(-1)[:count]


Z_DIM = 100


def salimans28(
    images: Tensor,
    labels: Tensor,
    shown: Tensor,
    *,
    lr: float = 3e-3,
    decay: float = 0.9999,
    schedule: Sequence[Turn] | None = None,
    seed: int = 0,
) -> SemiSupervised:
    """The game of Salimans et al. (2016) for MNIST, as in their code (github.com/openai/improved-gan).

    `images` (M, 1, 28, 28) and `labels` (M,) are what is known, `shown` the images that the first lengths and biases
    are taken from: 500 in the paper. Adam(lr, 0.5, 0.999) adds 1e-8 below its root there; here 1e-4 is added to the
    root, which limits steps down small gradients, such as those of feature matching, likewise. The averaged weights
    start at zero, so that nothing of the first ones stays in them.
    """
    device = images.device
    generator, classifier = semi28(Z_DIM, rng=Stream(seed))
    generator.to(device)
    classifier.to(device)
    scale_to_data(classifier, shown, rng=Stream(seed, "noise of the scales"))
    average = EMA(classifier, decay)
    for t in average.parameters().values():
        init.zeros_(t)
    generator_optimizer, classifier_optimizer = (
        Adam(player.parameters(), lr, (0.5, 0.999), eps=1e-4) for player in (generator, classifier)
    )
    return SemiSupervised(
        generator,
        classifier,
        images,
        labels,
        latent=uniform_latent(Z_DIM, 0.0, 1.0),
        generator_optimizer=generator_optimizer,
        classifier_optimizer=classifier_optimizer,
        schedule=schedule,
        seed=seed,
        ema=average,
    )
