"""Embeds images into parts of a file, which appear one after the other."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from jml.data import BadImageError
from jml.inference import EmbeddingParts, Part, TrainedModel

from ._what_to_embed import ToEmbed, some


def embed_in_parts(
    model: TrainedModel,
    wanted: ToEmbed,
    parts: EmbeddingParts,
    missing: Sequence[Part],
    *,
    progress: Callable[[Iterable, int], Iterable],
    **options: Any,
) -> None:
    """Embeds the images of some parts, and writes each part as soon as it is whole.

    The images go through the network without a pause between the parts.

    Args:
        model: the network.
        wanted: all images.
        parts: takes the embeddings.
        missing: the parts to embed.
        progress: called with an iterable over the images and their number.
        options: of ``TrainedModel.embed_batches``.
    """
    rows = [row for part in missing for row in part.rows()]
    waiting = Waiting(parts, missing, model.dim)

    def note(at: int, error: BadImageError) -> None:
        waiting.leave_out(rows[at], error.reason)

    batches = model.embed_batches(some(wanted.images, rows), on_bad=note, **options)

    def done() -> Iterator[int]:
        for _, vectors in batches:
            yield from waiting.add(vectors)

    for _ in progress(done(), len(rows)):
        pass


class Waiting:
    """Embeddings, in the order of their images, whose part is not whole yet."""

    def __init__(
        self, parts: EmbeddingParts, missing: Sequence[Part], columns: int
    ) -> None:
        """Waits for the first of the missing parts."""
        self._parts, self._missing = parts, deque(missing)
        self._vectors: list[np.ndarray] = [np.empty((0, columns), np.float32)]
        self._count = 0  # of the vectors
        self._done = 0  # images, with those that cannot be read
        self._unreadable: dict[int, str] = {}

    def leave_out(self, row: int, reason: str) -> None:
        """Notes an image that has no embedding, before its batch comes."""
        self._unreadable[row] = reason

    def add(self, vectors: np.ndarray) -> range:
        """Takes the embeddings of a batch; writes what is whole.

        Returns:
            One number for each image that was done since the last call.
        """
        self._vectors.append(vectors)
        self._count += len(vectors)
        before, self._done = self._done, self._count + len(self._unreadable)
        new = range(before, self._done)
        while self._missing and self._done >= len(rows := self._missing[0].rows()):
            part = self._missing.popleft()
            bad = {row: why for row, why in self._unreadable.items() if row in rows}
            readable = len(rows) - len(bad)
            vectors = np.concatenate(self._vectors)
            self._parts.write(part, vectors[:readable], bad)
            self._vectors = [vectors[readable:]]
            self._count -= readable
            for row in bad:
                del self._unreadable[row]
            self._done -= len(rows)
        return new
