"""Which values are black and white in files of more than 8 bits."""

import io
import struct
import zlib
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from jml.data import cub200, decode
from jml.data._decoding._image_file import BadImageError, decode_square, is_dark
from tests.data import layouts
from tests.data.tiffs import MAX, MIN, ORIENTATION, S_MAX, S_MIN, ramp, tiff

SHORT, INT16, INT32, FLOAT, DOUBLE = 3, 8, 9, 11, 12
LEVELS = np.linspace(0, 255, 9)


class Bytes(NamedTuple):
    data: bytes
    name: str = "x.tif"

    def read(self):
        return self.data


def row_of(data):
    """The grey levels from left to right, and whether the image is dark."""
    pixels, dark = decode_square(Bytes(data), 9)
    assert (pixels == pixels[:1, :, :1]).all()
    assert is_dark(Bytes(data)) == dark
    return pixels[0, :, 0].astype(float), dark


def declares(low, high, kind=DOUBLE):
    return (S_MIN, kind, [low]), (S_MAX, kind, [high])


DECLARED = {
    "floats 0 to 1": (ramp("f4", 1), *declares(0, 1)),
    "floats, as floats": (ramp("f4", 1), *declares(0, 1, FLOAT)),
    "floats, as integers": (ramp("f4", 1), (MIN, SHORT, [0]), (MAX, SHORT, [1])),
    "floats, the upper end alone": (ramp("f4", 7), (S_MAX, DOUBLE, [7])),
    "floats -1 to 1": (ramp("f4", 2) - 1, *declares(-1, 1)),
    "int32 0 to 255": (ramp("i4", 255), *declares(0, 255, INT32)),
    "uint16 of 12 bits": (ramp("u2", 4080), (MIN, SHORT, [0]), (MAX, SHORT, [4080])),
    "uint16, no range and one": (
        *(ramp("u2", 4080), *declares(5, 5)),
        *((MIN, SHORT, [0]), (MAX, SHORT, [4080])),
    ),
    "int16": (ramp("i2", 4080) - 1000, *declares(-1000, 3080, INT16)),
    "int8": (ramp("i2", 255) - 128, *declares(-128, 127)),
}


@pytest.mark.parametrize("endian", "<>")
@pytest.mark.parametrize("name", DECLARED)
def test_the_declared_range_of_samples_goes_from_black_to_white(name, endian):
    samples, *tags = DECLARED[name]
    if name == "int8":
        samples = samples.astype("i1")
    row, dark = row_of(tiff(samples, *tags, endian=endian))
    np.testing.assert_allclose(row, LEVELS, atol=1)
    assert not dark


def test_uint32_beyond_int32_and_12_bits_that_are_packed():
    row, _ = row_of(tiff(ramp("u4", 4e9), *declares(0, 4e9)))
    np.testing.assert_allclose(row, LEVELS, atol=1)
    values = np.linspace(0, 4095, 10).astype(int)
    bits = "".join(f"{value:012b}" for value in values)
    packed = np.array([int(bits[i : i + 8], 2) for i in range(0, 120, 8)], np.uint8)
    pixels, dark = decode_square(Bytes(tiff(np.tile(packed, (10, 1)), bits=12)), 10)
    np.testing.assert_allclose(pixels[0, :, 0], np.linspace(0, 255, 10), atol=1)
    assert not dark


def test_images_whose_white_is_zero_or_that_are_turned():
    upright = tiff(ramp("f4", 1), *declares(0, 1), photometric=0)
    np.testing.assert_allclose(row_of(upright)[0], LEVELS[::-1], atol=1)
    sixteen = tiff(ramp("u2", 65535), photometric=0)
    np.testing.assert_allclose(row_of(sixteen)[0], LEVELS[::-1], atol=1)
    turned = tiff(ramp("f4", 1), *declares(0, 1), (ORIENTATION, SHORT, [6]))
    pixels = decode_square(Bytes(turned), 9).pixels
    np.testing.assert_allclose(pixels[:, 4, 0], LEVELS, atol=1)


def test_samples_beyond_the_declared_range_are_black_or_white():
    samples = np.array([[-np.inf, -3, 0, 0.5, 1, 9, np.inf]] * 7, "f4")
    pixels, _ = decode_square(Bytes(tiff(samples, *declares(0, 1))), 7)
    assert pixels[0, :, 0].tolist() == [0, 0, 0, 128, 255, 255, 255]
    constant = tiff(np.full((9, 9), 0.2, "f4"), *declares(0, 1))
    assert (row_of(constant)[0] == 51).all()


def png(samples, colour_type):
    """A PNG of 16 bits, of which Pillow writes grey ones alone."""

    def chunk(name, data):
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    head = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def pgm(samples, white=65535):
    return b"P5 9 9 %d\n" % white + samples.astype(">u2").tobytes()


def with_alpha(samples):
    return np.concatenate([samples, np.full((9, 9, 1), 65535)], axis=2)


def colours(samples):
    return np.stack([samples] * 3, axis=2)


SIXTEEN = {
    "tiff": tiff,
    "big-endian": lambda samples: tiff(samples, endian=">"),
    "no range": lambda samples: tiff(samples, (MIN, SHORT, [1]), (MAX, SHORT, [1])),
    "RGB": lambda samples: tiff(colours(samples)),
    "RGBA": lambda samples: tiff(with_alpha(colours(samples)).astype("u2")),
    "PNG": lambda samples: png(samples, 0),
    "PNG RGB": lambda samples: png(colours(samples), 2),
    "PNG RGBA": lambda samples: png(with_alpha(colours(samples)), 6),
    "PNG grey and alpha": lambda samples: png(with_alpha(samples[..., None]), 4),
    "PGM": pgm,
}


@pytest.mark.parametrize("name", SIXTEEN)
def test_samples_of_16_bits_go_to_65535_and_12_bits_are_dark(name):
    row, dark = row_of(SIXTEEN[name](ramp("u2", 65535)))
    np.testing.assert_allclose(row, LEVELS, atol=1)
    assert not dark
    row, dark = row_of(SIXTEEN[name](ramp("u2", 4095)))
    np.testing.assert_allclose(row, LEVELS / 16, atol=1)
    assert dark
    assert not row_of(SIXTEEN[name](ramp("u2", 4096)))[1]


def test_images_without_a_declared_range_keep_their_samples():
    eight = ramp("u1", 255)
    for data in (
        tiff(eight),
        tiff(eight, (MIN, SHORT, [100]), (MAX, SHORT, [120])),  # statistics
        pgm(ramp("u2", 4095), white=4095),
        b"P5 9 9 255\n" + eight.tobytes(),
    ):
        row, dark = row_of(data)
        np.testing.assert_allclose(row, LEVELS, atol=1)
        assert not dark
    file = io.BytesIO()
    Image.fromarray(eight > 99).save(file, "TIFF")
    assert set(row_of(file.getvalue())[0]) == {0, 255}
    row, dark = row_of(tiff(ramp("i2", 25500)))  # signed, none below 0
    np.testing.assert_allclose(row, LEVELS * 100 / 256, atol=1)


with_nan = ramp("f4", 1)
with_nan[0, :2] = np.nan, np.inf
DECLARE = (
    "save it with 8 bits, or declare it in the tags SMinSampleValue and SMaxSample"
)
REFUSED = {
    "floats": (tiff(ramp("f4", 1)), "32-bit floats from 0 to 1 and declares no range"),
    "what to do": (tiff(ramp("f4", 1)), DECLARE),
    "int32": (tiff(ramp("i4", 255)), "32-bit signed integers from 0 to 255 and decl"),
    "uint32": (tiff(ramp("u4", 4e9)), "32-bit integers from 0 to 4e+09 and declares"),
    "int16": (tiff(ramp("i2", 90) - np.int16(9)), "integers from -9 to 81 and decl"),
    "int8": (tiff(ramp("i1", 90) - np.int8(9)), "8-bit signed integers from -9 to 81"),
    "no range": (
        tiff(ramp("f4", 1), *declares(1, 0)),
        "from 0 to 1 and declares the range 1 to 0, which is none,",
    ),
    "not finite": (tiff(ramp("f4", 1), *declares(0, np.inf)), "0 to inf, which is non"),
    "words": (
        tiff(ramp("f4", 1), (S_MAX, 2, [b"x", b"\0"])),
        "and declares no range",
    ),
    "constant": (tiff(np.zeros((9, 9), "f4")), "32-bit floats from 0 to 0 and declar"),
    "NaN": (tiff(with_nan), "floats from 0 to 1 (and 2 NaN or infinite) and declares"),
    "NaN alone": (tiff(with_nan * np.nan), "floats, none of them finite, and declare"),
    "NaN in a range": (tiff(with_nan, *declares(0, 1)), "1 of its 81 values are NaN"),
    "PFM": (
        b"Pf\n9 9\n-1.0\n" + ramp("<f4", 1).tobytes(),
        "floats from 0 to 1 and declares no range for black and white; save it with 8"
        " bits; fix",
    ),
    "12 bits of RGB": (
        tiff(colours(ramp("u2", 4095)), (MAX, SHORT, [4095] * 3)),
        "it declares the range 0 to 4,095 of 16-bit colours, of which Pillow reads the",
    ),
    "float64": (tiff(ramp("f8", 1)), "it is a TIFF of 1 x 64-bit floats, which Pillow"),
    "float16": (tiff(ramp("f2", 1)), "it is a TIFF of 1 x 16-bit floats, which Pillow"),
    "float RGB": (tiff(colours(ramp("f4", 1))), "a TIFF of 3 x 32-bit floats, which"),
    "big-endian uint32": (tiff(ramp("u4", 9), endian=">"), "1 x 32-bit integers, whi"),
    "cut": (tiff(ramp("f4", 1), *declares(0, 1))[:-30], "truncated"),
    "garbage": (b"II*\0" + b"\xff" * 60, "x.tif"),
}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Metadata Warning")
@pytest.mark.parametrize("name", REFUSED)
def test_samples_without_a_known_range_are_one_line(name):
    data, words = REFUSED[name]
    with pytest.raises(BadImageError) as caught:
        decode_square(Bytes(data), 9)
    message = str(caught.value)
    assert words in message and "\n" not in message
    assert message.startswith("`listing`: cannot read the image 'x.tif': ")
    assert message.endswith("; fix or remove it, or pass `skip_bad=True`.")
    assert not is_dark(Bytes(data))


@pytest.mark.parametrize("skip_bad", [False, True])
def test_every_cache_counts_the_dark_images(tmp_path, skip_bad):
    listing = cub200(layouts.cub200(tmp_path / "birds"))
    for row in (3, 11, 12):  # their names end with jpg, which decides nothing
        with open(listing.images[row].path, "wb") as file:
            file.write(tiff(ramp("u2", 4000)))
    if skip_bad:
        with open(listing.images[5].path, "wb") as file:
            file.write(tiff(ramp("f4", 1)))
    notes = {}
    for cache in ("host", "disk", "disk", "none"):  # the second finds the first again
        options = {"cache": cache, "cache_folder": tmp_path / "cache"}
        data = decode(listing, image_size=8, **options, skip_bad=skip_bad)
        notes[cache, len(notes)] = data.notes[len(listing.notes) + (cache == "disk") :]
    first, *rest = notes.values()
    assert all(other == first for other in rest)
    note = first[0]
    assert note.startswith("3 of 18 images have 16 bits, no declared range and no val")
    assert note.endswith(f"the first is {listing.images[3].path!r}")
    assert len(first) == 1 + skip_bad
