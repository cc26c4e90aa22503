"""The softmax of cosines to class weights, with a margin at an item's own class."""

import numpy as np
from jaxtyping import Array, Bool, Float, Integer

from jml.pairwise import AxisName, Scalar
from jml.tiles import ClassBatch, class_loss

from ._class_softmax import SOFTMAX, Each, radians, smoothing


def margin_softmax_loss(
    embeddings: Float[Array | np.ndarray, "b d"],
    labels: Integer[Array | np.ndarray, " b"],
    weights: Float[Array | np.ndarray, "c *k d"],
    *,
    scale: Scalar = 64.0,
    angular: Each = 0.0,
    additive: Each = 0.0,
    label_smoothing: Scalar = 0.0,
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

    Label smoothing $\epsilon$ makes the target of the cross entropy
    $1 - \epsilon + \epsilon / C$ for the own class and $\epsilon / C$ for any other. It
    adds $\epsilon$ times the difference of $s z_i$ and the mean of all classes' logits.

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
        label_smoothing: the part $\epsilon$ of the target that is all classes' alike,
            from 0 to 1.
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
        >>> loss = margin_softmax_loss(x, labels, weights, scale=4.0, angular=0.5)
        >>> print(f"{loss:.4f}")
        0.4784

    References:
        Deng, Guo, Xue, Zafeiriou: ArcFace: Additive Angular Margin Loss for Deep Face
        Recognition, 2019, https://arxiv.org/abs/1801.07698
    """
    name = "margin_softmax_loss"
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
        name,
        SOFTMAX,
        batch,
        {"scale": scale, **smoothing(label_smoothing)},
        each={"angular": radians(name, "angular", angular), "additive": additive},
        reduction=reduction,
    )
