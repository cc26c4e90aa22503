"""A search with floats of one width, laid out on the devices."""

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from ._layout import PARTS, Gallery, SortedGallery, make_gallery, tile_rows
from ._search import Search
from ._vectors import Products


class Level(NamedTuple):
    """A search with products in one dtype, on the devices.

    Ranks are made in float32 first. Queries that float32 products cannot rank are
    repeated on a second level, in float64.
    """

    search: Search
    layout: SortedGallery
    products: Products
    gallery: Gallery
    mesh: Mesh
    columns: int  # of a tile
    nearest_only: bool

    @property
    def part_rows(self) -> int:
        """How many items of the sorted gallery a part has."""
        return -(-len(self.gallery.y) // PARTS) * self.columns


def make_level(
    search: Search, layout: SortedGallery, dtype: np.dtype, nearest_only: bool
) -> Level:
    """Prepares products in this dtype, and puts the gallery on the devices."""
    mesh = mesh_of_search()
    products = search.vectors.products(dtype)
    columns = tile_rows(len(products.y))
    gallery = make_gallery(search.excluded, products, layout.order, columns)
    gallery = jax.device_put(gallery, NamedSharding(mesh, P()))
    return Level(search, layout, products, gallery, mesh, columns, nearest_only)


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
