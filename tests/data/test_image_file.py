"""Decoding and resizing, with the fast decoders and without them."""

from pathlib import Path

import numpy as np
import pytest
import sklearn
from PIL import Image
from torchvision import transforms

from jml.data import center_crop_normalize
from jml.data._decoding import _image_file as module
from jml.data._decoding._image_file import read_square
from jml.data._sources._files import File

PHOTOGRAPHS = sorted((Path(sklearn.__file__).parent / "datasets/images").glob("*.jpg"))
MEAN = 255 * np.array([0.485, 0.456, 0.406])
STD = 255 * np.array([0.229, 0.224, 0.225])


@pytest.fixture(params=[True, False], ids=["fast", "Pillow"])
def fast(request, monkeypatch):
    if request.param:
        assert module.fast_decoders()
    monkeypatch.setattr(module, "fast_decoders", lambda: request.param)
    return request.param


def square(path, side=256):
    return read_square(File(str(path)), side)


@pytest.mark.parametrize("side", [256, 64, 500, 32])
@pytest.mark.parametrize("path", PHOTOGRAPHS, ids=lambda path: path.stem)
def test_photographs_are_decoded_as_torchvision_does(fast, path, side):
    crop = side * 7 // 8
    expected = transforms.Compose(
        [
            transforms.Resize((side, side)),
            transforms.CenterCrop(crop),
            transforms.PILToTensor(),
        ]
    )(Image.open(path)).permute(1, 2, 0)
    ours = center_crop_normalize(square(path, side)[None], crop=crop)[0]
    difference = np.abs(np.asarray(ours) * STD + MEAN - expected.numpy())
    assert difference.max() <= 1 + 1e-3
    assert difference.mean() <= 0.05


def test_there_are_photographs_to_compare_with_torchvision():
    assert len(PHOTOGRAPHS) >= 2


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "turned", "progressive"])
def test_every_kind_of_jpeg_is_the_same_to_both_decoders(tmp_path, monkeypatch, mode):
    photograph = Image.open(PHOTOGRAPHS[0])
    options = {"progressive": True} if mode == "progressive" else {}
    if mode == "turned":
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = 6
    if mode in ("L", "CMYK"):
        photograph = photograph.convert(mode)
    path = tmp_path / "x.jpg"
    photograph.save(path, **options)
    one = square(path).astype(int)
    monkeypatch.setattr(module, "fast_decoders", lambda: False)
    other = square(path)
    assert np.abs(one - other).max() <= 1
    assert np.abs(one - other).mean() <= 0.05


def test_a_plain_jpeg_is_decoded_by_simplejpeg(monkeypatch):
    import simplejpeg

    decoded = []
    original = simplejpeg.decode_jpeg
    monkeypatch.setattr(
        simplejpeg, "decode_jpeg", lambda data: decoded.append(1) or original(data)
    )
    square(PHOTOGRAPHS[0])
    assert decoded


def test_a_cut_jpeg_is_an_error_to_both_decoders(fast, tmp_path):
    data = PHOTOGRAPHS[0].read_bytes()
    (tmp_path / "x.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(module.BadImageError, match="truncated"):
        square(tmp_path / "x.jpg")
