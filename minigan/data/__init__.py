"""Data sets as arrays: (uint8 images (N, C, H, W), int64 labels or None), or float32 points (N, 2)."""

from .batches import Batches, StreamedBatches, shuffled_batches
from .digits import digits
from .images import cifar10, image_folder, mnist, read_idx
from .points import gaussians_ring, quadratic
from .sources import Samples, load_images
