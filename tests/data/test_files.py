"""Where files of data are looked for."""

from pathlib import Path

import pytest

from minigan.data import files
from minigan.errors import DataError


def test_a_user_without_a_home_is_told_what_to_set_and_needs_none_where_the_data_are(monkeypatch):
    def unknown():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("MINIGAN_DATA", "given")
    assert files.folders("mnist") == [Path("given/mnist"), Path("given")]
    with pytest.raises(DataError, match="set MINIGAN_DATA to a folder that holds the data, or XDG_CACHE_HOME"):
        files.cache_folder()
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert files.folders("mnist")[-1] == Path("cache/minigan/mnist")
