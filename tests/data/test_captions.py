"""Captions: of digits by what is measured of them, of pictures by a file; as numbers and back."""

import re

import numpy as np
import pytest
from PIL import Image

from minigan.data import Captioned, Vocabulary, captioned_folder, digits, named_captions, shuffled_batches
from minigan.data.captions import read_captions, words_of
from minigan.errors import DataError
from minigan.metrics import DIGIT_CAPTIONS, DigitWords
from minigan.metrics.descriptions import said


def stroke(degrees, width, side=28):
    """uint8 (1, side, side): a line through the middle that leans so far to the right, and is so wide."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    angle = np.radians(degrees)
    across, along = x * np.cos(angle) + y * np.sin(angle), x * np.sin(angle) - y * np.cos(angle)
    light = np.clip(width / 2 - abs(across) + 0.5, 0, 1) * (abs(along) < 9)
    return (255 * light).astype(np.uint8)[None]


def written(path, lines):
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def picture(folder, name, value):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((9, 9, 3), value, np.uint8)).save(folder / name)


# --- digits ---------------------------------------------------------------------------------------------------------


def test_there_is_a_caption_for_each_digit_width_and_leaning():
    assert len(set(DIGIT_CAPTIONS)) == len(DIGIT_CAPTIONS) == 90
    assert {"a thin seven slanted right", "a seven upright", "a thick zero slanted left"} <= set(DIGIT_CAPTIONS)
    told = said(np.arange(90))
    for caption, digit, width, leaning in zip(DIGIT_CAPTIONS, *told, strict=True):
        words = caption.split()
        assert ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"][digit] in words
        assert ("thin" in words, "thick" in words) == (width == 0, width == 2)
        assert ("left" in words, "upright" in words, "right" in words) == tuple(leaning == k for k in range(3))


def test_a_line_leans_as_its_angle_says():
    angles = [-40, -20, -12, -8, 0, 8, 12, 20, 40]
    words = DigitWords(0.5, 9.0)
    lines = np.stack([stroke(degrees, 2.0) for degrees in angles])
    assert words.leanings(lines).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    captions = [DIGIT_CAPTIONS[k] for k in words.captions(lines, np.ones(9, np.int64))]
    assert captions == ["a one slanted left"] * 3 + ["a one upright"] * 3 + ["a one slanted right"] * 3
    as_drawn = lines / np.float32(127.5) - 1
    assert (words.leanings(as_drawn) == words.leanings(lines)).all()


def test_a_third_is_thin_and_a_third_is_thick():
    widths = [1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5]
    lines = np.stack([stroke(15, width) for width in widths])
    words = DigitWords.of(lines)
    assert words.widths(lines).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    found = [DIGIT_CAPTIONS[k] for k in words.captions(lines, np.arange(9))]
    assert (found[0], found[4], found[8]) == (
        "a thin zero slanted right",
        "a four slanted right",
        "a thick eight slanted right",
    )


def test_digits_from_fonts_have_captions_of_every_kind():
    images, labels = digits(600)
    numbers = DigitWords.of(images).captions(images, labels)
    told = said(numbers)
    assert (told.digits == labels).all()
    assert np.bincount(told.widths).tolist() == [200, 200, 200]
    assert np.bincount(told.leanings).min() > 30


def test_labels_that_are_no_digits_are_named():
    with pytest.raises(DataError, match=r"expected a digit for each of \(1, 1, 28, 28\), got \(1,\) 10 to 10"):
        DigitWords(1, 2).captions(stroke(0, 2)[None], np.array([10]))
    with pytest.raises(DataError, match=r"for each of \(1, 1, 28, 28\), got \(2,\)"):
        DigitWords(1, 2).captions(stroke(0, 2)[None], np.array([1, 2]))


# --- texts and tokens -----------------------------------------------------------------------------------------------


def test_texts_are_numbers_and_back():
    known = Vocabulary.of(DIGIT_CAPTIONS)
    assert known.length == 5
    tokens = known.tokens(DIGIT_CAPTIONS)
    assert (tokens.dtype, tokens.shape) == (np.int64, (90, 5))
    assert known.texts(tokens) == list(DIGIT_CAPTIONS)
    short = known.tokens(["A thin SEVEN, slanted!", "a seven upright"])
    assert (short[0] > 0).tolist() == [True, True, True, True, False]
    assert known.texts(short) == ["a thin seven slanted", "a seven upright"]
    assert words_of("It's a blue-grey bird, a 2nd one") == ["it's", "a", "blue-grey", "bird", "a", "2nd", "one"]


def test_an_unknown_word_is_named_and_the_words_are_listed():
    known = Vocabulary.of(["a red bird", "a blue bird"])
    with pytest.raises(DataError, match=r"'a green bird': 'green' is no word that is known; the words are a, bird, bl"):
        known.tokens(["a red bird", "a green bird"])
    with pytest.raises(DataError, match="'blu' is no word that is known; did you mean blue"):
        known.tokens(["blu"])
    many = Vocabulary.of(f"word{k}" for k in range(100))
    with pytest.raises(DataError, match=r"and 40 more$"):
        many.tokens(["other"])
    for text in ("", ", !", "a red red bird"):
        with pytest.raises(DataError, match=f"{re.escape(repr(text))}: expected from 1 to 3 words, got [04]"):
            known.tokens([text])
    with pytest.raises(DataError, match="expected texts with words in them, got 2 texts without any"):
        Vocabulary.of(["", "!"])


@pytest.mark.parametrize("tokens", [np.zeros(3, np.int64), np.zeros((2, 3)), np.array([[9]]), np.array([[-1]])])
def test_what_is_no_text_is_refused(tokens):
    with pytest.raises(DataError, match="Vocabulary: expected"):
        Vocabulary.of(["a red bird"]).texts(tokens)


# --- pictures and a file --------------------------------------------------------------------------------------------


def test_a_file_says_what_pictures_show(tmp_path, capsys):
    folder = tmp_path / "pictures"
    for k, name in enumerate(["a.png", "in/b.png", "c.png"]):
        picture(folder, name, 10 * k)
    lines = ["name,caption", 'a.png,"A red, small bird"', "", "in/b,a blue bird", "a.png,a bird", "gone.png,a dog"]
    found = named_captions(folder, written(tmp_path / "captions.csv", lines))
    assert [(path.name, caption.strip('"')) for path, caption in found] == [
        ("a.png", "A red, small bird"),
        ("b.png", "a blue bird"),
        ("a.png", "a bird"),
    ]
    told = capsys.readouterr().out
    assert "2 of 5 lines name no picture: name, gone.png" in told
    assert "1 of 3 pictures have no caption: c.png" in told
    known = Vocabulary.of(caption for _, caption in found)
    assert known.words == ("a", "bird", "blue", "red", "small")
    made = captioned_folder(folder, found, known, 8)
    assert (made.images.shape, made.images.dtype) == ((3, 3, 8, 8), np.uint8)
    assert made.images[:, 0, 0, 0].tolist() == [0, 10, 0]
    assert known.texts(made.captions) == ["a red small bird", "a blue bird", "a bird"]
    assert len(captioned_folder(folder, found, known, 8, limit=2).images) == 2


def test_tabs_go_before_commas(tmp_path):
    file = written(tmp_path / "captions.txt", ["\ufeffone, two.png\ta bird, red", "b\ta bird"])
    assert read_captions(file) == [("one, two.png", "a bird, red"), ("b", "a bird")]


def test_a_damaged_picture_goes_with_its_captions(tmp_path, capsys):
    for k in range(3):
        picture(tmp_path / "p", f"{k}.png", k)
    (tmp_path / "p" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    file = written(tmp_path / "captions.csv", [f"{k}.png,number {word}" for k, word in enumerate("abc")])
    lines = named_captions(tmp_path / "p", file)
    known = Vocabulary.of(caption for _, caption in lines)
    found = captioned_folder(tmp_path / "p", lines, known, 8)
    assert known.texts(found.captions) == ["number a", "number c"]
    assert "skipped 1 of 3 files: 1.png" in capsys.readouterr().out


def test_a_file_that_says_nothing_is_named(tmp_path):
    picture(tmp_path / "p", "a.png", 1)
    file = tmp_path / "captions.csv"
    for content, told in (
        (b"a.png a bird", r"captions.csv, line 1: expected NAME,CAPTION or NAME<tab>CAPTION, got 'a.png a bird'"),
        (b"a.png,a bird\nb.png, ,", r"captions.csv, line 2: expected NAME,CAPTION"),
        (b"\n\n", r"captions.csv: holds no caption"),
        (b"a.png,\xff", r"captions.csv: is no text in UTF-8 \(invalid start byte at byte 6\)"),
        (b"b.png,a bird", r"captions.csv: names b.png, say, and no picture of .*p"),
    ):
        file.write_bytes(content)
        with pytest.raises(DataError, match=told):
            named_captions(tmp_path / "p", file)
    with pytest.raises(DataError, match="no such file"):
        named_captions(tmp_path / "p", tmp_path / "none.csv")


def test_images_and_captions_stay_together_in_batches(rng):
    images = rng.integers(0, 256, (40, 1, 4, 4)).astype(np.uint8)
    captions = np.arange(80).reshape(40, 2)
    batch = shuffled_batches(Captioned(images, captions), 8, seed=3, flip=True).at(7)
    assert isinstance(batch, Captioned)
    assert batch.captions.dtype == np.int64
    for image, (first, _) in zip(batch.images, batch.captions, strict=True):
        own = images[first // 2] / np.float32(127.5) - 1
        assert min(abs(image - own).max(), abs(image - own[..., ::-1]).max()) < 1e-6
