"""CoSENT loss."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jml.pairwise import (
    AxisName,
    Batch,
    Hyperparameters,
    Labels,
    Miner,
    Options,
    Pairs,
    Plan,
    References,
    Related,
    Rows,
    Scalar,
    Sums,
    Terms,
    gather,
    map_rows,
    masked_logsumexp,
    pair_loss,
    share_of_one,
    sum_rows,
)
from jml.pairwise._memory import Memory


def cosent_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Labels | np.ndarray | None = None,
    *,
    scale: Scalar = 20.0,
    where: Bool[Array | np.ndarray, " n"] | None = None,
    memory: Memory | None = None,
    references: Float[Array | np.ndarray, "m d"] | None = None,
    reference_labels: Labels | np.ndarray | None = None,
    reference_where: Bool[Array | np.ndarray, " m"] | None = None,
    related: Related | np.ndarray | None = None,
    miner: Miner | None = None,
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> Float[Array, ""]:
    r"""Asks that every positive pair be more similar than every negative pair.

    With the cosine similarities $s$, the set $P$ of pairs of an anchor and a positive,
    the set $N$ of pairs of an anchor and a negative, and a scale $\lambda$,

    $$L = \log\Big( 1 + \sum_{(i,p) \in P} \sum_{(j,n) \in N}
        e^{\lambda (s_{jn} - s_{ip})} \Big).$$

    The anchors $i$ and $j$ may differ: pairs of the whole batch are compared. A pair
    within the batch counts from both of its ends. The loss is one number for the batch,
    no mean of terms. So there is no `reduction`.

    Args:
        embeddings: the batch.
        labels: its classes: integers [B], or booleans [B, L] for any number of L.
        scale: $\lambda$, how much wrongly ordered pairs outweigh others.
        where: False for items to leave out. `jml.losses` says more on this and on the
            arguments that follow.
        memory: earlier embeddings to compare the batch with.
        references: what to compare the batch with in place of itself.
        reference_labels: the classes of the references.
        reference_where: False for references to leave out.
        related: in place of labels, how each item is related to each reference.
        miner: chooses pairs; see `jml.miners`.
        block_size: the number of anchors at a time.
        axis_name: of the mapped axis over which the batch is spread.

    Returns:
        The loss, a scalar in float32 or float64.

    Raises:
        ValueError: for a wrong shape or dtype.

    Example:
        >>> x = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 2.0]])
        >>> print(f"{cosent_loss(x, np.array([0, 0, 1]), scale=8.0):.4f}")
        0.5957

    References:
        Su: CoSENT (1): A more effective sentence embedding method than Sentence-BERT,
        2022, https://kexue.fm/archives/8847
    """
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    return pair_loss(
        "cosent_loss",
        terms,
        batch,
        {"scale": scale},
        options=Options(others, related, miner),
        sum_over=cosent_sums,
        measure="cosine",
    )


def log_sums(
    rows: Rows, scale: Float[Array, ""]
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each anchor's ``log sum exp``, of its positives and of its negatives."""
    scores = scale * rows.similarity
    attraction = masked_logsumexp(-scores, rows.positive, rows.weight)
    return attraction, masked_logsumexp(scores, rows.negative)


def cosent_sums(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Sums:
    """The loss and its gradient, in two passes over the rows.

    The double sum is the product of a sum over positive pairs and one over negative
    pairs. The first pass makes these sums. The second follows the derivative of the
    loss by the log-sums of each anchor.
    """
    of_rows = partial(log_sums, scale=hyperparameters["scale"])
    local = map_rows(of_rows, pairs.anchors, pairs.references, plan)
    of_anchors = jnp.stack([gather(part, plan.axis_name) for part in local])
    of_both = masked_logsumexp(of_anchors, of_anchors != -jnp.inf)
    # A log-sum of none, -inf, has no share in that of all.
    some = jnp.where(of_both == -jnp.inf, 0, of_both)
    slopes = jax.nn.sigmoid(jnp.sum(of_both)) * jnp.exp(of_anchors - some[:, None])
    sums = sum_rows(partial(terms, slopes=slopes), pairs, hyperparameters, plan)
    share = share_of_one(pairs, plan)
    value = jnp.logaddexp(0, jnp.sum(of_both))
    return sums._replace(total=share * value, number=share)


def terms(
    rows: Rows, *, scale: Float[Array, ""], slopes: Float[Array, "2 m"]
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each anchor's log-sums along the slopes of the loss by them."""
    total = jnp.zeros_like(rows.values[:, 0])
    for log_sum, slope in zip(log_sums(rows, scale), slopes, strict=True):
        log_sum = jnp.where(log_sum == -jnp.inf, 0, log_sum)
        total += slope[rows.anchor[:, 0]] * log_sum
    return total, jnp.zeros_like(total)
