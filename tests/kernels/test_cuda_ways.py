"""The choice between the ways of a convolution on CUDA: what was measured, or a rule."""

import json
from dataclasses import replace

import fakecupy
import pytest

from minigan.kernels import cuda_conv, cuda_ways, geometry, precision

S = geometry.convolution("conv", (4, 8, 9, 7), (12, 4, 3, 2), (2, 1), ((1, 0), (2, 1)), (1, 2), 2)
FACES = ("conv", "conv_input", "conv_weight")


@pytest.fixture(autouse=True)
def table(monkeypatch, tmp_path):
    """The file of the table, which is empty, on a stand-in that is an H100."""
    fakecupy.install(monkeypatch)
    monkeypatch.setattr(cuda_ways, "PATH", tmp_path / "ways.json")
    monkeypatch.setattr(cuda_ways.load, "__defaults__", (cuda_ways.PATH,))
    monkeypatch.setattr(cuda_ways.save, "__defaults__", (cuda_ways.PATH,))
    yield cuda_ways.PATH
    cuda_ways.chosen.cache_clear()
    cuda_ways._measured.cache_clear()


def row(face, im2col, implicit, gpu="90", precision="fp32", s=S):
    return {gpu: {precision: {cuda_ways.key(face, s): {"im2col": im2col, "implicit": implicit}}}}


def test_a_key_tells_faces_and_shapes_apart():
    others = [
        S,
        replace(S, x=(5, *S.x[1:]), y=(5, *S.y[1:])),
        replace(S, y=(*S.y[:3], S.y[3] + 1)),
        replace(S, w=(*S.w[:3], 3)),
        replace(S, stride=(1, 2)),
        replace(S, pads=((0, 1), (2, 1))),
        replace(S, pads=((1, 0), (1, 2))),
        replace(S, dilation=(2, 1)),
        replace(S, groups=1),
    ]
    keys = {cuda_ways.key(face, s) for face in FACES for s in others}
    assert len(keys) == 3 * len(others)


def test_what_was_measured_decides(monkeypatch):
    by_rule = {face: cuda_conv.way(face, S) for face in FACES}
    assert by_rule == {face: cuda_ways.rule(face, S, "fp32") for face in FACES}
    cuda_ways.save(cuda_ways.merged([row("conv", 2.0, 1.0), row("conv_input", 1.0, 2.0)]))
    found = {face: cuda_conv.way(face, S) for face in FACES}
    assert found == {"conv": "implicit", "conv_input": "im2col", "conv_weight": by_rule["conv_weight"]}
    cuda_ways.save(row("conv", 1.0, 2.0))
    assert cuda_conv.way("conv", S) == "im2col"
    monkeypatch.setattr(cuda_conv, "FORCED", "implicit")
    assert cuda_conv.way("conv", S) == "implicit"


@pytest.mark.parametrize(
    "measured",
    [
        row("conv", 1.0, 2.0, gpu="80"),
        row("conv", 1.0, 2.0, precision="tf32"),
        row("conv_input", 1.0, 2.0),
        row("conv", 1.0, 2.0, s=replace(S, x=(5, *S.x[1:]), y=(5, *S.y[1:]))),
        {"90": {"fp32": {cuda_ways.key("conv", S): {"im2col": 1.0}}}},
        {},
    ],
    ids=["another GPU", "another precision", "another face", "another batch", "one way alone", "nothing"],
)
def test_else_the_rule_does(measured):
    assert cuda_ways.rule("conv", S, "fp32") == "implicit"
    cuda_ways.save(measured)
    assert cuda_conv.way("conv", S) == "implicit"


def test_what_convolution_cu_cannot_do_is_never_asked_of_it(monkeypatch):
    monkeypatch.setattr(cuda_conv, "FORCED", "implicit")
    for kernel, way in ((16, "implicit"), (17, "im2col")):
        s = geometry.convolution("conv", (1, 1, 20, 20), (1, 1, 1, kernel), 1, 0, 1, 1)
        assert [cuda_conv.way(face, s) for face in FACES] == [way] * 3


def test_a_precision_is_that_of_the_product(monkeypatch):
    cuda_ways.save(cuda_ways.merged([row("conv", 1.0, 2.0), row("conv", 2.0, 1.0, precision="bf16")]))
    monkeypatch.setattr(precision, "_chosen", "bf16")
    assert cuda_conv.way("conv", S) == "implicit"
    assert cuda_conv.way("conv", S, "float64") == "im2col"  # which is never rounded


def test_a_table_is_written_in_lines_and_read_again(table):
    older = cuda_ways.merged([row("conv", 1.0, 2.0), row("conv_input", 1.0, 2.0), row("conv", 3.0, 4.0, gpu="80")])
    cuda_ways.save(older)
    newer = cuda_ways.merged([cuda_ways.load(), row("conv", 2.0, 1.0), row("conv", 5.0, 6.0, precision="tf32")])
    cuda_ways.save(newer)
    assert cuda_ways.load() == newer
    assert newer["90"]["fp32"][cuda_ways.key("conv", S)] == {"im2col": 2.0, "implicit": 1.0}
    assert len(newer["90"]["fp32"]) == 2
    assert set(newer["90"]) == {"fp32", "tf32"}
    assert sum(cuda_ways.key("conv", S) in line for line in table.read_text().splitlines()) == 3
    cuda_ways.save({})
    assert cuda_ways.load() == {}


def test_the_table_that_is_shipped_has_both_ways_of_every_row():
    path = cuda_ways.Path(cuda_ways.__file__).with_name("cuda_ways.json")
    for gpu, precisions in (json.loads(path.read_text()) if path.exists() else {}).items():
        assert gpu.isdigit()
        assert set(precisions) <= set(precision.PRECISIONS)
        for rows in precisions.values():
            assert all(set(times) == set(cuda_ways.WAYS) and min(times.values()) > 0 for times in rows.values())


W, P = "im2col", "implicit"


@pytest.mark.parametrize(
    ("shapes", "fp32", "tf32", "bf16"),
    [
        (((64, 64, 64, 64), (128, 64, 4, 4)), (W, W, W), (P, P, P), (P, P, P)),
        (((64, 128, 32, 32), (256, 128, 4, 4)), (W, W, W), (P, P, P), (W, W, W)),
        (((64, 256, 16, 16), (512, 256, 4, 4)), (W, W, W), (W, W, W), (W, W, W)),
        (((64, 3, 128, 128), (64, 3, 4, 4)), (P, W, W), (P, W, P), (P, W, P)),
        (((64, 64, 64, 64), (130, 64, 4, 4)), (W, W, W), (W, W, W), (W, W, W)),
        (((64, 64, 14, 14), (128, 64, 4, 4)), (W, W, W), (W, P, W), (W, P, W)),
        (((128, 512, 4, 4), (100, 512, 4, 4)), (W, W, W), (W, W, W), (W, W, W)),
        (((8, 64, 4, 4), (1, 64, 4, 4)), (W, P, P), (W, P, P), (W, P, P)),
    ],
    ids=["wide", "wider", "widest", "3 channels in", "130 out", "small", "to a point", "1 channel out"],
)
def test_the_rule(shapes, fp32, tf32, bf16):
    s = geometry.convolution("conv", *shapes, 2, 1 if shapes[0][2] > 4 else 0, 1, 1)
    for name, expected in (("fp32", fp32), ("tf32", tf32), ("bf16", bf16)):
        assert tuple(cuda_ways.rule(face, s, name) for face in FACES) == expected
