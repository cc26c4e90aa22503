"""Lifted structured loss."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .._checks import check_batch, check_block_size, check_choice, check_number
from .._numerics import masked_logsumexp
from ..distances import euclidean_distances
from ..pairwise import CONVENTIONS, Rows, count_true, masked_sum, mean, row_mapper


def lifted_loss(
    embeddings: Float[Array, "n d"],
    labels: Int[Array, " n"],
    *,
    margin: float | Float[Array, ""] = 1.0,
    convention: str = "original",
    where: Bool[Array, " n"] | None = None,
    block_size: int | None = None,
) -> Float[Array, ""]:
    r"""Holds each positive pair against all negatives of both its ends.

    With Euclidean distances $D$ and the negatives $N_i$ of item $i$,

    $$J_{ij} = \log\Big(\sum_{n \in N_i} e^{m - D_{in}}
        + \sum_{n \in N_j} e^{m - D_{jn}}\Big) + D_{ij}, \qquad
      L = \frac{1}{2|P|} \sum_{(i,j) \in P} [J_{ij}]_+^2.$$

    In "paper" $P$ holds each unordered positive pair once; in "original" it holds the
    ordered pairs and the pair of each item with itself.

    Args:
        embeddings: the batch.
        labels: its classes.
        margin: a distance.
        convention: see the package's description, as for the next two.
        where: False for absent items.
        block_size: anchors at a time.

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
    check_batch("lifted_loss", embeddings, labels, where)
    check_number("lifted_loss", "margin", margin)
    check_choice("lifted_loss", "convention", convention, CONVENTIONS)
    check_block_size("lifted_loss", block_size)
    return _lifted_loss(embeddings, labels, margin, where, convention, block_size)


@partial(jax.jit, static_argnames=("convention", "block_size"))
def _lifted_loss(embeddings, labels, margin, where, convention, block_size):
    map_rows = row_mapper(embeddings, labels, where=where, block_size=block_size)
    repulsion = map_rows(lambda rows: negative_log_sum(rows, margin))

    def pair_terms(rows: Rows):
        pairs = rows.positive
        if convention == "paper":
            pairs &= rows.later
        distances = euclidean_distances(rows.squared)
        both = jnp.logaddexp(repulsion[rows.anchor][:, None], repulsion[None, :])
        has_negative = jnp.any(rows.negative, axis=1)[:, None]
        hinge = jnp.maximum(both + distances, 0) ** 2
        total = masked_sum(hinge, pairs & has_negative) / 2
        return total, count_true(pairs, total.dtype)

    return mean(*map_rows(pair_terms))


def negative_log_sum(rows: Rows, margin) -> Float[Array, " b"]:
    """``log sum exp(margin - D_in)`` over the negatives n; 0 where there are none."""
    scores = margin - euclidean_distances(rows.squared)
    return masked_logsumexp(scores, rows.negative)
