"""Max pooling, 3 x 3 with stride 2 and padding 1, over NHWC images.

On CPUs, XLA's derivative scans every window again, one number at a time. So the place
of each maximum in its window is kept instead: 0 to 8, in reading order.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int8


def max_pool(x: Float[Array, "b h w c"]) -> Float[Array, "b i j c"]:
    """Computes the maximum of every window.

    Its whole gradient goes to the first maximum in reading order, as in PyTorch.
    """
    return lax.platform_dependent(x, cpu=by_place, default=native)


def native(x: Array) -> Array:
    """``max_pool`` by XLA's reduction."""
    edges = [(0, 0), (1, 1), (1, 1), (0, 0)]
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), edges)


@jax.custom_vjp
def by_place(x: Array) -> Array:
    """``max_pool`` for CPUs, differentiable in reverse mode only."""
    return _forward(x)[0]


def _forward(x: Array) -> tuple[Array, Int8[Array, "b i j c"]]:
    h, w = (side + side % 2 for side in x.shape[1:3])
    edges = [(0, 0), (1, 1), (1, 1), (0, 0)]
    x = jnp.pad(x, edges, constant_values=-jnp.inf)
    best = x[:, 0:h:2, 0:w:2]
    place = jnp.zeros(best.shape, jnp.int8)
    for tap in range(1, 9):
        i, j = divmod(tap, 3)
        view = x[:, i : i + h : 2, j : j + w : 2]
        place = jnp.where(view > best, jnp.int8(tap), place)
        best = jnp.maximum(best, view)
    return best, place


def _residuals(x: Array) -> tuple[Array, tuple[Array, Array]]:
    best, place = _forward(x)
    return best, (place, x)


def _backward(saved: tuple[Array, Array], g: Array) -> tuple[Array]:
    place, x = saved
    b, i, j, c = g.shape
    edges = ((0, 0), (0, 1), (0, 1), (0, 0))
    place, g = jnp.pad(place, edges), jnp.pad(g, edges)

    def share(tap: int, down: int, right: int) -> Array:
        """The gradient that reaches tap `tap` of the window `down` and `right`."""
        there = (slice(None), slice(down, down + i), slice(right, right + j))
        return jnp.where(place[there] == tap, g[there], 0)

    # A pixel in an even row lies in the middle row of one window. A pixel in an odd row
    # lies in the last row of one window and in the first of the next. The same holds
    # for columns.
    quarters = (
        share(4, 0, 0),
        share(5, 0, 0) + share(3, 0, 1),
        share(7, 0, 0) + share(1, 1, 0),
        share(8, 0, 0) + share(6, 0, 1) + share(2, 1, 0) + share(0, 1, 1),
    )
    # The barrier makes XLA compute the quarters before it interleaves them. Fused, the
    # program would find out for every pixel which quarter it belongs to.
    ee, eo, oe, oo = lax.optimization_barrier(quarters)
    rows = jnp.stack([jnp.stack([ee, eo], 3), jnp.stack([oe, oo], 3)], 2)
    return (rows.reshape(b, 2 * i, 2 * j, c)[:, : x.shape[1], : x.shape[2]],)


by_place.defvjp(_residuals, _backward)
