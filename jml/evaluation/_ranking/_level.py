"""A search in float32 or in float64, laid out on the devices."""

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from ._layout import PARTS, Gallery, Sorted, make_gallery, tile_rows
from ._search import Search
from ._vectors import Products


class Level(NamedTuple):
    """A search in the floats of one width, on the devices."""

    search: Search
    laid: Sorted
    products: Products
    gallery: Gallery
    mesh: Mesh
    columns: int  # of a tile
    nearest_only: bool

    @property
    def part_rows(self) -> int:
        """How many items of the sorted gallery a part has."""
        return -(-len(self.gallery.y) // PARTS) * self.columns


def make_level(search: Search, laid: Sorted, dtype, nearest_only: bool) -> Level:
    """Makes products of this dtype, and puts the gallery on all devices.

    These are all that the process has, unless JAX was told to use a certain one.
    """
    chosen = jax.config.jax_default_device is not None
    devices = list(jnp.zeros(()).devices()) if chosen else jax.local_devices()
    mesh = Mesh(np.array(devices), "device")
    products = search.vectors.products(dtype)
    columns = tile_rows(len(products.y))
    gallery = make_gallery(search.excluded, products, laid.order, columns)
    gallery = jax.device_put(gallery, NamedSharding(mesh, P()))
    return Level(search, laid, products, gallery, mesh, columns, nearest_only)


def first_dtype(dtype: np.dtype) -> np.dtype:
    """What products of such vectors are made in, while they tell distances apart."""
    wide = dtype == np.float64 and jax.config.jax_enable_x64
    return np.dtype(np.float64 if wide else np.float32)


def width(dtype: np.dtype) -> AbstractContextManager:
    """Lets JAX compute in float64 within a block, where that is the dtype."""
    return jax.enable_x64(True) if dtype == np.float64 else nullcontext()
