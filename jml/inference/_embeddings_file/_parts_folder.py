"""A folder of parts on disk: which are there, of what, and how one is written."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from jml._names import quoted
from jml._whole_files import remove, writing
from jml.errors import UserError

from ._formats import format_of
from ._lock import lock_folder, release
from ._manifest import differences, write_manifest
from ._metadata import difference
from ._part import Part
from ._table import Contents, Table


class PartsFolder:
    """The parts of one shard of a collection; beside them, those of other shards."""

    def __init__(self, path: Path, first: Part, model: dict[str, Any], *, stays: bool):
        """Takes where the parts are, or will be.

        Args:
            path: of the result.
            first: a part of the shard.
            model: what embeds.
            stays: the result is this folder, which machines fill together. Else it is a
                file, and the folder is beside it until that is whole.
        """
        self.first, self.stays, self._path = first, stays, path
        self._model, self._suffix, self._format = model, path.suffix, format_of(path)
        self.place, self._manifest = path, path.with_name(f"{path.name}.json")
        if not stays:
            self.place = path.with_name(f"{path.name}.parts")
            self._manifest = self.place / "manifest.json"

    def parts(self) -> list[Part]:
        """All parts of the shard."""
        return [self.first._replace(number=i) for i in range(self.first.of_shard())]

    def is_of(self, manifest: dict[str, Any]) -> bool:
        """Whether the folder is there, and of this manifest."""
        return differences(self._manifest, manifest) == []

    def open(self, manifest: dict[str, Any], *, overwrite: bool) -> None:
        """Makes the folder, or goes on with one of the same manifest.

        Raises:
            UserError: it is of something else, or cannot be written.
        """
        if self._path.is_dir() != self.stays and self._path.exists():
            kind = "a file" if self.stays else "a folder of parts"
            raise UserError(
                f"`path`: {quoted(self._path)} is {kind}; choose another, or remove it."
            )
        with writing(self.place, "`path`"):
            self.place.mkdir(parents=True, exist_ok=True)
            if not self.stays:
                lock_folder(self.place)
            differing = differences(self._manifest, manifest)
            if differing and not overwrite:
                raise UserError(
                    f"`path`: {quoted(self.place)} has parts of embeddings with another"
                    f" {' and another '.join(differing)}; choose another, or pass"
                    " `overwrite=True`."
                )
            if differing is None and not overwrite and self._has_files():
                raise UserError(
                    f"`path`: {quoted(self.place)} has {self._suffix} files that no"
                    f" {quoted(self._manifest)} speaks of; choose another, or pass"
                    " `overwrite=True`, which removes them."
                )
            if differing != []:
                self._remove_others()
                write_manifest(self._manifest, manifest)

    def _has_files(self) -> bool:
        """Whether there are files of embeddings, of whatever program."""
        return any(file.suffix == self._suffix for file in self.place.iterdir())

    def _remove_others(self) -> None:
        """Removes this shard's parts, and those that belong to no shard.

        Other shards' may be new: their machines see the new manifest, and replace what
        is of the old one.
        """
        own = {self._file(part) for part in self.parts()}
        layout = f"-of-{self.first.shards:05}-"
        for file in list(self.place.iterdir()):
            if not self.stays:
                if file.name != "lock":
                    remove(file)
            elif file.suffix == self._suffix:
                if file in own or layout not in file.name:
                    remove(file)

    def remove(self) -> None:
        """Removes the folder, once the file is whole."""
        shutil.rmtree(self.place, ignore_errors=True)
        release(self.place)

    def _file(self, part: Part) -> Path:
        return self.place / part._replace(unreadable={}).file_name(self._suffix)

    def table(self, part: Part) -> Table | None:
        """What the file of a part says; None: it is missing, or of something else."""
        path = self._file(part)
        if not self._format.is_whole(path):
            return None
        with suppress(UserError):
            table = self._format.head(path)
            if (
                table.part is not None
                and table.part._replace(unreadable={}) == part
                and table.part.images_there() == table.rows
                and difference(table.model, self._model) is None
            ):
                return table
        return None

    def tables(self) -> list[Table]:
        """What all files of the shard say.

        Raises:
            UserError: some are missing.
        """
        tables = [self.table(part) for part in self.parts()]
        whole = [table for table in tables if table is not None]
        if len(whole) < len(tables):
            raise UserError(
                f"`path`: {len(tables) - len(whole):,} of {len(tables):,} parts in"
                f" {quoted(self.place)} are missing; embed their images."
            )
        return whole

    def write(self, part: Part, contents: Contents) -> None:
        """Writes a part, whole."""
        with writing(self.place, "`path`"):
            self._format.write(self._file(part), contents)
