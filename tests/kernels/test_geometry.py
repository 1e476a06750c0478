"""What a geometry accepts at its edges: as much as PyTorch does, and no more."""

import numpy as np
import pytest

from minigan.errors import ShapeError
from minigan.kernels import cpu, geometry


def transposed(y, w, *, stride=1, padding=0, output_padding=0, output_size=None, dilation=1):
    return geometry.transposed("conv_transpose2d", y, w, stride, padding, output_padding, output_size, dilation, 1)


def test_a_result_of_one_pixel_can_be_asked_for():
    s = transposed((1, 2, 1, 1), (2, 3, 3, 3), padding=1, output_size=1)
    assert s.x == (1, 3, 1, 1)
    with pytest.raises(ShapeError, match="expected an integer >= 1"):
        transposed((1, 2, 1, 1), (2, 3, 3, 3), padding=1, output_size=0)


def test_output_padding_may_be_up_to_stride_or_dilation():
    for stride, dilation in ((1, 2), (2, 1), (2, 3), (3, 2)):
        most = max(stride, dilation) - 1
        s = transposed((1, 2, 4, 4), (2, 3, 3, 3), stride=stride, dilation=dilation, output_padding=most)
        assert s.x[2:] == (3 * stride + 2 * dilation + 1 + most,) * 2
        with pytest.raises(ShapeError, match="must be smaller than stride"):
            transposed((1, 2, 4, 4), (2, 3, 3, 3), stride=stride, dilation=dilation, output_padding=most + 1)


def test_pixels_past_the_last_window_get_nothing(rng):
    s = transposed((1, 2, 4, 4), (2, 3, 3, 3), dilation=3, output_padding=2)
    x = cpu.conv_input(rng.standard_normal(s.w), rng.standard_normal(s.y), s)
    assert np.abs(x[:, :, :-2, :-2]).min() > 0
    assert not x[:, :, -2:].any()
    assert not x[:, :, :, -2:].any()


@pytest.mark.parametrize("padding", [1, ((0, 1), (2, 0))])
def test_a_kernel_of_one_pixel_sees_the_padding(padding, rng):
    s = geometry.convolution("conv2d", (2, 3, 5, 4), (6, 3, 1, 1), 1, padding, 1, 1)
    x, w = rng.standard_normal(s.x), rng.standard_normal(s.w)
    expected = np.einsum("nchw,oc->nohw", np.pad(x, ((0, 0), (0, 0), *s.pads)), w[:, :, 0, 0])
    np.testing.assert_allclose(cpu.conv(x, w, s), expected, rtol=1e-12)


@pytest.mark.parametrize("width", [4, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_transposed_convolution_is_the_sum_of_its_taps(width, stride, rng):
    """Of many channels, whose pixels of y are taken in pairs where a row holds an even number of them."""
    s = transposed((2, 5, 3, width), (5, 8, 3, 3), stride=stride)
    w, y = rng.standard_normal(s.w), rng.standard_normal(s.y)
    expected = np.zeros(s.x)
    for i, j, rows, columns in s.taps():
        expected[:, :, rows, columns] += np.einsum("nohw,oc->nchw", y, w[:, :, i, j])
    np.testing.assert_allclose(cpu.conv_input(w, y, s), expected, rtol=1e-12, atol=1e-12)
