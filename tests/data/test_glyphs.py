import sys

import numpy as np
import pytest
from fontTools.ttLib import TTFont

from jml.data import glyphs
from jml.data._glyphs import _fonts, _glyphs, _images
from jml.data._glyphs._fonts import draw, font_files, shared_code_points
from jml.data._glyphs._lookalikes import lookalike_classes
from jml.errors import UserError
from jml.evaluation import recall_at_k


def class_of(names):
    return {char: number for number, name in enumerate(names) for char in name}


def test_glyphs_have_their_size_and_split(full_set):
    train, test = full_set.train, full_set.query
    for split in (train, test):
        n = len(split.labels)
        assert split.images.shape == (n, 24, 24, 3) and split.images.dtype == np.uint8
        assert split.labels.dtype == np.int32
    trained, tested = (np.unique(split.labels) for split in (train, test))
    assert len(full_set.class_names) > 1900
    assert np.concatenate([trained, tested]).tolist() == list(
        range(len(full_set.class_names))
    )
    assert 0.45 < len(trained) / len(full_set.class_names) < 0.55
    # One image of every character in every style.
    labels = np.concatenate([train.labels, test.labels])
    members = [12 * len(name) for name in full_set.class_names]
    assert np.bincount(labels).tolist() == members
    assert 26_000 < len(labels) < 27_000


def test_glyphs_have_no_tiles_and_no_mistakes_of_fonts(full_set):
    points = {ord(char) for char in class_of(full_set.class_names)}
    assert points.isdisjoint(_fonts.MISDRAWN) and points.isdisjoint(_fonts.TILES)
    # One of the mistakes: an Iota with breve, drawn as a plain Iota in Serif Italic.
    with_breve, plain = draw(font_files()[10], [0x1FD8, 0x399], 60)
    assert (with_breve == plain).all()
    assert 0x399 in points


def test_both_splits_of_glyphs_hold_every_script(full_set):
    cut = full_set.train.labels.max() + 1
    halves = "".join(full_set.class_names[:cut]), "".join(full_set.class_names[cut:])
    for low, high in [(0x41, 0x7A), (0x391, 0x3C9), (0x410, 0x44F), (0x2190, 0x21FF)]:
        shares = [sum(low <= ord(c) <= high for c in half) for half in halves]
        assert min(shares) > 0.25 * sum(shares)


@pytest.mark.parametrize(
    "same",
    [
        "A\u0391\u0410",  # Greek Alpha, Cyrillic A
        "B\u0392\u0412",
        "o\u03bf\u043e",
        "O\u039f\u041e",
        "I\u0399\u0406\u04c0",
        "i\u0456",
        "\u00c5\u212b",  # A with ring, Angstrom
        ";\u037e",  # Greek question mark
        "-\u2010",
        "m\u0442",  # Cyrillic te, in Serif Italic
    ],
    ids=ascii,
)
def test_characters_that_look_the_same_are_one_class(full_set, same):
    assert len({class_of(full_set.class_names)[char] for char in same}) == 1


@pytest.mark.parametrize(
    "different",
    [
        "oO0",
        "cC",
        "-_",
        ".,'",
        "nu",
        "69",
        "bdpq",
        "2\u00b2\u2082",
        "e\u00e9",
        "+\u00d7",
    ],
    ids=ascii,
)
def test_characters_that_differ_are_different_classes(full_set, different):
    classes = {class_of(full_set.class_names)[char] for char in different}
    assert len(classes) == len(different)


def outlines(file, chars):
    """The points of each character's outline, moved to begin at 0."""
    with TTFont(file) as font:
        table, names = font["glyf"], font.getBestCmap()
        for char in chars:
            points, ends, flags = table[names[ord(char)]].getCoordinates(table)
            left = min(x for x, _ in points)
            moved = tuple((x - left, y) for x, y in points)
            yield char, (moved, tuple(ends), bytes(flags))


@pytest.mark.parametrize("style", [0, 7, 10])
def test_characters_of_one_outline_are_one_class(full_set, style):
    # What the font file itself says, without drawing.
    classes, owner, shared = class_of(full_set.class_names), {}, 0
    for char, outline in outlines(font_files()[style], classes):
        shared += outline in owner
        assert classes[char] == owner.setdefault(outline, classes[char])
    assert shared > 100


@pytest.mark.slow
def test_pixels_of_glyphs_retrieve_badly_but_not_hopelessly(full_set):
    pixels = full_set.query.images[..., 0].reshape(len(full_set.query.labels), -1)
    recall = recall_at_k(pixels.astype(np.float32), full_set.query.labels, ks=(1,))[1]
    assert 0.05 < recall < 0.25


def test_every_glyph_is_visible(full_set):
    for split in (full_set.train, full_set.query):
        grey = split.images[..., 0].astype(np.float32)
        assert (split.images == split.images[..., :1]).all()
        darkest = np.partition(grey.reshape(len(grey), -1), 2)[:, 2]
        assert (np.median(grey, axis=(1, 2)) - darkest > 40).mean() > 0.999


@pytest.fixture
def few(monkeypatch):
    """A data set of a few characters, quick to draw."""
    points = [ord(char) for char in "ABCDEFGabcdefg\u0391\u0392\u0393\u0410"]
    monkeypatch.setattr(_glyphs, "shared_code_points", lambda files: points)
    return lambda **options: glyphs(**{"image_size": 32, "cache": "host"} | options)


def test_the_seed_of_glyphs_decides_the_images_and_nothing_else(few):
    one, again, other = few(seed=1), few(seed=1), few(seed=2)
    for a, b, c in zip(one[1:3], again[1:3], other[1:3], strict=True):
        assert (a.images == b.images).all()
        assert (a.labels == c.labels).all()
        assert (a.images != c.images).mean() > 0.5
    assert one.class_names == other.class_names
    styles = one.train.images.reshape(12, -1, 32, 32, 3)
    assert (styles[0] != styles[1]).mean() > 0.5


def test_distortion_of_glyphs_keeps_the_ink_in_the_image(monkeypatch):
    # At scale 1 every step keeps areas, so what is missing was pushed over the edge.
    monkeypatch.setattr(_images, "SCALE", (1.0, 1.0))
    files = font_files()
    points = shared_code_points(files)
    rng = np.random.default_rng(0)
    drawings = draw(files[0], points, 64)
    before = drawings.sum(axis=(1, 2), dtype=np.float64)
    out = _images._distort(drawings, rng).sum(axis=(1, 2), dtype=np.float64) * 4
    kept = out[before > 0] / before[before > 0]
    assert abs(np.median(kept) - 1) < 0.01
    assert (kept > 0.9).mean() > 0.97


def test_a_glyph_without_variation_is_its_drawing_halved(monkeypatch):
    for name, value in {"SCALE": (1, 1), "STRETCH": 1, "ROTATION": 0}.items():
        monkeypatch.setattr(_images, name, value)
    for name in ("SHIFT", "SHEAR"):
        monkeypatch.setattr(_images, name, 0)
    drawings = draw(font_files()[8], [ord("g"), ord("R")], 64)
    halved = drawings.reshape(2, 32, 2, 32, 2).mean(axis=(2, 4))
    got = _images._distort(drawings, np.random.default_rng(0))
    assert np.abs(got - halved).max() <= 1


def test_drawings_of_characters_keep_the_line_and_fit():
    files = font_files()
    points = [ord(char) for char in "o_-Oǻ\u2031\u23a7"]
    low, under, hyphen, capital, *tall = draw(files[0], points, 60)
    top, bottom = (
        (lambda d: np.flatnonzero(d.any(1))[0]),
        (lambda d: np.flatnonzero(d.any(1))[-1]),
    )
    assert abs(bottom(low) - bottom(capital)) <= 1 and top(capital) < top(low) - 5
    assert top(under) > bottom(hyphen) + 10
    columns = np.flatnonzero(capital.any(0))
    assert abs(columns[0] + columns[-1] - 59) <= 1
    whole = draw(files[0], points, 240).reshape(7, 60, 4, 60, 4).mean((2, 4))
    for small, large in zip(tall, whole[4:], strict=True):
        assert 0.8 < small.sum() / large.sum() < 1.25


def noise_drawings(styles, n, side=12):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (styles, n, side, side), dtype=np.uint8)


def test_characters_look_alike_by_one_style_or_by_a_chain():
    drawings = noise_drawings(3, 7)
    drawings[1, 4] = drawings[1, 2]  # 2 = 4 in one style, 4 = 5 in another
    drawings[2, 5] = drawings[2, 4]
    drawings[0, 6] = drawings[1, 0]  # the same drawing in different styles counts not
    assert lookalike_classes(drawings).tolist() == [0, 1, 2, 3, 2, 2, 6]


def test_the_tolerance_of_lookalikes_is_a_share_of_the_ink():
    drawings = np.zeros((1, 3, 20, 20), np.uint8)
    drawings[0, :, :10] = 255  # 200 pixels; one may differ by 0.01 * 200 = 2
    drawings[0, 1, 10, :2] = 255
    drawings[0, 2, 19, :5] = 255
    assert lookalike_classes(drawings).tolist() == [0, 0, 2]


def test_too_small_glyphs_are_one_line():
    with pytest.raises(UserError, match=r"`image_size`: 15 .* 16 or more"):
        glyphs(image_size=15)


def test_missing_fonts_of_glyphs_are_one_line(monkeypatch):
    monkeypatch.setattr(_fonts, "STYLES", ("DejaVuSans", "Nonesuch"))
    with pytest.raises(UserError, match=r"^drawing glyphs needs .*Nonesuch"):
        glyphs(image_size=24)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=r'pip install "jax-metric-learning\[train\]"$'):
        glyphs(image_size=24)
