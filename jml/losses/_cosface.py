"""CosFace loss."""

import numpy as np
from jaxtyping import Array, Bool, Float, Integer

from jml.pairwise import AxisName, Scalar
from jml.tiles import ClassBatch, Formula, Statistics, class_loss

from ._class_softmax import Each, cross_entropy, elements, smoothing


def cosface_loss(
    embeddings: Float[Array | np.ndarray, "b d"],
    labels: Integer[Array | np.ndarray, " b"],
    weights: Float[Array | np.ndarray, "c *k d"],
    *,
    scale: Scalar = 64.0,
    margin: Each = 0.35,
    label_smoothing: Scalar = 0.0,
    where: Bool[Array | np.ndarray, " b"] | None = None,
    classes: Integer[Array | np.ndarray, " c"] | None = None,
    reduction: str = "mean",
    block_size: int | None = None,
    axis_name: AxisName = None,
    class_axis_name: AxisName = None,
) -> Float[Array, "*b"]:
    r"""Tells an item's class from all others, by a difference of cosines.

    With the angles $\theta_{ic}$ between embedding $i$ and the weights of class $c$,

    $$L = -\frac1B \sum_i \log \frac{e^{s (\cos \theta_{i y_i} - m)}}{
        e^{s (\cos \theta_{i y_i} - m)} + \sum_{c \ne y_i} e^{s \cos \theta_{ic}}}.$$

    It is `margin_softmax_loss` with an additive margin.

    Args:
        embeddings: the batch.
        labels: its classes, 0 ... C - 1. An item of any other class adds 0.
        weights: a row for each class, [C, D]; or several centers, [C, K, D], of which
            the nearest to an item counts.
        scale: the factor $s$ on cosines.
        margin: the difference $m$ of cosines: a number, or one for each item, [B].
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
        >>> weights = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
        >>> x, labels = np.array([[2.0, 1.0]]), np.array([0])
        >>> print(f"{cosface_loss(x, labels, weights, scale=4.0):.4f}")
        0.5194

    References:
        Wang, Wang, Zhou, Ji, Gong, Zhou, Li, Liu: CosFace: Large Margin Cosine Loss for
        Deep Face Recognition, 2018, https://arxiv.org/abs/1801.09414
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
        "cosface_loss",
        Formula(elements, finish),
        batch,
        {"scale": scale, **smoothing(label_smoothing)},
        each={"margin": margin},
        reduction=reduction,
    )


def finish(
    sums: Statistics,
    *,
    scale: Float[Array, ""],
    margin: Float[Array, " b"],
    label_smoothing: Float[Array, ""] | None = None,
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each item's cross entropy, and 1 for an item whose class is there."""
    own = sums.sums["own"] - margin
    return cross_entropy(sums, own, scale, label_smoothing)
