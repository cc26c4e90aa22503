import os

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional

from jml.data import decode, folder
from jml.errors import UserError


def load(root, **options):
    return decode(folder(root), **options)


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).save(path, **options)


def colour(c, i):
    return (20 * c, 10 * i, 200)


@pytest.fixture
def root(tmp_path):
    """Five classes of 2, 3, 4, 5, 6 plain images, each of its own colour and size."""
    for c in range(5):
        for i in range(c + 2):
            image = np.full((9 + i, 12, 3), colour(c, i))
            save(tmp_path / "birds" / f"{c}.kind" / f"{i}.png", image)
    return tmp_path / "birds"


def read_one(tmp_path, path):
    """Reads one file through the public function, in a folder made for it."""
    base = tmp_path / "single"
    for c in "abcd":
        for i in range(2):
            save(base / c / f"{i}.png", np.zeros((4, 4, 3)))
    os.replace(path, base / "a" / f"0{path.suffix}")
    if path.suffix != ".png":
        (base / "a" / "0.png").unlink()
    return load(base, image_size=16).train.images[0]


def test_a_folder_has_classes_labels_and_split(root):
    data = load(root, image_size=8)
    assert data.name == "birds"
    assert data.class_names == ("0.kind", "1.kind", "2.kind", "3.kind", "4.kind")
    assert data.train.labels.tolist() == [0] * 2 + [1] * 3 + [2] * 4
    assert data.query.labels.tolist() == [3] * 5 + [4] * 6
    for split in (data.train, data.query):
        assert split.images[:].dtype == np.uint8 and split.labels.dtype == np.int32
        assert split.images.shape == (len(split.labels), 8, 8, 3)
        expected = [
            colour(c, i)
            for c in np.unique(split.labels)
            for i in range((split.labels == c).sum())
        ]
        assert (split.images[:] == np.array(expected)[:, None, None]).all()


def test_other_files_and_hidden_ones_are_skipped(root):
    (root / "readme.txt").write_text("hello")
    (root / "0.kind" / "notes.txt").write_text("hello")
    (root / "0.kind" / "._0.png").write_text("what a Mac leaves behind")
    (root / "0.kind" / "deeper").mkdir()
    (root / ".cache").mkdir()
    assert len(load(root, image_size=8).train.labels) == 9


@pytest.mark.parametrize("splits", [["train", "test"], ["train", "query", "gallery"]])
def test_folders_named_after_splits_are_splits(tmp_path, splits):
    for c, split in enumerate(splits):
        for name in ("a", "b") if split == "train" else ("c", "d"):
            images = 1 if split in ("query", "gallery") else 2
            for i in range(images):
                image = np.full((4, 4, 3), colour(c, i))
                save(tmp_path / "x" / split / name / f"{i}.png", image)
    data = load(tmp_path / "x", image_size=8)
    assert data.class_names == ("a", "b", "c", "d")
    assert data.train.labels.tolist() == [0, 0, 1, 1]
    assert set(data.query.labels) == {2, 3}
    assert data.query.images[0:1][0, 0, 0].tolist() == list(colour(1, 0))
    if "gallery" in splits:
        assert data.gallery.labels.tolist() == data.query.labels.tolist() == [2, 3]
        assert data.gallery.images[0:1][0, 0, 0].tolist() == list(colour(2, 0))
    else:
        assert data.gallery is None


def test_train_and_test_among_other_folders_are_classes(tmp_path):
    for name in ("train", "test", "bus", "tram"):
        for i in range(2):
            save(tmp_path / name / f"{i}.png", np.zeros((4, 4, 3)))
    data = load(tmp_path, image_size=8)
    assert data.class_names == ("bus", "test", "train", "tram")


def test_links_among_images_are_followed(root, tmp_path):
    os.rename(root / "1.kind", tmp_path / "elsewhere")
    (root / "1.kind").symlink_to(tmp_path / "elsewhere")
    assert len(load(root, image_size=8).train.labels) == 9


def test_any_number_of_workers_decodes_the_same_and_reports_progress(root):
    counts = []

    def progress(images, count):
        for image in images:
            counts.append(count)
            yield image

    one = load(root, image_size=8, workers=1, progress=progress)
    many = load(root, image_size=8, workers=7)
    assert counts == [20] * 20
    assert (one.query.images[:] == many.query.images[:]).all()


def test_images_are_resized_as_torchvision_does(tmp_path):
    rng = np.random.default_rng(0)
    image = np.kron(rng.integers(0, 256, (9, 14, 3)), np.ones((5, 5, 1)))
    save(tmp_path / "x.png", image)
    expected = functional.resize(
        torch.tensor(image.astype(np.uint8)).permute(2, 0, 1),
        [16, 16],
        antialias=True,
    )
    got = read_one(tmp_path, tmp_path / "x.png")
    difference = got.astype(int) - expected.permute(1, 2, 0).numpy()
    assert np.abs(difference).max() <= 1


def test_exif_turns_the_image_upright(tmp_path):
    stored = np.zeros((16, 16, 3))
    stored[:, :8] = 255  # white on the left; orientation 6 asks for a turn to the right
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tmp_path / "x.png", stored, exif=exif)
    got = read_one(tmp_path, tmp_path / "x.png")
    assert (got[:8] == 255).all() and (got[8:] == 0).all()


def grey16():
    return Image.fromarray(np.full((16, 16), 100 * 256, np.uint16))


def see_through():
    image = Image.new("RGBA", (16, 16), (200, 0, 0, 0))
    image.paste((10, 20, 30, 255), (0, 0, 16, 8))
    return image


@pytest.mark.parametrize(
    ("image", "suffix", "top", "bottom"),
    [
        (Image.new("L", (16, 16), 77), ".png", (77, 77, 77), (77, 77, 77)),
        (Image.new("1", (16, 16), 1), ".png", (255,) * 3, (255,) * 3),
        (grey16(), ".png", (100,) * 3, (100,) * 3),
        (grey16(), ".tif", (100,) * 3, (100,) * 3),
        (
            Image.new("CMYK", (16, 16), (0, 255, 255, 0)),
            ".tif",
            (255, 0, 0),
            (255, 0, 0),
        ),
        (see_through(), ".png", (10, 20, 30), (255, 255, 255)),
        (see_through().convert("P"), ".gif", None, (255, 255, 255)),
        (Image.new("RGB", (16, 16), (1, 2, 3)), ".BMP", (1, 2, 3), (1, 2, 3)),
    ],
    ids=["grey", "bit", "grey16", "tif16", "cmyk", "alpha", "palette", "upper-case"],
)
def test_every_kind_of_image_is_decoded(tmp_path, image, suffix, top, bottom):
    options = {"transparency": image.getpixel((0, 15))} if image.mode == "P" else {}
    image.save(tmp_path / f"x{suffix}", **options)
    got = read_one(tmp_path, tmp_path / f"x{suffix}")
    assert top is None or (got[:8] == top).all()
    assert (got[8:] == bottom).all()


def error(root, argument="root"):
    with pytest.raises(UserError) as caught:
        load(root, image_size=8)
    message = str(caught.value)
    assert message.startswith(f"`{argument}`: ") and "\n" not in message
    return message


def test_a_wrong_root_of_class_folders_is_named(tmp_path, root):
    assert "no such directory" in error(tmp_path / "nowhere")
    assert "nowhere" in error(tmp_path / "nowhere")
    assert "not a directory" in error(root / "0.kind" / "0.png")


@pytest.mark.parametrize(
    ("classes", "words"),
    [(0, "no class"), (1, "a single class"), (2, "two classes"), (3, "three classes")],
)
def test_too_few_class_folders_are_one_line(tmp_path, classes, words):
    for c in range(classes):
        for i in range(2):
            save(tmp_path / f"{c}" / f"{i}.png", np.zeros((4, 4, 3)))
    assert words in error(tmp_path)


def test_classes_without_an_image_are_all_named(root):
    (root / "0.kind" / "0.png").unlink()
    (root / "0.kind" / "1.png").unlink()
    assert "class '0.kind' has no image" in error(root)
    for c in range(14):
        (root / f"empty{c:02}").mkdir()
    message = error(root)
    assert message.startswith("`root`: 15 problems: class '0.kind' has no image")
    assert "'empty08' has no image" in message and "empty09" not in message
    assert "; and 5 more; " in message


def cut_short(path, kind):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, format=kind)
    path.write_bytes(path.read_bytes()[:-900])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_text("no image"), "no image that Pillow knows"),
        (lambda path: path.write_bytes(b""), "no image that Pillow knows"),
        (lambda path: cut_short(path, "PNG"), "truncated"),
        (lambda path: cut_short(path, "JPEG"), "truncated"),
        (lambda path: (path.unlink(), path.symlink_to("gone.png")), "No such file"),
        (lambda path: (path.unlink(), path.symlink_to(path.name)), "Too many levels"),
        (lambda path: (path.unlink(), path.mkdir()), None),
    ],
    ids=["text", "empty", "png", "jpeg", "broken-link", "link-loop", "directory"],
)
def test_a_broken_image_is_named(root, damage, words):
    path = root / "2.kind" / "1.png"
    damage(path)
    if words is None:  # a directory is no image, and the class has others
        assert len(load(root, image_size=8).train.labels) == 8
    else:
        message = error(root, "listing")
        assert words in message and str(path) in message


def test_a_decompression_bomb_among_images_is_named(root, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    assert "more than 40 pixels" in error(root, "listing")
