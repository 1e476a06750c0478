"""CIFAR-10: files of records, the archive, and what is refused."""

import numpy as np
import pytest

import minigan as mg
from minigan import data


def test_cifar10_records(tmp_path):
    records = np.random.default_rng(0).integers(0, 256, (7, 3073)).astype("uint8")
    records[:, 0] = np.arange(7)
    (tmp_path / "data_batch_1.bin").write_bytes(records.tobytes())
    pictures, labels = data.cifar10("train", tmp_path)
    assert pictures.shape == (7, 3, 32, 32)
    assert labels.tolist() == list(range(7))
    assert pictures[2, 1, 0, 3] == records[2, 1 + 1024 + 3]
    with pytest.raises(mg.errors.DataError, match=r"no test_batch\*\.bin in"):
        data.cifar10("test", tmp_path)
    (tmp_path / "data_batch_2.bin").write_bytes(b"short")
    with pytest.raises(mg.errors.DataError, match=r"data_batch_2\.bin: 5 bytes are not a whole number of records"):
        data.cifar10("train", tmp_path)
