"""MagFace loss."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer

from jml._checks import check_number
from jml._numerics import inverse
from jml.distances import as_compute
from jml.pairwise import AxisName, Scalar
from jml.tiles import ClassBatch, Formula, Statistics, class_loss

from ._class_softmax import cross_entropy, elements, radians, smoothing, turned
from ._lengths import lengths_within

LEAST = 1e-9  # a length whose inverse, and its square's, is finite


def magface_loss(
    embeddings: Float[Array | np.ndarray, "b d"],
    labels: Integer[Array | np.ndarray, " b"],
    weights: Float[Array | np.ndarray, "c *k d"],
    *,
    scale: Scalar = 64.0,
    min_margin: Scalar = 0.45,
    max_margin: Scalar = 0.8,
    min_length: Scalar = 10.0,
    max_length: Scalar = 110.0,
    regularization: Scalar = 35.0,
    label_smoothing: Scalar = 0.0,
    where: Bool[Array | np.ndarray, " b"] | None = None,
    classes: Integer[Array | np.ndarray, " c"] | None = None,
    reduction: str = "mean",
    block_size: int | None = None,
    axis_name: AxisName = None,
    class_axis_name: AxisName = None,
) -> Float[Array, "*b"]:
    r"""ArcFace with a margin that grows with the length of an embedding.

    An embedding has the length $a_i$, which tells in the end how well an item can be
    recognised; $a_i$ is cut to at least $l$ and at most $u$. Its margin is

    $$m_i = m_l + (m_u - m_l) \frac{a_i - l}{u - l},$$

    $$L = -\frac1B \sum_i \log \frac{e^{s \cos(\theta_{i y_i} + m_i)}}{
        e^{s \cos(\theta_{i y_i} + m_i)} + \sum_{c \ne y_i} e^{s \cos \theta_{ic}}}
        + \frac{\lambda}{B} \sum_i \Big( \frac{a_i}{u^2} + \frac{1}{a_i} \Big).$$

    The last sum, the regularisation, asks for long embeddings. So the network must not
    scale them to length one: this loss does. See `margin_softmax_loss` for angles
    beyond $\pi$.

    Args:
        embeddings: the batch, as the network returns it.
        labels: its classes, 0 ... C - 1. An item of any other class adds 0.
        weights: a row for each class, [C, D]; or several centers, [C, K, D], of which
            the nearest to an item counts.
        scale: the factor $s$ on cosines.
        min_margin: the angle $m_l$ of a short embedding, in radians.
        max_margin: the angle $m_u$ of a long one.
        min_length: the length $l$ below which embeddings are short.
        max_length: the length $u$ above which they are long.
        regularization: the weight $\lambda$ of the last sum.
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
        >>> x, labels = jnp.array([[40.0, 20.0]]), jnp.array([0])
        >>> print(f"{magface_loss(x, labels, weights, scale=4.0):.4f}")
        1.4888

    References:
        Meng, Zhao, Huang, Zhou: MagFace: A Universal Representation for Face
        Recognition and Quality Assessment, 2021, https://arxiv.org/abs/2103.06627
    """
    name = "magface_loss"
    numbers = {
        "min_margin": min_margin,
        "max_margin": max_margin,
        "min_length": min_length,
        "max_length": max_length,
        "regularization": regularization,
    }
    radians(name, "min_margin", min_margin)
    radians(name, "max_margin", max_margin)
    low_margin, high_margin, low, high, weight = (
        as_compute(jnp.asarray(check_number(name, key, value), float))
        for key, value in numbers.items()
    )
    low, high = jnp.maximum(low, LEAST), jnp.maximum(high, LEAST)
    lengths, _ = lengths_within(name, embeddings, where, low, high)
    low_margin, high_margin, low, high, weight = (
        number.astype(lengths.dtype)
        for number in (low_margin, high_margin, low, high, weight)
    )
    share = (lengths - low) * inverse(high - low)
    penalty = weight * (lengths / (high * high) + 1 / lengths)
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
        Formula(elements, finish),
        batch,
        {"scale": scale, **smoothing(label_smoothing)},
        each={
            "margin": low_margin + (high_margin - low_margin) * share,
            "penalty": penalty,
        },
        reduction=reduction,
    )


def finish(
    sums: Statistics,
    *,
    scale: Float[Array, ""],
    margin: Float[Array, " b"],
    penalty: Float[Array, " b"],
    label_smoothing: Float[Array, ""] | None = None,
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each item's cross entropy and penalty, and 1 for one whose class is there."""
    own = turned(sums.sums["own"], margin)
    total, has_own = cross_entropy(sums, own, scale, label_smoothing)
    return total + jnp.where(has_own > 0, penalty, 0), has_own
