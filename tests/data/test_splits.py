"""Folders as people have them: splits in any spelling, deeper images, single ones."""

import numpy as np
import pytest
from PIL import Image

from jml.data import folder
from jml.errors import UserError


def fill(root, *folders, images=2):
    """Puts images into folders below the root."""
    for name in folders:
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(images):
            path = root / name / f"{i}.jpg"
            Image.new("RGB", (4, 4)).save(path, comment=f"{name} {i}")  # no copies
    return root


def classes(root, split, names="ab"):
    return fill(root, *[f"{split}/{split[0]}{name}" for name in names])


def splits(root, *names):
    for name in names:
        classes(root, name)
    return root


def classes_of(listing, rows):
    return {listing.class_names[label] for label in listing.labels[rows]}


def error(root, **options):
    with pytest.raises(UserError) as caught:
        folder(root, **options)
    message = str(caught.value)
    assert message.startswith("`root`: ") and "\n" not in message
    return message


@pytest.mark.parametrize(
    ("names", "tested", "note"),
    [
        (["Train", "TEST"], "T", None),
        (["training", "Testing"], "T", None),
        (["train", "Val"], "V", "there is no test set: 'Val' is tested on"),
        (["train", "val", "test"], "t", "'val' beside them, with 4 images, is left"),
        (["train", "test", "notes"], "t", "'notes' beside them, with 4 images, is"),
        (
            ["train", "valid", "test", "extra"],
            "t",
            "the splits are 'train', 'test'; 'extra', 'valid' beside them, with 8"
            " images, are left out",
        ),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else None,
)
def test_split_folders_have_any_spelling(tmp_path, names, tested, note):
    listing = folder(splits(tmp_path / "x", *names))
    assert classes_of(listing, listing.train) == {f"{names[0][0]}{c}" for c in "ab"}
    assert classes_of(listing, listing.query) == {f"{tested}{c}" for c in "ab"}
    assert listing.gallery is None
    said = [line for line in listing.notes if "left out" in line or "no test" in line]
    assert len(said) == (note is not None)
    assert note is None or note in said[0]


def test_a_gallery_folder_has_any_spelling(tmp_path):
    root = classes(tmp_path / "x", "Train")
    fill(root, "QUERY/c", "QUERY/d", "Gallery/c", "Gallery/d", "validation/e")
    listing = folder(root)
    assert classes_of(listing, listing.train) == {"Ta", "Tb"}
    assert [len(rows) for rows in (listing.query, listing.gallery)] == [4, 4]
    assert listing.images[listing.query[0]].name == str(root / "QUERY/c/0.jpg")
    assert listing.images[listing.gallery[0]].name == str(root / "Gallery/c/0.jpg")
    assert "'validation' beside them, with 2 images" in listing.notes[-1]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["train"], "there is no test"),
        (["val", "test"], "there is no train"),
        (["train", "query"], "there is no gallery"),
        (["train", "test", "gallery"], "test is there, and query or gallery too"),
        (["train", "val", "Valid"], "of which several mean the same"),
    ],
)
def test_unknown_split_folders_are_answered_by_known_ones(tmp_path, names, words):
    message = error(splits(tmp_path, *names))
    assert words in message and all(repr(name) in message for name in names)
    assert "several" in words or "train and test (or val), or train, query" in message


def test_an_unknown_layout_of_folders_is_answered_by_what_is_there(tmp_path):
    fill(tmp_path / "flat", "train", "test")
    message = error(tmp_path / "flat")
    assert "train' holds no folder of a class, but 2 images" in message
    assert "test' holds no folder of a class, but 2 images" in message
    fill(tmp_path / "wrapped", *[f"Images/{c}" for c in "abcd"])
    message = error(tmp_path / "wrapped")
    assert "a single class" in message and "wrapped/Images', which holds 4" in message
    fill(tmp_path / "loose", ".", images=3)
    assert "no class" in (message := error(tmp_path / "loose"))
    assert "3 images beside" in message


def test_files_that_a_folder_leaves_out_are_counted(tmp_path):
    root = fill(tmp_path / "x", "a", "b", "c", "d", "a/deep/er", "c/deep", "b/.thumbs")
    fill(root, "__MACOSX/a", ".git", images=1)
    (root / "e").symlink_to("gone")
    Image.new("RGB", (4, 4)).save(root / "loose.png")
    for name in ("a/1.HEIC", "a/2.heic", "d/3.cr2", "b/list.txt", "a/deep/4.dng"):
        (root / name).write_bytes(b"")
    listing = folder(root)
    assert len(listing.images) == 8
    assert listing.notes == (
        "x: left out: 4 images in folders below a class's, which `nested=True`"
        " reads; files that Pillow does not read: 2 .heic, 1 .dng, 1 .cr2; 1 image in"
        " no class's folder; links that lead nowhere: 'e'",
    )


def test_nested_folders_are_read_when_asked(tmp_path):
    root = fill(tmp_path / "x", "a/one/two", "a/three", "a", "b", "c/one", "d")
    (root / "a" / "one" / "loop").symlink_to(root)
    (root / "b" / "self").symlink_to(root / "b")
    assert "'c' has no image that Pillow reads (2 in folders" in (
        message := error(root)
    )
    assert "`nested=True`" in message
    listing = folder(root, nested=True)
    assert listing.notes == ()
    counts = dict(zip(*np.unique(listing.labels, return_counts=True), strict=True))
    assert [counts[label] for label in range(4)] == [6, 2, 2, 2]
    places = [image.name.removeprefix(f"{root}/") for image in listing.images]
    assert places[:6:2] == ["a/0.jpg", "a/one/two/0.jpg", "a/three/0.jpg"]
    assert len(set(places)) == 12


def test_nested_folders_in_splits(tmp_path):
    root = splits(tmp_path / "x", "train", "test")
    fill(root, "train/ta/deep", "test/new/deep")
    listing = folder(root, nested=True)
    assert [len(listing.train), len(listing.query)] == [6, 6]
    assert "class 'test/new' has no image" in (message := error(root))
    assert "pass `nested=True`" in message


def test_classes_are_split_before_those_with_one_image_are_left_out(tmp_path):
    root = fill(tmp_path / "x", "a", "d")
    fill(root, "b", "c", "e", images=1)  # of five classes, three are for training
    listing = folder(root)
    assert classes_of(listing, listing.train) == {"a", "b", "c"}
    assert classes_of(listing, listing.query) == {"d", "e"}
    assert listing.notes == (
        "x: 2 of 3 training classes have a single image and are never drawn;"
        ' `singletons="views"` draws them, too',
        "x: 1 of 2 test classes have a single image, which stays in the gallery and is"
        " no query",
    )


def test_queries_without_relevant_images_are_noted(tmp_path):
    root = classes(tmp_path / "x", "train")
    fill(root, "query/a", "query/b", "gallery/b", "gallery/c", images=1)
    assert folder(root).notes == (
        "x: left out, without an image of their class in the gallery: 1 of 2 queries",
    )
    (root / "query" / "b").rename(root / "query" / "d")
    assert "2 images to search for, and none has one in the gallery" in error(root)
    fill(tmp_path / "y", "a", "b")
    fill(tmp_path / "y", "c", "d", images=1)
    assert "none has another of its class to find" in error(tmp_path / "y")
