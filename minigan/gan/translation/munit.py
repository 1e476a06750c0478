"""MUNIT (Huang et al. 2018): many translations of an image, which keep what it shows, in styles that are drawn."""

from typing import Any

from ...models.codes import StyledTranslator
from ...nn import Module
from ...nn.checks import not_negative
from ...tensor import Tensor
from ..game import Batch, Losses
from ..losses import Loss, lsgan
from .distances import l1
from .two_way import TwoWay


class MUNIT(TwoWay):
    """An image is a content, which both domains share, and a style of its own domain, N(0, 1) over all of it.

    G has the content encoder of sources and the decoder of targets, F the others; `style_encoder` reads the style of a
    target, `source_style_encoder` that of a source. Of sources x and targets y, with contents c and styles s that are
    read and n that are drawn, all of these minimise, in one step,

        adversarial (L(D_y(G(x, n))) + L(D_x(F(y, n'))))
            + reconstruction (E |x' - x| + E |y' - y|)    each drawn again of its own content and style
            + content (E |c' - c_x| + E |c' - c_y|) + style (E |s' - n| + E |s' - n'|)    read from translations
            + cycle (E |x'' - x| + E |y'' - y|)    through the other domain, with the style that was read at first

    then both discriminators their losses. lsgan has its 1/2: adversarial 2 is the paper's 1.
    """

    inverse: StyledTranslator

    def __init__(
        self,
        generator: StyledTranslator,
        inverse: StyledTranslator,
        style_encoder: Module,
        source_style_encoder: Module,
        discriminator: Module,
        source_discriminator: Module,
        *,
        loss: Loss = lsgan,
        adversarial: float = 2.0,
        reconstruction: float = 10.0,
        content: float = 1.0,
        style: float = 1.0,
        cycle: float = 0.0,
        **parts: Any,
    ) -> None:
        weights = {"adversarial": adversarial, "reconstruction": reconstruction, "content": content}
        not_negative("MUNIT", **weights, style=style, cycle=cycle)
        self.generator = generator
        self.style_encoder, self.source_style_encoder = style_encoder, source_style_encoder
        self.adversarial, self.reconstruction = adversarial, reconstruction
        self.content, self.style, self.cycle = content, style, cycle
        others = {"style_encoder": style_encoder, "source_style_encoder": source_style_encoder}
        four = generator, inverse, discriminator, source_discriminator
        super().__init__(*four, loss=loss, others=others, **parts)

    def players_turn(self, batch: Batch) -> Losses:
        """Translators and encoders move, then both discriminators."""
        x, y = self.sides(batch)
        draw_y, draw_x = self.generator.decoder, self.inverse.decoder
        content_x, content_y = self.generator.encoder(x), self.inverse.encoder(y)
        style_x, style_y = self.source_style_encoder(x), self.style_encoder(y)
        drawn_x, drawn_y = (
            Tensor(batch.rng.normal(style.shape, dtype=x.dtype, device=x.device)) for style in (style_x, style_y)
        )
        again = l1(draw_x(content_x, style_x), x) + l1(draw_y(content_y, style_y), y)
        fake_y, fake_x = draw_y(content_x, drawn_y), draw_x(content_y, drawn_x)
        of_scores = self.of_scores(fake_y, fake_x)
        read_x, read_y = self.inverse.encoder(fake_y), self.generator.encoder(fake_x)
        contents = l1(read_x, content_x) + l1(read_y, content_y)
        styles = l1(self.style_encoder(fake_y), drawn_y) + l1(self.source_style_encoder(fake_x), drawn_x)
        g_loss = (
            self.adversarial * of_scores + self.reconstruction * again + self.content * contents + self.style * styles
        )
        found = {"g_loss": of_scores, "reconstruction": again, "content": contents, "style": styles}
        if self.cycle:
            found["cycle"] = l1(draw_x(read_x, style_x), x) + l1(draw_y(read_y, style_y), y)
            g_loss = g_loss + self.cycle * found["cycle"]
        self.optimizers["translators"].minimize(g_loss)
        self.average()
        shown = self.discriminators_move(batch, (y, fake_y), (x, fake_x))
        return shown | {name: value.detach() for name, value in found.items()}
