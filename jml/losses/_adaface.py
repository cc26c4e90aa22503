"""AdaFace loss."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Integer

from jml._checks import check_number
from jml.distances import as_compute
from jml.pairwise import AxisName, Scalar, check_axis_name
from jml.tiles import ClassBatch, Formula, Statistics, class_loss

from ._class_softmax import cross_entropy, elements, radians, smoothing, turned_within
from ._lengths import LONGEST, SHORTEST, Lengths, check_lengths, lengths_within, measure


def adaface_loss(
    embeddings: Float[Array | np.ndarray, "b d"],
    labels: Integer[Array | np.ndarray, " b"],
    weights: Float[Array | np.ndarray, "c *k d"],
    *,
    lengths: Lengths | None = None,
    scale: Scalar = 64.0,
    margin: Scalar = 0.4,
    concentration: Scalar = 0.333,
    label_smoothing: Scalar = 0.0,
    where: Bool[Array | np.ndarray, " b"] | None = None,
    classes: Integer[Array | np.ndarray, " c"] | None = None,
    reduction: str = "mean",
    block_size: int | None = None,
    axis_name: AxisName = None,
    class_axis_name: AxisName = None,
) -> Float[Array, "*b"]:
    r"""A margin that makes more of hard items in good images, and less in bad ones.

    The length $a_i$ of an embedding, from 0.001 to 100, stands for the quality of an
    image. With the mean $\mu$ and the deviation $\sigma$ of lengths,

    $$q_i = \min\Big(1, \max\Big(-1, h \frac{a_i - \mu}{\sigma + 0.001}\Big)\Big),
    \qquad z_i = \cos(\theta_{i y_i} - m q_i) - m (1 + q_i),$$

    $$L = -\frac1B \sum_i \log \frac{e^{s z_i}}{
        e^{s z_i} + \sum_{c \ne y_i} e^{s \cos \theta_{ic}}}.$$

    The angle $\theta_{i y_i} - m q_i$ is cut to 0 and $\pi$. No gradient passes through
    lengths. So the network must not scale embeddings to length one: this loss does.

    The mean and the deviation run along with the training:

        lengths = update_lengths(lengths, embeddings)
        loss = adaface_loss(embeddings, labels, weights, lengths=lengths)

    Args:
        embeddings: the batch, as the network returns it.
        labels: its classes, 0 ... C - 1. An item of any other class adds 0.
        weights: a row for each class, [C, D]; or several centers, [C, K, D], of which
            the nearest to an item counts.
        lengths: the mean $\mu$ and the deviation $\sigma$, those of the batch by
            default.
        scale: the factor $s$ on cosines.
        margin: the margin $m$.
        concentration: the factor $h$ on how far a length is from the mean.
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
        ValueError: for a wrong type, shape or dtype.

    Example:
        >>> weights = jnp.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
        >>> x, labels = jnp.array([[40.0, 20.0]]), jnp.array([0])
        >>> known = Lengths(jnp.array(20.0), jnp.array(10.0))
        >>> loss = adaface_loss(x, labels, weights, lengths=known, scale=4.0)
        >>> print(f"{loss:.4f}")
        1.1346

    References:
        Kim, Jain, Liu: AdaFace: Quality Adaptive Margin for Face Recognition, 2022,
        https://arxiv.org/abs/2204.00964
    """
    name = "adaface_loss"
    radians(name, "margin", margin)
    numbers = (
        check_number(name, "margin", margin),
        check_number(name, "concentration", concentration),
    )
    check_axis_name(name, axis_name)
    if lengths is not None:
        check_lengths(name, lengths)
    cut, valid = lengths_within(name, embeddings, where, SHORTEST, LONGEST)
    known = measure(cut, valid, axis_name)[0] if lengths is None else lengths
    cut, (mean, deviation) = jax.lax.stop_gradient((cut, known))
    margin, concentration, mean, deviation = (
        as_compute(jnp.asarray(number, cut.dtype))
        for number in (*numbers, mean, deviation)
    )
    quality = concentration * (cut - mean) / (deviation + 1e-3)
    quality = jnp.clip(quality, -1, 1)
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
        each={"angular": -margin * quality, "additive": margin * (1 + quality)},
        reduction=reduction,
    )


def finish(
    sums: Statistics,
    *,
    scale: Float[Array, ""],
    angular: Float[Array, " b"],
    additive: Float[Array, " b"],
    label_smoothing: Float[Array, ""] | None = None,
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each item's cross entropy, and 1 for an item whose class is there."""
    own = turned_within(sums.sums["own"], angular) - additive
    return cross_entropy(sums, own, scale, label_smoothing)
