"""Libraries for systems that this is not: they link, and offer every function that Python calls."""

import importlib.util

import pytest

from building import compilers, make, platforms, sources
from minigan.kernels import library

FORMATS = {"linux": b"\x7fELF", "darwin": b"\xcf\xfa\xed\xfe", "win32": b"MZ"}


@pytest.mark.long
@pytest.mark.skipif(importlib.util.find_spec("ziglang") is None, reason="needs ziglang: pip install -e '.[cross]'")
@pytest.mark.parametrize("platform", platforms.PLATFORMS, ids=lambda platform: platform.tag)
def test_a_library_for_another_system_offers_every_function(platform, tmp_path):
    plainest = sources.variants(platform.machine)[:1]
    (made,) = make.make(compilers.Zig(platform.target), plainest, tmp_path, system=platform.system)
    content = made.read_bytes()
    assert content.startswith(FORMATS[platform.system])
    before = b"\0_" if platform.system == "darwin" else b"\0"
    assert [name for name in library.declarations() if before + name.encode() + b"\0" not in content] == []
    if platform.system != "darwin":  # whose files name what stays inside, too
        assert before + b"share\0" not in content


def test_every_kind_of_processor_has_a_platform():
    assert {platform.machine for platform in platforms.PLATFORMS} == {v.machine for v in library.VARIANTS}
    assert all(sources.variants(platform.machine) for platform in platforms.PLATFORMS)
    assert len({platform.tag for platform in platforms.PLATFORMS}) == len(platforms.PLATFORMS)
