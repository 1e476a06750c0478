"""Data sets as arrays: (uint8 images (N, C, H, W), int64 labels or None), or float32 points (N, 2)."""

from .arrays import from_array, load_array
from .batches import Batches, Shuffled, StreamedBatches, Together, shuffled_batches
from .blended import clouds, on_clouds
from .captions import Captioned, Vocabulary, captioned_folder, captioned_pictures, named_captions
from .cifar import cifar10
from .clusters import k_means, principal_components
from .digits import digits
from .folders import Pictures, each_reported_once, image_folder, list_pictures, pictures_in, read_all
from .idx import fashion_mnist, mnist, read_idx
from .pairs import LabelledDomains, Pair, halves, paired_folders, pairs_by_name, pairs_of_halves
from .points import CURVES, curve, gaussians_grid, gaussians_ring, grid_centres, quadratic, ring_centres, swiss_roll
from .prefetch import FolderBatches, PictureBatches, streamed_batches
from .sources import (
    DATASETS,
    Samples,
    Shape,
    count_classes,
    data_set,
    fingerprint,
    fingerprint_of_pictures,
    held_out,
    is_pictures,
    load_images,
    scaled,
    some,
)
from .stacked import Stacks, stacked
