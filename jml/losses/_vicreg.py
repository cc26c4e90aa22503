"""VICReg loss."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jml.distances import euclidean_distances, gram
from jml.pairwise import AxisName, Scalar, psum

from ._views import Views, view_loss


def vicreg_loss(
    x: Float[Array | np.ndarray, "n d"],
    y: Float[Array | np.ndarray, "n d"],
    *,
    invariance: Scalar = 25.0,
    variance: Scalar = 25.0,
    covariance: Scalar = 1.0,
    eps: Scalar = 1e-4,
    where: Bool[Array | np.ndarray, " n"] | None = None,
    axis_name: AxisName = None,
) -> Float[Array, ""]:
    r"""Pulls two views together, and keeps their columns spread and uncorrelated.

    Row $i$ of $x$ and of $y$ are embeddings of two views of item $i$. With the
    covariance matrices $C(x)$ and $C(y)$ of the columns over the $B$ items, divided by
    $B - 1$,

    $$L = \frac{\lambda}{B D} \sum_i |x_i - y_i|^2 + \sum_{z \in \{x, y\}} \Big(
        \frac{\mu}{2 D} \sum_d \big[1 - \sqrt{C(z)_{dd} + \epsilon}\big]_+
        + \frac{\nu}{D} \sum_{d \ne e} C(z)_{de}^2 \Big).$$

    It needs no negatives, so it has no labels and no pair matrix. Embeddings are taken
    as they are: on the unit sphere no column could have the deviation 1. A single item
    has no covariance, and only the first part. A part of the loss beyond the largest
    float saturates.

    Args:
        x: one view of each item.
        y: another view of each item.
        invariance: the weight $\lambda$ of the distances between views.
        variance: the weight $\mu$ of the columns' deviations. The half beside it, which
            is the mean of both views, is that of the authors' code; the paper's formula
            is without.
        covariance: the weight $\nu$ of the columns' covariances.
        eps: $\epsilon$, a number added to variances: a column is taken for constant
            where its variance is far below.
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
        >>> print(f"{vicreg_loss(x, x + 0.1):.4f}")
        0.7500

    References:
        Bardes, Ponce, LeCun: VICReg: Variance-Invariance-Covariance Regularization for
        Self-Supervised Learning, 2022, https://arxiv.org/abs/2105.04906
    """
    hyper = {"invariance": invariance, "variance": variance}
    hyper |= {"covariance": covariance, "eps": eps}
    return view_loss(
        "vicreg_loss", formula, x, y, hyper, where=where, axis_name=axis_name
    )


def formula(
    views: Views, *, invariance: Scalar, variance: Scalar, covariance: Scalar, eps
) -> Float[Array, ""]:
    """The weighted sum of the three parts."""
    number, dim = views.number, max(1, views.x.shape[1])
    squared = views.sum(jnp.sum((views.x - views.y) ** 2, axis=1))
    total = _weighted(invariance, squared / (jnp.maximum(number, 1) * dim))
    for view in (views.x, views.y):
        products = psum(gram(views.centred(view).T), views.axis_name)
        matrix = products / jnp.maximum(number - 1, 1)
        deviation = euclidean_distances(jnp.diagonal(matrix) + eps)
        flat = jnp.sum(jax.nn.relu(1 - deviation)) / (2 * dim)
        off_diagonal = jnp.where(jnp.eye(len(matrix), dtype=bool), 0, matrix)
        related = jnp.sum(off_diagonal**2) / dim
        total += _weighted(variance, jnp.where(number > 1, flat, 0))
        total += _weighted(covariance, jnp.where(number > 1, related, 0))
    return total


def _weighted(weight: Scalar, part: Float[Array, ""]) -> Float[Array, ""]:
    """The product; beyond an eighth of the largest float it is that, without slope."""
    limit = float(jnp.finfo(part.dtype).max) / 8
    return jnp.clip(weight * jnp.minimum(part, limit), -limit, limit)
