"""Normalized softmax loss."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer

from jml.pairwise import AxisName, Scalar
from jml.tiles import ClassBatch, Formula, Statistics, Tile, class_loss

from ._class_softmax import cross_entropy, nearest, smoothing, softmax_entries


def normalized_softmax_loss(
    embeddings: Float[Array | np.ndarray, "b d"],
    labels: Integer[Array | np.ndarray, " b"],
    weights: Float[Array | np.ndarray, "c *k d"],
    *,
    temperature: Scalar = 0.05,
    label_smoothing: Scalar = 0.0,
    where: Bool[Array | np.ndarray, " b"] | None = None,
    classes: Integer[Array | np.ndarray, " c"] | None = None,
    reduction: str = "mean",
    block_size: int | None = None,
    axis_name: AxisName = None,
    class_axis_name: AxisName = None,
) -> Float[Array, "*b"]:
    r"""Tells an item's class from all others, by cosines.

    With the angles $\theta_{ic}$ between embedding $i$ and the weights of class $c$,

    $$L = -\frac1B \sum_i \log \frac{e^{\cos \theta_{i y_i} / \tau}}{
        \sum_c e^{\cos \theta_{ic} / \tau}}.$$

    It is `margin_softmax_loss` without a margin.

    Args:
        embeddings: the batch.
        labels: its classes, 0 ... C - 1. An item of any other class adds 0.
        weights: a row for each class, [C, D]; or several centers, [C, K, D], of which
            the nearest to an item counts.
        temperature: the divisor $\tau$ of cosines, positive: less than 1e-9 counts as
            that.
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
        >>> weights = jnp.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
        >>> x, labels = jnp.array([[2.0, 1.0]]), jnp.array([0])
        >>> loss = normalized_softmax_loss(x, labels, weights, temperature=0.25)
        >>> print(f"{loss:.4f}")
        0.1552

    References:
        Zhai, Wu: Classification is a Strong Baseline for Deep Metric Learning, 2019,
        https://arxiv.org/abs/1811.12649
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
        "normalized_softmax_loss",
        Formula(elements, finish),
        batch,
        {"temperature": temperature, **smoothing(label_smoothing)},
        reduction=reduction,
    )


def scale_of(temperature: Float[Array, ""]) -> Float[Array, ""]:
    """Its inverse."""
    return 1 / jnp.maximum(temperature, 1e-9)


def elements(
    tile: Tile,
    *,
    temperature: Float[Array, ""],
    label_smoothing: Float[Array, ""] | None = None,
) -> Statistics:
    """Those of a softmax, of the nearest center of each class."""
    scale = scale_of(temperature)
    return softmax_entries(nearest(tile.values), tile, scale, label_smoothing)


def finish(
    sums: Statistics,
    *,
    temperature: Float[Array, ""],
    label_smoothing: Float[Array, ""] | None = None,
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each item's cross entropy, and 1 for an item whose class is there."""
    scale = scale_of(temperature)
    return cross_entropy(sums, sums.sums["own"], scale, label_smoothing)
