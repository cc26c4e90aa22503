"""The embeddings of a collection, written in parts, so that work may be interrupted."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from jml._names import quoted
from jml._value_checks import check_integer, check_path
from jml._whole_files import writing
from jml.errors import UserError
from jml.inference._embeddings import Embeddings

from ._formats import format_of
from ._manifest import digest_of_listing, manifest_of
from ._metadata import difference
from ._part import Part
from ._parts_folder import PartsFolder
from ._read import read_tables
from ._table import Contents
from ._write import check_fit

_NAME = "EmbeddingParts"


class EmbeddingParts:
    """Writes the embeddings of a collection part by part, and joins the parts.

    `begin` says which parts are missing, `write` writes one, `finish` makes the file.
    A part is of the same images however often the work was interrupted, and is there
    whole or not at all. Workers may write parts of one object, which can be pickled.

    Args:
        path: X.parquet or X.npy, which is one file once it is whole; until then its
            parts are in the folder X.parquet.parts beside it.
        paths: of the images of the whole collection.
        labels: of the same; None where none is known.
        model: what embeds them, as `Embeddings` has it.
        shard: of these `shards`, counted from 0: every so many-th image.
        shards: how many there are; then X.parquet is a folder of parts and stays one.
            None: all images are of this one, and one file is made.
        size: images of a part.

    Raises:
        UserError: the suffix of `path` is wrong.
        ValueError: a number is out of range.

    Example:
        >>> import tempfile
        >>> path = f"{tempfile.mkdtemp()}/x.npy"
        >>> model = {"model": "runs/a", "digest": 64 * "0", "metric": "euclidean"}
        >>> parts = EmbeddingParts(path, ["a.jpg", "b.jpg"], None, model, size=1)
        >>> for part in parts.begin():
        ...     parts.write(part, np.ones((1, 4), np.float32))
        >>> parts.finish()
        2
    """

    def __init__(
        self,
        path: str | os.PathLike,
        paths: Sequence[str],
        labels: Sequence[str | None] | None,
        model: Mapping[str, Any],
        *,
        shard: int = 0,
        shards: int | None = None,
        size: int = 1024,
    ) -> None:
        self.path: Path = check_path(_NAME, "path", path)
        check_integer(_NAME, "size", size, least=1)
        check_integer(_NAME, "shard", shard)
        check_integer(_NAME, "shards", shards or 1, least=shard + 1)
        self._format = format_of(self.path)
        if shards is not None and self.path.suffix.lower() != ".parquet":
            raise UserError(
                f"`path`: {quoted(self.path)} must end in .parquet where it is a folder"
                " of parts."
            )
        self._paths, self._labels, self._model = paths, labels, dict(model)
        listing = digest_of_listing(paths, labels)
        first = Part(len(paths), 0, size, shard, shards or 1, listing)
        stays = shards is not None
        self._folder = PartsFolder(self.path, first, self._model, stays=stays)
        self._begun = False  # there may be parts

    def parts(self) -> list[Part]:
        """All parts of this shard, missing or not."""
        return self._folder.parts()

    def begin(self, *, overwrite: bool = False) -> list[Part]:
        """Makes the folder of the parts, or finds it.

        Args:
            overwrite: replace embeddings of other images, or of another model; and
                those that are whole.

        Returns:
            The parts that are missing; none where the result is whole already.

        Raises:
            UserError: there are embeddings of something else, or the place cannot be
                written.
        """
        folder, first = self._folder, self._folder.first
        facts = {"images": first.images, "listing": first.listing, "size": first.size}
        manifest = manifest_of(self._model, shards=first.shards, **facts)
        self._begun = folder.stays or overwrite or not self._is_whole()
        if not self._begun:
            folder.remove()
            return []
        if not folder.stays and not overwrite and self._format.is_there(self.path):
            # Of three files, those of a killed process are replaced.
            if self._format.is_whole(self.path) or not folder.is_of(manifest):
                raise UserError(
                    f"`path`: {quoted(self.path)} exists; choose another, or pass"
                    " `overwrite=True`."
                )
        folder.open(manifest, overwrite=overwrite)
        missing = [part for part in folder.parts() if folder.table(part) is None]
        again = folder.stays and overwrite and not missing
        return folder.parts() if again else missing

    def _is_whole(self) -> bool:
        """Whether the file is there, of these images and this model."""
        if self.path.is_dir() or not self._format.is_whole(self.path):
            return False
        with suppress(UserError):
            model = self._format.head(self.path).model
            if model.get("listing") == self._folder.first.listing:
                return difference(model, self._model) is None
        return False

    def write(
        self,
        part: Part,
        vectors: Float32[np.ndarray, "n d"],
        unreadable: Mapping[int, str] | None = None,
    ) -> None:
        """Writes a part; a UserError where that cannot be done.

        Args:
            part: one that `begin` returned.
            vectors: the embeddings of its images, in the order of their rows.
            unreadable: rows, in the collection, of those that cannot be read, which
                have no embedding; and the reason of each.
        """
        part = part._replace(unreadable=dict(unreadable or {}))
        part.check()
        rows, labels = part.readable(), self._labels
        piece = Embeddings(
            vectors,
            [self._paths[row] for row in rows],
            None if labels is None else [labels[row] for row in rows],
            self._model,
        )
        check_fit(f"{_NAME}.write", piece)
        rows, columns = vectors.shape
        self._folder.write(part, Contents([piece], rows, columns, self._model, part))

    def unreadable(self) -> dict[int, str]:
        """The rows of images that cannot be read, and the reason of each."""
        parts = [table.part for table in self._folder.tables() if table.part]
        reasons = {row: why for part in parts for row, why in part.unreadable.items()}
        return dict(sorted(reasons.items()))

    def finish(self) -> int:
        """Joins the parts to one file, and removes them; of a shard, counts them.

        Returns:
            The number of embeddings; likewise where the result was whole already.

        Raises:
            UserError: no image could be read, a part is missing, or the file cannot be
                written.
        """
        if not self._folder.stays and not self._begun and self._is_whole():
            return self._format.head(self.path).rows
        tables, images = self._folder.tables(), self._folder.first.images
        rows = sum(table.rows for table in tables)
        if self._folder.stays:
            return rows
        if not rows:
            reason = next(iter(self.unreadable().values()), "there are none")
            raise UserError(
                f"`images`: none of {images:,} images can be read; of the first:"
                f" {reason}; pass others."
            )
        pieces = (read_tables([table]) for table in tables)
        facts = {"images": images, "listing": self._folder.first.listing}
        model = self._model | facts | {"unreadable": images - rows}
        with writing(self.path, "`path`"):
            contents = Contents(pieces, rows, tables[0].columns, model)
            self._format.write(self.path, contents)
        self._folder.remove()
        return rows
