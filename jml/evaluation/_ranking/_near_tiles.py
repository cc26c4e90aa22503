"""Which items of a tile may be near one another, by products on the devices.

A squared distance from products has an error of at most a share of the two squared
norms. A pair may be near where

    base_i + base_j - 2 x_i . y_j <= limit_i + share (base_i + base_j).

What depends on i or on j alone is put together beforehand, so that one comparison of
each product is left. Most tiles then have nothing to look at.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Bool, Float
from jaxtyping import Integer as Int

from jml.distances import inner_products

from ._tile_keys import at_block

SHARDED = P("device")


def share_of_error(dtype: np.dtype, columns: int) -> float:
    """Bounds the error of a squared distance, relative to both squared norms' sum.

    With u, half of eps, a sum of n products in any order is off by n u / (1 - n u) of
    the sum of their sizes at most, rounding the centred vectors adds 4 u, and rounding
    the terms of the comparison less than 12 u.
    """
    error = (columns + 16) * float(np.finfo(dtype).eps) / 2
    return error / (1 - error)


def least_limit(dtype: np.dtype, columns: int) -> float:
    """Bounds the error of squared distances of which parts are too small a number."""
    return 4 * columns * float(np.finfo(dtype).tiny)


@partial(jax.jit, static_argnames=("most", "symmetric", "mesh"))
def near_items(
    work: Int[Array, "p 3"],
    x: Float[Array, "b t d"],
    bounds: Float[Array, "b t"],
    y: Float[Array, "g s d"],
    offsets: Float[Array, "g s"],
    *,
    most: int,
    symmetric: bool,
    mesh: Mesh,
) -> tuple[Bool[Array, "p k t"], Bool[Array, "p k s"]]:
    """Which rows, and which columns, of each tile are in a pair that may be near.

    Args:
        work: for each device a block of queries, and a range of the gallery's blocks.
        x: the centred queries.
        bounds: a pair may be near where its offset - 2 x_i . y_j is at most this.
        y: the centred gallery.
        offsets: squared norms of the gallery, less their share of the error.
        most: blocks of a range, at most: k.
        symmetric: the queries are the gallery, and the first of a pair comes first.
        mesh: the devices.
    """
    rows, columns = x.shape[1], y.shape[1]
    above = jnp.arange(columns)[None] > jnp.arange(rows)[:, None]

    def of_device(work):
        block, low, high = work[0]
        queries, bound = at_block((x, bounds), block)

        def step(other, found):
            items, offset = at_block((y, offsets), other)
            near = offset[None] - 2 * inner_products(queries, items) <= bound[:, None]
            if symmetric:
                near &= above | (other != block)
            at = other - low
            return found[0].at[at].set(near.any(1)), found[1].at[at].set(near.any(0))

        found = jnp.zeros((most, rows), bool), jnp.zeros((most, columns), bool)
        found = jax.lax.fori_loop(low, high, step, found)
        return jax.tree.map(lambda a: a[None], found)

    return jax.shard_map(
        of_device, mesh=mesh, in_specs=SHARDED, out_specs=SHARDED, check_vma=False
    )(work)
