"""Proxy-Anchor loss."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer

from jml._label_checks import warn_of_labels
from jml.pairwise import AxisName, Scalar, log1p_sum_exp
from jml.tiles import ClassBatch, Columns, Tile, class_loss


def proxy_anchor_loss(
    embeddings: Float[Array | np.ndarray, "b d"],
    labels: Integer[Array | np.ndarray, " b"],
    proxies: Float[Array | np.ndarray, "c d"],
    *,
    margin: Scalar = 0.1,
    alpha: Scalar = 32.0,
    where: Bool[Array | np.ndarray, " b"] | None = None,
    classes: Integer[Array | np.ndarray, " c"] | None = None,
    block_size: int | None = None,
    axis_name: AxisName = None,
    class_axis_name: AxisName = None,
) -> Float[Array, ""]:
    r"""Compares the proxy of each class, as an anchor, with all items of the batch.

    With the cosine $s_{ic}$ of item $i$ and the proxy of class $c$, the set $C$ of all
    classes and the set $C^+$ of those that have an item in the batch,

    $$L = \frac{1}{|C^+|} \sum_{c \in C^+} \log \Big( 1 + \sum_{i:\, y_i = c}
        e^{-\alpha (s_{ic} - m)} \Big) + \frac{1}{|C|} \sum_{c \in C} \log \Big( 1 +
        \sum_{i:\, y_i \ne c} e^{\alpha (s_{ic} + m)} \Big).$$

    A proxy pulls most at the hardest of its own items, and pushes most at the hardest
    others. The proxies are parameters like any other: train them with the network.
    There may be millions of classes: the matrix of items and classes is made a tile at
    a time.

    Args:
        embeddings: the batch.
        labels: its classes, 0 ... C - 1. An item of any other class (-1, for example)
            is a negative of all proxies.
        proxies: one row for each class.
        margin: the margin $m$ of cosines.
        alpha: the factor $\alpha$ on cosines.
        where: False for items to leave out. `jml.losses` says more on the arguments
            that follow.
        classes: the class that each row of `proxies` stands for, [C], each once; below
            0 none. 0, 1, ... by default.
        block_size: the number of classes at a time.
        axis_name: of the mapped axis over which the batch is spread. Every device then
            gets the embeddings of all.
        class_axis_name: of the mapped axis over which classes are spread: each device
            has the proxies of its own. Without it each has all. It may be the same.

    Returns:
        The loss, a scalar in float32 or float64; 0 without a valid item.

    Raises:
        ValueError: for a wrong shape or dtype.

    Example:
        >>> proxies = jnp.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
        >>> x, labels = jnp.array([[2.0, 0.0], [1.0, 1.0]]), jnp.array([0, 1])
        >>> loss = proxy_anchor_loss(x, labels, proxies, alpha=4.0)
        >>> print(f"{loss:.4f}")
        1.4856

    References:
        Kim, Kim, Cho, Kwak: Proxy Anchor Loss for Deep Metric Learning, 2020,
        https://arxiv.org/abs/2003.13911
    """
    name = "proxy_anchor_loss"
    batch = ClassBatch(
        embeddings,
        labels,
        proxies,
        where,
        classes,
        block_size,
        axis_name,
        class_axis_name,
        argument="proxies",
    )
    loss = class_loss(name, COLUMNS, batch, {"margin": margin, "alpha": alpha})
    if classes is None and class_axis_name is None:
        effect = "count as negatives of all classes"
        warn_of_labels(name, labels, where, proxies, effect=effect)
    return loss


def terms(
    tile: Tile, *, margin: Float[Array, ""], alpha: Float[Array, ""]
) -> list[tuple[Float[Array, " t"], Bool[Array, " t"]]]:
    """Of each class the pull, if it has an item, and the push."""
    (cosine,) = tile.values
    own, other = tile.own.T, tile.other.T
    pull = log1p_sum_exp(alpha * (margin - cosine).T, own)
    push = log1p_sum_exp(alpha * (margin + cosine).T, other)
    return [(pull, jnp.any(own, axis=1)), (push, jnp.any(own | other, axis=1))]


COLUMNS = Columns(terms)
