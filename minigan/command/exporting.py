"""`minigan export`: a trained generator as a file that other programs run."""

from collections.abc import Sequence
from pathlib import Path

from .. import export, pages
from ..export.js import KINDS
from ..system.options import nonempty
from .generators import done, generator_of, of_generator, read, titled

ABOUT = """Write a trained generator as a file that draws without minigan: a page for a browser, or a model in ONNX.

    minigan export RUN --page g.html                          a page that draws samples, with sliders
    minigan export RUN --onnx g.onnx                          what draws samples of noise z
    minigan export RUN/inverse.safetensors --onnx back.onnx   the way back, of a CycleGAN

The page is one file, which loads nothing and computes in the browser: new samples, sliders along directions of the
noise (SeFa), classes if there are some, and walks between samples. It states by how much rounding its weights changes
samples, and compares its numbers with Python's.

Inputs of the model are `z` (N, dim), or `image` (N, C, H, W) of a translator, and `labels` or `tokens` of a network
that is told some; the output is `images`. N may be any number, and so may H and W where the network takes images of any
size. Metadata say from what noise z is drawn, how many classes there are, and that images lie in [-1, 1]. Before it is
written the model is run by onnxruntime, and compared with the network. It needs pip install 'minigan[onnx]'.
"""


def export_generator(arguments: Sequence[str]) -> int:
    """The generator in ONNX, or as a page."""
    p = of_generator("export", ABOUT)
    p.without("--seed", "--device")
    kinds = p.add_mutually_exclusive_group(required=True)
    kinds.add_argument("--onnx", type=nonempty, metavar="PATH", help="the model, such as generator.onnx")
    kinds.add_argument("--page", type=nonempty, metavar="PATH", help="the page, such as generator.html")
    p.add_argument(
        "--noiseless",
        action="store_true",
        help="leave out noise that the network draws itself, between StyleGAN2's layers or by pix2pix's dropout "
        "(default: the model draws it anew in each run; a page has none)",
    )
    p.add_argument(
        "--weights",
        choices=KINDS,
        help="how a page keeps them: in 2 bytes each, in 1, or in 4, as they are (default: float16, or int8 where they "
        "would take more than 3 MB)",
    )
    p.idle_without("--onnx", lambda o: o.onnx, "--noiseless")
    p.idle_without("--page", lambda o: o.page, "--weights")
    chosen = p.parse_args(arguments)
    chosen.out = chosen.onnx or chosen.page
    if chosen.page:
        generator = generator_of(chosen.source, "cpu")
        written = pages.write_generator(chosen.out, generator, titled(chosen.source), chosen.weights)
        return done(chosen, {**written, "generator": generator.about})
    generator = read(chosen.source)
    path = export.save_onnx(Path(chosen.out), generator, noise=not chosen.noiseless)
    return done(chosen, {**export.onnx.signature(path), "generator": generator.about})
