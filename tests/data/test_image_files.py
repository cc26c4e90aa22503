"""The images in any folder, and the classes that its layout names."""

import os

import pytest

from jml.data import BadImageError, image_files, read_image
from jml.errors import UserError


def make(root, *paths):
    for path in paths:
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    return root


def found(root):
    paths, labels, _ = image_files(root)
    start = len(f"{root}/")
    names = [path[start:] for path in paths]
    return dict(zip(names, labels or [None] * len(names), strict=True))


@pytest.mark.parametrize(
    "layout",
    [
        {"b.jpg": None, "a.PNG": None},
        {"b/1.jpg": "b", "a/1.jpg": "a", "caf\udce9/1.jpg": "caf\udce9", "x.jpg": None},
        {"train/b/1.jpg": "b", "Test/a/1.jpg": "a", "val/x.jpg": None},
        {"a/b/1.jpg": None, "a/1.jpg": "a", "a/b/c/d/1.jpg": None},
    ],
)
def test_classes_are_the_folders_that_hold_images(tmp_path, layout):
    root = make(tmp_path / "pictures", *layout)
    assert found(root) == layout
    assert (image_files(root).labels is None) == (set(layout.values()) == {None})


def test_the_order_is_that_of_the_bytes(tmp_path):
    names = ["b.jpg", "B.jpg", "é.jpg", "caf\udce9.jpg", "a/1.jpg", "a-1.jpg", "日.jpg"]
    paths = image_files(make(tmp_path, *names)).paths
    assert paths == sorted(paths, key=os.fsencode)


def test_paths_are_as_they_were_passed(tmp_path, monkeypatch):
    make(tmp_path, "a/1.jpg", "2.jpg")
    monkeypatch.chdir(tmp_path)
    for root, paths in ((".", ["2.jpg", "a/1.jpg"]), ("a", ["a/1.jpg"])):
        assert image_files(root).paths == paths
    assert image_files(".").labels == [None, "a"]
    assert image_files("a").labels is None
    assert image_files(tmp_path / "a").paths == [f"{tmp_path}/a/1.jpg"]
    assert image_files("../" + tmp_path.name + "/a/").paths[0].startswith("../")


def test_what_is_left_out_is_said(tmp_path):
    root = make(tmp_path, "a/1.jpg", "a/2.xcf", ".hidden/3.jpg", "a/.4.jpg", "a/5.txt")
    (root / "b").symlink_to(root / "none")
    (root / "a" / "round").symlink_to(root)
    paths, _, notes = image_files(root)
    assert paths == [f"{root}/a/1.jpg"]
    (note,) = notes
    assert "1 .xcf" in note and "links that lead nowhere: 'b'" in note


def test_without_an_image_there_is_one_line(tmp_path):
    make(tmp_path, "empty/.keep", "phone/1.xcf", "file")
    for name, words in (
        ("empty", "has no image that Pillow reads; pass a folder of images"),
        ("phone", r"\(1 .xcf\)"),
        ("file", "not a directory"),
        ("none", "no such directory"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            image_files(tmp_path / name)
        assert name in str(caught.value) and "`root`: " in str(caught.value)


def test_a_pipe_is_no_image_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (path,) = image_files(tmp_path).paths
    for name in (path, "/dev/zero"):
        with pytest.raises(BadImageError, match=f"{name}': not a file"):
            read_image(name, image_size=8)
