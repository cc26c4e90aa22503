"""Scalars for TensorBoard, without TensorFlow or PyTorch.

The libraries that write these files import one of the two if it is installed, which
takes seconds. A file is a sequence of records, each framed by its length and checksums.
A record is an ``Event`` of TensorBoard's protocol buffers; scalars need few of its
fields.
"""

import struct
import time
from collections.abc import Mapping
from pathlib import Path

_TABLE = [0] * 256
for _byte in range(256):
    _value = _byte
    for _ in range(8):
        _value = (_value >> 1) ^ (0x82F63B78 if _value & 1 else 0)
    _TABLE[_byte] = _value


class EventFile:
    """A new event file in a folder; TensorBoard merges all files of a folder."""

    name = "tensorboard"

    def __init__(self, folder: Path, *, first_step: int = 0) -> None:
        """Opens the file. It replaces what earlier ones have from `first_step` on."""
        folder.mkdir(parents=True, exist_ok=True)
        number = time.time_ns() // 1000
        self._file = (folder / f"events.out.tfevents.{number}").open("xb")
        self._write(_bytes(3, b"brain.Event:2"))
        start = _varint(1 << 3) + _varint(1)  # SessionLog.START
        self._write(_varint(2 << 3) + _varint(first_step) + _bytes(7, start))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Adds scalars, but for those that float32 cannot hold."""
        scalars = b"".join(
            _bytes(1, _bytes(1, name.encode()) + _number(2, "<f", value))
            for name, value in values.items()
            if abs(value) < 3.4e38
        )
        self._write(_varint(2 << 3) + _varint(step) + _bytes(5, scalars))

    def close(self) -> None:
        """Ends the file."""
        self._file.close()

    def _write(self, fields: bytes) -> None:
        event = _number(1, "<d", time.time()) + fields
        length = struct.pack("<Q", len(event))
        self._file.write(length + _checksum(length) + event + _checksum(event))
        self._file.flush()


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _number(field: int, kind: str, value: float) -> bytes:
    wire = 1 if kind == "<d" else 5
    return _varint(field << 3 | wire) + struct.pack(kind, value)


def _checksum(data: bytes) -> bytes:
    """Returns the CRC-32C, masked as the format prescribes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 255] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
