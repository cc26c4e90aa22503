"""A search with floats of one width, laid out on the devices."""

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Bool
from jaxtyping import Integer as Int

from ._layout import (
    PARTS,
    Gallery,
    SortedGallery,
    make_gallery,
    relevant_places,
    tile_rows,
)
from ._search import Search
from ._vectors import Products


class Level(NamedTuple):
    """A search with products in one dtype, on the devices.

    Ranks are made in float32 first. Queries that float32 products cannot rank are
    repeated on a second level, in float64.
    """

    search: Search
    order: Int[np.ndarray, " m"]  # the sorted gallery, of it that this process holds
    products: Products
    gallery: Gallery
    mesh: Mesh
    columns: int  # of a tile
    size: int  # of the whole gallery
    nearest_only: bool

    @property
    def part_rows(self) -> int:
        """How many items of the sorted gallery a part has."""
        return -(-len(self.gallery.y) // PARTS) * self.columns


class Targets(NamedTuple):
    """The relevant items of some queries."""

    items: Int[np.ndarray, "q r"]  # indices in the gallery
    places: Int[np.ndarray, "q r"]  # in the sorted gallery; -1 where there is no target
    valid: Bool[np.ndarray, "q r"]


def lay_out(
    search: Search,
    order: Int[np.ndarray, " m"],
    products: Products,
    size: int,
    nearest_only: bool,
) -> Level:
    """Puts the sorted gallery, or the part in `order`, on the devices."""
    mesh, columns = mesh_of_search(), tile_rows(size)
    gallery = make_gallery(search.excluded, products, order, columns)
    gallery = jax.device_put(gallery, NamedSharding(mesh, P()))
    return Level(search, order, products, gallery, mesh, columns, size, nearest_only)


class Whole(NamedTuple):
    """A level that holds the whole gallery."""

    search: Search
    layout: SortedGallery
    level: Level

    def of_batch(
        self, queries: Int[np.ndarray, " q"]
    ) -> tuple[Level, Int[np.ndarray, " q"], Targets]:
        """A level for these queries, which they are in it, and their targets."""
        places = relevant_places(self.search, self.layout, queries)
        targets = Targets(self.layout.order[places], places, places >= 0)
        return self.level, queries, targets


def make_whole(
    search: Search, layout: SortedGallery, dtype: np.dtype, nearest_only: bool
) -> Whole:
    """Prepares products in this dtype, and puts the gallery on the devices."""
    products, order = search.vectors.products(dtype), layout.order
    level = lay_out(search, order, products, len(order), nearest_only)
    return Whole(search, layout, level)


def mesh_of_search() -> Mesh:
    """All local devices, or the default device alone where JAX has one."""
    # JAX adds its options to the class at run time.
    default = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]
    chosen = default is not None
    devices = list(jnp.zeros(()).devices()) if chosen else jax.local_devices()
    return Mesh(np.array(devices), "device")


def first_dtype(dtype: np.dtype) -> np.dtype:
    """The dtype that products of such vectors are made in at first."""
    wide = dtype == np.float64 and jnp.zeros(0, float).dtype == np.float64
    return np.dtype(np.float64 if wide else np.float32)


def width(dtype: np.dtype) -> AbstractContextManager:
    """A context in which JAX computes in this dtype, float64 included."""
    return jax.enable_x64(True) if dtype == np.float64 else nullcontext()
