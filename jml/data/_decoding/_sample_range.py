"""Which values of an image file are black and white, where these are not 0 and 255.

A TIFF may declare them in its tags SMinSampleValue and SMaxSampleValue, or
MinSampleValue and MaxSampleValue; with 12 bits a sample it does so, too. Unsigned
samples of 8 bits or fewer are taken as they are, whatever a file declares: there these
tags are statistics.
"""

import io
import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

BITS_PER_SAMPLE, PHOTOMETRIC, SAMPLES_PER_PIXEL, SAMPLE_FORMAT = 258, 262, 277, 339
RANGES = ((340, 341), (280, 281))  # SMin and SMax, Min and Max
KINDS = {2: "signed integers", 3: "floats"}  # by SampleFormat
COLOURS = {2: 3, 5: 4}  # channels that are not alpha, by photometric interpretation
DARK = 4095  # below a sixteenth of white, 65,535
Range = tuple[float, float]


class Samples(NamedTuple):
    """What the header of a file says about its samples."""

    bits: int
    kind: str
    colours: int  # channels without alpha
    declared: tuple[Range, ...]  # black and white; some may be no valid range
    tiff: bool
    inverted: bool  # 0 is white, and Pillow leaves it so

    @property
    def range(self) -> Range | None:
        """The first declared range that is valid."""
        return next((pair for pair in self.declared if _is_range(*pair)), None)

    @property
    def may_be_dark(self) -> bool:
        """Whether ``to_levels`` may find the image dark."""
        return self.bits == 16 and self.range is None


def samples_of(image: Any) -> Samples | None:
    """Reads the header of an image whose pixels are not loaded yet.

    Returns:
        Its samples; None where 0 is black and 255 white.
    """
    bits, kind, colours = 8, "integers", 1
    if image.format == "TIFF":
        return _samples_of_tiff(image.tag_v2, image.mode)
    if image.mode == "F":
        bits, kind = 32, "floats"
    elif image.mode == "I":  # PNG has no more than 16 bits, and PGM is made to have 16
        bits = 16 if image.format in ("PNG", "PPM") else 32
    elif image.mode.startswith("I;16"):
        bits = 16
    elif image.format == "PNG" and str(image.tile[0][3]).endswith(";16B"):
        bits, colours = 16, 3
    if bits == 8:
        return None
    return Samples(bits, kind, colours, (), tiff=False, inverted=False)


def _samples_of_tiff(tags: Any, mode: str) -> Samples | None:
    bits = max(tags.get(BITS_PER_SAMPLE, (1,)))
    kind = KINDS.get(max(tags.get(SAMPLE_FORMAT, (1,))), "integers")
    if bits <= 8 and kind == "integers":
        return None
    photometric = tags.get(PHOTOMETRIC, 1)
    colours = COLOURS.get(photometric, 1)
    declared = []
    for lowest, highest in RANGES:
        if highest in tags:
            low = _floats(tags.get(lowest, 0), colours)
            high = _floats(tags[highest], colours)
            if low and high:
                declared.append((min(low), max(high)))
    if 8 < bits < 16:
        declared.append((0.0, 2.0**bits - 1))
    inverted = photometric == 0 and mode[0] in "IF"  # Pillow inverts 8 bits by itself
    return Samples(bits, kind, colours, tuple(declared), tiff=True, inverted=inverted)


def _floats(values: Any, most: int) -> list[float]:
    values = values if isinstance(values, tuple) else (values,)
    try:
        return [float(value) for value in values[:most]]
    except (TypeError, ValueError):  # text in place of numbers
        return []


def _is_range(low: float, high: float) -> bool:
    return low < high and math.isfinite(high - low)


def to_levels(image: Any, samples: Samples) -> tuple[Any, bool]:
    """Converts an image to 8 bits, and finds whether it is dark.

    The declared range goes from black to white. Without one, 16-bit samples go from 0
    to 65,535. Then an image without a value above 4,095 is dark, for its 16 bits may
    hold samples of 12.

    Raises:
        ValueError: it is not known which values are black and white.
    """
    from PIL import Image

    values = np.asarray(image)
    if values.ndim == 3:
        return _several_channels(image, values, samples)
    if samples.bits == 8:  # signed, which Pillow reads as unsigned
        values = values.view(np.int8)
    elif samples.bits == 32 and samples.kind == "integers" and samples.tiff:
        values = values.view(np.uint32)
    dark = False
    if samples.range is not None:
        if np.isnan(values).any():
            count = np.count_nonzero(np.isnan(values))
            raise ValueError(f"{count:,} of its {values.size:,} values are NaN")
        levels = _scaled(values, samples.range)
    elif samples.kind == "floats" or samples.bits == 32 or (values < 0).any():
        raise ValueError(_unknown(values, samples))
    else:
        dark = samples.bits == 16 and bool((values <= DARK).all())
        levels = (values // 256 if samples.bits == 16 else values).clip(0, 255)
        levels = levels.astype(np.uint8)
    return Image.fromarray(255 - levels if samples.inverted else levels), dark


def _several_channels(
    image: Any, values: np.ndarray, samples: Samples
) -> tuple[Any, bool]:
    """``to_levels`` for colours, of whose 16 bits Pillow keeps the upper 8."""
    from PIL import Image

    colours = values[..., : samples.colours]
    if samples.range is None:
        ink = image.mode == "CMYK"  # little ink is light, not dark
        return image, not ink and bool((colours <= DARK // 256).all())
    low, high = samples.range
    if high - low < 2**15:
        raise ValueError(
            f"it declares the range {_formatted(samples.range)} of 16-bit colours, of"
            " which Pillow reads the upper 8 bits alone; save it with 8 bits"
        )
    scaled = values.copy()
    scaled[..., : samples.colours] = _scaled(colours * 257.0, samples.range)
    return Image.frombytes(image.mode, image.size, scaled.tobytes()), False


def _scaled(values: np.ndarray, range_: Range) -> UInt8[np.ndarray, "..."]:
    low, high = range_
    with np.errstate(over="ignore"):  # values far beyond a tiny range
        share = (values.astype(np.float64) - low) / (high - low)
    return np.rint(255 * share.clip(0, 1)).astype(np.uint8)


def _unknown(values: np.ndarray, samples: Samples) -> str:
    finite = values[np.isfinite(values)]
    extent = ", none of them finite,"
    if finite.size:
        extent = f" from {_formatted((finite.min(), finite.max()))}"
        if finite.size < values.size:
            extent += f" (and {values.size - finite.size:,} NaN or infinite)"
    declares = "no range"
    if samples.declared:
        declares = f"the range {_formatted(samples.declared[0])}, which is none,"
    todo = "save it with 8 bits"
    if samples.tiff:
        todo += ", or declare it in the tags SMinSampleValue and SMaxSampleValue"
    return (
        f"it holds {samples.bits}-bit {samples.kind}{extent} and declares {declares}"
        f" for black and white; {todo}"
    )


def _formatted(range_: Range) -> str:
    low, high = range_
    return f"{low:,.6g} to {high:,.6g}"


def kind_of_tiff(data: bytes) -> str | None:
    """Describes a TIFF that Pillow does not open; None where it is no TIFF."""
    from PIL import TiffImagePlugin

    if data[:4] not in TiffImagePlugin.PREFIXES:
        return None
    long = data[2:4] in (b"\x2b\x00", b"\x00\x2b")  # BigTIFF
    tags = TiffImagePlugin.ImageFileDirectory_v2(data[: 16 if long else 8])
    stream = io.BytesIO(data)
    stream.seek(tags.next)
    tags.load(stream)
    bits = max(tags[BITS_PER_SAMPLE])
    kind = KINDS.get(max(tags.get(SAMPLE_FORMAT, (1,))), "integers")
    channels = tags.get(SAMPLES_PER_PIXEL, 1)
    return f"a TIFF of {channels} x {bits}-bit {kind}"
