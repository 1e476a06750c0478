"""Data sets as arrays: (uint8 images (N, C, H, W), int64 labels or None), or float32 points (N, 2)."""

from .batches import Batches, StreamedBatches, shuffled_batches
from .digits import digits
from .images import cifar10, image_folder, mnist, read_idx
from .points import CURVES, curve, gaussians_grid, gaussians_ring, grid_centres, quadratic, ring_centres, swiss_roll
from .sources import Samples, load_images
