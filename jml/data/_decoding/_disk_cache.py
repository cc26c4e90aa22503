"""Decoded images in a file, which the next run finds again.

A cache is a folder with the pixels and a note, which is written last. The folder gets
its final name when it is complete. The name has a digest of all that the pixels depend
on, so a cache is never out of date: where something changed, another one is made.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from jml._names import name_bytes, quoted
from jml._output import write_err
from jml._whole_files import partial_of
from jml.data._types import Listing
from jml.errors import UserError

from ._decoder import Checked
from ._image_file import fast_decoders

FORMAT = 2  # version of the files and of the decoding; a new one makes new caches
PIXELS, NOTE = "images.npy", "cache.json"


def disk_cache(
    folder: Path,
    listing: Listing,
    shape: tuple[int, int, int, int],
    fill: Callable[[np.ndarray], Checked],
) -> tuple[UInt8[np.ndarray, "n s s 3"], Checked, Path]:
    """Opens the cache of a listing, or makes it.

    Args:
        folder: the folder of all caches.
        listing: the images.
        shape: of the decoded images.
        fill: decodes them into an array.

    Returns:
        The images, read-only and on disk; which are bad or dark; the path of the cache.

    Raises:
        UserError: it cannot be written.
    """
    name = "".join(c if c.isalnum() else "-" for c in listing.name)[:60]
    path = folder / f"{name}-{shape[1]}px-{_digest(listing)}"
    loaded = _load(path, shape)
    if loaded is not None:
        return *loaded, path
    partial = partial_of(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            write_err(f"{quoted(path)} is damaged: decoding anew")
            shutil.rmtree(path)
        partial.mkdir()
        _write(partial, shape, fill)
        with suppress(OSError):  # another run was faster; its cache is used
            partial.rename(path)
    except OSError as error:
        size = np.prod(shape, dtype=np.int64) / 2**20
        raise UserError(
            f"`cache`: cannot write {size:,.0f} MiB to {quoted(folder)}:"
            f" {error.strerror or error}; make room, or pass another `cache_folder` or"
            ' `cache="none"`.'
        ) from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    loaded = _load(path, shape)
    if loaded is None:
        raise UserError(
            f"`cache`: {quoted(path)} was changed while it was made; start again."
        )
    return *loaded, path


def _digest(listing: Listing) -> str:
    digest = hashlib.sha256(f"{FORMAT} {fast_decoders()}".encode())
    for image in listing.images:
        digest.update(name_bytes(f"{image.name}\0{image.stamp()}\0"))
    return digest.hexdigest()[:16]


def _load(
    path: Path, shape: tuple[int, ...]
) -> tuple[UInt8[np.ndarray, "n s s 3"], Checked] | None:
    """The cache, if it exists and is unchanged since it was made."""
    try:
        note = json.loads((path / NOTE).read_text())
        if note["pixels"] != _state(path / PIXELS):
            return None
        images = np.load(path / PIXELS, mmap_mode="r", allow_pickle=False)
        checked = Checked.none(shape[0])
        for name, mask in checked._asdict().items():
            mask[np.array(note[name], int)] = True
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None
    if images.shape != shape or images.dtype != np.uint8:
        return None
    return images, checked


def _write(
    path: Path, shape: tuple[int, ...], fill: Callable[[np.ndarray], Checked]
) -> None:
    pixels = np.lib.format.open_memmap(
        path / PIXELS, mode="w+", dtype=np.uint8, shape=shape
    )
    if hasattr(os, "posix_fallocate"):
        # Claims the room now: a memory-mapped write that finds none later would kill
        # the process.
        with open(path / PIXELS, "r+b") as file:
            os.posix_fallocate(file.fileno(), 0, (path / PIXELS).stat().st_size)
    checked = fill(pixels)
    pixels.flush()
    rows = {k: np.flatnonzero(mask).tolist() for k, mask in checked._asdict().items()}
    note = {"pixels": _state(path / PIXELS), **rows}
    (path / NOTE).write_text(json.dumps(note))


def _state(path: Path) -> list[int]:
    """Size and time of the last change, which differ once a file is changed."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
