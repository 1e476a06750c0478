"""Captions: texts as numbers, and pictures with a file that says what each one shows."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..backend import Array
from ..errors import DataError, brief
from ..system.options import meant
from ..system.terminal import say, shown
from . import files
from .folders import SHOWN, Listing, Pictures, read_all, spread, unreported
from .pairs import by_name

NOTHING = 0  # the token where a text has no word
WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
LISTED = 60  # words of a vocabulary that an error names


class Captioned(NamedTuple):
    """Images, or batches of them, and what each shows: uint8 (N, C, H, W) and tokens, int64 (N, L)."""

    images: np.ndarray
    captions: np.ndarray


@dataclass(frozen=True)
class Vocabulary:
    """The words that texts are made of, and how many words a text has at most.

    In an array of texts (N, length) the k-th word is k + 1, and NOTHING follows the last word of a text.
    """

    words: tuple[str, ...]
    length: int

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Vocabulary":
        """All words of some texts, sorted, and the length of the longest; DataError if there are none."""
        split = [words_of(text) for text in texts]
        words = tuple(sorted({word for each in split for word in each}))
        if not words:
            raise DataError(f"Vocabulary: expected texts with words in them, got {len(split)} texts without any")
        return cls(words, max(map(len, split)))

    def tokens(self, texts: Sequence[str]) -> np.ndarray:
        """Texts as numbers: int64 (N, length).

        DataError for a word that is not in the vocabulary, a text without words, and one that is too long.
        """
        numbers = {word: k for k, word in enumerate(self.words, 1)}
        found = np.full((len(texts), self.length), NOTHING, np.int64)
        for row, text in zip(found, texts, strict=True):
            words = words_of(text)
            if unknown := [word for word in words if word not in numbers]:
                raise DataError(f"{text!r}: {unknown[0]!r} is no word that is known{self._known(unknown[0])}")
            if not 1 <= len(words) <= self.length:
                raise DataError(f"{text!r}: expected from 1 to {self.length} words, got {len(words)}")
            row[: len(words)] = [numbers[word] for word in words]
        return found

    def texts(self, tokens: np.ndarray) -> list[str]:
        """The texts of an array of `tokens`, in small letters and without punctuation; DataError if it is none."""
        if tokens.ndim != 2 or tokens.dtype.kind not in "iu":
            raise DataError(f"Vocabulary: expected integers (N, length), got {tokens.dtype} {tokens.shape}")
        if tokens.size and not 0 <= tokens.min() <= tokens.max() <= len(self.words):
            raise DataError(f"Vocabulary: expected tokens from 0 to {len(self.words)}, got {brief(tokens.max())}")
        return [" ".join(self.words[k - 1] for k in row if k != NOTHING) for row in tokens.tolist()]

    def _known(self, word: str) -> str:
        """What may have been meant, and the words there are."""
        more = f" and {len(self.words) - LISTED} more" if len(self.words) > LISTED else ""
        return f"{meant(word, self.words)}; the words are {', '.join(self.words[:LISTED])}{more}"


def words_of(text: str) -> list[str]:
    """The words of a text in small letters; what joins them, commas say, is left out."""
    return WORD.findall(text.lower())


def read_captions(path: str | Path) -> list[tuple[str, str]]:
    """(a picture's name, its caption) of each line of a text file, NAME,CAPTION or NAME<tab>CAPTION in UTF-8.

    A picture may have several lines. DataError naming the file and the line that is neither, or the file if it holds
    no caption.
    """
    path, found = Path(path), []
    with files.reading(path) as content:
        try:
            lines = content.read().decode("utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise DataError(f"{shown(path)}: is no text in UTF-8 ({error.reason} at byte {error.start})") from error
    for number, line in enumerate(lines, 1):
        name, between, caption = line.partition("\t" if "\t" in line else ",")
        if not line.strip():
            continue
        if not between or not words_of(caption):
            raise DataError(
                f"{shown(path)}, line {number}: expected NAME,CAPTION or NAME<tab>CAPTION, got {brief(line)}"
            )
        found.append((name.strip().strip('"'), caption))
    if not found:
        raise DataError(f"{shown(path)}: holds no caption")
    return found


def named_captions(folder: str | Path, captions: str | Path) -> list[tuple[Path, str]]:
    """(picture, caption) for each line of a file of `read_captions` that names a picture below the folder.

    A name is the picture's path in the folder, with or without what follows its last dot. Lines that name no picture, a
    heading say, and pictures without a caption are left out and counted on the terminal. DataError if no line is left.
    """
    folder, named = Path(folder), by_name(Path(folder))
    lines, found, lost = read_captions(captions), [], []
    by_path = named | {picture.relative_to(folder).as_posix(): picture for picture in named.values()}
    for name, caption in lines:
        if name in by_path:
            found.append((by_path[name], caption))
        else:
            lost.append(name)
    if not found:
        raise DataError(f"{shown(captions)}: names {shown(lost[0])}, say, and no picture of {shown(folder)}")
    silent = sorted({*named.values()} - {picture for picture, _ in found})
    if unreported(captions, lost):
        first = ", ".join(map(shown, lost[:SHOWN]))
        say(f"{shown(captions)}: {len(lost)} of {len(lines)} lines name no picture: {first}")
    if unreported(folder, silent):
        first = ", ".join(shown(picture.relative_to(folder)) for picture in silent[:SHOWN])
        say(f"{shown(folder)}: {len(silent)} of {len(named)} pictures have no caption: {first}")
    return found


class CaptionedPictures(Pictures):
    """Pictures below a folder and their captions beside them: a picture is there once for each caption."""

    def batch(self, arrays: Sequence[Array]) -> Captioned:
        """Images and tokens."""
        return Captioned(*arrays)


def captioned_pictures(
    folder: str | Path, captions: Sequence[tuple[Path, str]], vocabulary: Vocabulary, size: int, channels: int = 3
) -> CaptionedPictures:
    """The pictures and captions of `captioned_folder`, which are read when they are needed."""
    pictures, texts = zip(*captions, strict=True)
    listing = Listing(list(pictures), {})
    return CaptionedPictures(Path(folder), [(size, channels)], listing, [vocabulary.tokens(texts)])


def captioned_folder(
    folder: str | Path,
    captions: Sequence[tuple[Path, str]],
    vocabulary: Vocabulary,
    size: int,
    channels: int = 3,
    *,
    limit: int | None = None,
) -> Captioned:
    """The pictures of `named_captions` and their captions: a picture is there once for each caption that it has.

    Each is fitted to a square as by `image_folder`; damaged ones are left out and counted on the terminal. `limit`
    bounds how many are read. DataError for a word that the vocabulary lacks, if more are damaged than whole, or if all
    would not fit into memory.
    """
    pictures = captioned_pictures(folder, spread(list(captions), limit), vocabulary, size, channels)
    (images,), kept = read_all(pictures)
    whole, (tokens,) = set(kept), pictures.numbers
    return Captioned(images, tokens[[picture in whole for picture in pictures.pictures]])
