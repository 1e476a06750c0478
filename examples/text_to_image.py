"""Draw what a text says: GAN-CLS (Reed et al. 2016), whose discriminator has to see whether a caption fits an image.

    python examples/text_to_image.py                                       "a thin seven slanted right"
    python examples/text_to_image.py --data FOLDER --captions FILE --side 64
    minigan sample runs/text_to_image --text "a thick two slanted left"

Captions of digits are made of their labels and of what can be measured: how wide strokes are, in thirds of the data,
and whether a digit leans by more than 10 degrees. Of pictures of one's own FILE has a line NAME,CAPTION, or with a tab
between, for each picture; its words are the vocabulary. The penalty is not the paper's: without one G soon draws the
same image of a caption whatever the noise.

In OUT/samples: a row for each of some captions, the same noise along a column. At the end, of digits, `digit` is the
share in which a judge reads the digit of the caption, for each of the 90 captions as often; `width` and `leaning` are
the shares whose measures are what the caption says, and `all` those in which the three are right.
"""

import functools
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import minigan as mg
from minigan import judge, training, viz
from minigan.data import (
    Captioned,
    Samples,
    Vocabulary,
    captioned_folder,
    captioned_pictures,
    data_set,
    load_images,
    named_captions,
)
from minigan.errors import DataError
from minigan.gan import TextGame, losses, penalties, uniform_latent
from minigan.metrics import DIGIT_CAPTIONS, DigitWords
from minigan.metrics.descriptions import said
from minigan.training import Settings, positive, sides

OF_DIGITS = ("auto", "mnist", "digits")  # data sets whose labels are the digits that images show
SHOWN = [13, 63, 65, 69, 71, 18, 26, 31, 43, 83]  # of DIGIT_CAPTIONS, in a picture
COLUMNS = 10


@functools.cache
def lines(folder: str, captions: str) -> list[tuple[Path, str]]:
    return named_captions(folder, captions)


def vocabulary(settings: Settings) -> Vocabulary:
    captions = settings.extra["captions"]
    if captions is None:
        return Vocabulary.of(DIGIT_CAPTIONS)
    return Vocabulary.of(caption for _, caption in lines(settings.data, captions))


def load(settings: Settings, limit: int | None) -> Samples:
    shape, words = sides.target_shape(settings), vocabulary(settings)
    if (captions := settings.extra["captions"]) is not None:
        named = lines(settings.data, captions)
        found = captioned_folder(settings.data, named, words, shape[1], shape[0], limit=limit)
        later = captioned_pictures(settings.data, named, words, shape[1], shape[0]) if settings.stream else None
        return Samples(found, None, str(Path(settings.data).resolve()), on_disk=later)
    if data_set(settings.data) not in OF_DIGITS:
        raise DataError(f"{settings.data}: captions are made of {', '.join(OF_DIGITS)}; else give --captions FILE")
    if settings.flip:
        raise DataError("--flip: a mirrored digit leans the other way, and its caption would not say so")
    found = load_images(settings.data, limit, shape)
    images, labels = found.drawn, found.needed_labels("and captions are made of them")
    numbers = DigitWords.of(images).captions(images, labels)
    return found._replace(values=Captioned(images, words.tokens(DIGIT_CAPTIONS)[numbers]))


def build(settings: Settings) -> TextGame:
    extra, words = settings.extra, vocabulary(settings).words
    channels, side, _ = sides.target_shape(settings)
    sizes = {name: extra[name] for name in ("width", "features", "told", "window")}
    with mg.random.using(mg.random.Stream(settings.seed)):
        G, D = mg.models.gan_cls(len(words), side, extra["z_dim"], channels=channels, **sizes)
    adam = [mg.optim.Adam(player.to(settings.device).parameters(), extra["lr"], (0.5, 0.999)) for player in (G, D)]
    return TextGame(
        *(G, D),
        words=words,
        latent=uniform_latent(extra["z_dim"]),
        generator_optimizer=adam[0],
        discriminator_optimizer=adam[1],
        loss=losses.LOSSES[extra["loss"]],
        mismatch=extra["mismatch"],
        interpolate=extra["interpolate"],
        penalty=penalties.PENALTIES.get(extra["penalty"]),
        penalty_weight=extra["penalty_weight"],
        penalty_every=extra["penalty_every"],
        ema=mg.optim.EMA(G, extra["ema"]) if extra["ema"] else None,
        seed=settings.seed,
    )


def drawn(game: TextGame, captions: np.ndarray, noise: mg.Tensor) -> np.ndarray:
    """uint8 images of captions (n, L) and noise (n, z_dim), a few at a time."""
    parts = [slice(k, k + 256) for k in range(0, len(captions), 256)]
    return viz.to_uint8(np.concatenate([game.generate(noise[k], mg.tensor(captions[k])).numpy() for k in parts]))


def picture(game: TextGame, samples: Samples, path: Path) -> None:
    """A row for each of some captions, the same noise along a column."""
    known = Vocabulary(game.words, samples.values.captions.shape[1])
    if samples.labels is not None:
        captions = known.tokens([DIGIT_CAPTIONS[k] for k in SHOWN])
    else:
        _, first = np.unique(samples.values.captions, axis=0, return_index=True)
        captions = samples.values.captions[np.sort(first)[: len(SHOWN)]]
    z = game.latent(COLUMNS, game.stream("samples").at(0))
    images = drawn(game, captions.repeat(COLUMNS, 0), mg.concatenate([z] * len(captions)))
    rows = [textwrap.fill(text, 30, max_lines=3, placeholder=" ...") for text in known.texts(captions)]
    viz.blocks([viz.Block(images.reshape(len(captions), COLUMNS, *images.shape[1:]), rows)], path)


def measure(game: TextGame, samples: Samples, settings: Settings) -> dict[str, float]:
    if settings.extra["captions"] is not None:
        return {}
    asked = np.tile(np.arange(len(DIGIT_CAPTIONS)), 1 if settings.dry_run else 40)
    captions = Vocabulary(game.words, samples.values.captions.shape[1]).tokens(DIGIT_CAPTIONS)[asked]
    images = drawn(game, captions, game.latent(len(asked), game.stream("measure").at(0)))
    reader, words, told = judge.suited(samples, settings.device), DigitWords.of(samples.drawn), said(asked)
    right = {"width": words.widths(images) == told.widths, "leaning": words.leanings(images) == told.leanings}
    if reader is not None:
        right["digit"] = reader.predict(images) == told.digits
        right["all"] = right["digit"] & right["width"] & right["leaning"]
    return {name: float(each.mean()) for name, each in right.items()}


def options() -> training.Options:
    p = training.parser("text_to_image", __doc__, epochs=3, batch_size=64)
    p.without("--labels-from", "--images")
    p.idle_without("--captions", lambda o: o.captions, "--stream")
    p.named("--data").help = "digits: auto, mnist or digits; or with --captions a folder of pictures (default: auto)"
    group = p.add_argument_group("images and texts")
    group.add_argument("--captions", metavar="FILE", help="what the pictures of --data show, a line for each")
    sides.add_sizes(group, 28)
    shown = "of a text count together, in their order; with 1 only which words there are counts (default: 1)"
    group.add_argument("--window", type=positive, default=1, metavar="WORDS", help=f"how many words {shown}")
    group.add_argument("--features", type=positive, default=64, help="of a text, which are learnt (default: 64)")
    group.add_argument("--told", type=positive, default=32, help="numbers made of them (default: 32; the paper: 128)")
    p.add_argument("--width", type=positive, default=32, help="maps next to the image (default: 32; the paper: 64)")
    p.add_argument("--z-dim", type=positive, default=100, help="numbers in the noise (default: 100)")
    names = [name for name, loss in losses.LOSSES.items() if not loss.compares]
    p.add_argument("--loss", choices=names, default="nonsaturating", metavar="NAME", help=", ".join(names))
    shown = (
        "share of captions that do not fit in what D takes for fakes; 0 is a GAN that is told captions (default: 0.5)"
    )
    p.add_argument("--mismatch", type=float, default=0.5, help=shown)
    shown = "of texts half way between two in G's loss, GAN-INT (default: 0; the paper: 1)"
    p.add_argument("--interpolate", type=float, default=0.0, metavar="WEIGHT", help=shown)
    p.add_argument(
        "--penalty",
        choices=["none", *penalties.PENALTIES],
        default="r1",
        metavar="NAME",
        help=f"of D: none, {', '.join(penalties.PENALTIES)} (default: r1)",
    )
    p.add_argument("--penalty-weight", type=float, default=1.0, help="times the penalty (default: 1)")
    p.add_argument("--penalty-every", type=positive, default=8, metavar="STEPS", help="how often (default: 8)")
    p.add_argument("--ema", type=float, default=0.99, help="decay of G's averaged weights, 0 for none (default: 0.99)")
    p.add_argument("--lr", type=float, default=1e-3, help="Adam's learning rate (default: 0.001; the paper: 0.0002)")
    p.idle_without("--penalty", lambda o: o.penalty != "none", "--penalty-weight", "--penalty-every")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    parts = {"load": load, "picture": picture, "measure": measure}
    return training.main(build, options(), sides.target_shape, **parts, arguments=arguments)


if __name__ == "__main__":
    sys.exit(main())
