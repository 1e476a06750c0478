"""What a package index shows: no link of it leads to a file beside it, and in a checkout all of them do."""

import re
import tarfile
from email import message_from_bytes
from zipfile import ZipFile

import pytest

pytest.importorskip("setuptools", minversion="77")

from building import backend, sources
from building.description import ADDRESS, description

HERE = "https://example.org/us/minigan"


def in_wheel(folder):
    """The fields of a wheel's metadata."""
    libraries = folder / "lib"
    libraries.mkdir()
    (libraries / sources.MISSING).write_text("not asked for")
    with ZipFile(folder / backend.wheel(folder, libraries, "any")) as wheel:
        inside = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(wheel.read(inside))


def in_sdist(folder):
    """The fields of a source distribution's metadata."""
    with tarfile.open(folder / backend.build_sdist(str(folder))) as archive:
        inside = next(name for name in archive.getnames() if re.fullmatch("[^/]+/PKG-INFO", name))
        return message_from_bytes(archive.extractfile(inside).read())


def links(text):
    """(is it a picture's, the target) of each link outside of code."""
    bare = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return [(found[1] == "!", found[2]) for found in re.finditer(r"(!?)\[[^\]]+\]\(([^)]+)\)", bare)]


@pytest.fixture(params=[in_wheel, in_sdist])
def metadata(request, tmp_path, monkeypatch):
    monkeypatch.chdir(sources.ROOT)
    return lambda: request.param(tmp_path)


def test_where_the_address_is_given_every_link_is_whole(metadata, monkeypatch):
    monkeypatch.setenv(ADDRESS, HERE)
    shown = metadata()
    assert shown["Description-Content-Type"] == "text/markdown"
    assert shown["Project-URL"] == f"Repository, {HERE}"
    written = links((sources.ROOT / "README.md").read_text(encoding="utf-8"))
    wanted = [
        (picture, path if path.startswith("#") else f"{HERE}/{'raw' if picture else 'blob'}/HEAD/{path}")
        for picture, path in written
    ]
    assert links(shown.get_payload(decode=True).decode()) == wanted
    assert len(wanted) > 20
    assert any(picture for picture, _ in wanted)


def test_where_no_address_is_given_no_link_leads_astray(metadata, monkeypatch):
    monkeypatch.delenv(ADDRESS, raising=False)
    shown = metadata()
    assert shown["Project-URL"] is None
    text = shown.get_payload(decode=True).decode()
    assert [target for _, target in links(text) if not target.startswith(("#", "https://"))] == []
    assert "![" not in text
    assert "64 digits drawn by the generator after five minutes" in text


def test_code_and_links_that_lead_elsewhere_stay_as_they_are(tmp_path):
    readme = tmp_path / "README.md"
    kept = "`a[0](b)` [x](https://example.org/x) [y](#y) `over\nlines [c](d)`\n```\nf[0](x)\n```\n"
    readme.write_text(f"{kept}[`code`](minigan/op.py) ![two\nlines](a.png)")
    assert description(readme, HERE) == (
        f"{kept}[`code`]({HERE}/blob/HEAD/minigan/op.py) ![two\nlines]({HERE}/raw/HEAD/a.png)"
    )
    assert description(readme, None) == f"{kept}`code` two\nlines"
