"""`minigan export`: a trained generator as a file that other programs run."""

from collections.abc import Sequence
from pathlib import Path

from .. import export
from ..system.options import nonempty
from .generators import done, of_generator, read

ABOUT = """Write a trained generator as an ONNX model, which onnxruntime and other programs run without minigan.

    minigan export RUN --onnx g.onnx                          what draws samples of noise z
    minigan export RUN/inverse.safetensors --onnx back.onnx   the way back, of a CycleGAN

Inputs are `z` (N, dim), or `image` (N, C, H, W) of a translator, and `labels` or `tokens` of a network that is told
some; the output is `images`. N may be any number, and so may H and W where the network takes images of any size.
Metadata say from what noise z is drawn, how many classes there are, and that images lie in [-1, 1]. Before it is
written the model is run by onnxruntime, and compared with the network. It needs pip install 'minigan[onnx]'.
"""


def export_onnx(arguments: Sequence[str]) -> int:
    """The generator in ONNX."""
    p = of_generator("export", ABOUT)
    p.without("--seed", "--device")
    p.add_argument(
        "--onnx", type=nonempty, required=True, dest="out", metavar="PATH", help="the model, such as generator.onnx"
    )
    p.add_argument(
        "--noiseless",
        action="store_true",
        help="leave out noise that the network draws itself, between StyleGAN2's layers or by pix2pix's dropout "
        "(default: the model draws it anew in each run)",
    )
    chosen = p.parse_args(arguments)
    generator = read(chosen.source)
    path = export.save_onnx(Path(chosen.out), generator, noise=not chosen.noiseless)
    return done(chosen, {**export.onnx.signature(path), "generator": generator.about})
