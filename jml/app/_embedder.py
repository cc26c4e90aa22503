"""Embeddings of any number of images by one compiled function."""

from collections.abc import Callable
from functools import partial
from typing import Any

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


class Embedder:
    """The embeddings of images, batch by batch, by one compiled function.

    The last batch is padded, so that the function serves all batches.
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
        shape = self._size(shape[0], batch_size), *shape[1:]
        by_rows = batch_sharding(self._mesh)
        batch = jax.ShapeDtypeStruct(shape, np.uint8, sharding=by_rows)
        return self._embed_batch.lower(params, batch_stats, batch)

    def __call__(
        self, params: Any, batch_stats: Any, images: Images, batch_size: int
    ) -> Float[np.ndarray, "n d"]:
        """Computes the embeddings of all images."""
        batches: list[Array | np.ndarray] = []
        batch_size = self._size(len(images), batch_size)
        rows = local_rows(batch_size)
        starts = range(0, len(images), batch_size)
        for local in prefetch(
            lambda start: images[start + rows.start : start + rows.stop], starts
        ):
            missing = rows.stop - rows.start - len(local)
            padded = np.pad(local, [(0, missing), (0, 0), (0, 0), (0, 0)])
            batch = split_batch(self._mesh, padded)
            batches.append(self._embed_batch(params, batch_stats, batch))
            if len(batches) > IN_FLIGHT:  # waits, so that few batches are on the device
                batches[-1 - IN_FLIGHT] = np.asarray(batches[-1 - IN_FLIGHT])
        return np.concatenate(batches)[: len(images)]

    def _size(self, images: int, batch_size: int) -> int:
        """How many images a batch has: each device gets as many as the others."""
        size = min(batch_size, images)
        return size + -size % self._mesh.size
