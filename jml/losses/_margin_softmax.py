"""The softmax of cosines to class weights, with a margin at an item's own class."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer

from jml._numerics import sine_of
from jml.pairwise import AxisName, Scalar
from jml.tiles import ClassBatch, Formula, Statistics, Tile, class_loss

# A number, or one for each item.
Each = Scalar | Float[Array | np.ndarray, " b"]


def margin_softmax_loss(
    embeddings: Float[Array | np.ndarray, "b d"],
    labels: Integer[Array | np.ndarray, " b"],
    weights: Float[Array | np.ndarray, "c *k d"],
    *,
    scale: Scalar = 64.0,
    angular: Each = 0.0,
    additive: Each = 0.0,
    where: Bool[Array | np.ndarray, " b"] | None = None,
    classes: Integer[Array | np.ndarray, " c"] | None = None,
    reduction: str = "mean",
    block_size: int | None = None,
    axis_name: AxisName = None,
    class_axis_name: AxisName = None,
) -> Float[Array, "*b"]:
    r"""Tells an item's class from all others, by a margin.

    With the angles $\theta_{ic}$ between embedding $i$ and the weights of class $c$,

    $$z_i = \cos(\theta_{i y_i} + m) - a,$$

    $$L = -\frac1B \sum_i \log \frac{e^{s z_i}}{
        e^{s z_i} + \sum_{c \ne y_i} e^{s \cos \theta_{ic}}}.$$

    Where $\theta_{i y_i} + m$ is beyond $\pi$, $z_i$ is
    $\cos \theta_{i y_i} - m \sin m - a$, which falls where the cosine would rise again.
    `arcface_loss`, `cosface_loss` and `normalized_softmax_loss` are this loss with
    margins of their own. Both margins may be arrays of a number for each item.

    The weights are parameters like any other: train them with the network. There may be
    millions of classes: the matrix of items and classes is made a tile at a time.

    Args:
        embeddings: the batch.
        labels: its classes, 0 ... C - 1. An item of any other class adds 0.
        weights: a row for each class, [C, D]; or several centers, [C, K, D], of which
            the nearest to an item counts.
        scale: the factor $s$ on cosines.
        angular: the margin $m$, in radians, at least 0.
        additive: the margin $a$.
        where: False for items to leave out. `jml.losses` says more on the arguments
            that follow.
        classes: the class that each row of `weights` stands for, [C]; below 0 none.
            0, 1, ... by default.
        reduction: "mean" over items whose class has weights, "nonzero", "sum" or
            "none".
        block_size: the number of classes at a time.
        axis_name: of the mapped axis over which the batch is spread.
        class_axis_name: of the mapped axis over which classes are spread: each device
            has the weights of its own. It may be the same.

    Returns:
        The loss, a scalar in float32 or float64; [B] for `reduction="none"`.

    Raises:
        ValueError: for a wrong shape or dtype.

    Example:
        >>> weights = jnp.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
        >>> x, labels = jnp.array([[2.0, 1.0]]), jnp.array([0])
        >>> loss = margin_softmax_loss(x, labels, weights, scale=4.0, angular=0.5)
        >>> print(f"{loss:.4f}")
        0.4784

    References:
        Deng, Guo, Xue, Zafeiriou: ArcFace: Additive Angular Margin Loss for Deep Face
        Recognition, 2019, https://arxiv.org/abs/1801.07698
    """
    batch = ClassBatch(
        embeddings,
        labels,
        weights,
        where,
        classes,
        block_size,
        axis_name,
        class_axis_name,
    )
    return class_loss(
        "margin_softmax_loss",
        FORMULA,
        batch,
        {"scale": scale},
        each={"angular": angular, "additive": additive},
        reduction=reduction,
    )


def nearest(values: tuple[Float[Array, "b t"], ...]) -> Float[Array, "b t"]:
    """The similarity of each class's nearest center."""
    best = values[0]
    for value in values[1:]:
        best = jnp.maximum(best, value)
    return best


def elements(tile: Tile, *, scale: Float[Array, ""]) -> Statistics:
    """The cosine of the own class, and the log-sum of the others."""
    cosine = nearest(tile.values)
    return Statistics(
        {"others": jnp.where(tile.other, scale * cosine, -jnp.inf)},
        {
            "own": jnp.where(tile.own, cosine, 0),
            "has_own": tile.own.astype(cosine.dtype),
        },
    )


def finish(
    sums: Statistics,
    *,
    scale: Float[Array, ""],
    angular: Float[Array, " b"],
    additive: Float[Array, " b"],
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each item's cross entropy, and 1 for an item whose class is there."""
    return cross_entropy(sums, scale * (turned(sums.sums["own"], angular) - additive))


def cross_entropy(
    sums: Statistics, own: Float[Array, " b"]
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Of the own class's logit, and of the others' log-sum; and 1 for a valid item.

    An item without an own class has 0, and so has one without another class.
    """
    has_own = sums.sums["has_own"] > 0
    others = sums.logs["others"]
    some = has_own & (others != -jnp.inf)
    gap = jnp.where(some, others, 0) - jnp.where(some, own, 0)
    total = jnp.where(some, jnp.logaddexp(0, gap), 0)
    return total, has_own.astype(total.dtype)


def turned(cosine: Float[Array, " b"], angle: Float[Array, " b"]) -> Float[Array, " b"]:
    """The cosine of the angle that an item has, plus another.

    Beyond pi the cosine would rise again. There it goes on as a straight line of the
    cosine, which falls: as in the authors' code.
    """
    within = cosine * jnp.cos(angle) - sine_of(cosine) * jnp.sin(angle)
    beyond = cosine - angle * jnp.sin(angle)
    return jnp.where(cosine > -jnp.cos(angle), within, beyond)


FORMULA = Formula(elements, finish)
