"""N-pairs loss."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jml._checks import check_choice
from jml.pairwise import (
    SIMILARITIES,
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
    Side,
    Sums,
    Terms,
    gather,
    map_rows,
    masked_logsumexp,
    masked_sum,
    mean_of_each,
    pair_loss,
    sum_rows,
)
from jml.pairwise._memory import Memory


def n_pairs_loss(
    embeddings: Float[Array | np.ndarray, "n d"],
    labels: Labels | np.ndarray | None = None,
    *,
    similarity: str = "cosine",
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
    r"""Compares one pair a class with the second items of the other classes' pairs.

    The first item $i$ of a class is an anchor, and the second its positive $p_i$. With
    the set $A$ of anchors that have a positive, the set $Q$ of their positives, and the
    similarities $s$,

    $$L = \frac1{|A|} \sum_{i \in A} \log\Big( 1
        + \sum_{q \in Q \cap N_i} e^{s_{iq} - s_{i p_i}} \Big),$$

    where $N_i$ are the negatives of $i$. Other items of a class have no part in it. The
    second item of a class may be in the memory. With `references` every item is an
    anchor, and its positive is the first reference of its class. Many-hot labels and
    `related` say which is the first positive of an item; it is an anchor unless that
    one stands before it. Of a miner's pairs the same holds.

    The paper has `similarity="dot"` and adds the embeddings' mean squared norm to the
    loss. PML compares unit vectors, as the default here, and adds nothing.

    Args:
        embeddings: the batch.
        labels: its classes: integers [B], or booleans [B, L] for any number of L.
        similarity: "cosine", or "dot" for inner products of embeddings as they are.
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
        ValueError: for a wrong shape, dtype or choice.

    Example:
        >>> x = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 2.0], [0.6, 0.8]])
        >>> print(f"{n_pairs_loss(x, np.array([0, 0, 1, 1])):.4f}")
        0.5981

    References:
        Sohn: Improved Deep Metric Learning with Multi-class N-pair Loss Objective,
        2016, https://papers.nips.cc/paper/6200
    """
    check_choice("n_pairs_loss", "similarity", similarity, SIMILARITIES)
    batch = Batch(embeddings, labels, where, memory, block_size, axis_name)
    others = References(references, reference_labels, reference_where)
    return pair_loss(
        "n_pairs_loss",
        terms,
        batch,
        {},
        options=Options(others, related, miner, reduction),
        sum_over=n_pairs_sums,
        each=n_pairs_means,
        measure=similarity,
    )


def n_pairs_sums(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Sums:
    """Sums over anchors, which need the positives of all anchors first."""
    items = len(pairs.anchors.position)
    plain = pairs.labelled and pairs.mutual and pairs.memory is None
    if plain and plan == plan._replace(miner=None, axis_name=None) and items > 1:
        return sum_of_firsts(terms, pairs, hyperparameters, plan)
    chosen = choose_positives(pairs, plan)
    return sum_rows(partial(terms, chosen=chosen), pairs, hyperparameters, plan)


def sum_of_firsts(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Sums:
    """The sums of a batch by itself, whose classes have two items or none.

    So only these items are compared: at most half of the batch with the other half.
    """
    x, size = pairs.anchors, len(pairs.anchors.position) // 2
    order = jnp.lexsort((x.labels, ~x.valid))  # valid ones first, by class
    labels, valid = x.labels[order], x.valid[order]
    same = (labels[1:] == labels[:-1]) & valid[1:]  # as the one before
    begins = same & ~jnp.pad(same, (1, 0))[:-1]
    (place,) = jnp.nonzero(begins, size=size, fill_value=0)
    first, second = order[place], order[place + 1]
    two = jnp.arange(size) < jnp.sum(begins)

    def side(items: Int[Array, " c"], start: int) -> Side:
        part = jax.tree.map(lambda array: array[items], x)
        return part._replace(valid=two, position=start + jnp.arange(size))

    part = Pairs(side(first, 0), side(second, size), None, mutual=False)
    sums = sum_rows(partial(terms, chosen=two), part, hyperparameters, plan)
    none = jnp.zeros_like(x.embeddings)
    return sums._replace(
        by_anchors=none.at[first].add(sums.by_anchors),
        by_references=none.at[second].add(sums.by_references),
    )


def n_pairs_means(
    terms: Terms, pairs: Pairs, hyperparameters: Hyperparameters, plan: Plan
) -> Float[Array, " b"]:
    """Each anchor's loss."""
    chosen = choose_positives(pairs, plan)
    return mean_of_each(partial(terms, chosen=chosen), pairs, hyperparameters, plan)


def choose_positives(pairs: Pairs, plan: Plan) -> Bool[Array, " m"]:
    """Which references are the positive of an anchor on any device."""
    columns = map_rows(first_positive, pairs.anchors, pairs.references, plan)
    none = jnp.zeros(len(pairs.references.position), bool)
    return none.at[gather(columns, plan.axis_name)].set(True, mode="drop")


def first_positive(rows: Rows) -> Int[Array, " b"]:
    """The column of each anchor's positive.

    Beyond the last column: of an item that has none, or that stands behind one.
    """
    size = rows.values.shape[1]
    columns = jnp.arange(size)[None, :]
    first = jnp.min(jnp.where(rows.positive, columns, size), axis=1)
    behind = jnp.any(rows.positive & (rows.reference < rows.anchor), axis=1)
    return jnp.where(behind, size, first)


def terms(
    rows: Rows, *, chosen: Bool[Array, " m"]
) -> tuple[Float[Array, " b"], Float[Array, " b"]]:
    """Each item's term, and 1 for an item that is an anchor."""
    similarity = rows.similarity
    size = rows.values.shape[1]
    column = first_positive(rows)[:, None]
    pair = jnp.arange(size)[None, :] == column
    attraction = masked_sum(similarity, pair)
    repulsion = masked_logsumexp(similarity, rows.negative & chosen[None, :])
    each = jnp.logaddexp(0, repulsion - attraction)[:, None]
    total = masked_sum(jnp.broadcast_to(each, pair.shape), pair, rows.weight)
    return total, jnp.any(pair, axis=1).astype(total.dtype)
