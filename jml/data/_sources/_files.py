"""Images that are files, and the folder that they must lie in."""

import hashlib
import os
from collections.abc import Hashable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from jml._regular_files import open_regular
from jml.data._messages import quote

from ._problems import Problem

END = 4096  # bytes at the end of a file


class File(NamedTuple):
    """An image that is a file."""

    path: str  # not a Path, which takes ten times the memory

    @property
    def name(self) -> str:
        """The path."""
        return self.path

    def read(self) -> bytes:
        """Returns the bytes of the file."""
        with open_regular(self.path) as file:
            return file.read()

    def stamp(self) -> str:
        """Returns the size and the time of the last change."""
        try:
            status = os.stat(self.path)
        except OSError as error:
            return error.strerror or "unreadable"
        return f"{status.st_size} {status.st_mtime_ns}"

    def content(self, depth: int) -> Hashable:
        """Returns the size, a digest of the end, or a digest of all bytes.

        Files of one kind begin alike; at the end a PNG even has its checksum.

        Args:
            depth: 0, 1 or 2 for the three.

        Raises:
            OSError: there is no such file, it is empty, or it cannot be read.
        """
        if depth == 0:
            size = os.stat(self.path).st_size
            if not size:  # a pipe has no size either, and reading one would block
                raise OSError("nothing to read")
            return size
        with open(self.path, "rb", buffering=0) as file:
            if depth == 2:
                return hashlib.file_digest(file, "blake2b").digest()
            file.seek(max(0, file.seek(0, os.SEEK_END) - END))
            return hashlib.blake2b(file.read(END)).digest()


class ImageFolder:
    """A folder of images; paths that lead out of it are refused."""

    def __init__(self, folder: str | os.PathLike) -> None:
        """Resolves the links on the way to the folder."""
        self.folder = Path(folder)
        self._real = os.path.realpath(folder)
        self._relative: dict[PurePosixPath, str | None] = {}
        self._links: dict[PurePosixPath, str] = {}

    def file(self, path: str) -> File:
        """Returns the image that a list names.

        A path counts from the folder, or is absolute and leads into it. What the folder
        itself holds may be a link to anywhere.

        Raises:
            Problem: the image would lie outside the folder.
        """
        # Windows separates folders by a backslash, which is also the second byte of
        # letters in Shift-JIS and GBK, and may be a part of any name.
        exact = "\\" in path and os.path.lexists(os.path.join(self.folder, path))
        spelled = PurePosixPath(path if exact else path.replace("\\", "/"))
        plain = not spelled.is_absolute() and ".." not in spelled.parts
        if "\0" in path:
            raise Problem(f"{quote(path)} holds a character that no path has")
        if plain:
            return File(os.path.join(self.folder, spelled))
        parent = self._path_from_here(spelled.parent)
        if parent is None or spelled.name in ("", ".."):
            raise Problem(f"{quote(path)} leaves the data root")
        return File(os.path.join(self.folder, parent, spelled.name))

    def _path_from_here(self, folder: PurePosixPath) -> str | None:
        """The relative path of another folder; None where it lies outside."""
        if folder not in self._relative:
            self._relative[folder] = self._resolve(folder)
        return self._relative[folder]

    def _resolve(self, folder: PurePosixPath) -> str | None:
        if ".." not in folder.parts:
            for above in (*reversed(folder.parents), folder):
                if above not in self._links:
                    self._links[above] = os.path.realpath(above)
                if self._links[above] == self._real:
                    return str(folder.relative_to(above))
        real = os.path.realpath(os.path.join(self.folder, folder))
        if os.path.commonpath([real, self._real]) == self._real:
            return os.path.relpath(real, self._real)
        return None
