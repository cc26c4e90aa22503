"""A page of rows of pictures: whole in itself, bounded, and of any files and names."""

import base64
import io
import os
import re

import numpy as np
import pytest
from PIL import Image

from jml.report import Picture, PictureRow, write_picture_page
from jml.report._picture_page import MOST_IN_A_ROW
from jml.report._small_pictures import SIDE, small_picture

from .small import NASTY

RED = np.full((40, 60, 3), (200, 10, 10), np.uint8)


def page_of(tmp_path, *pictures, title="t", **options):
    counts = write_picture_page(
        tmp_path / "page.html", title, [PictureRow("row", pictures)], **options
    )
    return (tmp_path / "page.html").read_text(encoding="utf-8"), counts


def opened(uri):
    head, data = uri.split(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_the_page_holds_all_it_shows_and_runs_nothing(tmp_path):
    text, counts = page_of(tmp_path, Picture(RED, ["red.png", "distance 0"], lead=True))
    assert counts == (1, 0, 0)
    assert "http:" not in text and "https:" not in text and "<script" not in text
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in text
    (uri,) = re.findall(r'<img src="([^"]*)" alt="red.png"', text)
    assert opened(uri).size == (60, 40)
    assert np.abs(np.asarray(opened(uri), int) - RED).max() < 6
    assert "<span>red.png</span><span>distance 0</span>" in text
    assert 'class="picture lead"' in text
    assert "prefers-color-scheme: dark" in text and "--paper: #12161c" in text


def test_texts_stay_text_and_names_need_not_be_utf8(tmp_path):
    nasty = f'{NASTY}" onerror="x\udce9{{{{style}}}}'
    row = PictureRow(nasty, [Picture(RED, [nasty, nasty])], nasty)
    write_picture_page(tmp_path / "a.html", nasty, [row], facts=[nasty])
    text = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "<script" not in text and "<img src=x" not in text
    assert '" onerror="' not in text and "\ufffd{{style}}" in text
    assert text.count("<img") == 1


def test_what_cannot_be_read_has_its_reason_in_its_place(tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "page.png").write_text("<html>")
    Image.fromarray(RED).save(tmp_path / "cut.png")
    data = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    os.mkfifo(tmp_path / "pipe.png")
    names = ["empty.jpg", "page.png", "cut.png", "pipe.png", "gone.png", "a\0b"]
    pictures = [Picture(str(tmp_path / name), [name]) for name in names]
    text, counts = page_of(tmp_path, *pictures, Picture(None, ["n"]), Picture(RED, []))
    assert counts == (8, 0, 7) and text.count("<img") == 1
    assert text.count("no image that Pillow knows") == 2
    assert "not a file" in text and "No such file or directory" in text
    assert "<span>no picture</span>" in text


def test_pictures_of_all_kinds_of_files_are_upright_small_rgb(tmp_path):
    tall = np.zeros((300, 100, 3), np.uint8)
    tall[:30] = 255  # white above
    turned = Image.Exif()
    turned[0x0112] = 6  # it has to be turned by 90 degrees
    Image.fromarray(np.rot90(tall)).save(tmp_path / "a.jpg", exif=turned, quality=95)
    clear = np.zeros((9, 9, 4), np.uint8)
    Image.fromarray(clear).save(tmp_path / "clear.png")
    Image.fromarray(tall[..., 0].astype(np.uint16) * 16).save(tmp_path / "deep.png")
    Image.fromarray(np.zeros((5, 5), np.float32)).save(tmp_path / "float.tiff")
    Image.fromarray(tall).convert("CMYK").save(tmp_path / "cmyk.jpg")
    Image.fromarray(tall).convert("P").save(tmp_path / "palette.gif")
    for name in ("a.jpg", "deep.png", "cmyk.jpg", "palette.gif"):
        small = opened(small_picture(tmp_path / name))
        assert small.mode == "RGB" and small.size == (43, SIDE), name
        grey = np.asarray(small.convert("L"), int)
        assert grey[:9].min() > 200 and grey[20:].max() < 40, name
    assert np.asarray(opened(small_picture(tmp_path / "clear.png"))).min() == 255
    assert opened(small_picture(tmp_path / "float.tiff")).size == (5, 5)
    assert opened(small_picture(lambda: tall)).size == (43, SIDE)


def test_a_page_is_bounded_and_says_what_it_leaves_out(tmp_path):
    long = PictureRow("long", [Picture(None, ["x"])] * (MOST_IN_A_ROW + 5), "a note")
    short = [PictureRow(f"row {i}", [Picture(None, ["x"])] * 3) for i in range(9)]
    counts = write_picture_page(tmp_path / "a.html", "t", [long, *short], most=104)
    text = (tmp_path / "a.html").read_text()
    assert counts == (104, 28, 104)
    assert text.count("<figure") == 104
    assert "a note; 5 more are not on this page" in text
    assert "28 more pictures are not on this page." in text
    assert "Left out are the last 7 of 10 rows." in text
    assert "row 1" in text and "2 more are not" in text and "row 2" not in text
    text, counts = page_of(tmp_path)
    assert counts == (0, 0, 0) and "not on this page" not in text


def test_a_page_that_fails_leaves_the_earlier_one(tmp_path, monkeypatch):
    (tmp_path / "page.html").write_text("earlier")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jml.report._picture_page._write_row", full)
    with pytest.raises(OSError, match="No space"):
        page_of(tmp_path, Picture(RED, []))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["earlier"]
