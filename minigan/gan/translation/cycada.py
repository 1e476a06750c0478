"""CyCADA (Hoffman et al. 2018): CycleGAN whose translations are to be read as what they were made of."""

from typing import Any

from ... import ops
from ...nn import Module, functional_call
from ...nn.checks import not_negative
from ...tensor import Tensor
from ..adaptation import labels_of
from ..game import Batch, Losses
from .cyclegan import CycleGAN


class CyCADA(CycleGAN):
    """CycleGAN with a classifier T that learns from labelled sources x alone. G, F and T minimise, in one step, also

        CE(T(x), labels) + semantic (CE(T'(G(x)), T' reads x) + CE(T'(F(y)), T' reads y))

    where T' is T as it stands, whose weights the second term does not move. So nothing is made into what T reads as
    something else: two translators alone may agree to make sevens of ones, and ones of sevens again. Batches have a
    `target`, a `source` and its `labels`; both images are of one shape. `translators_optimizer` moves T too. What the
    paper adds in the space of features is a game of its own, `gan.ADDA`.
    """

    labelled = True

    def __init__(self, *players: Module, classifier: Module, semantic: float = 1.0, **parts: Any) -> None:
        """`players` are those of a CycleGAN, and `parts` what else it is given."""
        not_negative("CyCADA", semantic=semantic)
        self.classifier, self.semantic = classifier, semantic
        super().__init__(*players, others={"classifier": classifier}, **parts)

    def further_terms(self, batch: Batch, real: tuple[Tensor, Tensor], fake: tuple[Tensor, Tensor]) -> Losses:
        """How wrong T reads sources, and how unlike what was translated it reads translations."""
        x, y = real
        fixed = [weight.detach() for weight in self.classifier.parameters()]

        def as_it_stands(images: Tensor) -> Tensor:
            return functional_call(self.classifier, fixed, images)

        read = [ops.argmax(as_it_stands(images.detach()), 1) for images in (x, y)]
        kept = [ops.cross_entropy(as_it_stands(made), told) for made, told in zip(fake, read, strict=True)]
        task = ops.cross_entropy(self.classifier(x), labels_of("CyCADA", batch, x))
        return {"task": task, "semantic": self.semantic * (kept[0] + kept[1])}
