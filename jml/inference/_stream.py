"""Images embedded batch by batch: threads read ahead of the devices."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import numpy as np
from jaxtyping import Array, Float32, Int

from jml._blocks_of_rows import rows_not_finite
from jml.data import BadImageError
from jml.errors import UserError
from jml.training import prefetch

from ._embedder import few_in_flight
from ._inputs import Batch, Inputs

MOST_THREADS = 32  # that read; also on a machine of very many cores

# A batch of uint8 squares, and the number that it is padded to; to embeddings.
Program = Callable[[np.ndarray, int], Array]
# The rows of a batch's images, and their embeddings.
Embedded = tuple[Int[np.ndarray, " b"], Float32[np.ndarray, "b d"]]
# Called with the row of an image that cannot be read, and with why.
OnBad = Callable[[int, BadImageError], object]


def embed_stream(
    inputs: Inputs,
    program: Program,
    size: int,
    on_bad: OnBad | None,
) -> Iterator[Embedded]:
    """Yields the rows and the embeddings of each batch, in order.

    Args:
        inputs: the images.
        program: embeds a batch.
        size: images that the program gets at a time; the last batch is padded.
        on_bad: called for each image that is left out.
    """
    running: deque[Batch] = deque()

    def begin(batch: Batch) -> Array:
        running.append(batch)
        return program(batch.pixels, size)

    with ThreadPoolExecutor(_threads(), thread_name_prefix="decode") as pool:

        def read(start: int) -> Batch:
            return inputs.read(pool, range(start, min(start + size, total)))

        total = len(inputs)
        with closing(prefetch(read, range(0, total, size))) as ahead:
            for vectors in few_in_flight(begin, ahead):
                batch = running.popleft()
                for row, error in batch.bad:
                    if on_bad is not None:
                        on_bad(row, error)
                vectors = vectors[: len(batch.rows)]
                _check_finite(batch, vectors)
                yield batch.rows, vectors


def _threads() -> int:
    cores = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))(0)
    return min(MOST_THREADS, max(4, len(cores)))


def _check_finite(batch: Batch, vectors: Float32[np.ndarray, "b d"]) -> None:
    broken = rows_not_finite(vectors)
    if len(broken):
        raise UserError(
            f"`path`: the network gives embeddings that are not finite, first of image"
            f" {batch.rows[broken[0]]}; pass another run, or train with a lower rate."
        )
