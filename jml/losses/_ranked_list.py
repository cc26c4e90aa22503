"""Ranked list loss."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jml._value_checks import check_type
from jml.distances import euclidean_distances
from jml.pairwise import (
    AxisName,
    Batch,
    Labels,
    Miner,
    Options,
    References,
    Related,
    Rows,
    Scalar,
    pair_loss,
)
from jml.pairwise._memory import Memory


def ranked_list_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Labels | np.ndarray | None = None,
    *,
    margin: Scalar = 0.4,
    alpha: Scalar = 1.2,
    positive_temperature: Scalar = 0.0,
    negative_temperature: Scalar = 10.0,
    imbalance: Scalar = 0.5,
    normalized: bool = True,
    where: Bool[Array | np.ndarray, " n"] | None = None,
    memory: Memory | None = None,
    references: Float[Array | np.ndarray, "m d"] | None = None,
    reference_labels: Labels | np.ndarray | None = None,
    reference_where: Bool[Array | np.ndarray, " m"] | None = None,
    related: Related | np.ndarray | None = None,
    miner: Miner | None = None,
    reduction: str = "mean",
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> Float[Array, "*n"]:
    r"""Pulls positives within one distance and pushes negatives beyond a larger one.

    With the distances $D = \sqrt{\max(|x_i - x_j|^2, 10^{-16})}$ of embeddings on the
    unit sphere, an anchor's positives farther than $\alpha - m$ have $h_{ip} = D_{ip} -
    (\alpha - m)$, and its negatives nearer than $\alpha$ have $h_{in} = \alpha -
    D_{in}$. Other pairs have no part in

    $$L = \frac1B \sum_i \Big(
        (1 - \lambda) \frac{\sum_p e^{T_+ h_{ip}} h_{ip}}{\sum_p e^{T_+ h_{ip}}}
        + \lambda \frac{\sum_n e^{T_- h_{in}} h_{in}}{\sum_n e^{T_- h_{in}}} \Big).$$

    An anchor without such pairs has the mean 0. The outer mean is over all valid items,
    also over those. The weights pass a gradient. Each positive of a relation counts
    alike.

    PyTorch Metric Learning adds 1e-5 to the divisors for each item of the batch, so
    that its loss is a little smaller.

    Args:
        embeddings: the batch.
        labels: its classes: integers [B], or booleans [B, L] for any number of L.
        margin: $m$, how much nearer than negatives positives are to be.
        alpha: the distance $\alpha$ beyond which negatives are to be.
        positive_temperature: $T_+$, how much the farthest positives outweigh the
            others.
        negative_temperature: $T_-$, how much the nearest negatives outweigh the
            others.
        imbalance: $\lambda$, the share of the negatives in the loss.
        normalized: whether embeddings are put on the unit sphere first.
        where: False for items to leave out. `jml.losses` says more on this and on the
            arguments that follow.
        memory: earlier embeddings to compare the batch with.
        references: what to compare the batch with in place of itself.
        reference_labels: the classes of the references.
        reference_where: False for references to leave out.
        related: in place of labels, how each item is related to each reference.
        miner: chooses pairs; see `jml.miners`.
        reduction: "mean", "nonzero", "sum" or "none".
        block_size: the number of anchors at a time.
        axis_name: of the mapped axis over which the batch is spread.

    Returns:
        The loss, a scalar in float32 or float64; [B] for `reduction="none"`.

    Raises:
        ValueError: for a wrong shape or dtype.

    Example:
        >>> x = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 2.0]])
        >>> print(f"{ranked_list_loss(x, np.array([0, 0, 1])):.4f}")
        0.1019

    References:
        Wang, Hua, Kodirov, Hu, Garnier, Robertson: Ranked List Loss for Deep Metric
        Learning, 2019, https://arxiv.org/abs/1903.03238
    """
    check_type("ranked_list_loss", "normalized", normalized, bool, "True or False")
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    hyperparameters = {
        "margin": margin,
        "alpha": alpha,
        "positive_temperature": positive_temperature,
        "negative_temperature": negative_temperature,
        "imbalance": imbalance,
    }
    return pair_loss(
        "ranked_list_loss",
        terms,
        batch,
        hyperparameters,
        options=Options(others, related, miner, reduction),
        normalized=normalized,
    )


def terms(
    rows: Rows,
    *,
    margin: Float[Array, ""],
    alpha: Float[Array, ""],
    positive_temperature: Float[Array, ""],
    negative_temperature: Float[Array, ""],
    imbalance: Float[Array, ""],
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each anchor's term, and 1 for an anchor that is valid."""
    distances = euclidean_distances(rows.squared)
    too_far, too_near = distances - (alpha - margin), alpha - distances
    attract = weighted_mean(too_far, rows.positive, positive_temperature)
    repel = weighted_mean(too_near, rows.negative, negative_temperature)
    total = (1 - imbalance) * attract + imbalance * repel
    return total, rows.valid.astype(total.dtype)


def weighted_mean(
    hinge: Float[Array, "b n"], mask: Bool[Array, "b n"], temperature: Float[Array, ""]
) -> Float[Array, " b"]:
    """Each row's mean of what is above 0 in a mask, weighted by its exponential."""
    active = mask & ~(hinge <= 0)  # not "> 0": a NaN counts, so that it shows
    hinge = jnp.where(active, hinge, 0)
    heat = jnp.where(active, temperature * hinge, -jnp.inf)
    hottest = jax.lax.stop_gradient(jnp.max(heat, axis=1, initial=-jnp.inf))
    hottest = jnp.where(hottest == -jnp.inf, 0, hottest)
    weights = jnp.exp(heat - hottest[:, None])
    total = jnp.sum(weights, axis=1)
    return jnp.sum(weights * hinge, axis=1) / jnp.where(total == 0, 1, total)
