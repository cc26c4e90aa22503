"""Histogram loss."""

from collections.abc import Callable
from functools import cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from jml._checks import check_count
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
    Sums,
    Terms,
    pair_loss,
    sum_through,
)
from jml.pairwise._memory import Memory

from ._soft_histograms import Bins, soft_histograms

# Float32 sums in so many tables, each a part of the columns, are exact enough.
TABLES = 64


def histogram_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Labels | np.ndarray | None = None,
    *,
    bins: int = 100,
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
    r"""The probability that a negative pair is more similar than a positive pair.

    The cosine similarities of all positive pairs and those of all negative pairs are
    counted in soft histograms with nodes from -1 to 1, and divided by how many they
    are: $h^+$ and $h^-$. Then

    $$L = \sum_k h^-_k \sum_{l \le k} h^+_l.$$

    Each unordered pair counts once. This is one number for the whole batch, not a mean
    over items: so there is no `reduction`. Without a positive or a negative pair it
    is 0. Any number above 0 in `related` makes a positive, and all count alike.

    Args:
        embeddings: the batch.
        labels: its classes: integers [B], or booleans [B, L] for any number of L.
        bins: the number of steps between nodes, a static integer.
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
        >>> x = np.array([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8]])
        >>> print(f"{histogram_loss(x, np.array([0, 1, 0])):.4f}")
        1.0000

    References:
        Ustinova, Lempitsky: Learning Deep Embeddings with Histogram Loss, 2016,
        https://arxiv.org/abs/1611.00822

    `HistogramLoss` of PyTorch Metric Learning leaves out the negative pairs of two
    items without a positive, and raises an error at a similarity of 1.
    """
    check_count("histogram_loss", "bins", bins)
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    return pair_loss(
        "histogram_loss",
        histograms,
        batch,
        {},
        options=Options(others, related, miner),
        sum_over=overlap_sums(int(bins)),
        measure="cosine",
    )


@cache
def overlap_sums(
    bins: int,
) -> Callable[[Terms, Pairs, Hyperparameters, Plan], Sums]:
    """Of a number of bins: one function for each, so that it compiles once."""

    def sums(
        terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
    ) -> Sums:
        del terms  # of each anchor there is none

        def statistics(rows: Rows, hyperparameters: Hyperparameters):
            del hyperparameters
            # A pair within the batch stands in two rows, once for each end.
            within = rows.reference < len(pairs.batch.position)
            size = jnp.where(within & pairs.mutual, 0.5, 1).astype(rows.values.dtype)
            return histograms(rows, size, bins=bins)

        return sum_through(statistics, overlap, pairs, hyperparameters, plan)

    return sums


def histograms(
    rows: Rows, size: Float[Array, "1 n"], *, bins: int
) -> tuple[Float[Array, " nodes"], Float[Array, " nodes"]]:
    """The histogram of the rows' positive pairs, and that of their negative pairs.

    Args:
        rows: the rows.
        size: how much a pair with each reference counts.
        bins: the number of steps between nodes.
    """
    near, far = soft_histograms(
        rows.similarity,
        rows.positive,
        rows.negative,
        Bins(-1.0, 1.0, bins),
        table=rows.reference % TABLES,
        tables=TABLES,
        size=size,
    )
    return jnp.sum(near, axis=0), jnp.sum(far, axis=0)


def overlap(
    sums: tuple[Float[Array, " nodes"], Float[Array, " nodes"]],
    hyperparameters: Hyperparameters,
) -> Float[Array, ""]:
    """How probably a negative pair lies at the node of a positive one or above it."""
    del hyperparameters
    near, far = sums
    both = jnp.sum(near) * jnp.sum(far)
    return jnp.sum(far * jnp.cumsum(near)) / jnp.where(both > 0, both, 1)
