"""SoftTriple loss."""

from functools import reduce
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer

from jml._numerics import inverse
from jml.pairwise import AxisName, Scalar
from jml.tiles import ClassBatch, Formula, Statistics, Tile, class_loss

from ._class_softmax import Each, cross_entropy, smoothing, softmax_entries


def soft_triple_loss(
    embeddings: Float[Array | np.ndarray, "b d"],
    labels: Integer[Array | np.ndarray, " b"],
    weights: Float[Array | np.ndarray, "c *k d"],
    *,
    scale: Scalar = 20.0,
    gamma: Scalar = 0.1,
    margin: Each = 0.01,
    regularization: Scalar = 0.2,
    label_smoothing: Scalar = 0.0,
    where: Bool[Array | np.ndarray, " b"] | None = None,
    classes: Integer[Array | np.ndarray, " c"] | None = None,
    reduction: str = "mean",
    block_size: int | None = None,
    axis_name: AxisName = None,
    class_axis_name: AxisName = None,
) -> Float[Array, "*b"]:
    r"""A softmax of classes with several centers, all of which have a part in it.

    With the cosines $s_{ick}$ between embedding $i$ and center $k$ of class $c$,

    $$S_{ic} = \sum_k \frac{e^{s_{ick} / \gamma}}{\sum_l e^{s_{icl} / \gamma}} s_{ick},
    \qquad L = -\frac1B \sum_i \log \frac{e^{s (S_{i y_i} - m)}}{
        e^{s (S_{i y_i} - m)} + \sum_{c \ne y_i} e^{s S_{ic}}}
        + \tau R,$$

    $$R = \frac{1}{C K (K - 1)} \sum_c \sum_{k < l}
        \sqrt{2 + 10^{-5} - 2 w_{ck} \cdot w_{cl}}.$$

    The regularisation $R$ draws centers $w$ of a class together, so that a class has as
    many as it needs. It is 0 for one center. In every reduction it is added to the loss
    of each item.

    Args:
        embeddings: the batch.
        labels: its classes, 0 ... C - 1. An item of any other class adds 0.
        weights: several centers of each class, [C, K, D]; the authors have 10. [C, D]
            is one of each.
        scale: the factor $s$.
        gamma: the smaller, the more the nearest center of a class stands for it.
        margin: the margin $m$ at the own class: a number, or one for each item, [B].
        regularization: the weight $\tau$ of the regularisation.
        label_smoothing: as in `margin_softmax_loss`.
        where: False for items to leave out. `jml.losses` says more on the arguments
            that follow.
        classes: the class that each row of `weights` stands for, [C], each once; below
            0 none. 0, 1, ... by default.
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
        >>> weights = jnp.array([[[1.0, 0.0], [1.0, 1.0]], [[0.0, 1.0], [-1.0, 0.0]]])
        >>> x, labels = jnp.array([[2.0, 1.0]]), jnp.array([0])
        >>> print(f"{soft_triple_loss(x, labels, weights, scale=4.0):.4f}")
        0.2502

    References:
        Qian, Shang, Sun, Hu, Li, Jin: SoftTriple Loss: Deep Metric Learning Without
        Triplet Sampling, 2019, https://arxiv.org/abs/1909.05235
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
        "soft_triple_loss",
        Formula(elements, finish),
        batch,
        {
            "scale": scale,
            "gamma": gamma,
            "regularization": regularization,
            **smoothing(label_smoothing),
        },
        each={"margin": margin},
        reduction=reduction,
    )


def elements(
    tile: Tile,
    *,
    scale: Float[Array, ""],
    gamma: Float[Array, ""],
    regularization: Float[Array, ""],
    label_smoothing: Float[Array, ""] | None = None,
) -> Statistics:
    """Those of a softmax, of all centers of each class, and how far these are apart."""
    similarity = of_all_centers(tile.values, gamma)
    softmax = softmax_entries(similarity, tile, scale, label_smoothing)
    is_class = tile.own | tile.other
    apart = jnp.where(is_class, distance_of_centers(tile.centers)[None, :], 0)
    more = {"apart": apart, "classes": is_class.astype(apart.dtype)}
    return softmax._replace(sums={**softmax.sums, **more})


def of_all_centers(
    values: tuple[Float[Array, "b t"], ...], gamma: Float[Array, ""]
) -> Float[Array, "b t"]:
    """The similarity of each class: its centers', the nearer ones with more weight."""
    best = jax.lax.stop_gradient(reduce(jnp.maximum, values))
    shares = [jnp.exp((value - best) / jnp.maximum(gamma, 1e-9)) for value in values]
    weighted = [share * value for share, value in zip(shares, values, strict=True)]
    return reduce(jnp.add, weighted) / reduce(jnp.add, shares)


def distance_of_centers(centers: tuple[Float[Array, "t d"], ...]) -> Float[Array, " t"]:
    """The sum over the pairs of a class's centers, over K (K - 1)."""
    total = jnp.zeros(len(centers[0]), centers[0].dtype)
    for one, other in combinations(centers, 2):
        # As the authors have it: the slope of the root stays finite where both are one.
        total += jnp.sqrt(2 + 1e-5 - 2 * jnp.sum(one * other, axis=1))
    return total / max(1, len(centers) * (len(centers) - 1))


def finish(
    sums: Statistics,
    *,
    scale: Float[Array, ""],
    gamma: Float[Array, ""],
    regularization: Float[Array, ""],
    margin: Float[Array, " b"],
    label_smoothing: Float[Array, ""] | None = None,
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each item's cross entropy, and 1 for an item whose class is there."""
    own = sums.sums["own"] - margin
    total, has_own = cross_entropy(sums, own, scale, label_smoothing)
    apart = sums.sums["apart"] * inverse(sums.sums["classes"])
    return total + jnp.where(has_own > 0, regularization * apart, 0), has_own
