"""Recall@k loss."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jml._checks import check_count
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
    count_true,
    pair_loss,
)
from jml.pairwise._memory import Memory

from ._soft_ranks import Vector, fixed_sums_over_positives, sum_over_positives


def recall_at_k_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Labels | np.ndarray | None = None,
    *,
    ks: Sequence[int] = (1, 2, 4, 8, 16),
    temperature: Scalar = 0.01,
    rank_temperature: Scalar = 1.0,
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
    r"""One minus the recall of each item within its k first, with soft ranks.

    With the similarities $s$ and the positives $P$ and negatives $N$ of item $i$, and
    $K$ numbers $k$,

    $$L_i = 1 - \frac1K \sum_k \frac{\min(k, h_k)}{\min(k, |P|)}, \qquad
      h_k = \sum_{p \in P} \sigma((k - R_p) / \tau_r), \qquad
      R_p = 1 + \sum_{j \in P \cup N, j \ne p} \sigma((s_{ij} - s_{ip}) / \tau).$$

    The mean is over the items with a positive. Any number above 0 in `related` makes
    a positive, and all count alike.

    Args:
        embeddings: the batch.
        labels: its classes: integers [B], or booleans [B, L] for any number of L.
        ks: the numbers $k$, static positive integers.
        temperature: $\tau$, positive: the difference of similarities over which a rank
            changes. Less than 1e-9 counts as that.
        rank_temperature: $\tau_r$, likewise: over how many ranks a hit turns into none.
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
        ValueError: for a wrong shape or dtype, or a k that is no positive integer.

    Example:
        >>> x = np.array([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8]])
        >>> print(f"{recall_at_k_loss(x, np.array([0, 1, 0]), ks=(1,)):.4f}")
        0.7311

    References:
        Patel, Tolias, Matas: Recall@k Surrogate Loss with Large Batches and Similarity
        Mixup, 2022, https://arxiv.org/abs/2108.11179

    The authors' code counts the item itself among those that are ranked; here, as in
    the paper, it is none of them.
    """
    ks = _check_ks(ks)
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    return pair_loss(
        "recall_at_k_loss",
        terms,
        batch,
        {"temperature": temperature, "rank_temperature": rank_temperature},
        options=Options(others, related, miner, reduction),
        measure="cosine",
        choices={"ks": ks},
    )


def _check_ks(ks: Any) -> tuple[int, ...]:
    if not isinstance(ks, tuple | list) or not ks:
        raise ValueError(
            "recall_at_k_loss: `ks` must be a tuple of positive integers, such as"
            f" (1, 2, 4), got {ks!r}"
        )
    for k in ks:
        check_count("recall_at_k_loss", "ks", k)
    return tuple(int(k) for k in ks)


def terms(
    rows: Rows, *, temperature: Scalar, rank_temperature: Scalar, ks: tuple[int, ...]
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each anchor's term, and 1 for an anchor with a positive.

    More soft hits than k count as k, and then pass no gradient. For which k that is so
    must be known before what passes one is summed; so there is a loop for each.
    """
    number = count_true(rows.positive, rows.similarity.dtype)
    most = jnp.asarray(ks, number.dtype)[None, :]
    share = 1 / (jnp.minimum(jnp.maximum(number, 1)[:, None], most) * len(ks))
    width = jnp.ones_like(number) * jnp.maximum(rank_temperature, 1e-9)
    hits_of = partial(soft_hits, ks)
    found = fixed_sums_over_positives(hits_of, rows, temperature, width)
    weights = jnp.where(found < most, share, 0)
    recall = sum_over_positives(
        partial(weighed_hits, ks), rows, temperature, width, weights
    )
    recall += jnp.sum((share - weights) * most, axis=1)
    counted = number > 0
    return jnp.where(counted, 1 - recall, 0), counted.astype(number.dtype)


def soft_hits(
    ks: tuple[int, ...], hits: Vector, misses: Vector, width: Vector
) -> Float[Array, "b k"]:
    """For each k, how much a positive lies within the first k."""
    rank = (1 + hits + misses)[:, None]
    most = jnp.asarray(ks, rank.dtype)[None, :]
    return jax.nn.sigmoid((most - rank) / width[:, None])


def weighed_hits(
    ks: tuple[int, ...],
    hits: Vector,
    misses: Vector,
    width: Vector,
    weights: Float[Array, "b k"],
) -> Vector:
    """Their sum over all k, each with the weight of its recall."""
    return jnp.sum(weights * soft_hits(ks, hits, misses, width), axis=1)
