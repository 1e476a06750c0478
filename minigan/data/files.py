"""Where data files are looked for, and how they are fetched: checked, with a progress bar, written atomically."""

import hashlib
import http.client
import os
import urllib.request
from pathlib import Path

from .. import atomic
from ..errors import DataError

CONNECT_TIMEOUT = 5.0  # seconds


def cache_folder() -> Path:
    """Where downloads are kept: $XDG_CACHE_HOME/minigan, or ~/.cache/minigan."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minigan"


def folders(dataset: str) -> list[Path]:
    """Where the files of `dataset` are looked for: $MINIGAN_DATA/dataset, $MINIGAN_DATA, the cache."""
    given = os.environ.get("MINIGAN_DATA")
    return [*([Path(given) / dataset, Path(given)] if given else []), cache_folder() / dataset]


def find(dataset: str, names: list[str]) -> Path | None:
    """The first of those folders that holds all of `names`, or None."""
    return next((f for f in folders(dataset) if all((f / name).is_file() for name in names)), None)


def download(name: str, mirrors: list[str], sha256: str, folder: Path) -> Path:
    """The file `name` in `folder`, fetched from the first mirror that gives the bytes with this SHA-256.

    Raises DataError listing what each mirror answered. A file is there whole or not at all.
    """
    failures = []
    for mirror in mirrors:
        try:
            return _fetch(mirror + name, sha256, folder / name)
        except (OSError, http.client.HTTPException, DataError) as error:
            failures.append(f"{mirror}: {error}")
    raise DataError(f"{name} could not be downloaded. " + "; ".join(failures))


def _fetch(url: str, sha256: str, target: Path) -> Path:
    from tqdm import tqdm

    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with (
        atomic.replacing(target) as out,
        urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT) as response,
        tqdm(
            total=int(response.headers.get("Content-Length", 0)) or None,
            unit="B",
            unit_scale=True,
            desc=target.name,
            disable=None,
        ) as bar,
    ):
        while chunk := response.read(1 << 16):
            digest.update(chunk)
            out.write(chunk)
            bar.update(len(chunk))
        if digest.hexdigest() != sha256:
            raise DataError(f"{url} has SHA-256 {digest.hexdigest()}, expected {sha256}")
    return target
