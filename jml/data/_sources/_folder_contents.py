"""What is in folders of images, and what is beside them that is not read."""

import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from jml._names import quoted
from jml.data._decoding import readable_extensions

from ._search import is_folder, is_hidden

# Image formats of phones, cameras and programs. Pillow reads some of them.
FORMATS = frozenset(
    (
        ".heic .heif .hif .avif .avifs .jxl .jxr .jp2 .j2k .webp .svg .svgz .psd .psb"
        " .xcf .exr .hdr .tif .tiff .png .jpg .jpeg .gif .bmp .dng .cr2 .cr3 .crw .nef"
        " .nrw .arw .srf .sr2 .orf .rw2 .raf .pef .srw .x3f .3fr .iiq .erf .kdc .mrw"
        " .raw .dcm"
    ).split()
)


class Contents(NamedTuple):
    """What is directly in a folder, by name; hidden files are left out."""

    folders: list[Path]
    images: list[str]
    unread: Counter[str]  # files of formats that Pillow does not read, by extension
    links: list[str]  # names of links that lead nowhere


class Scan(NamedTuple):
    """The images of one class."""

    path: Path
    images: list[str]
    below: int  # images in deeper folders, where these are not read
    unread: Counter[str]  # as in `Contents`, deeper folders included
    links: list[str]
    fault: str | None  # why a folder that should be read cannot be listed

    def instead_of_images(self) -> str:
        """What a folder holds that has no images."""
        parts = [f"{total:,} {suffix}" for suffix, total in sorted(self.unread.items())]
        if self.below:
            parts.append(f"{self.below:,} in folders below it")
        return self.fault or ", ".join(parts)


def contents(path: str | os.PathLike) -> Contents:
    """Lists a folder.

    Raises:
        OSError: it cannot be listed.
    """
    readable = readable_extensions()
    with os.scandir(path) as entries:
        entries = [entry for entry in entries if not is_hidden(entry.name)]
    result = Contents([], [], Counter(), [])
    for entry in sorted(entries, key=lambda entry: entry.name):
        suffix = os.path.splitext(entry.name)[1].lower()
        if is_folder(entry):
            result.folders.append(Path(entry.path))
        elif suffix in readable:
            result.images.append(entry.path)
        elif suffix in FORMATS:
            result.unread[suffix] += 1
        elif entry.is_symlink() and not os.path.exists(entry.path):
            result.links.append(entry.name)
    return result


def scan_folder(path: Path, *, nested: bool) -> Scan:
    """Finds the images of a class, with those of the folders below it if `nested`.

    Each folder is read once, so that links may lead anywhere.
    """
    images: list[str] = []
    below, unread, links, fault = 0, Counter(), [], None
    above = (path, *path.absolute().parents)
    pending, seen = [path], {_identity(folder) for folder in above}
    while pending:
        folder = pending.pop()
        try:
            inside = contents(folder)
        except OSError as error:
            if nested or folder is path:
                fault = fault or f"{quoted(folder)} cannot be listed: {error.strerror}"
            continue
        if nested or folder is path:
            images += inside.images
        else:
            below += len(inside.images)
        unread += inside.unread
        links += inside.links
        for deeper in reversed(inside.folders):
            identity = _identity(deeper)
            if identity not in seen:
                seen.add(identity)
                pending.append(deeper)
    return Scan(path, images, below, unread, links, fault)


def _identity(path: Path) -> tuple[int, int] | None:
    """Equal for two paths of one folder."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
