"""Embeddings of any number of images by one compiled function."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float

from jml.data import Images
from jml.models import embed, with_bfloat16_kernels
from jml.training import (
    batch_sharding,
    data_mesh,
    local_rows,
    prefetch,
    replicated_sharding,
    split_batch,
)

IN_FLIGHT = 2  # batches on the device at once, beside the one being computed
CPU_PIXELS = 2**19  # at once on a CPU
T = TypeVar("T")


class Embedder:
    """The embeddings of images, batch by batch, by one compiled function.

    The last batch is padded, so that the function serves all batches. `load` makes what
    is easier to use; this is for networks in training.
    """

    def __init__(
        self,
        graphdef: Any,
        prepare: Callable[[Array], Array],
        mesh: Mesh | None = None,
        *,
        bfloat16: bool = False,
    ) -> None:
        """Takes a network.

        Args:
            graphdef: its structure.
            prepare: from uint8 images to its input, on the device.
            mesh: the devices that share each batch. Each process reads its
                `local_rows`.
            bfloat16: compute convolutions in bfloat16.
        """
        self._mesh = data_mesh(jax.local_devices()[:1]) if mesh is None else mesh

        @partial(jax.jit, out_shardings=replicated_sharding(self._mesh))
        def embed_batch(params: Any, batch_stats: Any, images: Array) -> Array:
            params = with_bfloat16_kernels(params) if bfloat16 else params
            return embed(graphdef, params, batch_stats, prepare(images), train=False)[0]

        self._embed_batch = embed_batch

    def lower(
        self, params: Any, batch_stats: Any, shape: tuple[int, ...], batch_size: int
    ) -> jax.stages.Lowered:
        """Returns the program that a call for images of this shape runs."""
        size = images_at_once(self._mesh, shape[1], batch_size, shape[0])
        by_rows = batch_sharding(self._mesh)
        batch = jax.ShapeDtypeStruct((size, *shape[1:]), np.uint8, sharding=by_rows)
        return self._embed_batch.lower(params, batch_stats, batch)

    def __call__(
        self, params: Any, batch_stats: Any, images: Images, batch_size: int
    ) -> Float[np.ndarray, "n d"]:
        """Computes the embeddings of all images."""
        total, side = images.shape[:2]
        size = images_at_once(self._mesh, side, batch_size, total)
        rows, starts = local_rows(size), range(0, total, size)
        ahead = prefetch(
            lambda start: images[start + rows.start : start + rows.stop], starts
        )
        run = partial(self.run, params, batch_stats, size=rows.stop - rows.start)
        return np.concatenate(list(few_in_flight(run, ahead)))[:total]

    def run(
        self, params: Any, batch_stats: Any, images: np.ndarray, *, size: int
    ) -> Array:
        """Begins to embed a batch, padded to `size` images of this process."""
        missing = size - len(images)
        padded = np.pad(images, [(0, missing), (0, 0), (0, 0), (0, 0)])
        return self._embed_batch(params, batch_stats, split_batch(self._mesh, padded))


def images_at_once(mesh: Mesh, side: int, batch_size: int, most: int) -> int:
    """How many images the devices of a mesh compute at once, each as many.

    On CPUs a matrix product of other numbers of rows is rounded otherwise. There the
    number depends on the size of the images alone, and is large enough to be fast: an
    image has the same embedding in any company, to the last bit.

    Args:
        mesh: the devices.
        side: of the images, in pixels.
        batch_size: images in a batch, if the devices are no CPUs.
        most: images that there are.
    """
    if mesh.devices.flat[0].platform == "cpu":
        fitting = CPU_PIXELS // side**2
        share = min(64, max(8, 1 << max(0, fitting.bit_length() - 1)))
        return share * mesh.size
    size = min(batch_size, most)
    return size + -size % mesh.size


def few_in_flight(
    run: Callable[[T], Array], batches: Iterable[T]
) -> Iterator[np.ndarray]:
    """Yields the result of each batch; few of them are on the device at once."""
    running: deque[Array] = deque()
    for batch in batches:
        running.append(run(batch))
        if len(running) > IN_FLIGHT:
            yield np.asarray(running.popleft())
    while running:
        yield np.asarray(running.popleft())
