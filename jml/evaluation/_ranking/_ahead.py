"""Compiles the programs of a search before its vectors exist."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array
from jaxtyping import Integer as Int

from . import _tiles
from ._keys import key_dtype
from ._layout import (
    Gallery,
    Queries,
    SortedGallery,
    Thresholds,
    padded_targets,
    sort_by_class,
    tile_rows,
)
from ._level import first_dtype, mesh_of_search, width
from ._ranks import Batch, plan_batches
from ._search import Search, make_search

WHOLE, SPREAD = P(), P("device")  # how arrays lie on the devices


def compile_search(
    labels: Int[Array | np.ndarray, " n"],
    gallery_labels: Int[Array | np.ndarray, " m"] | None = None,
    *,
    dim: int,
    dtype: Any = np.float32,
    ids: Int[Array | np.ndarray, " n"] | None = None,
    gallery_ids: Int[Array | np.ndarray, " m"] | None = None,
    groups: Int[Array | np.ndarray, " n"] | None = None,
    gallery_groups: Int[Array | np.ndarray, " m"] | None = None,
) -> None:
    """Compiles what ``recall_at_k`` and the rankings of ``evaluate`` will run.

    Call it in a thread, while the embeddings are made: a search of embeddings of width
    `dim` then compiles nothing, unless it repeats queries in float64. Where JAX has a
    default device, the thread needs the same one, by ``jax.default_device``.

    Args:
        labels: class of each query.
        gallery_labels: class of each gallery item; None where the queries are searched
            for among themselves.
        dim: width of the embeddings.
        dtype: float64 for embeddings of float64; all others are searched in float32.
        ids: as in ``evaluate``.
        gallery_ids: as in ``evaluate``.
        groups: as in ``evaluate``.
        gallery_groups: as in ``evaluate``.

    Raises:
        ValueError: wrong shape or dtype, or an argument without its counterpart.

    Example:
        >>> from threading import Thread
        >>> labels = np.array([0, 0, 1, 1])
        >>> thread = Thread(target=lambda: compile_search(labels, dim=8))
        >>> thread.start()  # meanwhile the embeddings are made
        >>> thread.join()
    """
    name, wide = "compile_search", np.dtype(dtype) == np.float64
    narrow = np.float64 if wide else np.float32
    items, gallery = np.zeros((len(labels), 1), narrow), None
    if gallery_labels is not None:
        gallery = np.zeros((len(gallery_labels), 1), narrow)
    search = make_search(
        name,
        items,
        labels,
        gallery,
        gallery_labels,
        ids=ids,
        gallery_ids=gallery_ids,
        groups=groups,
        gallery_groups=gallery_groups,
    )
    layout, first = sort_by_class(search), first_dtype(np.dtype(narrow))
    queries, mesh = np.flatnonzero(layout.relevant), mesh_of_search()
    if not len(queries):
        return
    symmetric, batches = plan_batches(search, layout, queries, mesh.size)
    shapes = _Shapes(search, layout, mesh, first, dim)
    kinds = {batch.targets: batch for batch in batches}.values()  # one of each
    with width(first), ThreadPoolExecutor() as threads:
        programs = (p for batch in kinds for p in shapes.lower(batch, symmetric))
        compiling = [threads.submit(program.compile) for program in programs]
    for program in compiling:
        program.result()  # or its error


class _Shapes:
    """The shapes of the arrays that a search puts on the devices."""

    def __init__(
        self,
        search: Search,
        layout: SortedGallery,
        mesh: Mesh,
        dtype: np.dtype,
        dim: int,
    ) -> None:
        self.search, self.layout, self.mesh = search, layout, mesh
        self.dtype, self.dim = dtype, dim
        self.integer = np.dtype(key_dtype(dtype))

    def lower(self, batch: Batch, symmetric: bool) -> Iterator[jax.stages.Lowered]:
        """The programs that rank a batch, to be compiled."""
        mesh, devices, gallery = self.mesh, self.mesh.size, self._gallery()
        tile = batch.tile
        if batch.targets is None:
            queries = self._queries(devices, tile, SPREAD)
            yield _tiles.rows_of_keys.lower(queries, gallery, mesh=mesh)
            return
        blocks, rows = -(-len(batch.queries) // tile), padded_targets(batch.targets)
        with_limit = padded_targets(batch.targets + 1)
        queries = self._queries(blocks, tile, WHOLE)
        bounds = self._array(np.int32, devices, 3, lies=SPREAD)

        def state(dtype: Any, rows: int) -> Any:
            return self._array(dtype, devices, blocks, rows, tile, lies=SPREAD)

        places = self._array(np.int32, blocks, rows, tile)
        keys = state(self.integer, rows)
        yield _tiles.collect.lower(
            bounds, queries, gallery, places, keys, mesh=mesh, symmetric=symmetric
        )
        thresholds = Thresholds(
            self._array(self.integer, blocks, with_limit, tile),
            self._array(np.int32, blocks, with_limit, tile),
            self._array(np.int32, blocks),
        )
        counts = state(np.int32, with_limit)
        yield _tiles.count.lower(
            bounds, queries, gallery, thresholds, counts, mesh=mesh, symmetric=symmetric
        )

    def _gallery(self) -> Gallery:
        size = len(self.layout.order)
        columns = tile_rows(size)
        shape = -(-size // columns), columns
        numbers = self._array(np.int32, *shape)
        return Gallery(
            self._array(self.dtype, *shape, self.dim),
            self._array(self.dtype, *shape),
            numbers,
            numbers,
            None if self.search.excluded.gallery_groups is None else numbers,
        )

    def _queries(self, blocks: int, tile: int, lies: P) -> Queries:
        numbers = self._array(np.int32, blocks, tile, lies=lies)
        return Queries(
            self._array(self.dtype, blocks, tile, self.dim, lies=lies),
            numbers,
            None if self.search.excluded.groups is None else numbers,
        )

    def _array(self, dtype: Any, *shape: int, lies: P = WHOLE) -> Any:
        return jax.ShapeDtypeStruct(
            shape, dtype, sharding=NamedSharding(self.mesh, lies)
        )
