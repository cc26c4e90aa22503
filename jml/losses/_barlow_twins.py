"""Barlow Twins loss."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jml.distances import NORM_FLOOR, inner_products
from jml.pairwise import AxisName, Scalar, psum

from ._views import Views, view_loss


def barlow_twins_loss(
    x: Float[Array | np.ndarray, "n d"],
    y: Float[Array | np.ndarray, "n d"],
    *,
    off_diagonal: Scalar = 0.005,
    where: Bool[Array | np.ndarray, " n"] | None = None,
    axis_name: AxisName = None,
) -> Float[Array, ""]:
    r"""Makes the correlations between the columns of two views an identity matrix.

    Row $i$ of $x$ and of $y$ are embeddings of two views of item $i$. With the
    correlation $C_{de}$ over the items between column $d$ of $x$ and column $e$ of $y$,

    $$L = \sum_d (1 - C_{dd})^2 + \lambda \sum_{d \ne e} C_{de}^2.$$

    The columns' means and lengths are taken out of the correlations, so embeddings are
    taken as they are. It needs no negatives, so it has no labels and no pair matrix.

    A constant column has correlation 0 and passes no gradient. So has one whose
    deviations from its mean have a root of the sum of squares of at most 1e-12. Fewer
    than two items have no correlations, and loss 0.

    Args:
        x: one view of each item.
        y: another view of each item.
        off_diagonal: the weight $\lambda$ of the correlations between different
            columns.
        where: False for items to leave out. `jml.losses` says more on this and on the
            next.
        axis_name: of the mapped axis over which the items are spread. The statistics
            are those of all items.

    Returns:
        The loss, a scalar in float32 or float64.

    Raises:
        ValueError: for a wrong shape or dtype.

    Example:
        >>> x = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
        >>> print(f"{barlow_twins_loss(x, 2 * x):.4f}")
        0.0025

    References:
        Zbontar, Jing, Misra, LeCun, Deny: Barlow Twins: Self-Supervised Learning via
        Redundancy Reduction, 2021, https://arxiv.org/abs/2103.03230
    """
    hyper = {"off_diagonal": off_diagonal}
    return view_loss(
        "barlow_twins_loss", formula, x, y, hyper, where=where, axis_name=axis_name
    )


def formula(views: Views, *, off_diagonal: Float[Array, ""]) -> Float[Array, ""]:
    """The squared differences between correlations and the identity matrix."""
    x, y = _unit_columns(views, views.x), _unit_columns(views, views.y)
    correlations = psum(inner_products(x.T, y.T), views.axis_name)
    diagonal = jnp.diagonal(correlations)
    others = jnp.where(jnp.eye(len(correlations), dtype=bool), 0, correlations)
    loss = jnp.sum((1 - diagonal) ** 2) + off_diagonal * jnp.sum(others**2)
    return jnp.where(views.number > 1, loss, 0)


def _unit_columns(views: Views, x: Float[Array, "b d"]) -> Float[Array, "b d"]:
    """Columns of mean 0 and length 1 over all devices; a constant column is 0."""
    x = views.centred(x)
    squared = views.sum(x**2)
    flat = squared <= NORM_FLOOR**2
    length = jnp.sqrt(jnp.where(flat, 1, squared))
    return jnp.where(flat[None, :], 0, x / length[None, :])
