"""Where data files are looked for, how they are opened, and how they are fetched: checked and written atomically."""

import contextlib
import gzip
import hashlib
import http.client
import io
import os
import time
import urllib.request
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..system import disk
from ..system.terminal import progress, shown

CONNECT_TIMEOUT = 5.0  # seconds
PATIENCE = 20.0  # seconds, after which a download has to be faster than
SLOWEST = 20_000  # bytes a second


def cache_folder() -> Path:
    """Where downloads are kept: $XDG_CACHE_HOME/minigan, or ~/.cache/minigan; DataError if there is no home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minigan"
    except RuntimeError as error:
        raise DataError(
            "no folder for downloads is known, since this user has no home: "
            "set MINIGAN_DATA to a folder that holds the data, or XDG_CACHE_HOME"
        ) from error


def folders(dataset: str, shared: bool = True) -> list[Path]:
    """Where the files of `dataset` are looked for: $MINIGAN_DATA/dataset, $MINIGAN_DATA if `shared`, the cache."""
    given = os.environ.get("MINIGAN_DATA")
    places = [Path(given) / dataset, *([Path(given)] if shared else [])] if given else []
    with contextlib.suppress(DataError):
        places.append(cache_folder() / dataset)
    return places


def find(places: Sequence[Path], spellings: Sequence[Sequence[str]]) -> list[Path] | None:
    """Files with one of the spellings of each name, from the first of `places` that has them all; else None."""
    for place in places:
        found = [next((place / n for n in names if (place / n).is_file()), None) for names in spellings]
        if all(found):
            return [path for path in found if path is not None]
    return None


DEFLATE = 1032  # bytes that one compressed byte can stand for at most
_GZIP = b"\x1f\x8b"


def is_gzipped(path: Path) -> bool:
    """True if the file begins as a gzipped one does."""
    with path.open("rb") as raw:
        return raw.read(2) == _GZIP


def most_content(path: Path) -> int:
    """Bytes that a file of this size can hold, decompressed: whoever promises more is wrong."""
    return path.stat().st_size * (DEFLATE if is_gzipped(path) else 1)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[io.BufferedIOBase]:
    """The content of a file, decompressed if it is gzipped; DataError naming it if that fails within the block."""
    if not path.exists():
        raise DataError(f"{shown(path)}: no such file")
    if not path.is_file():
        raise DataError(f"{shown(path)}: not a regular file")
    try:
        with gzip.open(path) if is_gzipped(path) else path.open("rb") as content:
            yield content
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{shown(path)}: cannot be decompressed ({error})") from error
    except OSError as error:
        raise DataError(f"{shown(path)}: cannot be read ({error.strerror or error})") from error


def cached(name: str, mirrors: list[str], sha256: str, most: int, folder: Path) -> Path:
    """The file `name` in `folder`, downloaded if it is not there; DataError as `download` raises it."""
    return folder / name if (folder / name).is_file() else download(name, mirrors, sha256, most, folder)


def download(name: str, mirrors: list[str], sha256: str, most: int, folder: Path) -> Path:
    """The file `name` in `folder`, fetched from the first mirror that gives the bytes with this SHA-256.

    None gets further than `most` bytes, nor on for long at less than SLOWEST. Raises DataError listing what each mirror
    answered. A file is there whole or not at all.
    """
    failures = []
    for mirror in mirrors:
        try:
            return _fetch(mirror + name, sha256, most, folder / name)
        except (OSError, http.client.HTTPException, ValueError) as error:
            failures.append(f"{mirror}: {shown(error)}")
    raise DataError(f"{name} could not be downloaded. " + "; ".join(failures))


def _fetch(url: str, sha256: str, most: int, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with disk.replacing(target) as out, urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT) as response:
        promised = response.headers.get("Content-Length", "")
        total = int(promised) if promised.isdecimal() else None
        if total is not None and total > most:
            raise DataError(f"{response.url} promises {total} bytes, expected at most {most}")
        with progress(total=total, unit="B", unit_scale=True, desc=target.name) as bar:
            for chunk in _arriving(response, most):
                digest.update(chunk)
                out.write(chunk)
                bar.update(len(chunk))
        if digest.hexdigest() != sha256:
            found = f"{response.url}, {out.tell()} bytes of {response.headers.get_content_type()},"
            raise DataError(f"{found} has SHA-256 {digest.hexdigest()}, expected {sha256}")
    return target


def _arriving(response: Any, most: int) -> Iterator[bytes]:
    """What a server sends, piece by piece; DataError once it is too much, or too slow."""
    start, received = time.monotonic(), 0
    while chunk := response.read1(1 << 16):
        received += len(chunk)
        if received > most:
            raise DataError(f"{response.url} sends more than {most} bytes")
        if (seconds := time.monotonic() - start) > PATIENCE + received / SLOWEST:
            raise DataError(f"{response.url} sent {received} bytes in {seconds:.0f} s")
        yield chunk
