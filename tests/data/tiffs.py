"""TIFF files of any samples, written by hand: Pillow writes few kinds and ranges."""

import struct

import numpy as np

FORMATS = {"u": 1, "i": 2, "f": 3}
TYPES = {2: "s", 3: "H", 4: "I", 8: "h", 9: "i", 11: "f", 12: "d"}
S_MIN, S_MAX, MIN, MAX, ORIENTATION = 340, 341, 280, 281, 274


def tiff(samples, *tags, endian="<", photometric=None, bits=None):
    """An uncompressed TIFF of [h, w] or [h, w, c], with more tags: (tag, type, values).

    `bits` says less than the dtype has, of rows that are packed already.
    """
    height, width, *rest = samples.shape
    channels = rest[0] if rest else 1
    kind = samples.dtype
    data = samples.astype(kind.newbyteorder(endian)).tobytes()
    if bits is not None:
        width = width * 8 // bits
    if photometric is None:
        photometric = 2 if channels > 2 else 1
    entries = [
        (256, 4, [width]),
        (257, 4, [height]),
        (258, 3, [bits or 8 * kind.itemsize] * channels),
        (259, 3, [1]),
        (262, 3, [photometric]),
        (273, 4, [0]),  # where the data begin: filled in below
        (277, 3, [channels]),
        (278, 4, [height]),
        (279, 4, [len(data)]),
        (339, 3, [FORMATS[kind.kind]] * channels),
        *([(338, 3, [2])] if channels == 4 else []),
        *tags,
    ]
    directory, long = _directory(sorted(entries), endian)
    head = b"II" if endian == "<" else b"MM"
    head += struct.pack(endian + "HIH", 42, 8, len(entries))
    return head + directory + bytes(4) + long + data


def _directory(entries, endian):
    """The entries in bytes, and after them the values that are too long for one."""
    start = 8 + 2 + 12 * len(entries) + 4
    packed = [
        b"".join(struct.pack(endian + TYPES[t], v) for v in values)
        for _, t, values in entries
    ]
    room = sum(len(value) for value in packed if len(value) > 4)
    directory, long = b"", b""
    for (tag, t, values), value in zip(entries, packed, strict=True):
        if tag == 273:
            value = struct.pack(endian + "I", start + room)
        elif len(value) > 4:
            long += value
            value = struct.pack(endian + "I", start + len(long) - len(value))
        directory += struct.pack(endian + "HHI", tag, t, len(values))
        directory += value.ljust(4, b"\0")
    return directory, long


def ramp(kind, white):
    """Nine rows from 0 to `white`."""
    row = np.linspace(0, white, 9)
    return np.tile(row, (9, 1)).astype(kind)
