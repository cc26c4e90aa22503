"""Lifted structured loss."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from jml._checks import check_batch, check_choice, check_number
from jml._numerics import masked_logsumexp
from jml.distances import as_compute, euclidean_distances
from jml.pairwise._blocks import Plan, make_plan
from jml.pairwise._gradient import mean_loss
from jml.pairwise._memory import Memory, check_memory
from jml.pairwise._positives import sum_positives
from jml.pairwise._rows import (
    CONVENTIONS,
    AxisName,
    Items,
    Pairs,
    Rows,
    count_true,
    masked_sum,
    prepare,
)
from jml.pairwise._sums import Sums, map_rows, sum_pairs


def lifted_loss(
    embeddings: Float[Array, "n d"],
    labels: Int[Array, " n"],
    *,
    margin: float | Float[Array, ""] = 1.0,
    convention: str = "original",
    where: Bool[Array, " n"] | None = None,
    memory: Memory | None = None,
    block_size: int | None = None,
    axis_name: AxisName = None,
) -> Float[Array, ""]:
    r"""Holds each positive pair against all negatives of both its ends.

    With distances $D = \sqrt{\max(|x_i - x_j|^2, 10^{-16})}$ and the negatives $N_i$ of
    item $i$,

    $$J_{ij} = \log\Big(\sum_{n \in N_i} e^{m - D_{in}}
        + \sum_{n \in N_j} e^{m - D_{jn}}\Big) + D_{ij}, \qquad
      L = \frac{1}{2|P|} \sum_{(i,j) \in P} [J_{ij}]_+^2.$$

    In "paper" $P$ holds each unordered positive pair once; in "original" it holds the
    ordered pairs and the pair of each item with itself.

    Where items coincide, as each does with itself, $D$ is $10^{-8}$ instead of 0, whose
    slope is infinite: the loss differs from the exact one by at most $10^{-8}
    \sqrt{2L}$, 2e-8 for a loss of 2.

    Args:
        embeddings: the batch.
        labels: its classes.
        margin: a distance.
        convention: see the package's description, as for the next four.
        where: False for absent items.
        memory: earlier embeddings to be held against as well.
        block_size: anchors at a time.
        axis_name: of the mapped axis over which the batch is spread.

    Returns:
        The loss, a scalar in float32 or float64.

    Raises:
        ValueError: for a wrong shape, dtype or choice.

    Example:
        >>> x = jnp.array([[0.0], [0.5], [0.6]])
        >>> print(f"{lifted_loss(x, jnp.array([0, 0, 1]), margin=1.0):.4f}")
        1.5031

    References:
        Oh Song, Xiang, Jegelka, Savarese: Deep Metric Learning via Lifted Structured
        Feature Embedding, 2016, https://arxiv.org/abs/1511.06452
    """
    embeddings, labels, where = check_batch("lifted_loss", embeddings, labels, where)
    margin = check_number("lifted_loss", "margin", margin)
    check_choice("lifted_loss", "convention", convention, CONVENTIONS)
    memory = check_memory("lifted_loss", memory, embeddings)
    plan = make_plan("lifted_loss", block_size, axis_name)
    return _lifted_loss(embeddings, labels, margin, where, memory, convention, plan)


@partial(jax.jit, static_argnames=("convention", "plan"))
def _lifted_loss(embeddings, labels, margin, where, memory, convention, plan):
    x, present = prepare(embeddings, where)
    return mean_loss(
        partial(lifted_sums, paper=convention == "paper"),
        *(x, labels, present, as_compute(jnp.asarray(margin, x.dtype))),
        memory=memory,
        plan=plan,
    )


def lifted_sums(pairs: Pairs, margin, plan: Plan, *, paper: bool) -> Sums:
    """Sums the positive pairs, then follows their slope into the negative ones."""
    repulsion = plan.gather(log_sums(pairs.anchors, pairs.items, margin, plan))
    if pairs.memory is not None:  # its negatives are those in the batch
        own = log_sums(pairs.memory, pairs.anchors, margin, plan)
        by_device = plan.gather(own[None]).T
        of_memory = masked_logsumexp(by_device, by_device != -jnp.inf)
        repulsion = jnp.concatenate([repulsion, of_memory])
    attract = sum_positives(partial(pair_terms, paper=paper), pairs, repulsion, plan)
    slopes = plan.sum(attract.numbers)
    repel = sum_pairs(partial(repel_terms, repulsion, slopes), pairs, margin, plan)
    return attract._replace(
        numbers=repel.numbers, anchors=attract.anchors + repel.anchors
    )


def log_sums(anchors: Items, items: Items, margin, plan: Plan) -> Float[Array, " b"]:
    """``log sum exp(margin - D_in)`` over negatives n; -inf where there are none."""

    def of_rows(rows: Rows):
        distances = euclidean_distances(rows.squared)
        return margin + masked_logsumexp(-distances, rows.negative)

    return map_rows(of_rows, anchors, items, plan)


def pair_terms(rows: Rows, repulsion, *, paper: bool):
    """Sum and count of each anchor's positive pairs."""
    mine, theirs = repulsion[rows.anchor], repulsion[rows.item]
    some = jnp.maximum(mine, theirs) != -jnp.inf  # a NaN counts, and so shows
    both = jnp.logaddexp(jnp.where(some, mine, 0), jnp.where(some, theirs, 0))
    hinge = jnp.maximum(both + euclidean_distances(rows.squared), 0)
    pairs = rows.positive & rows.other if paper else rows.positive
    return masked_sum(hinge**2 / 2, pairs & some), count_true(pairs, hinge.dtype)


def repel_terms(repulsion, slopes, rows: Rows, margin):
    """Sums whose derivatives are those of ``slopes . repulsion``, from both ends."""
    scores = margin - euclidean_distances(rows.squared)
    scores = jnp.where(rows.negative, scores, -jnp.inf)  # others may overflow below

    def share(i):
        # +inf in place of -inf: what has no negative adds 0, not infinity times 0.
        total = jnp.where(repulsion[i] == -jnp.inf, jnp.inf, repulsion[i])
        return slopes[i] * jnp.exp(scores - total)

    total = jnp.sum(share(rows.anchor) + share(rows.item), axis=1)
    return total, jnp.zeros_like(total)
