"""Folders of images: which are there, and what is beside them that is not read."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jml.data._decoding._image_file import readable_extensions

from ._found import is_folder, is_hidden
from ._problems import counted, name_some

# Formats of pictures, of which Pillow may read some: of phones, cameras, programs.
FORMATS = frozenset(
    (
        ".heic .heif .hif .avif .avifs .jxl .jxr .jp2 .j2k .webp .svg .svgz .psd .psb"
        " .xcf .exr .hdr .tif .tiff .png .jpg .jpeg .gif .bmp .dng .cr2 .cr3 .crw .nef"
        " .nrw .arw .srf .sr2 .orf .rw2 .raf .pef .srw .x3f .3fr .iiq .erf .kdc .mrw"
        " .raw .dcm"
    ).split()
)


class Contents(NamedTuple):
    """What is directly in a folder, by name; nothing hidden."""

    folders: list[Path]
    images: list[str]
    unread: Counter  # files of formats that are not read, by extension
    links: list[str]  # names of links that lead nowhere


class Scan(NamedTuple):
    """The images of a class."""

    path: Path
    images: list[str]
    below: int  # images in deeper folders, where these are not read
    unread: Counter  # as in `Contents`, deeper folders included
    links: list[str]
    fault: str | None  # why the folder cannot be listed, or a deeper one to be read

    def in_their_place(self) -> str:
        """What a folder without images has."""
        found = [f"{count:,} {suffix}" for suffix, count in sorted(self.unread.items())]
        if self.below:
            found.append(f"{self.below:,} in folders below it")
        return self.fault or ", ".join(found)


def contents(path: str | os.PathLike) -> Contents:
    """Lists a folder; an OSError where that cannot be done."""
    known = readable_extensions()
    with os.scandir(path) as entries:
        entries = [entry for entry in entries if not is_hidden(entry.name)]
    found = Contents([], [], Counter(), [])
    for entry in sorted(entries, key=lambda entry: entry.name):
        suffix = os.path.splitext(entry.name)[1].lower()
        if is_folder(entry):
            found.folders.append(Path(entry.path))
        elif suffix in known:
            found.images.append(entry.path)
        elif suffix in FORMATS:
            found.unread[suffix] += 1
        elif entry.is_symlink() and not os.path.exists(entry.path):
            found.links.append(entry.name)
    return found


def scan(path: Path, *, nested: bool) -> Scan:
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
            found = contents(folder)
        except OSError as error:
            if nested or folder is path:
                fault = fault or f"{str(folder)!r} cannot be listed: {error.strerror}"
            continue
        if nested or folder is path:
            images += found.images
        else:
            below += len(found.images)
        unread += found.unread
        links += found.links
        for deeper in reversed(found.folders):
            identity = _identity(deeper)
            if identity not in seen:
                seen.add(identity)
                pending.append(deeper)
    return Scan(path, images, below, unread, links, fault)


def left_out_note(
    name: str, parts: Sequence[Contents], scans: Sequence[Scan]
) -> list[str]:
    """What is beside the images that are read: a line, where there is anything.

    Args:
        name: of the data set.
        parts: what is in the folders that hold those of classes.
        scans: of the folders of classes.
    """
    below = sum(found.below for found in scans)
    loose = sum(len(found.images) for found in parts)
    unread = sum((found.unread for found in (*parts, *scans)), Counter())
    links = [link for found in (*parts, *scans) for link in found.links]
    left = []
    if below:
        where = "in folders below a class's, which --nested reads"
        left.append(f"{counted(below, 'image')} {where}")
    if unread:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in unread.most_common())
        left.append(f"files that Pillow does not read: {kinds}")
    if loose:
        left.append(f"{counted(loose, 'image')} in no class's folder")
    if links:
        left.append(f"links that lead nowhere: {name_some(links)}")
    return [f"{name}: left out are {'; '.join(left)}"] if left else []


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
