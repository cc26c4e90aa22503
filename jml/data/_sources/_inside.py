"""Paths of pictures, however they are spelled, inside one folder and never outside."""

import os
from pathlib import Path, PurePosixPath

from ._listing import File
from ._problems import Problem, quote


class Inside:
    """The pictures of one folder."""

    def __init__(self, folder: str | os.PathLike) -> None:
        """Resolves the links on the way to it."""
        self.folder = Path(folder)
        self._real = os.path.realpath(folder)
        self._found: dict[PurePosixPath, str | None] = {}
        self._links: dict[PurePosixPath, str] = {}

    def file(self, path: str) -> File:
        """The picture that a list names, which must lie inside the folder.

        A path counts from the folder, or is absolute and leads into it. What the
        folder itself holds may be a link to anywhere.

        Raises:
            Problem: the picture would lie elsewhere.
        """
        # Windows parts folders by a backslash, which is also the second byte of letters
        # in Shift-JIS and GBK, and may be a part of any name.
        exact = "\\" in path and os.path.lexists(os.path.join(self.folder, path))
        spelled = PurePosixPath(path if exact else path.replace("\\", "/"))
        plain = not spelled.is_absolute() and ".." not in spelled.parts
        if "\0" in path:
            raise Problem(f"{quote(path)} holds a character that no path has")
        if plain:
            return File(os.path.join(self.folder, spelled))
        above = self._from_here(spelled.parent)
        if above is None or spelled.name in ("", ".."):
            raise Problem(f"{quote(path)} leaves the data root")
        return File(os.path.join(self.folder, above, spelled.name))

    def _from_here(self, folder: PurePosixPath) -> str | None:
        """The way from here to another folder, if it is inside."""
        if folder not in self._found:
            self._found[folder] = self._resolve(folder)
        return self._found[folder]

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
